"""What is to be started now.

    agenda = Agenda(entries, misfire_grace=timedelta(hours=1))
    for start in agenda.take(now, busy={"news"}, free=1): ...

In: entries (a command of a job and its timetable), the time, who is busy. Out: starts and misses.
Promise: pure but for its own memory of what is due. The rules:

- The commands of one job never overlap; at most ``free`` jobs are started, the longest due first;
  of two due at once, in the order of the entries.
- Times that came while a job was busy, or no slot was free, or the worker was away, become one.
- That one is started late if the last of them is not older than ``misfire_grace``, else skipped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from vdbcluster.worker.timetable import Timetable


@dataclass(slots=True)
class Entry:
    """One command of one job; ``due`` is the first of its times that was not dealt with."""

    job: str
    command: str
    table: Timetable
    due: datetime


@dataclass(frozen=True, slots=True)
class Start:
    """To be started, for time ``at``; ``missed`` earlier times are dealt with by this start too."""

    job: str
    command: str
    at: datetime
    missed: int


@dataclass(frozen=True, slots=True)
class Skip:
    """``missed`` times up to ``at`` were too long ago."""

    job: str
    command: str
    at: datetime
    missed: int


class Agenda:
    """See the module."""

    def __init__(self, entries: Iterable[Entry], misfire_grace: timedelta) -> None:
        self.entries = tuple(entries)
        self._grace = misfire_grace

    def take(self, now: datetime, busy: Collection[str], free: int) -> list[Start | Skip]:
        """What has come to pass; the caller starts every ``Start`` of it."""
        taken: list[Start | Skip] = []
        away = set(busy)
        for entry in sorted(self.entries, key=lambda entry: entry.due):
            if entry.due > now:
                break
            if entry.job in away:
                continue
            at, count = entry.table.since(entry.due, now)
            if now - at > self._grace:
                taken.append(Skip(entry.job, entry.command, at, count))
            elif free > 0:
                taken.append(Start(entry.job, entry.command, at, count - 1))
                away.add(entry.job)
                free -= 1
            else:
                continue
            entry.due = entry.table.after(now)
        return taken
