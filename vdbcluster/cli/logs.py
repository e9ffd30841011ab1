"""The observer of a command: for a person, or as JSON lines for a machine.

    observer = observer_of(settings, "run", run_id)

In: ``telemetry.log_format``. Out: an ``Observer`` on standard error; with JSON, the error that the
command ends with is such a line too, so that all of standard error is JSON.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vdbcluster.cli.ending import said_by
from vdbcluster.cli.observer import EVERY, TerminalObserver
from vdbcluster.config.settings import Settings
from vdbcluster.ports import Observer
from vdbcluster.ports import Progress as StageProgress
from vdbcluster.wiring.telemetry import job_name

if TYPE_CHECKING:
    from vdbcluster.adapters.telemetry.logs import Log


def observer_of(settings: Settings, command: str, run_id: str = "") -> Observer:
    """The observer that the settings ask for."""
    if settings.telemetry.log_format != "json":
        return TerminalObserver()
    from vdbcluster.adapters.telemetry.logs import open_log

    log = open_log("json", job=job_name(settings), command=command, run_id=run_id)
    said_by(lambda text, code: log.error("error", message=text, exit_code=code))
    return LogObserver(log)


class LogObserver:
    """``Observer`` that writes a line for each stage, and ``EVERY`` seconds of a long one."""

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = log, clock

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str = "rows") -> Iterator[StageProgress]:
        start = self._clock()
        progress = _Progress(self._log.bind(stage=name, unit=unit), total, self._clock)
        yield progress
        seconds = round(self._clock() - start, 3)
        self._log.info("stage", stage=name, done=progress.done, unit=unit, seconds=seconds)

    def note(self, text: str) -> None:
        self._log.info("note", message=text)

    def warn(self, text: str) -> None:
        self._log.warning("warning", message=text)


class _Progress:
    def __init__(self, log: Log, total: int | None, clock: Callable[[], float]) -> None:
        self.done = 0
        self._log, self._total, self._clock = log, total, clock
        self._told, self._detail = clock(), ""

    def advance(self, rows: int) -> None:
        self.done += rows
        now = self._clock()
        if now - self._told >= EVERY and self.done != self._total:
            self._told = now
            self._log.info("progress", message=self._detail, done=self.done, total=self._total)

    def detail(self, text: str) -> None:
        self._detail = text
