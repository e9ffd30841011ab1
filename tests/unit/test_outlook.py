"""What is left of a run, told once the first batches of neighbours are timed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.silent import Listener
from vdbcluster.pipeline.outlook import duration, foretelling


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def search(rows: int, batch: int, *, first: float, each: float, later: float) -> dict[str, Any]:
    """Facts and notes of a search whose first batch takes ``first`` seconds, others ``each``."""
    heard, clock, facts = Listener(), Clock(), dict[str, Any]()
    observer = foretelling(heard, {"cluster": later}, facts, clock)
    with observer.stage("neighbours", rows) as progress:
        for start in range(0, rows, batch):
            clock.now += first if start == 0 else each
            progress.advance(batch)
    return {"facts": facts, "notes": heard.notes, "took": clock.now}


@pytest.mark.parametrize("batch", [1_000, 4_000, 12_500])
def test_an_index_built_before_the_first_batch_does_not_count(batch: int) -> None:
    each = batch * 0.004
    found = search(100_000, batch, first=500.0, each=each, later=60.0)
    forecast = found["facts"]["forecast"]
    assert forecast["later_seconds"] == {"cluster": 60.0}
    assert forecast["seconds_left"] == pytest.approx(forecast["search_seconds_left"] + 60.0)
    batches_left = forecast["search_seconds_left"] / each
    assert batches_left == pytest.approx(round(batches_left), abs=0.1)
    assert 0 < forecast["search_seconds_left"] <= 100_000 * 0.004
    assert len(found["notes"]) == 1
    assert "after it" in found["notes"][0]


@pytest.mark.parametrize("kept", [0, 20_000])
def test_nor_does_it_after_pieces_of_an_earlier_search(kept: int) -> None:
    heard, clock, facts = Listener(), Clock(), dict[str, Any]()
    observer = foretelling(heard, {}, facts, clock)
    with observer.stage("neighbours", 100_000) as progress:
        progress.advance(kept)
        for first in (True, *[False] * 15):
            clock.now += 500.0 if first else 20.0
            progress.advance(0)  # whoever waits for others says so now and then
            progress.advance(4_000)
    batches_left = (100_000 - kept) // 4_000 - 3
    assert facts["forecast"]["search_seconds_left"] == batches_left * 20.0


def test_what_is_left_is_what_then_passes() -> None:
    heard, clock, facts = Listener(), Clock(), dict[str, Any]()
    observer = foretelling(heard, {}, facts, clock)
    told_at = 0.0
    with observer.stage("neighbours", 100_000) as progress:
        for _ in range(100):
            clock.now += 2.0
            progress.advance(1_000)
            if heard.notes and not told_at:
                told_at = clock.now
    assert facts["forecast"]["seconds_left"] == pytest.approx(clock.now - told_at, rel=0.01)


def test_nothing_is_told_of_a_short_search_nor_of_other_stages() -> None:
    assert search(10_000, 1_000, first=0.1, each=0.1, later=1.0)["notes"] == []
    heard, clock, facts = Listener(), Clock(), dict[str, Any]()
    with foretelling(heard, {"cluster": 1e6}, facts, clock).stage("read", 10) as progress:
        for _ in range(10):
            clock.now += 60.0
            progress.advance(1)
    assert facts == {}
    assert heard.stages == ["read"]


def test_durations_in_words() -> None:
    assert [duration(s) for s in (40, 720, 12_600)] == ["40 s", "12 min", "3.5 h"]
