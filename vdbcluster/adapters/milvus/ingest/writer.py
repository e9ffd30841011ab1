"""Records into a Milvus collection, new or existing: ``ports.RecordWriter``.

In: an open connection, ``WriterSettings``. Out: rows by key.
Promise: rows are upserted, so that a lost answer or a second run adds none; plain inserts are for
keys that the server makes. Of a row that is there, what the record does not name stays: Lite merges
by itself, servers from 2.6 when asked to, and for the others the row is read just before it is
written. A row stays in its partition. Nothing else of a collection is touched: not its schema, its
indexes, or rows that the source does not name.

    writer = MilvusRecordWriter(connection, WriterSettings("docs"))
    shape = writer.fit(shape)
    writer.prepare(384)
    writer.write(RecordBatch(records, vectors))
    writer.finish()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.decode import to_floats
from vdbcluster.adapters.milvus.expressions import Key
from vdbcluster.adapters.milvus.ingest import create
from vdbcluster.adapters.milvus.ingest.compare import holds
from vdbcluster.adapters.milvus.ingest.fitting import Fitted, fit_existing
from vdbcluster.adapters.milvus.ingest.layout import Layout, read_layout
from vdbcluster.adapters.milvus.ingest.lookup import (
    keys_there,
    partitions_of,
    rows_of,
    stored_vectors,
)
from vdbcluster.adapters.milvus.ingest.merge import Merger
from vdbcluster.adapters.milvus.ingest.payload import vector_bytes
from vdbcluster.adapters.milvus.ingest.rows import Filling, blank, last_of_each, make_rows, unfit
from vdbcluster.adapters.milvus.ingest.seen import SeenKeys
from vdbcluster.adapters.milvus.ingest.sending import Placed, Sender
from vdbcluster.adapters.milvus.profile import count_rows, identity, profile
from vdbcluster.adapters.milvus.writeback.capabilities import probe
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import BoolArray, Float32Array
from vdbcluster.model.labels import LabelFields
from vdbcluster.model.records import Record, RecordBatch, RecordShape

INDEX_SECONDS = 600.0
"""How long ``finish`` waits for an index, which goes on being built after that."""


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """``metric`` and ``index`` are for a collection that is made; empty index: see ``create``.

    ``batch_bytes``: of a request. ``label_prefix``: of the fields that ``vdbcluster run`` writes.
    ``try_out``: whether ``fit`` may try in a scratch collection what a server can do; if not (for a
    dry run), it goes by the version and writes nothing.
    """

    collection: str
    metric: str = "COSINE"
    index: str = ""
    batch_bytes: int = 16 << 20
    label_prefix: str = "cluster_"
    index_seconds: float = INDEX_SECONDS
    try_out: bool = True


@dataclass(frozen=True, slots=True)
class _Open:
    """A collection that is there, indexed and loaded. ``fresh``: nobody but us has put rows in."""

    target: Target
    filling: Filling
    fresh: bool


class MilvusRecordWriter:
    """See the module. ``unchanged`` may be called by several threads at once.

    ``notes``: what ``fit`` could not take literally, one line each, for the user.
    """

    def __init__(self, milvus: MilvusConnection, settings: WriterSettings) -> None:
        self._milvus = milvus
        self._settings = settings
        self._shape: RecordShape | None = None
        self._open: _Open | None = None
        self._opening = Lock()
        self._written = SeenKeys()
        self._labels_as_columns = False
        self.notes: tuple[str, ...] = ()

    def fit(self, shape: RecordShape) -> RecordShape:
        """See ``ports.RecordWriter``."""
        described = self._describe()
        if described is not None:
            fitted = self._fitted(shape, read_layout(described))
            self._shape, self.notes = fitted.shape, fitted.notes
            return fitted.shape
        able = create.abilities(self._milvus, try_out=self._settings.try_out)
        self._labels_as_columns = able.nulls and not self._milvus.is_lite
        self._shape, self.notes = create.fit_new(shape, able)
        return self._shape

    def prepare(self, dim: int) -> None:
        """See ``ports.RecordWriter``. Raises ``UsageError`` for vectors of another dimension."""
        if self._opened() is None:
            self._create(dim)
        vector = self._ready().filling.vector
        if vector.dim != dim:
            raise UsageError(
                f"the collection {self._settings.collection!r} holds vectors of dimension "
                f"{vector.dim} in {vector.name!r}, these have {dim}; use the model (or "
                "--embed-dimensions) that it was filled with, or name another collection"
            )
        create.load(self._milvus, self._ready().target.name)

    @property
    def identity(self) -> str:
        """See ``ports.RecordWriter``; empty if there is no collection yet."""
        name = self._settings.collection
        return identity(self._milvus, name) if self._exists() else ""

    @property
    def collection(self) -> str:
        """Its own name, never an alias."""
        return self._ready().target.name

    @property
    def filling(self) -> Filling:
        """Where the parts of a record go, once the collection is there."""
        return self._ready().filling

    @property
    def described(self) -> Mapping[str, Any]:
        """The collection as the server describes it now."""
        found = self._describe()
        if found is None:
            raise UsageError(f"the collection {self._settings.collection!r} is not there yet")
        return found

    def count(self) -> int:
        """See ``ports.RecordWriter``. Loads the collection if need be."""
        opened = self._opened()
        return 0 if opened is None else count_rows(self._milvus, opened.target.name)

    def unchanged(
        self, records: Sequence[Record], vectors: Float32Array | None = None
    ) -> BoolArray:
        """See ``ports.RecordWriter``. At once for a collection that is new; else by key first."""
        known = np.zeros(len(records), np.bool_)
        opened = self._opened()
        if opened is None or opened.filling.layout.key.auto_id:
            return known
        keys = self._perhaps_there(opened, [record.key for record in records])
        there = keys_there(opened.target, keys) if keys else set()
        some = [i for i, record in enumerate(records) if record.key in there]
        some = self._same_scalars(opened, records, some)
        if vectors is not None:
            some = self._same_vectors(opened, records, vectors, some)
        known[some] = True
        return known

    def misfits(self, records: Sequence[Record]) -> dict[int, str]:
        """See ``ports.RecordWriter``. A collection that we made takes every record of its shape."""
        opened = self._opened()
        return {} if opened is None or opened.fresh else unfit(records, opened.filling)

    def write(self, batch: RecordBatch) -> None:
        """See ``ports.RecordWriter``. Of rows with one key, the last one counts."""
        if not batch.records:
            return
        opened = self._ready()
        opened.target.check()
        sender = Sender(opened.target, opened.filling, self._settings.batch_bytes)
        rows = list(enumerate(make_rows(batch.records, opened.filling)))
        if opened.filling.layout.key.auto_id:
            sender.insert(rows, batch.vectors)
            return
        rows = last_of_each(rows)
        blind = self._milvus.is_lite and not opened.filling.blanks
        if blind and not opened.target.many_partitions:
            sender.upsert(rows, batch.vectors, {})
        else:
            for part in sender.parts(rows):
                self._put(opened, sender, part, batch.vectors)
        if opened.fresh:
            self._written.add([row.key for _, row in rows])

    def finish(self) -> int:
        """See ``ports.RecordWriter``. Flushes once, then waits for the index, within bounds."""
        opened = self._ready()
        name = opened.target.name
        self._milvus.ask(
            f"flushing {name!r}", lambda client, limit: client.flush(name, timeout=limit)
        )
        vector = opened.filling.vector.name
        create.wait_for_index(self._milvus, name, vector, self._settings.index_seconds)
        return self.count()

    # ---- opening

    def _describe(self) -> Mapping[str, Any] | None:
        name = self._settings.collection
        if not self._exists():
            return None
        found: Mapping[str, Any] = self._milvus.ask(
            f"reading the schema of {name!r}",
            lambda client, limit: client.describe_collection(name, timeout=limit),
        )
        return found

    def _exists(self) -> bool:
        name = self._settings.collection
        return self._milvus.ask(
            f"looking for {name!r}",
            lambda client, limit: bool(client.has_collection(name, timeout=limit)),
        )

    def _opened(self) -> _Open | None:
        """The collection, opened if it is there."""
        with self._opening:
            if self._open is None:
                described = self._describe()
                if described is not None:
                    self._open = self._opening_of(described, fresh=False)
            return self._open

    def _ready(self) -> _Open:
        opened = self._opened()
        if opened is None:
            raise UsageError(f"the collection {self._settings.collection!r} is not there yet")
        return opened

    def _opening_of(self, described: Mapping[str, Any], *, fresh: bool) -> _Open:
        layout = read_layout(described)
        if self._shape is None:
            raise UsageError("the shape of the rows is not known yet: fit comes first")
        fitted = self._fitted(self._shape, layout)
        name = str(described["collection_name"])
        if not create.has_index(self._milvus, name, fitted.vector.name):
            create.make_index(
                self._milvus, name, fitted.vector.name, self._settings.index, self._settings.metric
            )
        create.load(self._milvus, name)
        found = profile(self._milvus, name, exact=False)
        text = fitted.shape.text.name if fitted.shape.text else ""
        filling = Filling(layout, fitted.vector, text, fitted.blanks)
        return _Open(Target(self._milvus, found), filling, fresh)

    def _fitted(self, shape: RecordShape, layout: Layout) -> Fitted:
        labels = LabelFields(self._settings.label_prefix).every
        return fit_existing(self._settings.collection, shape, layout, labels)

    def _create(self, dim: int) -> None:
        if self._shape is None:
            raise UsageError("the shape of the rows is not known yet: fit comes first")
        labels = LabelFields(self._settings.label_prefix) if self._labels_as_columns else None
        name = self._settings.collection
        ours = create.create(self._milvus, name, self._shape, dim, labels)
        described = self._describe()
        if described is not None:
            with self._opening:
                self._open = self._opening_of(described, fresh=ours)

    # ---- what is there

    def _same_scalars(self, opened: _Open, records: Sequence[Record], some: list[int]) -> list[int]:
        if not some:
            return some
        layout = opened.filling.layout
        rows = make_rows([records[i] for i in some], opened.filling)
        named = sorted(set().union(*(row.columns for row in rows)))
        fields = [*named, "$meta"] if layout.dynamic else named
        found = rows_of(opened.target, [row.key for row in rows], fields)
        return [
            i
            for i, row in zip(some, rows, strict=True)
            if row.key in found and holds(found[row.key], row)
        ]

    def _same_vectors(
        self, opened: _Open, records: Sequence[Record], vectors: Float32Array, some: list[int]
    ) -> list[int]:
        if not some:
            return some
        field = opened.filling.vector
        wanted = vectors[some]
        if field.type != "FLOAT_VECTOR":
            wanted = to_floats(b"".join(vector_bytes(wanted, field)), field)
        found = stored_vectors(opened.target, [records[i].key for i in some], field)
        return [
            i
            for i, vector in zip(some, wanted, strict=True)
            if (held := found.get(records[i].key)) is not None and np.array_equal(held, vector)
        ]

    # ---- writing

    def _put(
        self, opened: _Open, sender: Sender, rows: list[Placed], vectors: Float32Array
    ) -> None:
        """One request's rows: new ones, then those that are there, partition by partition."""
        where = self._where(opened, rows)
        sender.upsert(
            [(at, blank(row, opened.filling)) for at, row in rows if row.key not in where],
            vectors,
            {},
        )
        for partition in sorted(set(where.values())):
            mine = [placed for placed in rows if where.get(placed[1].key) == partition]
            self._update(opened, sender, mine, vectors, partition)

    def _where(self, opened: _Open, rows: list[Placed]) -> dict[Key, str]:
        """The partition of each row that is there."""
        keys = self._perhaps_there(opened, [row.key for _, row in rows])
        return partitions_of(opened.target, keys) if keys else {}

    def _perhaps_there(self, opened: _Open, keys: Sequence[Key]) -> Sequence[Key]:
        """Keys that have to be looked up: of a new collection, those that we have written."""
        if not opened.fresh or not keys:
            return keys
        maybe = self._written.maybe(keys)
        return [key for key, there in zip(keys, maybe, strict=True) if there]

    def _update(
        self, opened: _Open, sender: Sender, rows: list[Placed], vectors: Float32Array, where: str
    ) -> None:
        if self._milvus.is_lite or self._merges:
            place = opened.target.placement(where) if where else {}
            sender.upsert(rows, vectors, place, merge=True)
            return
        gone = Merger(opened.target, opened.filling).merge(rows, vectors, where)
        sender.upsert([(at, blank(row, opened.filling)) for at, row in gone], vectors, {})

    @cached_property
    def _merges(self) -> bool:
        """Whether the server updates single fields; tried when that is first needed."""
        layout = self._ready().filling.layout
        return probe(self._milvus, layout.key, layout.dynamic, whole_rows=False).merges
