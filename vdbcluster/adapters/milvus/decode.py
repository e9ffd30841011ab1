"""From a page of query results to arrays.

In: rows as the client returns them: dictionaries, whose vectors it decodes only when asked to.
Out: keys, and vectors as float32, with a mask of the rows that have one.
Promise: ``vectors_of`` gives the same arrays whether it finds the raw response inside the rows (a
private attribute of pymilvus; hundreds of times faster) or has to take the public way.

Float16, bfloat16 and int8 are converted; a binary vector becomes one 0/1 column for each bit, in
the order of ``numpy.packbits``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus.expressions import Key
from vdbcluster.model.arrays import BoolArray, Float32Array, Keys
from vdbcluster.model.collection import KeyField, VectorField

_BYTES_PER_VALUE = {
    "FLOAT_VECTOR": 4.0,
    "FLOAT16_VECTOR": 2.0,
    "BFLOAT16_VECTOR": 2.0,
    "INT8_VECTOR": 1.0,
    "BINARY_VECTOR": 0.125,
}
_RAW_BYTES = {
    "FLOAT16_VECTOR": "float16_vector",
    "BFLOAT16_VECTOR": "bfloat16_vector",
    "INT8_VECTOR": "int8_vector",
    "BINARY_VECTOR": "binary_vector",
}


def bytes_per_vector(field: VectorField) -> int:
    """Of one vector on the wire."""
    return max(1, round(field.dim * _BYTES_PER_VALUE[field.type]))


def key_at(rows: list[Any], position: int, key: KeyField) -> Key:
    """The key of one row."""
    # Keys are there from the start; list's own access leaves the vectors beside them undecoded.
    value: Key = list.__getitem__(rows, position)[key.name]
    return value


def told(rows: list[Any]) -> list[Mapping[str, Any]]:
    """The rows as dictionaries, whatever they hold; at once where nothing is left to decode.

    The client looks at each row for what it has not decoded yet, vectors and dynamic fields.
    """
    undecoded = getattr(rows, "_lazy_field_data", None)
    return list(list.__iter__(rows)) if undecoded is not None and not undecoded else list(rows)


def keys_of(rows: list[Any], key: KeyField) -> Keys:
    """Keys ``(m,)``: ``int64``, or ``object`` of ``str``."""
    return keys_array([key_at(rows, position, key) for position in range(len(rows))], key)


def keys_array(values: Sequence[Any], key: KeyField) -> Keys:
    """``values`` as an array of the key's dtype."""
    if key.type == "INT64":
        return np.array(values, dtype=np.int64)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def vectors_of(rows: Sequence[Any], field: VectorField) -> tuple[Float32Array, BoolArray]:
    """Vectors ``(m, dim) float32`` and which rows have one ``(m,) bool``; the others are zero."""
    raw = _raw_field(rows, field.name)
    return _from_rows(rows, field) if raw is None else _from_raw(raw, len(rows), field)


def to_floats(raw: bytes, field: VectorField) -> Float32Array:
    """Vectors ``(m, dim)`` from their bytes as the field's type lays them out."""
    if field.type == "BINARY_VECTOR":
        bits = np.frombuffer(raw, dtype=np.uint8).reshape(-1, field.dim // 8)
        return np.unpackbits(bits, axis=1).astype(np.float32)
    if field.type == "BFLOAT16_VECTOR":
        halves = np.frombuffer(raw, dtype="<u2").astype(np.uint32) << 16
        return halves.view(np.float32).reshape(-1, field.dim)
    dtype = {"FLOAT_VECTOR": "<f4", "FLOAT16_VECTOR": "<f2", "INT8_VECTOR": "i1"}[field.type]
    return np.frombuffer(raw, dtype=dtype).astype(np.float32).reshape(-1, field.dim)


def to_bytes(vectors: Float32Array, field: VectorField) -> list[bytes]:
    """Each row of ``vectors`` as the field's type lays it out: the inverse of ``to_floats``."""
    if field.type == "BINARY_VECTOR":
        packed = np.packbits(vectors.astype(np.uint8), axis=1)
    elif field.type == "BFLOAT16_VECTOR":
        packed = (np.ascontiguousarray(vectors).view(np.uint32) >> 16).astype("<u2")
    else:
        dtype = {"FLOAT_VECTOR": "<f4", "FLOAT16_VECTOR": "<f2", "INT8_VECTOR": "i1"}[field.type]
        packed = vectors.astype(dtype)
    return [row.tobytes() for row in packed]


def _raw_field(rows: Any, name: str) -> Any | None:
    """The vector field of the response that the rows were made from, if they still hold it."""
    for found in getattr(rows, "_lazy_field_data", ()):
        if found.field_name == name and found.HasField("vectors"):
            return found
    return None


def _from_raw(raw: Any, m: int, field: VectorField) -> tuple[Float32Array, BoolArray]:
    found = to_floats(_raw_bytes(raw, field), field)
    if not len(raw.valid_data):
        return found, _not_zero(found, field)
    present = np.array(raw.valid_data, dtype=bool)
    if len(found) == m:
        return found, present
    # Servers that know null vectors send the others alone, closed up.
    vectors = np.zeros((m, field.dim), dtype=np.float32)
    vectors[present] = found
    return vectors, present


def _raw_bytes(raw: Any, field: VectorField) -> bytes:
    if field.type != "FLOAT_VECTOR":
        return bytes(getattr(raw.vectors, _RAW_BYTES[field.type]))
    packed = raw.vectors.float_vector
    # One packed field: a tag, a length, then the floats as they are in memory.
    size = 4 * len(packed.data)
    serialized = packed.SerializeToString()
    return bytes(serialized[len(serialized) - size :])


def _from_rows(rows: Sequence[Any], field: VectorField) -> tuple[Float32Array, BoolArray]:
    vectors = np.zeros((len(rows), field.dim), dtype=np.float32)
    present = np.zeros(len(rows), dtype=bool)
    for position in range(len(rows)):
        value = _value(rows[position], field.name)
        if value is None:
            continue
        present[position] = True
        vectors[position] = to_floats(value, field)[0] if isinstance(value, bytes) else value
    return vectors, present & _not_zero(vectors, field)


def _value(row: Mapping[str, Any], name: str) -> Any:
    value = row.get(name)
    # Vectors made of bytes come wrapped in a list.
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], bytes):
        return value[0]
    return value


def _not_zero(vectors: Float32Array, field: VectorField) -> BoolArray:
    """Lite gives back a null vector as zeros, without a word; no other server does."""
    if not field.nullable:
        return np.ones(len(vectors), dtype=bool)
    return np.asarray(vectors.any(axis=1))
