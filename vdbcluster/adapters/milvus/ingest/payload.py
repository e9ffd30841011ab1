"""Rows as columns of Milvus' wire protocol, and as the entities that the client takes.

In: rows that have the same columns, their vectors. Out: ``FieldData`` messages, or dictionaries.
Promise: both say the same. The client packs rows value by value; columns take a fifth of its time
(20,000 rows of 384 dimensions: 1.2 s against 0.26 s of CPU), which doubles the rows a second.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus.decode import to_bytes
from vdbcluster.adapters.milvus.ingest.layout import Column
from vdbcluster.adapters.milvus.ingest.rows import Filling, Row
from vdbcluster.adapters.milvus.writeback.payload import SLOTS
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.collection import VectorField

_BYTES = {"FLOAT16_VECTOR": "float16_vector", "BFLOAT16_VECTOR": "bfloat16_vector"}


def wire_columns(rows: Sequence[Row], vectors: Float32Array, filling: Filling) -> list[Any]:
    """``FieldData`` of all rows: key, vector, scalar columns, dynamic field."""
    from pymilvus import DataType
    from pymilvus.grpc_gen.schema_pb2 import FieldData

    layout = filling.layout
    columns = [vector_column(vectors, filling.vector)]
    if not layout.key.auto_id:
        key = Column(layout.key.name, layout.key.type)
        columns.append(scalar_column(key, [row.key for row in rows]))
    columns += [
        scalar_column(layout.columns[name], [row.columns[name] for row in rows])
        for name in rows[0].columns
    ]
    if layout.dynamic:
        dynamic = FieldData(type=int(DataType.JSON), is_dynamic=True)
        dynamic.scalars.json_data.data.extend(row.meta for row in rows)
        columns.append(dynamic)
    return columns


def scalar_column(column: Column, values: Sequence[Any]) -> Any:
    """A column of values, JSON as bytes; where it may be null, nulls are told and left out."""
    from pymilvus import DataType
    from pymilvus.grpc_gen.schema_pb2 import FieldData

    number = int(DataType[column.type])
    sent = FieldData(type=number, field_name=column.name)
    if column.nullable:
        sent.valid_data.extend(value is not None for value in values)
        values = [value for value in values if value is not None]
    if column.type == "ARRAY":
        element = int(DataType[column.element])
        sent.scalars.array_data.element_type = element
        sent.scalars.array_data.data.extend(_cell(value, SLOTS[element]) for value in values)
    else:
        slot = "json_data" if column.type == "JSON" else SLOTS[number]
        getattr(sent.scalars, slot).data.extend(values)
    return sent


def _cell(value: Any, slot: str) -> Any:
    """One ARRAY: a list of ours, or what a server sent. Empty ones, too, must tell their type."""
    from pymilvus.grpc_gen.schema_pb2 import ScalarField

    cell = ScalarField()
    if isinstance(value, ScalarField):
        cell.CopyFrom(value)
    else:
        getattr(cell, slot).data.extend(value)
    getattr(cell, slot).SetInParent()
    return cell


def vector_column(vectors: Float32Array, field: VectorField) -> Any:
    """Vectors ``(m, dim)`` as the field holds them, by way of their bytes."""
    from pymilvus import DataType
    from pymilvus.grpc_gen.schema_pb2 import FieldData, FloatArray

    column = FieldData(type=int(DataType[field.type]), field_name=field.name)
    column.vectors.dim = vectors.shape[1]
    if field.type == "FLOAT_VECTOR":
        raw = np.ascontiguousarray(vectors, dtype="<f4").tobytes()
        # One packed field: a tag, a length, then the floats as they are in memory.
        column.vectors.float_vector.CopyFrom(FloatArray.FromString(_packed(raw)))
    else:
        setattr(column.vectors, _BYTES[field.type], b"".join(vector_bytes(vectors, field)))
    return column


def vector_bytes(vectors: Float32Array, field: VectorField) -> list[bytes]:
    """Each vector as the field stores it, rounded to its nearest where it holds fewer bits."""
    if field.type == "BFLOAT16_VECTOR":
        bits = np.ascontiguousarray(vectors, np.float32).view(np.uint32)
        even = (bits >> 16) & 1
        vectors = (bits + np.uint32(0x7FFF) + even).view(np.float32)
    return to_bytes(vectors, field)


def entities(rows: Sequence[Row], vectors: Float32Array, filling: Filling) -> list[dict[str, Any]]:
    """The same rows for ``MilvusClient.insert`` and ``upsert``."""
    layout, field = filling.layout, filling.vector
    floats = field.type == "FLOAT_VECTOR"
    held = vectors if floats else vector_bytes(vectors, field)
    found = []
    for row, vector in zip(rows, held, strict=True):
        entity = {
            name: json.loads(value) if isinstance(value, bytes) else value
            for name, value in row.columns.items()
        }
        entity |= {**row.dynamic, field.name: vector}
        found.append(entity if layout.key.auto_id else entity | {layout.key.name: row.key})
    return found


def _packed(raw: bytes) -> bytes:
    """``raw`` as field 1 of a message, of wire type 2."""
    length, head = len(raw), bytearray(b"\x0a")
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head) + raw
