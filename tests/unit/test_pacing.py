"""How long a writer pauses: bounds that hold whatever reads do, and the way there and back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.adapters.pacing import (
    DECIDED_BY,
    DECREASE,
    FEWEST,
    FLOOR,
    INCREASE,
    MAX_PAUSE,
    MOST,
    PIECE_SECONDS,
    SLACK,
    SLOWER,
    START,
    AutoPace,
    FixedPace,
    is_slow,
    next_share,
    typical,
)

seconds = st.floats(1e-6, 1e3)
reads = st.lists(seconds, max_size=3 * DECIDED_BY)
shares = st.floats(FLOOR, 1.0)
USUAL = 0.01
QUICK, SLOW = [USUAL] * DECIDED_BY, [10 * USUAL] * DECIDED_BY


@given(shares, reads, st.floats(0, 1e3))
def test_a_share_stays_between_the_floor_and_all_of_the_time(
    share: float, took: list[float], usual: float
) -> None:
    changed = next_share(share, took, usual)
    assert FLOOR <= changed <= 1.0
    if is_slow(typical(took), usual):
        assert changed == max(FLOOR, share * DECREASE)
    else:
        assert changed == pytest.approx(min(1.0, share + INCREASE))


@given(seconds, st.floats(0, 10))
def test_slow_is_a_matter_of_proportion_and_never_of_a_trifle(usual: float, more: float) -> None:
    assert not is_slow(usual + min(more, 0.99 * SLACK), usual)
    assert not is_slow(usual * SLOWER * 0.99, usual)
    assert is_slow(usual * SLOWER + SLACK + 1e-6, usual)
    assert not is_slow(more, 0.0)


@given(st.lists(st.tuples(st.integers(1, MOST), seconds, reads, reads), max_size=30), seconds)
def test_writing_ends_whatever_reads_do(
    pieces: list[tuple[int, float, list[float], list[float]]], usual: float
) -> None:
    """No longer than the floor allows, no pause beyond the longest, no piece without rows."""
    pace, busy, paused = AutoPace(usual), 0.0, 0.0
    for rows, took, beside, between in pieces:
        assert 1 <= pace.rows <= MOST
        pause = pace.pause(rows, took)
        assert 0.0 <= pause <= MAX_PAUSE
        busy, paused = busy + took, paused + pause
        pace.learn(beside, between)
    assert busy + paused <= busy / FLOOR * (1 + 1e-9)


def test_reads_that_slow_down_halve_the_share_and_quick_ones_give_it_back() -> None:
    pace = AutoPace(USUAL)
    pace.learn(SLOW, [])
    assert pace.share == START * DECREASE
    for _ in range(100):
        pace.learn(SLOW, QUICK)
    assert pace.share == FLOOR
    for _ in range(100):
        pace.learn(QUICK, QUICK)
    assert pace.share == 1.0
    assert pace.pause(100, 0.2) == 0.0


def test_a_few_reads_decide_nothing_and_none_are_lost() -> None:
    pace = AutoPace(USUAL)
    for _ in range(DECIDED_BY - 1):
        pace.learn(SLOW[:1], [])
    assert pace.share == START
    pace.learn(SLOW[:1], [])
    assert pace.share == START * DECREASE


def test_one_read_in_ten_that_is_slow_is_no_reason() -> None:
    assert next_share(0.5, [*QUICK, *QUICK, 1.0], USUAL) == 0.5 + INCREASE


def test_without_a_read_before_the_share_stays_what_it_was() -> None:
    """The collection cannot be searched, or nobody reads: a quarter of the time is our part."""
    pace = AutoPace()
    for _ in range(10):
        pace.learn(SLOW, SLOW)
    assert pace.share == START
    assert not pace.unsettled


def test_what_lasts_through_the_pauses_is_no_reason_to_write_more_slowly() -> None:
    """It would only last longer; but it is told, until somebody has settled it."""
    pace = AutoPace(USUAL)
    for _ in range(4):
        pace.learn(SLOW, SLOW)
    assert pace.unsettled
    share = pace.share
    pace.learn(SLOW, SLOW)
    assert pace.share > share
    pace.settled()
    assert not pace.unsettled
    pace.learn(SLOW, QUICK)
    assert pace.share < share


def test_reads_that_meet_the_end_of_a_piece_do_not_count_as_lasting() -> None:
    """Three of four in the pauses are slow, and a quarter are not: longer pauses will do."""
    pace = AutoPace(USUAL)
    for _ in range(4):
        pace.learn([], [*SLOW, *SLOW, *QUICK])
    assert not pace.unsettled
    assert pace.share == FLOOR


def test_a_piece_takes_about_as_long_as_readers_may_wait() -> None:
    pace = AutoPace(USUAL)
    assert pace.rows == FEWEST
    pace.pause(1000, 2.0)
    assert pace.rows == FEWEST
    pace.pause(1000, 0.1)
    assert pace.rows == int(10_000 * PIECE_SECONDS)
    pace.pause(1000, 0.01)
    assert pace.rows == MOST


@given(st.floats(1, 1e9), st.integers(1, 10_000), st.floats(0, 100))
def test_a_fixed_pace_is_kept(rate: float, rows: int, busy: float) -> None:
    pace = FixedPace(rate)
    assert 1 <= pace.rows <= MOST
    pause = pace.pause(rows, busy)
    assert pause >= 0.0
    assert math.isclose(busy + pause, max(busy, rows / rate), rel_tol=1e-9, abs_tol=1e-12)
