"""Rows with the labels that they carry now, whichever way those were written.

In: a connection, a source, the sink that reads its labels. Out: ``RowPage``s.
Promise: only reads; one page in memory. Labels in the rows come with the rows, in one answer of the
server; those in a side collection are looked up page by page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus import decode
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.expressions import both
from vdbcluster.adapters.milvus.scalars import DYNAMIC, ScalarPage, asked, check_fields
from vdbcluster.adapters.milvus.source import MilvusSource
from vdbcluster.adapters.milvus.writeback.rows import as_labels, refuse_foreign
from vdbcluster.errors import UsageError
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.labels import LabelFields
from vdbcluster.model.tables import RowPage, labels_by_suffix
from vdbcluster.ports import LabelSink
from vdbcluster.ports.tables import Wanted

_SCALAR_BYTES = 64
_DYNAMIC_BYTES = 1024
"""Guesses of what a field, and all dynamic ones, take; a page that is too large is halved."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """``declared`` fields and ``dynamic`` ones (None: all there are); ``labels``: ours in rows."""

    declared: tuple[str, ...]
    dynamic: tuple[str, ...] | None
    labels: tuple[str, ...]
    vectors: bool


class MilvusLabelled:
    """See the module and ``ports.tables``."""

    def __init__(
        self,
        connection: MilvusConnection,
        source: MilvusSource,
        sink: LabelSink,
        fields: LabelFields,
        *,
        adopt: bool = False,
    ) -> None:
        """``adopt``: values of others under our names are no labels, and no reason to stop."""
        self._connection = connection
        self._source = source
        self._sink = sink
        self._fields = fields
        self._adopt = adopt

    def pages(self, wanted: Wanted) -> Iterator[RowPage]:
        """See the port."""
        found = self._source.found
        asks = self._asked(wanted)
        source = self._narrowed(wanted.clusters) if asks.labels else self._source
        every = asks.dynamic is None
        names = (DYNAMIC,) if every else asked(found, (*(asks.dynamic or ()), *asks.labels))
        known = (*asks.declared, *(name for name in asks.labels if found.scalar(name)))
        output = dict.fromkeys((*known, *names))
        size = 16 + _SCALAR_BYTES * len(output) + (_DYNAMIC_BYTES if DYNAMIC in output else 0)
        if asks.vectors:
            output[source.vector.name] = None
            size += decode.bytes_per_vector(source.vector)
        for rows in source.rows(tuple(output), size):
            yield self._page(rows, asks)

    def _asked(self, wanted: Wanted) -> _Asked:
        found = self._source.found
        labels = self._labels_in_rows(found)
        own = {*self._fields.every, found.key.name}
        if wanted.fields is None:
            declared = tuple(s.name for s in found.scalars if s.name not in own)
            return _Asked(declared, None if found.dynamic else (), labels, wanted.vectors)
        for name in wanted.fields:
            if found.vector(name) is not None:
                raise UsageError(f"{name!r} holds vectors, which come with --vectors")
        check_fields(found, wanted.fields)
        fields = dict.fromkeys(name for name in wanted.fields if name not in own)
        declared = tuple(name for name in fields if found.scalar(name))
        dynamic = tuple(name for name in fields if not found.scalar(name))
        return _Asked(declared, dynamic, labels, wanted.vectors)

    def _labels_in_rows(self, found: CollectionProfile) -> tuple[str, ...]:
        if self._sink.way.name == "side-collection":
            return ()
        return tuple(name for name in self._fields.every if found.dynamic or found.scalar(name))

    def _narrowed(self, clusters: Sequence[int]) -> MilvusSource:
        """The server leaves out the rows of other clusters."""
        if not clusters:
            return self._source
        chosen = self._source.selection
        where = f"{self._fields.cluster_id} in {[int(cluster) for cluster in clusters]}"
        narrow = replace(chosen, where=both(where, chosen.where))
        return MilvusSource(self._connection, narrow, self._source.page_bytes)

    def _page(self, rows: list[Any], asks: _Asked) -> RowPage:
        found = self._source.found
        keys = decode.keys_of(rows, found.key)
        vectors, present = None, None
        if asks.vectors:
            vectors, present = decode.vectors_of(rows, self._source.vector)
        plain = [dict(row) for row in rows]
        values = {name: [_plain(row.get(name)) for row in plain] for name in asks.declared}
        return RowPage(
            keys, values, self._rest(plain, asks), self._labels(keys, plain, asks), vectors, present
        )

    def _rest(self, rows: list[dict[str, Any]], asks: _Asked) -> list[dict[str, Any]]:
        if asks.dynamic is not None:
            names = asks.dynamic
            return [{name: _plain(row[name]) for name in names if name in row} for row in rows]
        found = self._source.found
        known = {found.key.name, *asks.declared, *self._fields.every}
        known |= {vector.name for vector in found.vectors}
        return [{k: _plain(v) for k, v in row.items() if k not in known} for row in rows]

    def _labels(self, keys: Any, rows: list[dict[str, Any]], asks: _Asked) -> dict[str, list[Any]]:
        if not asks.labels:
            beside = self._sink.way.name == "side-collection"
            return labels_by_suffix(self._sink.stored(keys) if beside else (), keys)
        page = ScalarPage(keys, {name: [row.get(name) for row in rows] for name in asks.labels})
        if not self._adopt:
            refuse_foreign(page, self._fields, self._source.found.name)
        return labels_by_suffix([as_labels(page, self._fields)], keys)


def _plain(value: Any) -> Any:
    """Arrays come as a type of the wire, numbers at times as one of numpy."""
    if value is None or isinstance(value, (str, int, float, bool, dict, list)):
        return value
    return value.item() if isinstance(value, np.generic) else list(value)
