"""What ``MilvusLive`` asks of the server, and what it remembers for a moment.

In: a connection, a selection, ``LabelFields``. Out: hits, rows in order, labels, keys.
Promise: keys are remembered ``FRESH`` seconds; what the collection is, is asked again after these,
beside the questions of others, and before them when it is ``STALE``; a collection that was created
anew, or released by a server that started again, is found out and the question asked once more.
"""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from vdbcluster.adapters.milvus.by_key import rows_by_key
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.decode import keys_array, to_bytes
from vdbcluster.adapters.milvus.effort import Effort, search_params
from vdbcluster.adapters.milvus.expressions import both, key_after
from vdbcluster.adapters.milvus.live_filter import check_alone, check_shape
from vdbcluster.adapters.milvus.live_labels import (
    Place,
    find_place,
    label_filter,
    label_of,
    needed,
)
from vdbcluster.adapters.milvus.scalars import asked
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.adapters.milvus.stream import MAX_ROWS, Scan, read_pages
from vdbcluster.errors import (
    BackendError,
    CollectionChangedError,
    UsageError,
    VdbclusterError,
)
from vdbcluster.model.arrays import Float32Array, Keys
from vdbcluster.model.catalogue import RowKey
from vdbcluster.model.collection import VectorField
from vdbcluster.model.labels import LabelFields
from vdbcluster.model.live import Chosen, LiveLabel, LiveRow

T = TypeVar("T")
FRESH = 3.0
STALE = 30.0
"""Seconds, see above."""
ENDING = 10.0
REMEMBERED = 64
"""Choices and filters that are remembered."""
BOUNDED = "Bounded"
LABEL_BYTES = 128
Hit = Mapping[str, Any]


