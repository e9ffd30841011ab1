"""Progress on a terminal: a bar with rate and time left, or plain lines where nobody watches.

All of it goes to standard error, so that standard output holds results alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
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

from vdbcluster.ports import Progress as StageProgress


class RateColumn(ProgressColumn):
    """Units per second."""

    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text(f"{rate:,.0f}/s" if rate else "", style="dim")


class _Bar:
    def __init__(self, progress: Progress, total: int | None, name: str) -> None:
        self._progress = progress
        self._task = progress.add_task(name, total=total)

    def advance(self, rows: int) -> None:
        self._progress.advance(self._task, rows)


class _Counter:
    def __init__(self) -> None:
        self.done = 0

    def advance(self, rows: int) -> None:
        self.done += rows


class TerminalObserver:
    """``Observer`` on standard error."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str = "rows") -> Iterator[StageProgress]:
        start = time.perf_counter()
        if self._console.is_terminal:
            with self._bars() as progress:
                yield _Bar(progress, total, name)
            done = f"{total:,} {unit}" if total is not None else ""
        else:
            counter = _Counter()
            yield counter
            done = f"{counter.done:,} {unit}"
        self._console.print(f"{name:<14} {done:>18}  {time.perf_counter() - start:6.1f} s")

    def note(self, text: str) -> None:
        self._console.print(text, markup=False)

    def warn(self, text: str) -> None:
        self._console.print(f"warning: {text}", style="yellow", markup=False)

    def _bars(self) -> Progress:
        return Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
        )
