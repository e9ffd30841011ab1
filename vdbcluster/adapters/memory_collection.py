"""Rows held as plain arrays, and a selection of them: what every adapter over memory is made of.

In: vectors ``(n, d)``, by choice keys, partitions and scalar columns. Out: a ``MemoryCollection``,
and by ``MemoryView`` the rows of it that an adapter sees. Promise: what a real collection does to a
run, this does too: rows are inserted and deleted meanwhile, a dropped collection is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from vdbcluster.errors import CollectionChangedError, UsageError
from vdbcluster.model.arrays import BoolArray, Float32Array, Int64Array
from vdbcluster.model.arrays import Keys as KeyArray
from vdbcluster.model.labels import LABEL_FIELDS

DEFAULT_PARTITION = "_default"
_BLANK = {"INT64": -1, "FLOAT": 0.0, "VARCHAR": ""}
"""What is in the place of a label."""
Where = Callable[[KeyArray], BoolArray]
_identities = count(1)


class MemoryCollection:
    """Rows as arrays: ``keys (n,)``, ``vectors (n, d) float32``, ``partition_of (n,) object``.

    ``keys`` defaults to ``0..n-1``; ``columns`` are scalar fields by name, each of n values. Labels
    live beside the rows: ``cluster_id``, ``probability``, ``outlier_score``, ``run_ids``,
    ``assignment``, ``path`` and ``duplicate_of`` (empty where there is none), ``map_x`` and
    ``map_y`` (0 where there is none), valid where ``labelled``. Raises ``UsageError`` on arrays of
    different length or on a key held twice.
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
        self.duplicate_of: npt.NDArray[Any] = np.empty(0, object)
        self.map_x: Float32Array = np.empty(0, np.float32)
        self.map_y: Float32Array = np.empty(0, np.float32)
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
        if not len(new_keys):  # no key has no type
            return
        merged = np.concatenate([self.keys, new_keys]) if len(self) else new_keys
        if len(set(merged.tolist())) != len(merged):
            raise UsageError("a key is held twice; keys must be unique")
        extra = len(rows)
        self.keys = merged
        self.vectors = np.concatenate([self.vectors, rows])
        self.partition_of = np.concatenate([self.partition_of, np.full(extra, partition, object)])
        for name, values in self.columns.items():
            values.extend((columns or {}).get(name, [None] * extra))
        for label in LABEL_FIELDS:
            held = getattr(self, label.column)
            blank = np.full(extra, _BLANK[label.type], held.dtype)
            setattr(self, label.column, np.concatenate([held, blank]))
        self.labelled = np.concatenate([self.labelled, np.zeros(extra, np.bool_)])

    def delete(self, keys: npt.ArrayLike) -> None:
        """Take rows out; keys that are not there are passed over."""
        gone = set(_as_keys(keys).tolist())
        keep = np.array([key not in gone for key in self.keys.tolist()], np.bool_)
        self.keys, self.vectors = self.keys[keep], self.vectors[keep]
        self.partition_of, self.labelled = self.partition_of[keep], self.labelled[keep]
        for label in LABEL_FIELDS:
            setattr(self, label.column, getattr(self, label.column)[keep])
        for name, values in self.columns.items():
            self.columns[name] = [v for v, kept in zip(values, keep, strict=True) if kept]

    def recreate(self) -> None:
        """Drop the collection and create it anew, empty, under the same name."""
        self.delete(self.keys)
        self.identity = str(next(_identities))

    def positions(self, keys: KeyArray) -> Int64Array:
        """Where each key is, ``(m,) int64``; -1 where it is not."""
        where = {key: i for i, key in enumerate(self.keys.tolist())}
        return np.array([where.get(key, -1) for key in keys.tolist()], np.int64)


class MemoryView:
    """The rows of ``collection`` in ``partitions`` (if any is named) that satisfy ``where``."""

    def __init__(
        self,
        collection: MemoryCollection,
        *,
        partitions: tuple[str, ...] = (),
        where: Where | None = None,
    ) -> None:
        self.collection, self.partitions, self.where = collection, partitions, where
        self._seen = collection.identity

    def selected(self, *partitions: str) -> BoolArray:
        """Which rows those are now, ``(n,) bool``; or those of the partitions that are named."""
        held = self.collection
        chosen = np.ones(len(held), np.bool_)
        if wanted := partitions or self.partitions:
            chosen &= np.isin(held.partition_of.astype(str), wanted)
        return chosen & self.where(held.keys) if self.where is not None else chosen

    def check_identity(self) -> None:
        """``CollectionChangedError`` if the collection is no longer the one that was opened."""
        if self.collection.identity != self._seen:
            raise CollectionChangedError(
                f"the collection {self.collection.name!r} was dropped and created anew meanwhile; "
                "run again"
            )


def _as_keys(keys: npt.ArrayLike) -> KeyArray:
    found = np.asarray(keys)
    return found.astype(np.int64) if found.dtype.kind in "iu" else found.astype(object)
