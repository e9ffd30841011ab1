"""How long a run still takes, told once the first batches of neighbours are timed.

In: an observer, seconds of the stages that follow. Out: an observer that does the same, and notes
what is left in all as soon as a share of the search is done. Promise: one note a search, none where
less than ``WORTH`` seconds are left; what was foretold goes into the facts of the run.

    observer = foretelling(observer, later, journal.facts)

The first two steps only start the clock: pieces of an earlier search that are still there (or
none) come with one, and before the other an index is built and tuned. The stages after the search
are reckoned by rule (``pipeline.estimate``), not timed, so where they weigh most the note is as
good as the rule.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vdbcluster.ports import Observer, Progress

SEARCH = "neighbours"
STARTING = 2
"""Steps before the clock; see the module."""
SHARE, STEPS = 0.03, 2
"""Of the rows, and batches by the clock, that must be done before anything is foretold."""
WORTH = 20.0


def foretelling(
    observer: Observer,
    later: Mapping[str, float],
    facts: dict[str, Any],
    clock: Callable[[], float] = time.perf_counter,
) -> Observer:
    """``later``: seconds by stage after the search; ``facts["forecast"]`` is set with the note."""
    return _Foretelling(observer, later, facts, clock)


@dataclass(frozen=True, slots=True)
class _Foretelling:
    observer: Observer
    later: Mapping[str, float]
    facts: dict[str, Any]
    clock: Callable[[], float]

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str = "rows") -> Iterator[Progress]:
        with self.observer.stage(name, total, unit) as progress:
            timed = name == SEARCH and total
            yield _Timed(progress, self, total or 0) if timed else progress

    def note(self, text: str) -> None:
        self.observer.note(text)

    def warn(self, text: str) -> None:
        self.observer.warn(text)

    def foretell(self, searching: float) -> None:
        later = sum(self.later.values())
        if "forecast" in self.facts or searching + later < WORTH:
            return
        self.facts["forecast"] = {
            "search_seconds_left": round(searching, 1),
            "later_seconds": {stage: round(value, 1) for stage, value in self.later.items()},
            "seconds_left": round(searching + later, 1),
        }
        self.note(
            f"about {duration(searching + later)} left: {duration(searching)} of search, "
            f"{duration(later)} after it"
        )


@dataclass(slots=True)
class _Timed:
    progress: Progress
    told_by: _Foretelling
    total: int
    begun: float = 0.0
    steps: int = 0
    done: int = 0
    first: int = 0

    def advance(self, rows: int) -> None:
        self.progress.advance(rows)
        if not rows and self.steps:  # others work, and are waited for
            return
        now = self.told_by.clock()
        self.done += rows
        if self.steps < STARTING:
            self.begun, self.first = now, self.done
        elif self.steps + 1 >= STARTING + STEPS and self.done - self.first >= SHARE * self.total:
            rate = (now - self.begun) / (self.done - self.first)
            self.told_by.foretell((self.total - self.done) * rate)
        self.steps += 1

    def detail(self, text: str) -> None:
        self.progress.detail(text)


def duration(seconds: float) -> str:
    """In words: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
