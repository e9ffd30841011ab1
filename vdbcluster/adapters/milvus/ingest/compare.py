"""Whether a stored row is what a record would make of it.

In: ``Row`` and the row as the client gives it. Out: a verdict. Promise: exact, type by type (1, 1.0
and true differ inside JSON); fields that the record does not name do not count; a dynamic key that
is missing is one that is null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vdbcluster.adapters.milvus.ingest.rows import Row

INT64_BITS = 64


def holds(found: Mapping[str, Any], row: Row) -> bool:
    """Whether ``found`` has all values of ``row``; keys and vectors are not looked at."""
    return all(_same_column(found.get(name), value) for name, value in row.columns.items()) and all(
        same(found.get(name), value) for name, value in row.dynamic.items()
    )


def _same_column(found: Any, value: Any) -> bool:
    return same(found, json.loads(value) if isinstance(value, bytes) else value)


def same(found: Any, value: Any) -> bool:
    """Equal in value and type; lists and objects by their members."""
    if isinstance(value, Mapping) and isinstance(found, Mapping):
        return value.keys() == found.keys() and all(same(found[k], value[k]) for k in value)
    if isinstance(value, (list, tuple)) and isinstance(found, (list, tuple)):
        return len(value) == len(found) and all(map(same, found, value))
    if isinstance(value, float) and isinstance(found, float):
        return value == found or (value != value and found != found)  # NaN is itself
    if type(value) is int and value.bit_length() > INT64_BITS:
        return bool(found == float(value))  # what a reader of JSON makes of it
    return type(found) is type(value) and bool(found == value)
