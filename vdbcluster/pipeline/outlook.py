"""How long a run still takes, told once the first batches of neighbours are timed.

In: an observer, what the run is asked to do, what it has timed. Out: an observer that does the
same, and notes what is left in all as soon as a share of the search is done. Promise: one note a
search, none where less than ``WORTH`` seconds are left; one more if smoothing shows that it was
wrong; what was foretold goes into the facts of the run.

    observer = foretelling(observer, load, lambda: journal.seconds, journal.facts)

The first two steps only start the clock: pieces of an earlier search that are still there (or
none) come with one, and before the other an index is built and tuned. The stages after the search
follow by the model of ``pipeline.cost``, made this machine's by what is timed. How long spectral
smoothing takes depends on how many groups there are, which its first round shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from vdbcluster.pipeline.cost import LATER, Load, foretold
from vdbcluster.ports import Observer, Progress

SEARCH = "neighbours"
STARTING = 2
"""Steps before the clock; see the module."""
SHARE, STEPS = 0.03, 2
"""Of the rows, and batches by the clock, that must be done before anything is foretold."""
WORTH = 20.0
WRONG = 0.25
"""So much more or less than was foretold is told."""


def foretelling(
    observer: Observer,
    load: Load,
    timed: Callable[[], Mapping[str, float]],
    facts: dict[str, Any],
    clock: Callable[[], float] = time.perf_counter,
) -> Foretelling:
    """``timed``: seconds by stage so far, asked for once; ``facts["forecast"]`` is set with the
    note.
    """
    return Foretelling(observer, load, timed, facts, clock)


@dataclass(slots=True)
class Foretelling:
    """The observer; see the module. ``known``: seconds by stage when the search was told of.
    ``left``: seconds that were told to be left ``at`` some time. ``begun``: when the first round of
    smoothing began.
    """

    observer: Observer
    load: Load
    timed: Callable[[], Mapping[str, float]]
    facts: dict[str, Any]
    clock: Callable[[], float]
    known: dict[str, float] = field(default_factory=dict)
    left: float = 0.0
    at: float = 0.0
    begun: float = 0.0

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str = "rows") -> Iterator[Progress]:
        with self.observer.stage(name, total, unit) as progress:
            timed = name == SEARCH and total
            yield _Timed(progress, self, total or 0, self.clock()) if timed else progress

    def note(self, text: str) -> None:
        self.observer.note(text)

    def warn(self, text: str) -> None:
        self.observer.warn(text)

    def foretell(self, so_far: float, left: float, whole: float) -> None:
        """Seconds of the search: so far, left of it, and of the whole were all rows searched."""
        if "forecast" in self.facts:
            return
        self.known, self.at = {**self.timed(), "neighbors": whole}, self.clock()
        found = foretold(self.load, self.known)
        later = {stage: seconds for stage, seconds in found.items() if stage in LATER}
        after = sum(later.values())
        if left + after < WORTH:
            return
        self.left = left + after
        self.facts["forecast"] = {
            "search_seconds": round(so_far, 1),
            "search_seconds_left": round(left, 1),
            "later_seconds": {stage: round(value, 1) for stage, value in later.items()},
            "seconds_left": round(left + after, 1),
        }
        self.note(
            f"about {duration(left + after)} left: {duration(left)} of search, "
            f"{duration(after)} after it"
        )

    def smoothing(self, done: int, left: int) -> None:
        """Products of spectral smoothing that are done and left (``graph.chebyshev.Told``).

        Its rounds are timed, and what is left in all is told if the last note was wrong: the first
        round may find that more has to be settled than was thought, the second that yet more has.
        """
        told, now = self.facts.get("forecast"), self.clock()
        if not done:
            self.begun = now
        elif told is not None:
            rest = left * (now - self.begun) / done
            later = self._after_smoothing()
            seconds = rest + sum(later.values())
            wrong = abs(self.left - (now - self.at) - seconds) > WRONG * seconds
            if wrong or "again" not in told:
                told["again"] = {
                    "smoothing_seconds_left": round(rest, 1),
                    "later_seconds": {stage: round(value, 1) for stage, value in later.items()},
                    "seconds_left": round(seconds, 1),
                }
            if wrong:
                self.left, self.at = seconds, now
                self.note(
                    f"about {duration(seconds)} left: {duration(rest)} of smoothing, "
                    f"{duration(seconds - rest)} after it"
                )

    def _after_smoothing(self) -> dict[str, float]:
        """Seconds by stage: the tree and its votes, as of one sample, and what follows it."""
        one = foretold(replace(self.load, resamples=1), self.known)["stability"]
        found = foretold(self.load, self.known) | {"cluster": one}
        return {stage: t for stage, t in found.items() if stage in LATER and stage != "audit"}


@dataclass(slots=True)
class _Timed:
    """``entered``: when the stage began; ``begun``: when the clock was started."""

    progress: Progress
    told_by: Foretelling
    total: int
    entered: float
    begun: float = 0.0
    steps: int = 0
    done: int = 0
    first: int = 0
    alone: int = 0
    """Rows of the last step before the clock, which an index may have been built for."""
    told: bool = False

    def advance(self, rows: int) -> None:
        self.progress.advance(rows)
        if self.told or (not rows and self.steps):  # others work, and are waited for
            return
        now = self.told_by.clock()
        self.done += rows
        if self.steps < STARTING:
            self.begun, self.first, self.alone = now, self.done, rows
        elif self.steps + 1 >= STARTING + STEPS and self.done - self.first >= SHARE * self.total:
            self.told = True
            rate = (now - self.begun) / (self.done - self.first)
            starting = max(0.0, self.begun - self.entered - self.alone * rate)
            whole = starting + rate * self.told_by.load.n_rows
            self.told_by.foretell(now - self.entered, (self.total - self.done) * rate, whole)
        self.steps += 1

    def detail(self, text: str) -> None:
        self.progress.detail(text)


def duration(seconds: float) -> str:
    """In words: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