class LiveCalls:
    """See the module; threads may share it."""

    def __init__(
        self,
        connection: MilvusConnection,
        selection: Selection,
        fields: LabelFields,
        page_bytes: int,
    ) -> None:
        self._connection, self._selection, self._fields = connection, selection, fields
        self._page_bytes = page_bytes
        self._lock, self._finding = threading.Lock(), threading.Lock()
        self._place: tuple[float, Place] | None = None
        self._keys: OrderedDict[Chosen, tuple[float, Keys]] = OrderedDict()
        self._good: OrderedDict[str, None] = OrderedDict()

    def at(self, ask: Callable[[Place], T]) -> T:
        """``ask`` where labels are now; once more if what was known of that turns out old."""
        held = self._place
        if held is None or time.monotonic() - held[0] >= STALE:
            return ask(self._found(held))
        if time.monotonic() - held[0] >= FRESH and self._finding.acquire(blocking=False):
            threading.Thread(target=self._beside, daemon=True).start()
        try:
            return ask(held[1])
        except BackendError:
            return ask(self._found(held))

    def _found(self, before: tuple[float, Place] | None) -> Place:
        """Asked again, unless somebody has done so since ``before``."""
        with self._finding:
            held = self._place
            return held[1] if held is not None and held is not before else self._find()

    def _beside(self) -> None:
        """``_finding`` is held; trouble is told to who asks next."""
        try:
            with suppress(VdbclusterError):
                self._find()
        finally:
            self._finding.release()

    def _find(self) -> Place:
        started = time.monotonic()
        try:
            place = find_place(self._connection, self._selection, self._fields, self._page_bytes)
        except UsageError as error:
            if self._place is None:
                raise
            raise CollectionChangedError(str(error)) from error  # it was there a moment ago
        self._place = (started, place)
        return place

    def forget(self) -> None:
        """Keys of clusters are old."""
        with self._lock:
            self._keys.clear()

    def close(self) -> None:
        """No thread of ours outlives this; the lock is never given back."""
        self._finding.acquire(timeout=ENDING)

    def check(self, place: Place, where: str) -> None:
        """``UsageError`` for a filter of a stranger that is no whole expression."""
        if not where:
            return
        with self._lock:
            if where in self._good:
                return
        check_shape(where)
        source = place.source
        check_alone(self._connection, source.selection.collection, source.key.name, where)
        with self._lock:
            self._good[where] = None
            while len(self._good) > REMEMBERED:
                self._good.popitem(last=False)

    def nothing(self, place: Place, chosen: Chosen) -> bool:
        """Whether labels are to choose that no row can have."""
        return chosen.by_label and not needed(chosen, self._fields) <= set(place.names)

    def names(self, place: Place, fields: Sequence[str]) -> tuple[str, ...]:
        """What to ask rows for: fields that there are, and the labels if they are in the rows."""
        found = place.source.found
        ours = place.names if place.side is None else ()
        wanted = [n for n in dict.fromkeys([*fields, *ours]) if n != found.key.name]
        return asked(found, [n for n in wanted if found.dynamic or found.scalar(n)])

    def row(
        self, place: Place, row: Hit, fields: Sequence[str], score: float | None = None
    ) -> LiveRow:
        """Of an answer; with its label, if that is in it."""
        label = label_of(row, self._fields) if place.side is None else None
        return LiveRow(
            key=row[place.source.key.name],
            label=label,
            fields={name: row[name] for name in fields if row.get(name) is not None},
            score=score,
        )

    def hits(
        self,
        place: Place,
        vector: Float32Array,
        where: str,
        names: Sequence[str],
        limit: int,
        offset: int = 0,
        effort: Effort = "medium",
    ) -> list[dict[str, Any]]:
        """``id``, ``distance`` and ``entity`` of each; one row for each key."""
        source = place.source
        field, key, chosen = source.vector, source.key.name, source.selection
        floats = field.type == "FLOAT_VECTOR"
        query = np.ascontiguousarray(vector[None])
        answer = self._connection.ask(
            f"searching {chosen.collection!r}",
            lambda client, seconds: client.search(
                chosen.collection,
                data=list(query) if floats else to_bytes(query, field),
                anns_field=field.name,
                filter=both(where, chosen.where),
                limit=limit,
                output_fields=[key, *names],
                search_params={
                    "metric_type": str(field.metric),
                    "params": search_params(field, limit + offset, effort),
                    **({"offset": offset} if offset else {}),
                },
                partition_names=list(chosen.partitions) or None,
                consistency_level=BOUNDED,
                timeout=seconds,
            ),
        )
        found: dict[RowKey, dict[str, Any]] = {}
        for hit in answer[0]:
            entity = {**hit["entity"]}
            at = entity.setdefault(key, hit.get(key, hit.get("id")))
            found.setdefault(
                at, {"id": at, "distance": _score(field, hit["distance"]), "entity": entity}
            )
        return list(found.values())

    def in_order(
        self,
        source: MilvusSource,
        where: str,
        names: Sequence[str],
        rows: int,
        after: RowKey | None = None,
    ) -> list[Hit]:
        """The first ``rows`` by key behind ``after``."""
        chosen, key = source.selection, source.key
        where = both(where, chosen.where)
        if after is not None:
            where = both(key_after(key.name, after), where)
        some = max(1, min(rows, MAX_ROWS))
        parts = [
            islice(self._pages(source, where, tuple(names), place, some), rows)
            for place in chosen.partitions or ("",)
        ]
        merged = heapq.merge(*parts, key=lambda row: row[key.name])
        return list(islice(merged, rows))

    def _pages(
        self, source: MilvusSource, where: str, names: tuple[str, ...], partition: str, rows: int
    ) -> Iterator[Hit]:
        found = source.found
        scan = Scan(found.name, found.identity, source.key, names, where, partition)
        for page in read_pages(self._connection, scan, rows):
            yield from page

    def side_labels(self, side: MilvusSource, keys: Sequence[RowKey]) -> dict[RowKey, LiveLabel]:
        """Labels of some keys; those without one are absent."""
        names = [n for n in self._fields.every if side.found.scalar(n)]
        pages = rows_by_key(
            self._connection,
            side.selection,
            side.key,
            keys_array(keys, side.key),
            names,
            row_bytes=LABEL_BYTES,
        )
        found = (
            (row[side.key.name], label_of(row, self._fields)) for rows in pages for row in rows
        )
        return {key: label for key, label in found if label is not None}

    def keys_of(self, place: Place, chosen: Chosen) -> Keys:
        """Keys ``(m,)`` that have such labels in the side collection, ascending."""
        assert place.side is not None
        labels = Chosen(chosen.clusters, chosen.assignment, copies=chosen.copies)
        with self._lock:
            known = self._keys.get(labels)
        if known is not None and time.monotonic() - known[0] < FRESH:
            return known[1]
        asked_at, side = time.monotonic(), place.side
        rows = self._pages(side, label_filter(labels, self._fields), (), "", MAX_ROWS)
        keys = np.unique(keys_array([row[side.key.name] for row in rows], side.key))
        with self._lock:
            for old in [one for one, held in self._keys.items() if asked_at - held[0] >= FRESH]:
                del self._keys[old]  # those of a large collection take room
            self._keys[labels] = (asked_at, keys)
            while len(self._keys) > REMEMBERED:
                self._keys.popitem(last=False)
        return keys


def is_similarity(field: VectorField) -> bool:
    """Whether a larger score is nearer."""
    return field.metric in ("COSINE", "IP")


def _score(field: VectorField, score: float) -> float:
    """As the port has it: Milvus gives the square of a Euclidean distance."""
    return math.sqrt(max(0.0, score)) if field.metric == "L2" else float(score)
