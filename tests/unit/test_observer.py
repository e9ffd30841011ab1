"""Progress where nobody watches: lines that tell share, rate and time left, now and then."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from vdbcluster.cli.observer import EVERY, TerminalObserver


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def observer(clock: Clock, log: io.StringIO) -> TerminalObserver:
    return TerminalObserver(Console(file=log, highlight=False, soft_wrap=True), clock)


def test_a_long_stage_says_how_far_it_is(
    observer: TerminalObserver, clock: Clock, log: io.StringIO
) -> None:
    with observer.stage("neighbours", 100_000) as progress:
        for _ in range(25):
            clock.now += EVERY / 5
            progress.advance(4000)
    lines = log.getvalue().splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines[:2]] == [
        "20,000 rows (667/s), 20% of 100,000, 2:00 left",
        "40,000 rows (667/s), 40% of 100,000, 1:30 left",
    ]
    assert len(lines) == 5
    assert lines[-1].split() == ["neighbours", "100,000", "rows", "150.0", "s"]


def test_a_short_stage_is_one_line(
    observer: TerminalObserver, clock: Clock, log: io.StringIO
) -> None:
    with observer.stage("read", 1000) as progress:
        for _ in range(10):
            clock.now += EVERY / 20
            progress.advance(100)
    assert log.getvalue().split() == ["read", "1,000", "rows", "15.0", "s"]


def test_a_stage_of_unknown_length_says_what_is_done(
    observer: TerminalObserver, clock: Clock, log: io.StringIO
) -> None:
    with observer.stage("ingest", None, "texts") as progress:
        clock.now += 2 * EVERY
        progress.advance(0)
        clock.now += 2 * EVERY
        progress.detail("3 faulty")
        progress.detail("7 faulty")
        progress.advance(240)
    assert log.getvalue().splitlines()[1] == f"{'ingest':<14} 240 texts (2/s), 7 faulty"


def test_hours_are_told_as_hours(
    observer: TerminalObserver, clock: Clock, log: io.StringIO
) -> None:
    with observer.stage("neighbours", 100_000) as progress:
        clock.now += 60
        progress.advance(1000)
    assert "1% of 100,000, 1:39:00 left" in log.getvalue()


def test_on_a_terminal_there_is_a_bar(clock: Clock, log: io.StringIO) -> None:
    console = Console(file=log, force_terminal=True, width=100, highlight=False)
    with TerminalObserver(console, clock).stage("neighbours", 100) as progress:
        progress.advance(40)
        progress.detail("[7] faulty")
        progress.advance(60)
        clock.now += 2
    assert "100/100" in log.getvalue()
    assert "[7] faulty" in log.getvalue()
    assert log.getvalue().split()[-4:] == ["100", "rows", "2.0", "s"]
