"""When rows are from: a field that says so is found, read, and counted by period.

In: columns of plain values, labels. Out: ``(n,) float64`` seconds since 1970 in UTC, NaN where a
value is no time; a ``Timeline``. Promise: no I/O; a number is taken for a time only if it could be
one (1900 to 2199) and, unless the user names the field, if the field is called like one.

    name = time_field({"id": [...], "published_at": [...]})
    timeline(name, seconds(values), labels)
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import numpy as np

from vdbcluster.model.arrays import Float64Array, Int64Array
from vdbcluster.model.report import Timeline

MOST = 36
"""Periods that a chart has room for."""
ENOUGH = 0.8
"""Share of values that must be times."""
EARLIEST, LATEST = -2_208_988_800.0, 7_258_118_400.0
"""1900-01-01 and 2200-01-01."""
OUTLYING = 0.02
"""Share of rows at either end that may lie outside of the chart, if they make it much longer."""
_NAME = re.compile(
    r"date|time|day|month|year|created|updated|published|posted|modified|timestamp|epoch|when"
    r"|(?:^|[_\W])(?:at|on|ts|dt)(?:$|[_\W])",
    re.IGNORECASE,
)
_YEAR_NAME = re.compile(r"year|jahr|(?:^|[_\W])yr(?:$|[_\W])", re.IGNORECASE)
_NOT = re.compile(r"birth|born|duration|elapsed|timeout|times$|_count|lifetime", re.IGNORECASE)
_ISO = re.compile(r"\d{4}(-\d{2}(-\d{2}.*)?)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_field(columns: Mapping[str, Sequence[object]]) -> str:
    """The field most likely to say when a row is from, by a sample of rows; empty if none does."""
    found = []
    for place, (name, values) in enumerate(columns.items()):
        called = bool(_NAME.search(name)) and not _NOT.search(name)
        dated = any(isinstance(v, str) for v in values)
        if (called or (dated and not _NOT.search(name))) and is_time(name, values):
            found.append((not called, _later(name), place, name))
    return min(found)[3] if found else ""


def is_time(name: str, values: Sequence[object]) -> bool:
    """Whether most values that there are can be read as a time, and they are not all the same."""
    present = [v for v in values if v is not None and v != ""]
    read = seconds(present, name)
    known = read[~np.isnan(read)]
    if len(present) < 2 or len(known) < ENOUGH * len(present):
        return False
    return bool(np.ptp(known) > 0)


def _later(name: str) -> bool:
    """An update says less of when a row is from than its beginning."""
    return bool(re.search("updat|modif|access|crawl|index|insert|ingest", name, re.IGNORECASE))


def seconds(values: Sequence[object], name: str = "") -> Float64Array:
    """Seconds since 1970, NaN for what is no time; the unit of numbers is that of most of them."""
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    of_number = _unit(numbers, name)
    found = np.fromiter((_seconds(v, of_number) for v in values), np.float64, len(values))
    found[(found < EARLIEST) | (found >= LATEST)] = np.nan
    return found


Reading = Callable[[float], float]


def _unit(numbers: Sequence[float], name: str) -> Reading:
    """How to read the numbers of a field."""
    known = np.abs(np.array([v for v in numbers if math.isfinite(v) and v], float))
    middle = float(np.median(known)) if known.size else 0.0
    if 1500 <= middle < 2200 and (_YEAR_NAME.search(name) or not name or _NAME.search(name)):
        return _of_year
    # 1e8 s is 1973; a second of 1e11 would be the year 5138, so larger ones are finer units.
    limits = ((1e8, math.nan), (1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9))
    per = next((per for limit, per in limits if middle < limit), math.nan)
    return lambda value: value / per


def _of_year(value: float) -> float:
    whole = int(value) if math.isfinite(value) else 0
    if not 1 <= whole <= 9999:
        return math.nan
    return (datetime(whole, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()


def _seconds(value: object, of_number: Reading) -> float:
    if isinstance(value, str):
        moment = _moment(value.strip())
        return math.nan if moment is None else (moment - _EPOCH).total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return of_number(float(value))
    return math.nan


def _moment(text: str) -> datetime | None:
    """ISO 8601 (a year, a month, a day, a moment; slashes too), or a date of e-mail."""
    iso = text[:10].replace("/", "-") + text[10:]
    try:
        if _ISO.fullmatch(iso):
            padded = iso + "-01-01"[len(iso) - 4 :] if len(iso) in (4, 7) else iso
            moment = datetime.fromisoformat(padded)
        elif "," in text[:5]:
            moment = parsedate_to_datetime(text)
        else:
            return None
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def timeline(name: str, times: Float64Array, labels: Int64Array) -> Timeline | None:
    """Rows by period; None where fewer than two periods have rows.

    ``times (n,)`` seconds, NaN for undated; ``labels (n,)``, -1 for noise.
    """
    dated = np.flatnonzero(~np.isnan(times))
    if not len(dated):
        return None
    low, high = _span(times[dated])
    unit = _period(high - low)
    inside = dated[(times[dated] >= low) & (times[dated] <= high)]
    starts = _starts(low, high, unit)
    # A moment of less than a microsecond before its period is rounded into it.
    place = np.maximum(0, np.searchsorted(starts, times[inside], side="right") - 1)
    if len(np.unique(place)) < 2:
        return None
    n, ids = len(starts), np.unique(labels[labels >= 0])
    counts = {int(i): _count(place[labels[inside] == i], n) for i in ids}
    return Timeline(
        field=name,
        unit=unit,
        periods=tuple(_named(start, unit) for start in starts.tolist()),
        totals=_count(place, n),
        clusters=counts,
        undated=len(times) - len(dated),
        outside=len(dated) - len(inside),
    )


def _count(places: Int64Array, n: int) -> tuple[int, ...]:
    return tuple(np.bincount(places, minlength=n).tolist())


def _span(times: Float64Array) -> tuple[float, float]:
    """From the first to the last, without a few stray ones far before or after all others."""
    low, high = float(times.min()), float(times.max())
    first, last = np.quantile(times, [OUTLYING, 1 - OUTLYING]).tolist()
    width = last - first
    if width > 0 and first - low > width:
        low = float(times[times >= first - width / 2].min())
    if width > 0 and high - last > width:
        high = float(times[times <= last + width / 2].max())
    return low, high


DAY = 86_400.0
UNITS = {
    "hour": 3600.0,
    "day": DAY,
    "week": 7 * DAY,
    "month": 30.4 * DAY,
    "quarter": 91.3 * DAY,
    "year": 365.25 * DAY,
    "decade": 3652.5 * DAY,
}


def _period(span: float) -> str:
    return next((unit for unit, length in UNITS.items() if span / length < MOST - 1), "decade")


def _starts(low: float, high: float, unit: str) -> Float64Array:
    """Beginnings of all periods from that of ``low`` to that of ``high``."""
    moment = _floor(_EPOCH + timedelta(seconds=low), unit)
    found = []
    while (start := (moment - _EPOCH).total_seconds()) <= high:
        found.append(start)
        moment = _after(moment, unit)
    return np.array(found)


MONTHS = {"month": 1, "quarter": 3, "year": 12, "decade": 120}


def _floor(moment: datetime, unit: str) -> datetime:
    if unit == "hour":
        return moment.replace(minute=0, second=0, microsecond=0)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "week":
        return day - timedelta(days=day.weekday())
    if unit == "day":
        return day
    months = (day.year * 12 + day.month - 1) // MONTHS[unit] * MONTHS[unit]
    return day.replace(year=months // 12, month=months % 12 + 1, day=1)


def _after(moment: datetime, unit: str) -> datetime:
    if unit not in MONTHS:
        return moment + timedelta(seconds=UNITS[unit])
    months = moment.year * 12 + moment.month - 1 + MONTHS[unit]
    return moment.replace(year=months // 12, month=months % 12 + 1)


def _named(start: float, unit: str) -> str:
    moment = _EPOCH + timedelta(seconds=start)
    if unit == "quarter":
        return f"{moment.year} Q{(moment.month + 2) // 3}"
    pattern = {"hour": "%Y-%m-%d %H:00", "month": "%Y-%m", "year": "%Y", "decade": "%Ys"}
    return moment.strftime(pattern.get(unit, "%Y-%m-%d"))
