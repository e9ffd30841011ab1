"""The ports over plain arrays: use the library, or test the pipeline, without a database.

In: a ``MemoryCollection``, by choice a selection of its rows. Out: ``MemorySource`` (VectorSource)
and ``MemorySink`` (LabelSink); see ``memory_neighbors`` for the search. Promise: what a real
collection does to a run, these do too: a dropped collection is noticed, a row of NaN is a null
vector.

    collection = MemoryCollection(vectors)
    sink = MemorySink(collection)
    sink.write(labels, "_default")
    collection.cluster_id  # -1 is noise; valid where collection.labelled
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from vdbcluster.adapters.memory_collection import MemoryCollection, MemoryView, Where
from vdbcluster.errors import BackendError
from vdbcluster.model.arrays import Int64Array
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


class MemorySource(MemoryView):
    """A selection of a ``MemoryCollection``: by partitions and by a condition on the keys."""

    def __init__(
        self,
        collection: MemoryCollection,
        *,
        partitions: tuple[str, ...] = (),
        where: Where | None = None,
        page_rows: int = 1000,
    ) -> None:
        super().__init__(collection, partitions=partitions, where=where)
        self._page_rows = page_rows

    def profile(self) -> CollectionProfile:
        """What the collection is now."""
        held = self.collection
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
        return self.collection.identity

    def count(self) -> int:
        """Rows in the selection, null vectors included."""
        return int(np.count_nonzero(self.selected()))

    def pages(self) -> Iterator[VectorPage]:
        """All rows whose vector is not null, partition by partition, keys ascending."""
        for partition in self.partitions or self.collection.partitions:
            rows = self._rows_of(partition)
            for begin in range(0, len(rows), self._page_rows):
                self.check_identity()
                some = rows[begin : begin + self._page_rows]
                held = self.collection
                yield VectorPage(held.keys[some], held.vectors[some], partition)

    def _rows_of(self, partition: str) -> Int64Array:
        held = self.collection
        chosen = self.selected(partition)
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
        return f"no row of {self.collection.name!r} is selected" if len(self.collection) else ""

    def texts(self, keys: KeyArray, field: str) -> list[str | None]:
        """The column's value for each key; None where the row or its value is absent."""
        if field not in self.collection.columns:
            raise BackendError(f"the collection has no field {field!r}")
        values = self.collection.columns[field]
        return [values[row] if row >= 0 else None for row in self.collection.positions(keys)]

    def columns(self, keys: KeyArray, fields: Sequence[str]) -> dict[str, list[object]]:
        """See ``ports.VectorSource``; a name that is no column is a field that no row has."""
        held, selected = self.collection, self.selected()
        rows = [row if row >= 0 and selected[row] else -1 for row in held.positions(keys).tolist()]
        found: dict[str, list[object]] = {}
        for name in fields:
            values = held.columns.get(name, [None] * len(held))
            found[name] = [_plain(values[row]) if row >= 0 else None for row in rows]
        return found

    def dynamic_fields(self, keys: KeyArray) -> tuple[str, ...]:  # noqa: ARG002 - all are columns
        return ()


def _plain(value: object) -> object:
    found: object = value.item() if isinstance(value, np.generic) else value
    return found


class MemorySink(MemoryView):
    """Labels beside the rows of a ``MemoryCollection``."""

    @property
    def way(self) -> WriteWay:
        return WriteWay("memory", "the collection is held in memory", self.collection.name)

    def stored(self, keys: KeyArray | None = None) -> Iterator[LabelBatch]:
        """One batch of all labels in the selection, keys ascending; nothing if there are none."""
        held = self.collection
        rows = np.flatnonzero(held.labelled & self.selected())
        rows = rows[np.argsort(held.keys[rows], kind="stable")]
        if keys is not None:
            rows = rows[np.isin(held.keys[rows], keys)]
        if rows.size:
            found = ((label, getattr(held, label.column)[rows]) for label in LABEL_FIELDS)
            labels = {f.column: v for f, v in found if not f.optional or f.of_key or v.any()}
            yield LabelBatch(keys=held.keys[rows], **labels)

    def reserved(self) -> AbstractContextManager[None]:
        """Nothing takes long."""
        return nullcontext()

    def prepare(self) -> None:
        self.check_identity()

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        """Write the labels of rows that are in this partition; all others have VANISHED."""
        held = self.collection
        self.check_identity()
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
        self.collection.labelled[self.collection.positions(gone)] = False
        return outcome

    def remove(self, batch: LabelBatch) -> int:  # noqa: ARG002 - labels go with their rows
        return 0

    def finish(self, also: KeyArray | None = None) -> KeyArray:  # noqa: ARG002 - nothing is kept
        """Nothing to make durable; labels go with their rows."""
        return self.collection.keys[:0]
