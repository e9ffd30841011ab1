"""Values and their types: what type a value has, and the value as a field of some type takes it.

In: plain values of a source (str, int, float, bool, None, list, dict). Out: a ``FieldType``, or the
value cast. Promise: a cast loses nothing, or it is a ``MisfitError``; what only looks like a number
('001', '+49 30', digits beyond 64 bits) stays text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from vdbcluster.model.records import FieldType

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_EXACT = 2**53
"""Up to here every integer is a float, too."""
SHOWN = 40
"""Characters of a value that a message shows."""

_INTEGER = re.compile(r"-?[1-9][0-9]*|0")
_NUMBER = re.compile(r"-?(?:[1-9][0-9]*|0)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SAID_INTEGER = re.compile(r"([+-]?[0-9]+)(?:\.0+)?")
_SAID_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BOOLS = {"true": True, "false": False}
_SAID_BOOLS = {**_BOOLS, "1": True, "0": False}


class MisfitError(ValueError):
    """A value that a field cannot take; the message begins with a verb."""


def is_missing(value: Any) -> bool:
    """None, and the NaN that data frames put in its place."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def shown(value: Any) -> str:
    """A value as a message shows it, on one line and not too long."""
    text = value if isinstance(value, str) else repr(value)
    short = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return repr(short) if isinstance(value, str) else short


def as_json(value: Any) -> str:
    """Canonical JSON: the same value gives the same text on every machine.

    Raises ``MisfitError`` for what JSON cannot say.
    """
    try:
        return json.dumps(
            value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True
        )
    except RecursionError:
        raise MisfitError("is nested too deeply") from None
    except ValueError:
        raise MisfitError("holds a number that is infinite or none at all") from None
    except TypeError:
        raise MisfitError("holds what JSON cannot say") from None


def sayable(value: Any) -> Any:
    """A value as strict JSON in UTF-8 can say it; what it cannot is told as Python shows it."""
    if isinstance(value, dict):
        return {str(sayable(str(key))): sayable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [sayable(item) for item in value]
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, bytes) or (isinstance(value, float) and not math.isfinite(value)):
        return repr(value)
    return value


def encoded(text: str) -> bytes:
    """UTF-8 as the database stores it. Raises ``MisfitError`` where there is none."""
    if "\0" in text:
        raise MisfitError("holds a NUL character")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise MisfitError("holds half a surrogate pair, which is no character") from None


def type_of(value: Any, *, typed: bool) -> FieldType | None:
    """The type of one value, None for a missing one; text counts as text if ``typed``."""
    if is_missing(value):
        return None
    if isinstance(value, str):
        return "VARCHAR" if typed else _type_of_text(value)
    if isinstance(value, bool):
        return "BOOL"
    if isinstance(value, int):
        return "INT64" if INT64_MIN <= value <= INT64_MAX else "VARCHAR"
    if isinstance(value, float):
        return "DOUBLE"
    return "JSON" if isinstance(value, list | dict) else "VARCHAR"


def is_bent(value: Any) -> bool:
    """Whether a text is a fraction that reads otherwise once it is a number ('1.10', '1E5')."""
    is_text = isinstance(value, str) and _type_of_text(value) == "DOUBLE"
    return is_text and repr(float(value)) != value


def common_type(one: FieldType | None, other: FieldType | None) -> FieldType | None:
    """A type that takes values of both; the other one if one is missing."""
    if one is None or one == other:
        return other
    if other is None:
        return one
    return "DOUBLE" if {one, other} == {"INT64", "DOUBLE"} else "VARCHAR"


def cast(value: Any, wanted: FieldType) -> Any:
    """``value``, which is not missing, as ``wanted``. Raises ``MisfitError``."""
    return _CASTS[wanted](value)


def _type_of_text(text: str) -> FieldType:
    if text.lower() in _BOOLS:
        return "BOOL"
    if _INTEGER.fullmatch(text):
        return "INT64" if len(text) <= 20 and INT64_MIN <= int(text) <= INT64_MAX else "VARCHAR"
    if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return "DOUBLE"
    return "VARCHAR"


def _to_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise MisfitError("holds bytes that are no UTF-8 text") from None
    return as_json(value)


def _to_integer(value: Any) -> int:
    whole = _whole(value)
    if whole is None:
        raise MisfitError(f"holds {shown(value)}, which is no INT64")
    if not INT64_MIN <= whole <= INT64_MAX:
        raise MisfitError(f"holds {shown(value)}, which is beyond 64 bits")
    return whole


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and (digits := _SAID_INTEGER.fullmatch(value.strip())):
        return int(digits[1]) if len(digits[1]) < 30 else INT64_MAX + 1
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_EXACT:
        return int(value)
    return None


def _to_double(value: Any) -> float:
    number = value
    if isinstance(value, str) and _SAID_NUMBER.fullmatch(value.strip()):
        number = float(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise MisfitError(f"holds {shown(value)}, which is no DOUBLE")
    if abs(number) > 1.7976931348623157e308:
        raise MisfitError(f"holds {shown(value)}, which is infinite as a DOUBLE")
    return float(number)


def _to_bool(value: Any) -> bool:
    said = value.strip().lower() if isinstance(value, str) else as_json(value)
    if said not in _SAID_BOOLS:
        raise MisfitError(f"holds {shown(value)}, which is no BOOL")
    return _SAID_BOOLS[said]


def _to_json(value: Any) -> Any:
    if not isinstance(value, str):
        as_json(value)
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        raise MisfitError(f"holds {shown(value)}, which is no JSON") from None
    as_json(found)
    return found


_CASTS: dict[FieldType, Callable[[Any], Any]] = {
    "VARCHAR": _to_text,
    "INT64": _to_integer,
    "DOUBLE": _to_double,
    "BOOL": _to_bool,
    "JSON": _to_json,
}
