"""Plain values of one column as numbers, or as texts that are categories.

In: values of a scalar field (bool, int, float, str, None). Out: a ``Kind``; ``float64`` arrays, NaN
where a value is missing. Promise: never raises for a plain value; what does not fit the kind counts
as missing; numbers are finite and fit into ``float32``, which is what trees compare.

    kind_of(["2024-05-01", None])      # Kind.DATE: days since 1970
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np

from vdbcluster.model.arrays import Float64Array

LARGEST = float(np.finfo(np.float32).max) / 4
"""Trees cut at up to twice the largest value, which must be a finite ``float32`` too."""
DATES = 0.95
"""A field of texts holds dates if at least this share of them are dates."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400.0


class Kind(StrEnum):
    NUMBER = "number"
    BOOL = "bool"
    CATEGORY = "category"
    DATE = "date"
    """A text in ISO 8601; its number is days since 1970-01-01 in UTC."""


def plain(values: Sequence[object]) -> Sequence[object]:
    """A column as Python's own values, also where it or its values come from numpy."""
    if isinstance(values, np.ndarray):
        found: list[object] = values.tolist()
        return found
    if any(isinstance(value, np.generic) for value in values):
        return [value.item() if isinstance(value, np.generic) else value for value in values]
    return values


def is_missing(value: object) -> bool:
    """None, and the NaN that data frames put in its place."""
    return value is None or (isinstance(value, float) and value != value)


def kind_of(present: Sequence[object]) -> Kind | None:
    """What a column of values, none of them missing, holds; None for lists and the like.

    Texts beside numbers make a category of all of them.
    """
    types = {type(value) for value in present}
    if types == {bool}:
        return Kind.BOOL
    if types <= {bool, int, float}:
        return Kind.NUMBER
    if not types <= {bool, int, float, str}:
        return None
    return Kind.DATE if _are_dates(present) else Kind.CATEGORY


def numbers(values: Sequence[object], kind: Kind) -> Float64Array:
    """A column of numbers, truth values or dates, ``(n,)``."""
    read = _days if kind == Kind.DATE else _number
    return np.fromiter((read(value) for value in values), np.float64, len(values))


def codes(values: Sequence[object], of: Mapping[str, int], unknown: float) -> Float64Array:
    """A column of categories by their number in ``of``; ``unknown`` for all that is not there."""

    def code(value: object) -> float:
        return np.nan if is_missing(value) else float(of.get(as_text(value), unknown))

    return np.fromiter((code(value) for value in values), np.float64, len(values))


def as_text(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def number_text(value: float) -> str:
    """Four digits of a fraction; whole numbers as they are, grouped by thousands if long."""
    if 1e4 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e4 else f"{value:.4g}"


def day_text(days: float) -> str:
    """``2024-05-01``, with the time of day where there is one."""
    try:
        moment = EPOCH + timedelta(seconds=round(days * _DAY))
    except OverflowError:
        return f"{days:g} days since 1970"
    whole = moment.hour == moment.minute == moment.second == 0
    return f"{moment:%Y-%m-%d}" if whole else f"{moment:%Y-%m-%d %H:%M}"


def _number(value: object) -> float:
    if not isinstance(value, int | float):  # which includes bool
        return np.nan
    try:
        return min(max(float(value), -LARGEST), LARGEST)  # NaN stays what it is
    except OverflowError:
        return LARGEST if value > 0 else -LARGEST


def _days(value: object) -> float:
    moment = _moment(value)
    return np.nan if moment is None else (moment - EPOCH).total_seconds() / _DAY


def _moment(value: object) -> datetime | None:
    """A date that is written with its parts apart: eight digits may be anything."""
    if not isinstance(value, str) or len(value) < 10 or value[4] not in "-/":
        return None
    try:
        moment = datetime.fromisoformat(value[:10].replace("/", "-") + value[10:])
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _are_dates(present: Sequence[object]) -> bool:
    if _moment(present[0]) is None and _moment(present[-1]) is None:
        return False  # most columns of texts end here
    return sum(_moment(value) is not None for value in present) >= DATES * len(present)
