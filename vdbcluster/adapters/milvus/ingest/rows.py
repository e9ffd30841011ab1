"""Records as the columns and dynamic keys of one collection.

In: records, ``Filling`` (where what goes). Out: ``Row`` for each: key, column values, dynamic keys.
Promise: every value is one that the column can hold (right type, in range, short enough, UTF-8,
JSON), else ``UsageError`` with the row's number and the field; nothing is cut, nor rounded but to
the 24 bits of a FLOAT column.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus.ingest.layout import Column, Layout
from vdbcluster.errors import UsageError
from vdbcluster.model.collection import VectorField
from vdbcluster.model.records import Record

_UNFIT = (ValueError, TypeError, RecursionError)
ROW_BYTES = 64
"""What a row takes on its way beside its values."""


@dataclass(frozen=True, slots=True)
class Filling:
    """Where the parts of a record go; ``text``: the field of the text, if rows have one.

    ``blanks``: what a new row holds in label columns that must hold something.
    """

    layout: Layout
    vector: VectorField
    text: str
    blanks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """``columns``: values as the wire wants them, JSON as bytes. ``size``: bytes, about."""

    number: int
    key: int | str
    columns: Mapping[str, Any]
    dynamic: Mapping[str, Any]
    meta: bytes
    size: int


def make_rows(records: Sequence[Record], filling: Filling) -> list[Row]:
    """One ``Row`` for each record, in order."""
    rows = []
    for record in records:
        try:
            rows.append(_row(record, filling))
        except _UNFIT as error:
            raise UsageError(f"row {record.number:,} cannot be stored: {error}") from error
    return rows


def unfit(records: Sequence[Record], filling: Filling) -> dict[int, str]:
    """Which records ``make_rows`` would refuse, by place, and why."""
    found: dict[int, str] = {}
    for place, record in enumerate(records):
        try:
            _row(record, filling)
        except _UNFIT as error:
            found[place] = str(error)
    return found


def blank(row: Row, filling: Filling) -> Row:
    """The row as a new one: not labelled yet."""
    if not filling.blanks:
        return row
    return replace(row, columns={**filling.blanks, **row.columns})


def last_of_each(rows: Iterable[tuple[int, Row]]) -> list[tuple[int, Row]]:
    """One entry for each key, at the place of its last row, as if they came one after the other.

    In one request the first row of a key would win on 2.3.5, the last one on Lite.
    """
    found: dict[int | str, tuple[int, Row]] = {}
    for position, row in rows:
        before = found.pop(row.key, None)
        found[row.key] = (position, row if before is None else _over(before[1], row))
    return list(found.values())


def _over(old: Row, new: Row) -> Row:
    dynamic = {**old.dynamic, **new.dynamic}
    columns = {**old.columns, **new.columns}
    return Row(new.number, new.key, columns, dynamic, _json(dynamic), old.size + new.size)


def _row(record: Record, filling: Filling) -> Row:
    columns: dict[str, Any] = {}
    dynamic: dict[str, Any] = {}
    layout = filling.layout
    given = record.fields if record.text is None else {**record.fields, filling.text: record.text}
    for name, value in given.items():
        column = layout.columns.get(name)
        if column is None:
            _check_free(name, layout)
            dynamic[name] = value
        elif value is not None or column.nullable:
            columns[name] = None if value is None else _CONVERTERS[column.type](value, column)
    _check_complete(columns, filling)
    meta = _json(dynamic)
    size = ROW_BYTES + len(meta) + sum(_size(value) for value in columns.values())
    return Row(record.number, record.key, columns, dynamic, meta, size + _size(record.key))


def _check_free(name: str, layout: Layout) -> None:
    if name == layout.key.name or layout.vector(name) or name in layout.computed:
        raise ValueError(f"the field {name!r} is the collection's own; rename it in the source")
    if not layout.dynamic:
        raise ValueError(f"there is no column {name!r}, nor a dynamic field")


def _check_complete(columns: Mapping[str, Any], filling: Filling) -> None:
    for name, column in filling.layout.columns.items():
        if column.required and name not in columns and name not in filling.blanks:
            raise ValueError(f"it lacks the field {name!r}, which every row must bring")


def _size(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_size, value))
    return len(value) if isinstance(value, (str, bytes)) else 8


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


def _text(value: Any, column: Column) -> str:
    if not isinstance(value, str):
        raise _unfit(value, column)
    size = len(value.encode())
    if column.max_length and size > column.max_length:
        raise ValueError(
            f"{size:,} bytes in the field {column.name!r}, which holds {column.max_length:,}; "
            "shorten it"
        )
    return value


def _whole(bits: int) -> Callable[[Any, Column], int]:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def convert(value: Any, column: Column) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _unfit(value, column)
        if not low <= value <= high:
            raise ValueError(f"{value} is beyond {column.type}, the type of {column.name!r}")
        return value

    return convert


def _double(value: Any, column: Column) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _unfit(value, column)
    return float(value)


def _float(value: Any, column: Column) -> float:
    with np.errstate(over="ignore"):
        found = float(np.float32(_double(value, column)))
    if math.isinf(found) and not math.isinf(value):
        raise ValueError(f"{value} is beyond FLOAT, the type of {column.name!r}")
    return found


def _bool(value: Any, column: Column) -> bool:
    if not isinstance(value, bool):
        raise _unfit(value, column)
    return value


def _array(value: Any, column: Column) -> list[Any]:
    if not isinstance(value, list):
        raise _unfit(value, column)
    if column.capacity and len(value) > column.capacity:
        raise ValueError(
            f"{len(value):,} elements in the field {column.name!r}, which holds {column.capacity:,}"
        )
    element = replace(column, type=column.element)
    return [_CONVERTERS[column.element](item, element) for item in value]


def _unfit(value: Any, column: Column) -> ValueError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return ValueError(f"{shown} is no {column.type}, the type of {column.name!r}")


class _Converters(dict[str, Callable[[Any, Column], Any]]):
    def __missing__(self, kind: str) -> Callable[[Any, Column], Any]:
        def refuse(_: Any, column: Column) -> Any:
            raise ValueError(f"the field {column.name!r} is {kind}, which ingest cannot fill")

        return refuse


_CONVERTERS = _Converters(
    BOOL=_bool,
    INT8=_whole(8),
    INT16=_whole(16),
    INT32=_whole(32),
    INT64=_whole(64),
    FLOAT=_float,
    DOUBLE=_double,
    VARCHAR=_text,
    JSON=lambda value, _: _json(value),
    ARRAY=_array,
)
