"""Progress on a terminal: a bar with rate and time left, or plain lines where nobody watches.

In a log, a stage that takes longer says every ``EVERY`` seconds how far it is, and its end.
All of it goes to standard error, so that standard output holds results alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from vdbcluster.cli.printable import printable
from vdbcluster.ports import Progress as StageProgress

EVERY = 30.0
"""Seconds between two lines of one stage in a log."""
Clock = Callable[[], float]


class RateColumn(ProgressColumn):
    """Units per second."""

    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text(f"{rate:,.0f}/s" if rate else "", style="dim")


class _Bar:
    def __init__(self, progress: Progress, total: int | None, name: str) -> None:
        self._progress = progress
        self._task = progress.add_task(name, total=total, detail="")

    def advance(self, rows: int) -> None:
        self._progress.advance(self._task, rows)

    def detail(self, text: str) -> None:
        self._progress.update(self._task, detail=text)


class _Log:
    """Counts, and now and then says so on a line."""

    def __init__(
        self, name: str, total: int | None, unit: str, clock: Clock, say: Callable[[str], None]
    ) -> None:
        self.done = 0
        self._name, self._total, self._unit = name, total, unit
        self._clock, self._say = clock, say
        self._start = self._told = clock()
        self._detail = ""

    def advance(self, rows: int) -> None:
        self.done += rows
        now = self._clock()
        if now - self._told >= EVERY and self.done != self._total:
            self._told = now
            self._say(self._line(now - self._start))

    def detail(self, text: str) -> None:
        self._detail = text

    def _line(self, seconds: float) -> str:
        rate = self.done / seconds
        told = [f"{self._name:<14} {self.done:,} {self._unit} ({rate:,.0f}/s)"]
        if self._total and rate:
            told.append(f"{self.done / self._total:.0%} of {self._total:,}")
            told.append(f"{_duration((self._total - self.done) / rate)} left")
        return ", ".join([*told, self._detail] if self._detail else told)


def _duration(seconds: float) -> str:
    """``0:42``, ``7:05``, ``2:03:00``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class TerminalObserver:
    """``Observer`` on standard error."""

    def __init__(self, console: Console | None = None, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str = "rows") -> Iterator[StageProgress]:
        start = self._clock()
        if self._console.is_terminal:
            with self._bars() as progress:
                yield _Bar(progress, total, name)
            done = f"{total:,} {unit}" if total is not None else ""
        else:
            log = _Log(name, total, unit, self._clock, self.note)
            yield log
            done = f"{log.done:,} {unit}"
        self._console.print(f"{name:<14} {done:>18}  {self._clock() - start:6.1f} s")

    def note(self, text: str) -> None:
        self._console.print(printable(text), markup=False)

    def warn(self, text: str) -> None:
        self._console.print(f"warning: {printable(text)}", style="yellow", markup=False)

    def _bars(self) -> Progress:
        return Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}", style="dim", markup=False),
            console=self._console,
            transient=True,
        )
