"""Whole rows as the server sent them, with nothing but our labels changed.

In: the columns of a query's answer (``FieldData`` messages of Milvus' wire protocol) and labels in
the order of its rows. Out: the columns of an upsert. Promise: every byte of a foreign value goes
back as it came: vectors of any type, JSON and dynamic keys as text (a decoder would turn large
integers into floats and drop members of equal name).

    splice_members(b'{"a": 1e2, "cluster_id": 3}', {"cluster_id": 7})
        -> b'{"a": 1e2, "cluster_id": 7}'
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vdbcluster.errors import BackendError

RESENDABLE = frozenset(
    {
        "BOOL", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE", "VARCHAR", "JSON", "ARRAY",
        "FLOAT_VECTOR", "FLOAT16_VECTOR", "BFLOAT16_VECTOR", "BINARY_VECTOR", "INT8_VECTOR",
        "SPARSE_FLOAT_VECTOR",
    }
)  # fmt: skip
"""Field types whose form in an answer is the form that an upsert takes."""

_ARRAY = 22
SLOTS = {
    1: "bool_data", 2: "int_data", 3: "int_data", 4: "int_data", 5: "long_data",
    10: "float_data", 11: "double_data", 21: "string_data",
}  # fmt: skip
"""Where the wire protocol keeps values: BOOL, INT8 to INT64, FLOAT, DOUBLE, VARCHAR."""

_SPACE = re.compile(r"[ \t\n\r]*")
# Values are only skipped over, never used: numbers need not be understood, whatever their size.
_SKIPPER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)


def splice_members(raw: bytes, own: Mapping[str, Any], without: Container[str] = ()) -> bytes:
    """A JSON object with its members called as ours replaced, all others kept as text.

    ``without``: members that go. ``BackendError`` if ``raw`` is not a JSON object.
    """
    text = raw.decode() or "{}"
    try:
        members = _members(text)
        kept = [member for name, member in members if name not in own and name not in without]
    except (ValueError, IndexError) as error:
        raise BackendError(f"the dynamic fields of a row are not a JSON object: {error}") from error
    added = [
        f"{json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in own.items()
    ]
    return f"{{{', '.join(kept + added)}}}".encode()


def _members(text: str) -> Iterator[tuple[str, str]]:
    """Name and text of each member of the object."""
    at = _after(text, "{", 0)
    if text[at] == "}":
        return
    while True:
        begin = at
        name, at = _SKIPPER.raw_decode(text, at)
        at = _after(text, ":", at)
        _, at = _SKIPPER.raw_decode(text, at)
        yield name, text[begin:at]
        at = _skip(text, at)
        if text[at] == "}":
            return
        at = _after(text, ",", at)


def _after(text: str, mark: str, at: int) -> int:
    at = _skip(text, at)
    if text[at] != mark:
        raise ValueError(f"{mark!r} expected at character {at}")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def keys_of(columns: Sequence[Any], key_field: str) -> list[int] | list[str]:
    """The primary keys of an answer, in the order of its rows."""
    column = _named(columns, key_field)
    return list(_values(column))


def with_labels(
    columns: Sequence[Any], own: Sequence[Mapping[str, Any]], declared: Container[str]
) -> list[Any]:
    """The columns to send: ``own[i]`` are the label fields of row i, by name; None is nothing.

    Fields in ``declared`` are columns of the collection, the others go among the dynamic keys.
    ``BackendError`` if the answer lacks a column that is to hold labels.
    """
    sent = [for_sending(column) for column in columns]
    names = list(own[0]) if own else []
    for name in (name for name in names if name in declared):
        _replace(_named(sent, name), [row[name] for row in own])
    if dynamic := [name for name in names if name not in declared]:
        _splice(_dynamic(sent), own, dynamic)
    return sent


def for_sending(column: Any) -> Any:
    """A copy in the form of an upsert: null scalars are left out of the values, not padded."""
    copied = type(column)()
    copied.CopyFrom(column)
    if copied.valid_data and copied.WhichOneof("field") == "scalars":
        values = _values(copied)
        if len(values) == len(copied.valid_data):
            kept = [v for v, valid in zip(values, copied.valid_data, strict=True) if valid]
            del values[:]
            values.extend(kept)
    if copied.type == _ARRAY:
        _say_element_type(copied.scalars.array_data)
    return copied


def _say_element_type(arrays: Any) -> None:
    """Empty arrays come without the type of their elements, and 2.3.5 dies of such an upsert."""
    for cell in arrays.data:
        if cell.WhichOneof("data") is None:
            getattr(cell, SLOTS[arrays.element_type]).SetInParent()


def _replace(column: Any, values: list[Any]) -> None:
    present = [value for value in values if value is not None]
    # Lite says nothing of a nullable column without nulls.
    nullable = len(column.valid_data) > 0 or len(present) < len(values)
    column.ClearField("scalars")
    column.ClearField("valid_data")
    getattr(column.scalars, SLOTS[column.type]).data.extend(present)
    column.valid_data.extend([value is not None for value in values] if nullable else [])


def _splice(column: Any, own: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    data = _values(column)
    spliced = [
        splice_members(raw, {n: row[n] for n in names if row[n] is not None}, names)
        for raw, row in zip(data, own, strict=True)
    ]
    del data[:]
    data.extend(spliced)


def _values(column: Any) -> Any:
    """The repeated field that holds a scalar column's values."""
    kind = column.scalars.WhichOneof("data")
    return getattr(column.scalars, kind).data if kind else []


