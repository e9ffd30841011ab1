"""The ports over plain arrays: use the library, or test the pipeline, without a database.

In: vectors ``(n, d)``, by choice keys, partitions and scalar columns. Out: a ``MemoryCollection``
and on it ``MemorySource`` (VectorSource) and ``MemorySink`` (LabelSink); see ``memory_neighbors``
for the search. Promise: what a real collection does to a run, these do too: rows can be
inserted and deleted meanwhile, a dropped collection is noticed, a row of NaN is a null vector.

    collection = MemoryCollection(vectors)
    sink = MemorySink(collection)
    sink.write(labels, "_default")
    collection.cluster_id  # -1 is noise; valid where collection.labelled
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from vdbcluster.errors import BackendError, CollectionChangedError, UsageError
from vdbcluster.model.arrays import BoolArray, Float32Array, Int64Array
from vdbcluster.model.arrays import Keys as KeyArray
from vdbcluster.model.collection import (
    CollectionProfile,
    KeyField,
    KeyType,
    ScalarField,
    ServerInfo,
    VectorField,
)
from vdbcluster.model.labels import (
    LABEL_FIELDS,
    LabelBatch,
    RowStatus,
    WriteOutcome,
    WriteWay,
    text_of,
)
from vdbcluster.model.rows import VectorPage

DEFAULT_PARTITION = "_default"
_identities = count(1)


class MemoryCollection:
    """Rows as arrays: ``keys (n,)``, ``vectors (n, d) float32``, ``partition_of (n,) object``.

    ``keys`` defaults to ``0..n-1``; ``columns`` are scalar fields by name, each of n values. Labels
    live beside the rows: ``cluster_id``, ``probability``, ``outlier_score``, ``run_ids``,
    ``assignment`` and ``path`` (empty where there is none), valid where ``labelled``. Raises
    ``UsageError`` on arrays of different length or on a key held twice.
    """

    def __init__(
        self,
        vectors: npt.ArrayLike,
        keys: npt.ArrayLike | None = None,
        *,
        metric: str = "COSINE",
        partition: str = DEFAULT_PARTITION,
        columns: Mapping[str, Sequence[Any]] | None = None,
        name: str = "memory",
    ) -> None:
        self.name = name
        self.metric = metric
        self.identity = str(next(_identities))
        self.vectors: Float32Array = np.empty((0, np.asarray(vectors).shape[1]), np.float32)
        self.keys: KeyArray = _as_keys(np.arange(len(self.vectors)))
        self.partition_of: npt.NDArray[Any] = np.empty(0, object)
        self.columns: dict[str, list[Any]] = {field: [] for field in columns or {}}
        self.cluster_id: Int64Array = np.empty(0, np.int64)
        self.probability: Float32Array = np.empty(0, np.float32)
        self.outlier_score: Float32Array = np.empty(0, np.float32)
        self.run_ids: npt.NDArray[Any] = np.empty(0, object)
        self.assignment: npt.NDArray[Any] = np.empty(0, object)
        self.path: npt.NDArray[Any] = np.empty(0, object)
        self.labelled: BoolArray = np.empty(0, np.bool_)
        rows = np.asarray(vectors, np.float32)
        self.insert(np.arange(len(rows)) if keys is None else keys, rows, partition, columns)

    def __len__(self) -> int:
        return int(self.keys.shape[0])

    @property
    def partitions(self) -> tuple[str, ...]:
        return tuple(sorted({DEFAULT_PARTITION, *self.partition_of.tolist()}))

    def insert(
        self,
        keys: npt.ArrayLike,
        vectors: npt.ArrayLike,
        partition: str = DEFAULT_PARTITION,
        columns: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        """Add rows, unlabelled; a column that is not given is None for them."""
        new_keys, rows = _as_keys(keys), np.asarray(vectors, np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.vectors.shape[1] or len(rows) != len(new_keys):
            raise UsageError(f"{len(new_keys)} keys need as many vectors, not shape {rows.shape}")
        if any(len(values) != len(rows) for values in (columns or {}).values()):
            raise UsageError(f"every column needs {len(rows)} values")
        merged = np.concatenate([self.keys, new_keys]) if len(self) else new_keys
        if len(set(merged.tolist())) != len(merged):
            raise UsageError("a key is held twice; keys must be unique")
        extra = len(rows)
        self.keys = merged
        self.vectors = np.concatenate([self.vectors, rows])
        self.partition_of = np.concatenate([self.partition_of, np.full(extra, partition, object)])
        for field, values in self.columns.items():
            values.extend((columns or {}).get(field, [None] * extra))
        self.cluster_id = np.concatenate([self.cluster_id, np.full(extra, -1, np.int64)])
        self.probability = np.concatenate([self.probability, np.zeros(extra, np.float32)])
        self.outlier_score = np.concatenate([self.outlier_score, np.zeros(extra, np.float32)])
        for texts in ("run_ids", "assignment", "path"):
            held = getattr(self, texts)
            setattr(self, texts, np.concatenate([held, np.full(extra, "", object)]))
        self.labelled = np.concatenate([self.labelled, np.zeros(extra, np.bool_)])

    def delete(self, keys: npt.ArrayLike) -> None:
        """Take rows out; keys that are not there are passed over."""
        gone = set(_as_keys(keys).tolist())
        keep = np.array([key not in gone for key in self.keys.tolist()], np.bool_)
        self.keys, self.vectors = self.keys[keep], self.vectors[keep]
        self.partition_of, self.labelled = self.partition_of[keep], self.labelled[keep]
        for label in LABEL_FIELDS:
            setattr(self, label.column, getattr(self, label.column)[keep])
        for field, values in self.columns.items():
            self.columns[field] = [v for v, kept in zip(values, keep, strict=True) if kept]

    def recreate(self) -> None:
        """Drop the collection and create it anew, empty, under the same name."""
        self.delete(self.keys)
        self.identity = str(next(_identities))

    def positions(self, keys: KeyArray) -> Int64Array:
        """Where each key is, ``(m,) int64``; -1 where it is not."""
        where = {key: i for i, key in enumerate(self.keys.tolist())}
        return np.array([where.get(key, -1) for key in keys.tolist()], np.int64)


Where = Callable[[KeyArray], BoolArray]


class MemorySource:
    """A selection of a ``MemoryCollection``: by partitions and by a condition on the keys."""

    def __init__(
        self,
        collection: MemoryCollection,
        *,
        partitions: tuple[str, ...] = (),
        where: Where | None = None,
        page_rows: int = 1000,
    ) -> None:
        self._collection = collection
        self._identity = collection.identity
        self._partitions = partitions
        self._where = where
        self._page_rows = page_rows

    def profile(self) -> CollectionProfile:
        """What the collection is now."""
        held = self._collection
        key_type: KeyType = "VARCHAR" if held.keys.dtype == object else "INT64"
        return CollectionProfile(
            server=ServerInfo("memory", "memory", "memory"),
            name=held.name,
            identity=held.identity,
            rows=len(held),
            key=KeyField("id", key_type, auto_id=False),
            vectors=(
                VectorField(
                    "vector", "FLOAT_VECTOR", int(held.vectors.shape[1]), held.metric, "FLAT"
                ),
            ),
            scalars=tuple(ScalarField(name, "VARCHAR", nullable=True) for name in held.columns),
            dynamic=True,
            partitions=held.partitions,
            partition_key=None,
            loaded=True,
        )

    @property
    def vector(self) -> VectorField:
        """The one vector field."""
        return self.profile().vectors[0]

    def identity(self) -> str:
        """As in ``profile``."""
        return self._collection.identity

    def count(self) -> int:
        """Rows in the selection, null vectors included."""
        return int(np.count_nonzero(selected(self._collection, self._partitions, self._where)))

    def pages(self) -> Iterator[VectorPage]:
        """All rows whose vector is not null, partition by partition, keys ascending."""
        for partition in self._partitions or self._collection.partitions:
            rows = self._rows_of(partition)
            for begin in range(0, len(rows), self._page_rows):
                _check_identity(self._collection, self._identity)
                some = rows[begin : begin + self._page_rows]
                held = self._collection
                yield VectorPage(held.keys[some], held.vectors[some], partition)

    def _rows_of(self, partition: str) -> Int64Array:
        held = self._collection
        chosen = selected(held, (partition,), self._where)
        rows = np.flatnonzero(chosen & ~np.isnan(held.vectors).any(axis=1))
        return rows[np.argsort(held.keys[rows], kind="stable")]

    def repeated_rows(self) -> int:
        """Keys are unique."""
        return 0

    def hidden_rows(self) -> int:
        """Every row can be read."""
        return 0

    def why_empty(self) -> str:
        """See ``ports.VectorSource``."""
        return f"no row of {self._collection.name!r} is selected" if len(self._collection) else ""

    def texts(self, keys: KeyArray, field: str) -> list[str | None]:
        """The column's value for each key; None where the row or its value is absent."""
        if field not in self._collection.columns:
            raise BackendError(f"the collection has no field {field!r}")
        values = self._collection.columns[field]
        return [values[row] if row >= 0 else None for row in self._collection.positions(keys)]


