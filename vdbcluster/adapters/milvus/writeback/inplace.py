"""What the ways that write into the rows themselves have in common.

In: ``InPlace``. Out: a base that reads stored labels, cuts batches, flushes once and makes the
scalar index. Promise: see ``ports.LabelSink``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus.decode import keys_array
from vdbcluster.adapters.milvus.expressions import in_batches
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.adapters.milvus.writeback.duplicates import duplicated, message
from vdbcluster.adapters.milvus.writeback.fields import Schema
from vdbcluster.adapters.milvus.writeback.index import index_labels
from vdbcluster.adapters.milvus.writeback.rows import (
    as_labels,
    as_rows,
    blank_rows,
    refuse_foreign,
)
from vdbcluster.adapters.milvus.writeback.tally import Job, Tally
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Int64Array, Keys
from vdbcluster.model.labels import LabelBatch, RowStatus, WriteOutcome, WriteWay


@dataclass(frozen=True, slots=True)
class InPlace:
    """``unique_keys``: the backend itself keeps keys unique, so that nobody has to count.

    ``index_kind``: the scalar index that a loaded collection can be given without harm, if any.
    """

    target: Target
    selection: Selection
    schema: Schema
    way: WriteWay
    batch_rows: int
    unique_keys: bool
    index_kind: str | None = None
    adopt: bool = False


class InPlaceSink(ABC):
    """A ``LabelSink`` but for how one batch is sent."""

    def __init__(self, setup: InPlace) -> None:
        self._setup = setup
        self._target = setup.target
        self._fields = setup.schema.fields
        self._untouched = True  # by this sink

    @property
    def way(self) -> WriteWay:
        return self._setup.way

    def stored(self, keys: Keys | None = None) -> Iterator[LabelBatch]:
        """Labels of the selection; ``RefusedError`` at a value that no run of ours has left."""
        if not self._labels_readable():
            return
        self._target.check()
        if self._untouched and self._bare():
            return
        source = MilvusSource(self._target.milvus, self._setup.selection)
        # Once we have written, no value is foreign that was none before.
        fields = self._fields if self._untouched else replace(self._fields, unwritten=())
        for page in source.scalars(self._readable(), keys):
            if not self._setup.adopt:
                refuse_foreign(page, fields, self._target.name)
            batch = as_labels(page, self._fields)
            if len(batch):
                yield batch

    def _readable(self) -> tuple[str, ...]:
        """Our fields that rows can hold now, those of earlier runs and versions among them."""
        return self._setup.schema.readable

    def _labels_readable(self) -> bool:
        return {self._fields.cluster_id, self._fields.run_id} <= set(self._readable())

    def _bare(self) -> bool:
        """Whether no row has a dynamic key of ours, by one short query instead of a whole pass.

        In Lite alone: ``exists`` finds a value of any type there, and a pass is slow.
        """
        if self._setup.schema.declared or not self._target.milvus.is_lite:
            return False
        where = " or ".join(f"(exists {name})" for name in self._setup.schema.loose)
        return self._target.has_none(where)

    def reserved(self) -> AbstractContextManager[None]:
        """Nothing: the rows are the user's."""
        return nullcontext()

    def prepare(self) -> None:
        self._target.check()

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        """See ``ports.LabelSink``."""
        return self._put(Job(batch, partition, Tally(len(batch))))

    def erase(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        """See ``ports.LabelSink``."""
        return self._put(Job(batch, partition, Tally(len(batch)), erase=True))

    def _put(self, job: Job) -> WriteOutcome:
        self._check_room(job.batch)
        self._target.check()
        self._untouched = False
        for part in in_batches(job.batch.keys, self._setup.batch_rows):
            self._send(job, np.arange(len(job.batch))[part])
        return job.tally.outcome()

    def _labels(self, job: Job, rows: Int64Array) -> list[dict[str, Any]]:
        """What our fields are to hold in some rows of the job; None is nothing.

        A column that must hold something holds what stands for nothing there.
        """
        batch, empty = job.batch.take(rows), self._setup.schema.empty
        found = blank_rows(batch, self._fields) if job.erase else as_rows(batch, self._fields)
        for row in found if empty else ():
            row |= {name: empty[name] for name in row if row[name] is None and name in empty}
        return found

    def _check_room(self, batch: LabelBatch) -> None:
        for name in (self._fields.name(which) for which, _ in batch.columns()):
            if name not in self._fields.names and name not in self._setup.schema.readable:
                raise UsageError(
                    f"there is no room for {name!r} in {self._target.name!r}; make the sink with "
                    "LabelFields(extras=...)"
                )

    @abstractmethod
    def _send(self, job: Job, rows: Int64Array) -> None:
        """Write some rows of the job, mark what became of each."""

    def _sendable(self, job: Job, rows: Int64Array) -> Int64Array:
        """Rows that are there, and whose key is theirs alone; the others are marked.

        In this order: a row that is gone and a key that is double cancel out in a count.
        """
        return self._without_duplicates(job, self._present(job, rows))

    def _present(self, job: Job, rows: Int64Array) -> Int64Array:
        if not rows.size:
            return rows
        held = self._target.present(job.batch.keys[rows], job.partition)
        return job.keep(rows, held, otherwise=RowStatus.VANISHED)

    def _without_duplicates(self, job: Job, rows: Int64Array) -> Int64Array:
        """Leave out rows, all of them present, whose key another row has as well."""
        if self._setup.unique_keys:
            return rows
        keys = job.batch.keys[rows].tolist()
        twice = duplicated(self._target, keys)
        if twice:
            bad = np.array([key in twice for key in keys], np.bool_)
            job.tally.mark(rows[bad], RowStatus.FAILED, message(twice))
            rows = rows[~bad]
        return rows

    def remove(self, batch: LabelBatch) -> int:  # noqa: ARG002 - labels go with their rows
        return 0

    def finish(self, also: Keys | None = None) -> Keys:
        """Flush once; a scalar index on the label, where it is a column."""
        target = self._target
        self._untouched &= also is None or not also.size
        target.milvus.ask(
            f"flushing {target.name!r}",
            lambda client, limit: client.flush(target.name, timeout=limit),
        )
        kind = self._setup.index_kind
        if kind is not None and self._fields.cluster_id in self._columns():
            index_labels(target.milvus, target.name, self._fields.cluster_id, (kind,))
        return keys_array([], target.profile.key)

    def _columns(self) -> tuple[str, ...]:
        return self._setup.schema.declared
