"""Stages within a stage, told as the detail of it: a terminal has one bar at a time.

In: an observer, and the progress of its stage that goes on. Out: an observer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from vdbcluster.ports import Observer, Progress


@dataclass(frozen=True, slots=True)
class Inside:
    """See the module; notes and warnings go through as they are."""

    observer: Observer
    progress: Progress

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str = "rows") -> Iterator[Progress]:
        yield _Part(self.progress, name, total, unit)

    def note(self, text: str) -> None:
        self.observer.note(text)

    def warn(self, text: str) -> None:
        self.observer.warn(text)


@dataclass(slots=True)
class _Part:
    progress: Progress
    name: str
    total: int | None
    unit: str
    _done: int = field(default=0)

    def advance(self, rows: int) -> None:
        self._done += rows
        of = "" if self.total is None else f" of {self.total:,}"
        self.progress.detail(f"{self.name}: {self._done:,}{of} {self.unit}")

    def detail(self, text: str) -> None:
        self.progress.detail(f"{self.name}: {text}")
