"""What is left of a run, told once the first batches of neighbours are timed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.silent import Listener
from vdbcluster.pipeline import cost
from vdbcluster.pipeline.cost import Load
from vdbcluster.pipeline.outlook import duration, foretelling

FEW = Load(100_000, engine="cells", resamples=0, audited=0)
"""A search of a server, which says nothing of what this machine does afterwards."""


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def after(load: Load) -> float:
    """Seconds after the search, where nothing but it was timed."""
    return sum(t for stage, t in cost.foretold(load, {}).items() if stage in cost.LATER)


def search(rows: int, batch: int, *, first: float, each: float, load: Load) -> dict[str, Any]:
    """Facts and notes of a search whose first batch takes ``first`` seconds, others ``each``."""
    heard, clock, facts = Listener(), Clock(), dict[str, Any]()
    observer = foretelling(heard, load, dict, facts, clock)
    with observer.stage("neighbours", rows) as progress:
        for start in range(0, rows, batch):
            clock.now += first if start == 0 else each
            progress.advance(batch)
    return {"facts": facts, "notes": heard.notes, "took": clock.now}


@pytest.mark.parametrize("batch", [1_000, 4_000, 12_500])
def test_an_index_built_before_the_first_batch_does_not_count(batch: int) -> None:
    each = batch * 0.004
    found = search(100_000, batch, first=500.0, each=each, load=FEW)
    forecast = found["facts"]["forecast"]
    assert set(forecast["later_seconds"]) == {"cluster", "plan", "write", "catalogue"}
    later = forecast["seconds_left"] - forecast["search_seconds_left"]
    assert later == pytest.approx(after(FEW), abs=0.2)
    batches_left = forecast["search_seconds_left"] / each
    assert batches_left == pytest.approx(round(batches_left), abs=0.1)
    assert 0 < forecast["search_seconds_left"] <= 100_000 * 0.004
    assert len(found["notes"]) == 1
    assert "after it" in found["notes"][0]


@pytest.mark.parametrize("kept", [0, 20_000])
def test_nor_does_it_after_pieces_of_an_earlier_search(kept: int) -> None:
    heard, clock, facts = Listener(), Clock(), dict[str, Any]()
    observer = foretelling(heard, FEW, dict, facts, clock)
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
    observer = foretelling(heard, FEW, dict, facts, clock)
    told_at = 0.0
    with observer.stage("neighbours", 100_000) as progress:
        for _ in range(100):
            clock.now += 2.0
            progress.advance(1_000)
            if heard.notes and not told_at:
                told_at = clock.now
    forecast = facts["forecast"]
    assert forecast["search_seconds_left"] == pytest.approx(clock.now - told_at, rel=0.01)
    assert forecast["search_seconds"] == pytest.approx(told_at)


@pytest.mark.parametrize("slower", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("kept", [0, 400_000])
def test_a_machine_that_searches_slower_does_all_slower(slower: float, kept: int) -> None:
    """Its index, too, and though pieces of the search were there before."""
    load = Load(1_000_000, engine="local", walks=32)
    usual = cost.seconds(load, cost.RATES)
    index = cost.seconds(Load(0, engine="local"), cost.RATES)["neighbors"]
    each = (usual["neighbors"] - index) / 25
    heard, clock, facts = Listener(), Clock(), dict[str, Any]()
    timed = {"read": slower * usual["read"]}
    with foretelling(heard, load, lambda: timed, facts, clock).stage("neighbours", 1_000_000) as p:
        p.advance(kept)
        clock.now += slower * index
        for _ in range((1_000_000 - kept) // 40_000):
            clock.now += slower * each
            p.advance(40_000)
    for stage, seconds in facts["forecast"]["later_seconds"].items():
        assert seconds == pytest.approx(slower * usual[stage], rel=0.01, abs=0.06)


def test_what_was_timed_is_asked_for_once() -> None:
    asked: list[int] = []

    def timed() -> dict[str, float]:
        asked.append(1)
        return {}

    facts = dict[str, Any]()
    short = Load(10_000, resamples=0, audited=0)
    with foretelling(Listener(), short, timed, facts, Clock()).stage("neighbours", 10_000) as p:
        for _ in range(10):
            p.advance(1_000)
    assert asked == [1]
    assert facts == {}


def test_nothing_is_told_of_a_short_search_nor_of_other_stages() -> None:
    short, long = Load(10_000), Load(10**9)
    assert search(10_000, 1_000, first=0.1, each=0.1, load=short)["notes"] == []
    heard, clock, facts = Listener(), Clock(), dict[str, Any]()
    with foretelling(heard, long, dict, facts, clock).stage("read", 10) as progress:
        for _ in range(10):
            clock.now += 60.0
            progress.advance(1)
    assert facts == {}
    assert heard.stages == ["read"]


SMOOTHED = Load(100_000, engine="cells", walks=167, audited=0)


def smoothing(
    left: float, *, search_told: bool = True, then: float | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Facts and notes, where 100 products of the first round took 10 s, ``left`` are to come;
    ``then``: after the second round, where what had been told was right by default.
    """
    heard, clock, facts = Listener(), Clock(), dict[str, Any]()
    observer = foretelling(heard, SMOOTHED, dict, facts, clock)
    if search_told:
        observer.foretell(50.0, 0.0, 50.0)
    observer.smoothing(0, 600)
    clock.now += 10.0
    observer.smoothing(100, round(left))
    second = min(round(left), 100)
    clock.now += second / 10
    observer.smoothing(100 + second, round(left - second if then is None else then))
    return facts.get("forecast", {}), heard.notes


def test_the_first_round_of_smoothing_tells_what_is_left_of_it() -> None:
    found, notes = smoothing(20)
    again, first = found["again"], found["later_seconds"]
    assert again["smoothing_seconds_left"] == 2.0
    later = dict(again["later_seconds"])
    assert set(later) == {"cluster", "stability", "plan", "write", "catalogue"}
    assert later.pop("cluster") == pytest.approx(first["stability"] / 5, abs=0.1)
    assert later == {stage: t for stage, t in first.items() if stage in later}
    assert again["seconds_left"] == pytest.approx(2 + sum(again["later_seconds"].values()), abs=0.2)
    assert len(notes) == 2
    assert notes[1].startswith("about ")
    assert ": 2 s of smoothing, " in notes[1]


def test_a_note_that_was_right_is_not_told_again() -> None:
    few, many = (smoothing(left)[0]["again"]["seconds_left"] for left in (0, 1000))
    assert many == few + 100
    as_foretold = smoothing(0)[0]["seconds_left"] - 10 - few
    found, notes = smoothing(10 * as_foretold)
    assert found["again"]["seconds_left"] == pytest.approx(found["seconds_left"] - 10, abs=0.2)
    assert len(notes) == 1


def test_a_second_round_that_finds_more_to_do_tells_so() -> None:
    found, notes = smoothing(20, then=2000)
    assert found["again"]["smoothing_seconds_left"] == 200.0
    assert [note.partition(" of smoothing")[0].split()[-2:] for note in notes[1:]] == [
        ["2", "s"],
        ["3", "min"],
    ]


def test_smoothing_tells_nothing_where_no_search_was_told_of() -> None:
    assert smoothing(500, search_told=False) == ({}, [])


def test_durations_in_words() -> None:
    assert [duration(s) for s in (40, 720, 12_600)] == ["40 s", "12 min", "3.5 h"]