def _named(columns: Sequence[Any], name: str) -> Any:
    for column in columns:
        if column.field_name == name:
            return column
    raise BackendError(f"the server's answer lacks the field {name!r}")


def _dynamic(columns: Sequence[Any]) -> Any:
    for column in columns:
        if column.is_dynamic:
            return column
    raise BackendError("the server's answer lacks the dynamic fields")


def digests(columns: Sequence[Any], key_field: str, without: Container[str]) -> dict[Any, bytes]:
    """A digest of each row by key, over all its fields but those named in ``without``."""
    if not columns:
        return {}
    keys = keys_of(columns, key_field)
    hashes = [hashlib.blake2b(digest_size=16) for _ in keys]
    for column in sorted(columns, key=lambda c: str(c.field_name)):
        if column.field_name not in without:
            cells = _cells(column, len(keys), without)
            for digest, cell in zip(hashes, cells, strict=True):
                digest.update(len(cell).to_bytes(8, "little") + cell)
    return {key: digest.digest() for key, digest in zip(keys, hashes, strict=True)}


def _cells(column: Any, rows: int, without: Container[str]) -> list[bytes]:
    """Each row's value as bytes; null is a value of its own, whatever it is padded with."""
    if column.is_dynamic:
        values: Sequence[Any] = [_foreign_members(raw, without) for raw in _values(column)]
    elif column.WhichOneof("field") == "vectors":
        values = _vector_cells(column.vectors)
    else:
        values = list(_values(column))
    valid = list(column.valid_data) or [True] * rows
    padded = len(values) == rows
    found = iter(values)
    held = [next(found) if padded or is_valid else None for is_valid in valid]
    return [
        b"\1" + _bytes(value) if is_valid else b"\0"
        for value, is_valid in zip(held, valid, strict=True)
    ]


def _foreign_members(raw: bytes, without: Container[str]) -> str:
    members = _members(raw.decode() or "{}")
    return "\0".join(sorted(member for name, member in members if name not in without))


def _vector_cells(vectors: Any) -> list[Any]:
    kind = vectors.WhichOneof("data")
    data = getattr(vectors, kind)
    if kind == "sparse_float_vector":
        return list(data.contents)
    flat = np.array(data.data, np.float32).tobytes() if kind == "float_vector" else bytes(data)
    width = vectors.dim * 4 if kind == "float_vector" else _WIDTHS[kind](vectors.dim)
    return [flat[i : i + width] for i in range(0, len(flat), width)]


_WIDTHS: Mapping[str, Callable[[int], int]] = {
    "binary_vector": lambda dim: dim // 8,
    "float16_vector": lambda dim: dim * 2,
    "bfloat16_vector": lambda dim: dim * 2,
    "int8_vector": lambda dim: dim,
}


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if hasattr(value, "SerializeToString"):
        return bytes(value.SerializeToString(deterministic=True))
    return repr(value).encode()