class MemorySink:
    """Labels beside the rows of a ``MemoryCollection``."""

    def __init__(
        self,
        collection: MemoryCollection,
        *,
        partitions: tuple[str, ...] = (),
        where: Where | None = None,
    ) -> None:
        self._collection = collection
        self._identity = collection.identity
        self._partitions = partitions
        self._where = where

    @property
    def way(self) -> WriteWay:
        return WriteWay("memory", "the collection is held in memory", self._collection.name)

    def stored(self, keys: KeyArray | None = None) -> Iterator[LabelBatch]:
        """One batch of all labels in the selection, keys ascending; nothing if there are none."""
        held = self._collection
        rows = np.flatnonzero(held.labelled & selected(held, self._partitions, self._where))
        rows = rows[np.argsort(held.keys[rows], kind="stable")]
        if keys is not None:
            rows = rows[np.isin(held.keys[rows], keys)]
        if rows.size:
            labels = {label.column: getattr(held, label.column)[rows] for label in LABEL_FIELDS}
            if not labels["path"].any():
                del labels["path"]
            yield LabelBatch(keys=held.keys[rows], **labels)

    def reserved(self) -> AbstractContextManager[None]:
        """Nothing takes long."""
        return nullcontext()

    def prepare(self) -> None:
        _check_identity(self._collection, self._identity)

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        """Write the labels of rows that are in this partition; all others have VANISHED."""
        held = self._collection
        _check_identity(held, self._identity)
        rows = held.positions(batch.keys)
        present = rows >= 0
        present[present] = held.partition_of[rows[present]] == partition
        rows = rows[present]
        for label, values in batch.columns():
            given = text_of(values) if values.dtype == object else values
            getattr(held, label.column)[rows] = given[present]
        held.labelled[rows] = True
        status = np.where(present, RowStatus.WRITTEN, RowStatus.VANISHED).astype(np.int8)
        return WriteOutcome(status)

    def erase(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        """As ``write``, but the rows are unlabelled afterwards."""
        outcome = self.write(LabelBatch.blank(batch.keys).texts_only(), partition)
        gone = batch.keys[outcome.status == RowStatus.WRITTEN]
        self._collection.labelled[self._collection.positions(gone)] = False
        return outcome

    def remove(self, batch: LabelBatch) -> int:  # noqa: ARG002 - labels go with their rows
        return 0

    def finish(self) -> KeyArray:
        """Nothing to make durable; labels go with their rows."""
        return self._collection.keys[:0]


def _as_keys(keys: npt.ArrayLike) -> KeyArray:
    found = np.asarray(keys)
    return found.astype(np.int64) if found.dtype.kind in "iu" else found.astype(object)


def selected(
    collection: MemoryCollection, partitions: tuple[str, ...], where: Where | None
) -> BoolArray:
    """Which rows are in the partitions (all, if none is named) and satisfy the condition."""
    chosen = np.ones(len(collection), np.bool_)
    if partitions:
        chosen &= np.isin(collection.partition_of.astype(str), partitions)
    return chosen & where(collection.keys) if where is not None else chosen


def _check_identity(collection: MemoryCollection, identity: str) -> None:
    if collection.identity != identity:
        raise CollectionChangedError(
            f"the collection {collection.name!r} was dropped and created anew meanwhile; run again"
        )
