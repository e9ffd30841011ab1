"""When something is due: cron lines and intervals.

    table = cron("0 3 * * sun", "Europe/Berlin")
    table.after(now)             # the next time, in UTC
    table.since(due, now)        # the last time that has come, and how many have

In: text of a jobs file, moments in UTC. Out: moments in UTC. Promise: pure. Cron lines follow
Debian's cron: five fields, or six with seconds first; Sunday is 0 and 7; two day fields mean
either; a time that a change of clocks leaves out comes when it ends, a time that comes twice counts
once, but ``*/30`` goes on through both. Intervals are counted from midnight UTC of 1970, so that
they do not depend on when a worker was started.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from vdbcluster.errors import UsageError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COUNTED = 10_000
"""Times that are counted at most, when a worker was away for long."""
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Timetable(Protocol):
    """Moments; all are in UTC."""

    def after(self, moment: datetime) -> datetime:
        """The first time later than ``moment``."""
        ...

    def since(self, due: datetime, now: datetime) -> tuple[datetime, int]:
        """The last time up to ``now``, and how many there were from ``due``, itself a time, on."""
        ...


@dataclass(frozen=True, slots=True)
class Cron:
    """See ``cron``."""

    line: str
    zone: ZoneInfo

    def after(self, moment: datetime) -> datetime:
        return next(CronSim(self.line, moment.astimezone(self.zone))).astimezone(UTC)

    def since(self, due: datetime, now: datetime) -> tuple[datetime, int]:
        just_after = (now + timedelta(microseconds=1)).astimezone(self.zone)
        back = (at.astimezone(UTC) for at in CronSim(self.line, just_after, reverse=True))
        last, count = due, 0
        for at in islice(back, COUNTED):
            if at < due:
                break
            last, count = max(last, at), count + 1
        return last, max(count, 1)


@dataclass(frozen=True, slots=True)
class Every:
    """See ``every``."""

    step: timedelta

    def after(self, moment: datetime) -> datetime:
        return EPOCH + ((moment - EPOCH) // self.step + 1) * self.step

    def since(self, due: datetime, now: datetime) -> tuple[datetime, int]:
        steps = (now - due) // self.step
        return due + steps * self.step, steps + 1


def cron(line: str, zone: str) -> Cron:
    """A cron line in a time zone; ``UsageError`` if it is none, or if its time never comes."""
    found = Cron(line, time_zone(zone))
    try:
        found.after(datetime.now(UTC))
    except CronSimError as error:
        raise UsageError(
            f"{line!r} is no cron line ({error}); it has the fields minute, hour, day of month, "
            "month, day of week, with seconds before them if there are six"
        ) from error
    except StopIteration as error:
        raise UsageError(f"the time of the cron line {line!r} never comes") from error
    return found


def time_zone(name: str) -> ZoneInfo:
    """``UsageError`` if there is no such zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"there is no time zone {name!r}; write it as in Europe/Berlin") from error


def every(text: str) -> Every:
    """An interval such as ``10m``, ``5s``, ``1h30m``; ``UsageError`` if it is none."""
    parts = re.findall(r"(\d+)([smhd])", text)
    if not parts or "".join(f"{n}{unit}" for n, unit in parts) != text:
        raise UsageError(f"{text!r} is no interval; write it as in 10m, 5s, 1h30m")
    try:
        step = sum((timedelta(**{UNITS[unit]: int(n)}) for n, unit in parts), timedelta())
    except OverflowError as error:
        raise UsageError(f"the interval {text!r} is too long") from error
    if not step:
        raise UsageError(f"the interval {text!r} is zero")
    return Every(step)
