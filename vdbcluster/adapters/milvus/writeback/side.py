"""Labels in a collection of their own, keyed by the same primary key: the rows stay untouched.

In: labels of rows. Out: what became of each. Promise: the main collection is only read; no label of
a row that is gone outlives ``finish`` (or ``remove``, where an earlier run has left it); a side
collection of an earlier collection of the same name is not taken for that of this one.

    docs_cluster_labels: <primary key as in docs>, cluster_id, cluster_probability, ...

The first labels of a collection that this sink has made are inserted, in one attempt; whatever is
not confirmed, and all that comes later, is upserted. An upsert writes a deletion of each row as
well, of which a million made 2.3.5 compact the collection while its labels were read back: sending,
looking for rows that are gone and reading back took 65 s, and 36 s so.

It has columns for all our fields, the optional ones too. One that an earlier version has made may
lack an optional field; it serves those who do not want that field.

Why no bulk import, though all rows are new at first: 100,000 labels took 2.3.5 7.1 s to import from
Parquet (0.6 s more to write it, and the file has to be where the server finds it) against 6.0 s by
upserts of 8192 rows; 1000 rows a call took 9.1 s, 16,384 6.3 s. Two calls under way at once took
4.4 s, four 4.8 s: no more than a second process gives (``--workers``), and readers wait for both.
(Two busy cores; ratios in one run.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus.decode import keys_array
from vdbcluster.adapters.milvus.errors import backend_errors
from vdbcluster.adapters.milvus.expressions import Key, in_batches, key_in
from vdbcluster.adapters.milvus.profile import count_rows, is_loaded
from vdbcluster.adapters.milvus.source import FEW, MilvusSource, Selection, cuts_of
from vdbcluster.adapters.milvus.writeback.columns import label_columns
from vdbcluster.adapters.milvus.writeback.index import index_labels
from vdbcluster.adapters.milvus.writeback.own import LABELS_OF, labels_of
from vdbcluster.adapters.milvus.writeback.rows import as_labels, as_rows, keyed
from vdbcluster.adapters.milvus.writeback.sending import send
from vdbcluster.adapters.milvus.writeback.side_schema import side_schema
from vdbcluster.adapters.milvus.writeback.tally import Job, Tally
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.adapters.milvus.writeback.wire import (
    insert_columns,
    send_columns,
    sends_columns,
)
from vdbcluster.errors import RefusedError, VdbclusterError
from vdbcluster.model.arrays import BoolArray, Int64Array, Keys
from vdbcluster.model.labels import (
    LABEL_FIELDS,
    LabelBatch,
    LabelField,
    LabelFields,
    RowStatus,
    WriteOutcome,
    WriteWay,
)

Put = Callable[[Any, float, str, str, Sequence[Any], int], int]
"""Sends columns: ``wire.send_columns`` upserts, ``wire.insert_columns`` inserts."""
SIDE_ROWS = 8192
"""Rows in a call to a side collection, where nothing can be lost but time."""


def side_name(collection: str, fields: LabelFields) -> str:
    """The name of the side collection of ``collection``."""
    return f"{collection}_{fields.prefix.rstrip('_')}_labels"


@dataclass(frozen=True, slots=True)
class Side:
    """``selection`` is that of the main collection."""

    target: Target
    selection: Selection
    fields: LabelFields
    way: WriteWay
    batch_rows: int


class SideSink:
    """See the module."""

    def __init__(self, setup: Side) -> None:
        self._setup = setup
        self._target = setup.target
        self._milvus = setup.target.milvus
        self._name = setup.way.target
        self._written: list[Keys] = []
        self._cuts: Keys | None = None  # keys of most of what is stored
        self._untouched = False  # made by us, and nothing written yet
        self._inserts = False  # nobody has written a label that we write now
        self._no_column: tuple[LabelField, ...] = ()

    @property
    def way(self) -> WriteWay:
        return self._setup.way

    def stored(self, keys: Keys | None = None) -> Iterator[LabelBatch]:
        """Labels of the selection; without filter and partitions also those of rows now gone."""
        if self._untouched or not self._usable():
            return
        self._load()
        fields = self._setup.fields
        source = MilvusSource(self._milvus, Selection(self._name))
        known = [name for name in fields.possible if source.found.scalar(name)]
        for page in source.scalars(known, keys, self._cuts):
            batch = as_labels(page, fields, always_text=True)
            if self._setup.selection.where or self._setup.selection.partitions:
                batch = batch.take(self._selected(batch.keys))
            if len(batch):
                yield batch

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Create the side collection if there is none; servers take seconds to load it."""
        if not self._milvus.ask(f"looking for {self._name!r}", self._field_names):
            self.prepare()
        try:
            yield
        finally:
            if self._untouched:
                with suppress(VdbclusterError):  # the error that ends the run is the one to tell
                    self._drop_empty()

    def _drop_empty(self) -> None:
        if self._is_empty():
            self._milvus.ask(
                f"dropping {self._name!r}",
                lambda client, limit: client.drop_collection(self._name, timeout=limit),
            )

    def _is_empty(self) -> bool:
        """Another run may have found it and written to it."""
        self._load()
        return count_rows(self._milvus, self._name) == 0

    def prepare(self) -> None:
        """Create the side collection; one that belonged to an earlier collection is replaced."""
        self._target.check()
        if not self._usable():
            self._milvus.ask(f"creating {self._name!r}", self._create)
            self._untouched = True
        columns = self._milvus.ask(f"describing {self._name!r}", self._field_names)
        self._no_column = tuple(
            f for f in LABEL_FIELDS if f.optional and self._setup.fields.name(f) not in columns
        )
        self._load(wait=False)  # labels can be written meanwhile; reading them back waits

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        """See ``ports.LabelSink``; which rows are gone is looked up by ``finish``, for all at once.

        Looking each batch up before it is written takes longer than writing it.
        """
        self._target.check()
        if self._untouched:
            self._inserts, self._untouched = self._is_empty(), False
        job = Job(batch, partition, Tally(len(batch)))
        for part in in_batches(batch.keys, self._setup.batch_rows):
            rows = np.arange(len(batch))[part]
            self._written.append(batch.keys[rows])
            send(job, rows, self._attempt, lambda _, some: some, f"writing to {self._name!r}")
        return job.tally.outcome()

    def erase(self, batch: LabelBatch, partition: str) -> WriteOutcome:  # noqa: ARG002
        """See ``ports.LabelSink``: a label is a row here, and goes as a whole."""
        self._target.check()
        if self._usable():
            for part in in_batches(batch.keys, SIDE_ROWS):
                self._delete(batch.keys[part])
        return WriteOutcome(np.full(len(batch), RowStatus.WRITTEN, np.int8))

    def remove(self, batch: LabelBatch) -> int:
        """Delete labels of rows that are gone; labels of rows that exist are left."""
        return len(self._drop_gone(batch.keys)) if self._usable() else 0

    def finish(self, also: Keys | None = None) -> Keys:
        """Take away labels of rows that are gone, return their keys; flush once in Lite.

        A server has every write in its log, and seals in its own time.
        """
        self._target.check()
        if also is not None and also.size:
            self._untouched = False
            self._written.append(also)
        self._inserts = False  # what is sent now was sent before
        written = np.unique(self._joined(self._written))
        self._written.clear()
        gone = self._drop_gone(self._not_read(written))
        if self._milvus.is_lite:
            self._milvus.ask(
                f"flushing {self._name!r}",
                lambda client, limit: client.flush(self._name, timeout=limit),
            )
        return gone

    def _not_read(self, keys: Keys) -> Keys:
        """Those of the keys that reading the collection does not bring up: they may be gone.

        ``keys`` ascend, each once.
        """
        if len(keys) * FEW <= self._target.profile.rows:
            return keys
        self._cuts = cuts_of(keys)
        read = np.zeros(len(keys), np.bool_)
        whole = Selection(self._target.name, self._setup.selection.vector_field)
        for page in MilvusSource(self._milvus, whole).scalars((), cuts=self._cuts):
            at = np.searchsorted(keys, page.keys)
            at[at == len(keys)] = 0
            read[at[keys[at] == page.keys]] = True
        return keys[~read]

    def _drop_gone(self, keys: Keys) -> Keys:
        """Delete the labels of those of the keys that no row has, and return them."""
        gone: list[Keys] = []
        for part in in_batches(keys, SIDE_ROWS):
            here = self._target.find(keys[part])
            gone.append(keys[part][[key not in here for key in keys[part].tolist()]])
            if gone[-1].size:
                self._delete(gone[-1])
        return self._joined(gone)

    def _joined(self, parts: list[Keys]) -> Keys:
        return np.concatenate([keys_array([], self._target.profile.key), *parts])

    def _attempt(self, job: Job, rows: Int64Array) -> Exception | None:
        batch = job.batch.take(rows)
        try:
            if not (self._inserts and self._inserted(batch)):
                self._milvus.raw(partial(self._put, batch, send_columns))
        except backend_errors() as error:
            return error
        job.tally.mark(rows, RowStatus.WRITTEN)
        return None

    def _inserted(self, batch: LabelBatch) -> bool:
        """Insert the rows in one attempt. If not, they may be there: to be upserted, once each."""
        try:
            self._milvus.raw(partial(self._put, batch, insert_columns), again=False)
        except backend_errors():
            return False
        return True

    def _put(self, batch: LabelBatch, put: Put, client: Any, limit: float) -> None:
        fields, target = self._setup.fields, self._target
        batch = batch.texts_only().without(self._no_column)
        if sends_columns(client):
            columns = label_columns(batch, fields, target.profile.key, self._placeholder)
            database = self._milvus.address.database
            put(client, limit, database, self._name, columns, len(batch))
        else:
            zeros = {self._placeholder: [0.0, 0.0]}
            rows = keyed(as_rows(batch, fields, nulls=False), batch.keys, target.key)
            client.upsert(self._name, [row | zeros for row in rows], timeout=limit)

    def _delete(self, keys: Keys) -> None:
        self._load()  # 2.3.5 deletes by the smallest INT64 from a loaded collection alone
        self._milvus.ask(
            f"deleting labels in {self._name!r}",
            lambda client, limit: client.delete(
                self._name, filter=key_in(self._target.key, keys), timeout=limit
            ),
        )

    def _selected(self, keys: Keys) -> BoolArray:
        """Which of the keys the selection has, ``(m,) bool``."""
        chosen = self._setup.selection
        found: set[Key] = set()
        for part in in_batches(keys, SIDE_ROWS):
            found |= self._target.find(keys[part], chosen.where, chosen.partitions)
        return np.array([key in found for key in keys.tolist()], np.bool_)

    @property
    def _placeholder(self) -> str:
        """The vector field that servers demand, which holds zeros.

        Its name tells whose labels these are: descriptions and properties do not survive on Lite.
        """
        return labels_of(self._target.profile.identity)

    def _usable(self) -> bool:
        """Whether the side collection exists and belongs to this very collection.

        ``RefusedError`` if somebody else's collection has its name.
        """
        fields = self._milvus.ask(f"looking for {self._name!r}", self._field_names)
        if fields and not any(name.startswith(LABELS_OF) for name in fields):
            raise RefusedError(
                f"labels were to be stored in {self._name!r}, but a collection that is not of "
                "vdbcluster has this name; choose another with --label-prefix"
            )
        return self._placeholder in fields

    def _field_names(self, client: Any, limit: float) -> list[str]:
        if not client.has_collection(self._name, timeout=limit):
            return []
        found = client.describe_collection(self._name, timeout=limit)
        return [field["name"] for field in found["fields"]]

    def _load(self, wait: bool = True) -> None:
        """Load the side collection; indexes first, some servers take none once it is loaded."""
        if is_loaded(self._milvus, self._name):
            return
        self._milvus.ask(f"indexing {self._name!r}", self._index_placeholder)
        index_labels(self._milvus, self._name, self._setup.fields.cluster_id, wait=False)
        self._milvus.ask(
            f"loading {self._name!r}",
            lambda client, limit: client.load_collection(
                self._name, timeout=limit, sync=wait, _async=not wait
            ),
        )

    def _index_placeholder(self, client: Any, limit: float) -> None:
        if client.list_indexes(self._name, field_name=self._placeholder):
            return
        index = client.prepare_index_params()
        index.add_index(self._placeholder, index_type="FLAT", metric_type="L2")
        client.create_index(self._name, index, timeout=limit, sync=False)  # loading waits for it

    def _create(self, client: Any, limit: float) -> None:
        if client.has_collection(self._name, timeout=limit):
            client.drop_collection(self._name, timeout=limit)
        profile, fields = self._target.profile, self._setup.fields
        schema = side_schema(client, profile, fields, self._placeholder)
        client.create_collection(self._name, schema=schema, timeout=limit)
