"""``LiveCollection`` over a ``MemoryCollection``, by comparing with every row.

In: the collection, a selection of it, by choice what understands filters. Out: rows with labels.
Promise: exact, ties in order of key; what is written meanwhile is seen by the next question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vdbcluster.adapters.memory import MemorySource
from vdbcluster.adapters.memory_collection import MemoryCollection, MemoryView, Where
from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array
from vdbcluster.model.catalogue import RowKey
from vdbcluster.model.collection import CollectionProfile, VectorField
from vdbcluster.model.labels import LABEL_FIELDS
from vdbcluster.model.live import Chosen, LiveLabel, LivePage, LiveRow
from vdbcluster.ports.live import NoRowError

Parse = Callable[[str], Where]
"""From the text of a filter to the rows that it selects; ``UsageError`` for one it cannot read."""


def _no_language(text: str) -> Where:
    raise UsageError(f"rows in memory know no filter, not {text!r}")


class MemoryLive(MemoryView):
    """See ``ports.live``."""

    def __init__(
        self,
        collection: MemoryCollection,
        *,
        partitions: tuple[str, ...] = (),
        where: Where | None = None,
        parse: Parse = _no_language,
    ) -> None:
        super().__init__(collection, partitions=partitions, where=where)
        self._parse = parse

    def profile(self) -> CollectionProfile:
        return MemorySource(self.collection).profile()

    @property
    def vector_field(self) -> VectorField:
        return self.profile().vectors[0]

    @property
    def labels_in(self) -> str:
        return "memory"

    def search(
        self,
        vector: Float32Array,
        chosen: Chosen,
        fields: Sequence[str],
        limit: int,
        offset: int = 0,
    ) -> tuple[LiveRow, ...]:
        """See the port."""
        near = self._nearest(vector, self._rows(chosen))[offset : offset + limit]
        return tuple(self._row(at, fields, score) for at, score in near)

    def labels_near(
        self, vector: Float32Array, where: str, limit: int
    ) -> tuple[LiveLabel | None, ...]:
        """See the port."""
        near = self._nearest(vector, self._rows(Chosen(where=where)))[:limit]
        return tuple(self._label(at) for at, _ in near)

    def page(
        self, chosen: Chosen, fields: Sequence[str], limit: int, after: RowKey | None = None
    ) -> LivePage:
        """See the port."""
        rows = self._rows(chosen)
        if after is not None:
            rows = rows[self.collection.keys[rows] > after]
        found = tuple(self._row(int(at), fields) for at in rows[:limit])
        return LivePage(found, len(rows) > limit)

    def rows(self, keys: Sequence[RowKey], fields: Sequence[str]) -> dict[RowKey, LiveRow]:
        """See the port."""
        there = (self._at(key) for key in keys)
        found = (self._row(at, fields) for at in there if at is not None)
        return {row.key: row for row in found}

    def whole(self, key: RowKey) -> LiveRow:
        """See the port."""
        return self._row(self._must(key), tuple(self.collection.columns))

    def vector(self, key: RowKey) -> Float32Array:
        """See the port."""
        found: Float32Array = self.collection.vectors[self._must(key)]
        if np.isnan(found).any():
            raise NoRowError(f"the row {key!r} has no vector")
        return found

    def count(self, chosen: Chosen) -> int:
        """See the port."""
        return len(self._rows(chosen))

    def forget(self) -> None:
        """Nothing is remembered."""

    def _rows(self, chosen: Chosen) -> Int64Array:
        """Places of the chosen rows, by key."""
        held, there = self.collection, self.selected()
        if chosen.by_label:
            there &= held.labelled
        if chosen.clusters:
            there &= np.isin(held.cluster_id, chosen.clusters)
        if chosen.assignment:
            there &= held.assignment == chosen.assignment
        if chosen.copies:
            there &= held.duplicate_of != ""
        if chosen.where:
            there &= self._parse(chosen.where)(held.keys)
        rows = np.flatnonzero(there)
        return rows[np.argsort(held.keys[rows], kind="stable")]

    def _nearest(self, vector: Float32Array, rows: Int64Array) -> list[tuple[int, float]]:
        held = self.collection
        rows = rows[~np.isnan(held.vectors[rows]).any(axis=1)]
        scores = _scores(vector.astype(np.float64), held.vectors[rows], held.metric)
        sign = 1.0 if held.metric == "L2" else -1.0
        order = np.argsort(sign * scores, kind="stable")
        return [(int(rows[i]), float(scores[i])) for i in order]

    def _at(self, key: RowKey) -> int | None:
        held = self.collection
        keys = np.empty(1, held.keys.dtype)
        keys[0] = key
        at = int(held.positions(keys)[0])
        return at if at >= 0 and self.selected()[at] else None

    def _must(self, key: RowKey) -> int:
        at = self._at(key)
        if at is None:
            raise NoRowError(
                f"there is no row {key!r}, or it is not among the rows that are served"
            )
        return at

    def _row(self, at: int, fields: Sequence[str], score: float | None = None) -> LiveRow:
        held = self.collection
        columns = {name: held.columns[name][at] for name in fields if name in held.columns}
        there = {name: value for name, value in columns.items() if value is not None}
        return LiveRow(held.keys[at : at + 1].tolist()[0], self._label(at), there, score)

    def _label(self, at: int) -> LiveLabel | None:
        held = self.collection
        if not held.labelled[at]:
            return None
        found: dict[str, Any] = {
            label.column: getattr(held, label.column)[at : at + 1].tolist()[0]
            for label in LABEL_FIELDS
            if hasattr(held, label.column)
        }
        return LiveLabel(
            cluster=found["cluster_id"],
            probability=found["probability"],
            outlier_score=found["outlier_score"],
            run_id=found["run_ids"],
            assignment=found["assignment"],
            path=found["path"] or "",
            duplicate_of=found["duplicate_of"] or "",
        )


def _scores(vector: Float64Array, rows: Float32Array, metric: str) -> Float64Array:
    found = rows.astype(np.float64)
    if metric == "L2":
        return np.asarray(np.linalg.norm(found - vector, axis=1))
    if metric == "COSINE":
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        vector = vector / np.linalg.norm(vector)
    return np.asarray(found @ vector)
