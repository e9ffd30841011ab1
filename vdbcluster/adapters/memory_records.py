"""``ports.RecordWriter`` over a dictionary: try the pipeline, or test it, without a database.

In: a ``MemoryRecords``, which outlives its writers as a collection does. Out: its ``rows`` by key.
Promise: what the Milvus writer promises of keys, changed rows and shapes, this one does too; every
field may be null here, and everything has a place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from threading import Lock
from typing import Any

import numpy as np

from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import BoolArray, Float32Array
from vdbcluster.model.records import Record, RecordBatch, RecordShape

_identities = count(1)


@dataclass
class MemoryRow:
    """``fields``: the text under its name, declared fields, all others."""

    fields: dict[str, Any]
    vector: Float32Array


@dataclass
class MemoryRecords:
    """A collection; ``shape`` is None until one is prepared. ``dim``: of its vectors."""

    shape: RecordShape | None = None
    dim: int = 0
    rows: dict[int | str, MemoryRow] = field(default_factory=dict)
    identity: str = ""
    finished: int = 0

    def drop(self) -> None:
        """As if the collection were dropped."""
        self.shape, self.dim, self.rows, self.identity = None, 0, {}, ""


class MemoryRecordWriter:
    """See the module."""

    def __init__(self, collection: MemoryRecords) -> None:
        self._collection = collection
        self._shape: RecordShape | None = None
        self._lock = Lock()

    def fit(self, shape: RecordShape) -> RecordShape:
        """See ``ports.RecordWriter``."""
        there = self._collection.shape
        if there is not None:
            if reasons := "; ".join(_misfits(shape, there)):
                raise UsageError(f"the collection exists and does not fit: {reasons}")
            shape = replace(shape, key=there.key, text=there.text, vector_name=there.vector_name)
        self._shape = shape
        return shape

    def prepare(self, dim: int) -> None:
        """See ``ports.RecordWriter``."""
        if self._shape is None:
            raise UsageError("the shape of the rows is not known yet: fit comes first")
        there = self._collection
        if there.shape is None:
            there.shape, there.dim, there.identity = self._shape, dim, str(next(_identities))
        if there.dim != dim:
            raise UsageError(f"the collection holds vectors of dimension {there.dim}, not {dim}")

    @property
    def identity(self) -> str:
        """See ``ports.RecordWriter``."""
        return self._collection.identity

    def count(self) -> int:
        """See ``ports.RecordWriter``."""
        return len(self._collection.rows)

    def unchanged(
        self, records: Sequence[Record], vectors: Float32Array | None = None
    ) -> BoolArray:
        """See ``ports.RecordWriter``."""
        if self._shape is None or self._shape.auto_id:
            return np.zeros(len(records), np.bool_)
        with self._lock:
            return np.array(
                [
                    self._holds(record, None if vectors is None else vectors[i])
                    for i, record in enumerate(records)
                ],
                np.bool_,
            )

    def misfits(self, records: Sequence[Record]) -> dict[int, str]:  # noqa: ARG002
        """See ``ports.RecordWriter``: none."""
        return {}

    def write(self, batch: RecordBatch) -> None:
        """See ``ports.RecordWriter``."""
        shape = self._collection.shape
        if shape is None:
            raise UsageError("the collection is not there yet")
        with self._lock:
            for record, vector in zip(batch.records, batch.vectors, strict=True):
                key = len(self._collection.rows) + 1 if shape.auto_id else record.key
                there = self._collection.rows.get(key)
                fields = {**(there.fields if there else {}), **self._fields(record)}
                self._collection.rows[key] = MemoryRow(fields, vector.copy())

    def finish(self) -> int:
        """See ``ports.RecordWriter``."""
        self._collection.finished += 1
        return self.count()

    def _fields(self, record: Record) -> dict[str, Any]:
        text = self._shape.text if self._shape else None
        return {**record.fields, **({text.name: record.text} if text else {})}

    def _holds(self, record: Record, vector: Float32Array | None) -> bool:
        row = self._collection.rows.get(record.key)
        if row is None:
            return False
        # As text, because 1, 1.0 and True are equal, but not the same.
        named = all(repr(row.fields.get(k)) == repr(v) for k, v in self._fields(record).items())
        return named and (vector is None or np.array_equal(row.vector, vector))


def _misfits(shape: RecordShape, there: RecordShape) -> Iterator[str]:
    if shape.auto_id != there.auto_id:
        yield "its keys are made by the server (auto id)" if there.auto_id else "no auto id"
    if shape.key.type != there.key.type:
        yield f"its key {there.key.name!r} is {there.key.type}, not {shape.key.type}"
    types = {spec.name: spec.type for spec in there.fields}
    for spec in shape.fields:
        if types.get(spec.name, spec.type) != spec.type:
            yield f"field {spec.name!r} is {types[spec.name]}, the source's is {spec.type}"
