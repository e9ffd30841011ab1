"""Searching and browsing a collection by the labels of its rows: ``LiveCollection`` over Milvus.

In: a connection, a selection, ``LabelFields``. Out: rows with labels, as they are now.
Promise: rows are chosen by Milvus itself, whether the labels are in the rows or in a side
collection; what strangers write as a filter stands beside the selection and the clusters, and is
checked first (``live_filter``).

Labels in the rows are one filter of the search. Labels in a side collection take two steps: the
keys of the clusters are read there, then rows are searched among these keys, ``PIECE`` of them at a
time, and the answers put together. Where they are more than ``MANY``, the nearest rows of any label
are asked for first, more and more of them: those that belong are the nearest of the cluster, and as
a rule there are enough. Either is as exact as the search itself. Keys are remembered for ``FRESH``
seconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from vdbcluster.adapters.milvus.by_key import rows_by_key
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.decode import keys_array
from vdbcluster.adapters.milvus.expressions import both, every_row, in_batches, key_in
from vdbcluster.adapters.milvus.live_calls import LiveCalls, is_similarity
from vdbcluster.adapters.milvus.live_labels import Place, label_filter, label_of
from vdbcluster.adapters.milvus.profile import count_rows
from vdbcluster.adapters.milvus.scalars import DYNAMIC
from vdbcluster.adapters.milvus.source import Selection
from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Float32Array, Keys
from vdbcluster.model.catalogue import RowKey
from vdbcluster.model.collection import CollectionProfile, VectorField
from vdbcluster.model.labels import LabelFields
from vdbcluster.model.live import Chosen, LiveLabel, LivePage, LiveRow
from vdbcluster.ports.live import MOST_HITS, NoRowError

PIECE = 10_000
"""Keys that a filter names at once."""
MANY = 2 * PIECE
WIDE = 1_000
"""Nearest rows of any label that are asked for at first."""
ROW_BYTES = 2048
"""Guess of what a row takes in an answer."""


class MilvusLive:
    """See the module and ``ports.live``."""

    def __init__(
        self,
        connection: MilvusConnection,
        selection: Selection,
        fields: LabelFields,
        page_bytes: int = 1 << 20,
    ) -> None:
        self._connection, self._fields = connection, fields
        self._calls = LiveCalls(connection, selection, fields, page_bytes)
        self._at = self._calls.at

    def profile(self) -> CollectionProfile:
        """See the port."""
        return self._at(lambda place: place.source.found)

    @property
    def vector_field(self) -> VectorField:
        return self._at(lambda place: place.source.vector)

    @property
    def labels_in(self) -> str:
        return self._at(lambda place: place.told)

    def search(
        self,
        vector: Float32Array,
        chosen: Chosen,
        fields: Sequence[str],
        limit: int,
        offset: int = 0,
    ) -> tuple[LiveRow, ...]:
        """See the port."""
        if limit + offset > MOST_HITS:
            raise UsageError(f"a search finds at most {MOST_HITS:,} rows, not {limit + offset:,}")
        return self._at(lambda place: self._search(place, vector, chosen, fields, limit, offset))

    def _search(
        self,
        place: Place,
        vector: Float32Array,
        chosen: Chosen,
        fields: Sequence[str],
        limit: int,
        offset: int,
    ) -> tuple[LiveRow, ...]:
        self._calls.check(place, chosen.where)
        if self._calls.nothing(place, chosen):
            return ()
        if place.side is None:
            where = both(label_filter(chosen, self._fields), chosen.where)
            names = self._calls.names(place, fields)
            hits = self._calls.hits(place, vector, where, names, limit, offset)
            return tuple(
                self._calls.row(place, hit["entity"], fields, hit["distance"]) for hit in hits
            )
        best = self._among(place, vector, chosen, limit + offset)[offset:]
        found = self._rows(place, [key for key, _ in best], fields)
        return tuple(replace(found[key], score=score) for key, score in best if key in found)

    def _among(
        self, place: Place, vector: Float32Array, chosen: Chosen, limit: int
    ) -> list[tuple[RowKey, float]]:
        """Keys and scores of the nearest, whose labels are in the side collection."""
        filters = [""]
        if chosen.by_label:
            keys, name = self._calls.keys_of(place, chosen), place.source.key.name
            if len(keys) > MANY and (near := self._widened(place, vector, chosen, keys, limit)):
                return near
            filters = [key_in(name, keys[part]) for part in in_batches(keys, PIECE)]
        found: dict[RowKey, float] = {}
        for one in filters:
            for hit in self._calls.hits(place, vector, both(one, chosen.where), (), limit):
                found[hit["id"]] = hit["distance"]
        sign = -1 if is_similarity(place.source.vector) else 1
        return heapq.nsmallest(limit, found.items(), key=lambda item: (sign * item[1], item[0]))

    def _widened(
        self, place: Place, vector: Float32Array, chosen: Chosen, keys: Keys, limit: int
    ) -> list[tuple[RowKey, float]]:
        """Those of ``keys`` among the nearest rows of any label; none where they are too few."""
        wide = max(WIDE, 4 * limit)
        while True:
            wide = min(wide, MOST_HITS)
            hits = self._calls.hits(place, vector, chosen.where, (), wide)
            there = np.isin(keys_array([hit["id"] for hit in hits], place.source.key), keys)
            near = [(hit["id"], hit["distance"]) for hit in hits]
            mine = [one for one, ours in zip(near, there.tolist(), strict=True) if ours]
            if len(mine) >= limit:
                return mine[:limit]
            if wide == MOST_HITS:
                return []
            wide *= 4

    def labels_near(
        self, vector: Float32Array, where: str, limit: int
    ) -> tuple[LiveLabel | None, ...]:
        """See the port."""
        return self._at(lambda place: self._labels_near(place, vector, where, limit))

    def _labels_near(
        self, place: Place, vector: Float32Array, where: str, limit: int
    ) -> tuple[LiveLabel | None, ...]:
        self._calls.check(place, where)
        if place.side is None:
            fields = self._fields
            names = [n for n in (fields.cluster_id, fields.run_id) if n in place.names]
            hits = self._calls.hits(place, vector, where, names, limit, effort="low")
            return tuple(label_of(hit["entity"], fields) for hit in hits)
        hits = self._calls.hits(place, vector, where, (), limit, effort="low")
        keys = [hit["id"] for hit in hits]
        labels = self._calls.side_labels(place.side, keys)
        return tuple(labels.get(key) for key in keys)

    def page(
        self, chosen: Chosen, fields: Sequence[str], limit: int, after: RowKey | None = None
    ) -> LivePage:
        """See the port."""
        return self._at(lambda place: self._page(place, chosen, fields, limit, after))

    def _page(
        self,
        place: Place,
        chosen: Chosen,
        fields: Sequence[str],
        limit: int,
        after: RowKey | None,
    ) -> LivePage:
        self._calls.check(place, chosen.where)
        if self._calls.nothing(place, chosen):
            return LivePage()
        if place.side is not None and chosen.by_label:
            return self._page_of_keys(place, chosen, fields, limit, after)
        where = both(label_filter(chosen, self._fields), chosen.where)
        names = self._calls.names(place, fields)
        read = self._calls.in_order(place.source, where, names, limit + 1, after)
        found = [self._calls.row(place, row, fields) for row in read]
        if place.side is not None:
            labels = self._calls.side_labels(place.side, [row.key for row in found])
            found = [replace(row, label=labels.get(row.key)) for row in found]
        return LivePage(tuple(found[:limit]), len(found) > limit)

    def _page_of_keys(
        self,
        place: Place,
        chosen: Chosen,
        fields: Sequence[str],
        limit: int,
        after: RowKey | None,
    ) -> LivePage:
        keys = self._calls.keys_of(place, chosen)
        start = 0 if after is None else int(np.searchsorted(keys, after, side="right"))
        found: list[LiveRow] = []
        step = max(200, limit + 1)
        while start < len(keys) and len(found) <= limit:
            part: list[RowKey] = keys[start : start + step].tolist()
            rows = self._rows(place, part, fields, chosen.where)
            found += [rows[key] for key in part if key in rows]
            start, step = start + step, min(2 * step, PIECE)
        return LivePage(tuple(found[:limit]), len(found) > limit)

    def rows(self, keys: Sequence[RowKey], fields: Sequence[str]) -> dict[RowKey, LiveRow]:
        """See the port."""
        return self._at(lambda place: self._rows(place, keys, fields))

    def _rows(
        self, place: Place, keys: Sequence[RowKey], fields: Sequence[str], where: str = ""
    ) -> dict[RowKey, LiveRow]:
        source = place.source
        found = {
            row.key: row
            for rows in rows_by_key(
                self._connection,
                replace(source.selection, where=both(source.selection.where, where)),
                source.key,
                keys_array(keys, source.key),
                self._calls.names(place, fields),
                row_bytes=ROW_BYTES,
            )
            for row in (self._calls.row(place, one, fields) for one in rows)
        }
        if place.side is None:
            return found
        labels = self._calls.side_labels(place.side, list(found))
        return {key: replace(row, label=labels.get(key)) for key, row in found.items()}

    def whole(self, key: RowKey) -> LiveRow:
        """See the port."""
        return self._at(lambda place: self._whole(place, key))

    def _whole(self, place: Place, key: RowKey) -> LiveRow:
        source = place.source
        names = [scalar.name for scalar in source.found.scalars]
        names += [DYNAMIC] if source.found.dynamic else []
        keys = keys_array([key], source.key)
        pages = rows_by_key(self._connection, source.selection, source.key, keys, names)
        row = next(chain.from_iterable(pages), None)
        if row is None:
            raise _no_row(key)
        ours = {source.key.name, *self._fields.every}
        label = label_of(row, self._fields) if place.side is None else None
        if place.side is not None:
            label = self._calls.side_labels(place.side, [key]).get(key)
        return LiveRow(key, label, {name: row[name] for name in row if name not in ours})

    def vector(self, key: RowKey) -> Float32Array:
        """See the port."""

        def read(place: Place) -> Float32Array:
            pages = place.source.vectors(keys_array([key], place.source.key))
            page = next((page for page in pages if len(page.keys)), None)
            if page is None:
                raise _no_row(key)
            found: Float32Array = page.vectors[0]
            return found

        return self._at(read)

    def count(self, chosen: Chosen) -> int:
        """See the port."""
        return self._at(lambda place: self._count(place, chosen))

    def _count(self, place: Place, chosen: Chosen) -> int:
        self._calls.check(place, chosen.where)
        if self._calls.nothing(place, chosen):
            return 0
        source, where = place.source, both(place.source.selection.where, chosen.where)
        if place.side is None or not chosen.by_label:
            where = both(label_filter(chosen, self._fields), where)
            filters = [where or every_row(source.key)]  # without one Lite overlooks partitions
        else:
            keys = self._calls.keys_of(place, chosen)
            parts = in_batches(keys, PIECE)
            filters = [both(key_in(source.key.name, keys[part]), where) for part in parts]
        name, within = source.selection.collection, source.selection.partitions
        return sum(count_rows(self._connection, name, one, within, strong=False) for one in filters)

    def forget(self) -> None:
        """See the port."""
        self._calls.forget()

    def close(self) -> None:
        """Wait for what is asked beside; nothing more is."""
        self._calls.close()


def _no_row(key: RowKey) -> NoRowError:
    return NoRowError(f"there is no row {key!r}, or it is not among the rows that are served")
