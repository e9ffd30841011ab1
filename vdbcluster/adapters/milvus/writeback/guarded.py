"""Labels by upsert of whole rows, for servers that can do no better; only if the user agrees.

In: labels of rows of one partition. Out: what became of each row.
Promise: rows are read whole and strongly consistent right before they are sent back, byte for byte
but for our fields, to the partition they were found in; rows that are gone are not sent, nor are
rows that share their key. What remains: an update or a delete that reaches the server between that
reading and the writing is undone; it takes about 30 ms for 200 rows of 384 dimensions, and 120 ms
for 1000, which is why they go in small parts. Rows that turn out to have been touched soon after
are reported as CHANGED, so that such company is noticed.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus.errors import backend_errors, is_too_large, translate
from vdbcluster.adapters.milvus.writeback.inplace import InPlaceSink
from vdbcluster.adapters.milvus.writeback.payload import digests, keys_of, with_labels
from vdbcluster.adapters.milvus.writeback.sending import send
from vdbcluster.adapters.milvus.writeback.tally import Job
from vdbcluster.adapters.milvus.writeback.whole import whole_rows
from vdbcluster.adapters.milvus.writeback.wire import upsert_columns
from vdbcluster.model.arrays import Int64Array
from vdbcluster.model.labels import RowStatus

CHECKED_ROWS = 1000
"""Rows whose keys are counted, and which are looked at again, in one go."""
SENT_ROWS = 200
"""Rows that are read and sent back in one go."""
ATTEMPTS = 5
TOUCHED = (
    "rows were changed by somebody else while their labels were written; their change stays, but "
    "one that came a moment earlier would have been lost: stop other writers, then run again"
)

Digests = dict[Any, bytes]


class GuardedSink(InPlaceSink):
    """See the module."""

    def _send(self, job: Job, rows: Int64Array) -> None:
        for start in range(0, len(rows), CHECKED_ROWS):
            some = self._unique(job, rows[start : start + CHECKED_ROWS])
            before: Digests = {}
            attempt = partial(self._rewrite, before=before)
            for part in range(0, len(some), SENT_ROWS):
                send(job, some[part : part + SENT_ROWS], attempt, self._sendable, self._doing)
            self._look_again(job, some, before)

    @property
    def _doing(self) -> str:
        return f"rewriting rows of {self._target.name!r}"

    def _unique(self, job: Job, rows: Int64Array) -> Int64Array:
        if self._target.count(job.batch.keys[rows]) == len(rows):
            # Either each key has one row, or as many rows are gone as are double: the second case
            # shows when rows are found missing, see _rewrite.
            return rows
        return self._sendable(job, rows)

    def _rewrite(self, job: Job, rows: Int64Array, before: Digests) -> Exception | None:
        """Read and send back; after a lost answer both are done anew. ``before``: what was read."""
        for _ in range(ATTEMPTS):
            try:
                read = self._target.milvus.raw(partial(self._pass, job=job, rows=rows))
            except backend_errors() as error:
                return error
            if read is not None:
                before |= read
                job.tally.mark(rows, RowStatus.WRITTEN)
                return None
            rows = self._sendable(job, rows)
            if not rows.size:
                return None
        job.tally.mark(rows, RowStatus.CHANGED, f"{len(rows):,} rows come and go; run again")
        return None

    def _pass(self, client: Any, limit: float, job: Job, rows: Int64Array) -> Digests | None:
        """Digests of the rows as read; None if some are not there, and then nothing is written."""
        target = self._target
        keys = job.batch.keys[rows]
        found = whole_rows(client, limit, target, keys, job.partition)
        position = {key: i for i, key in enumerate(keys.tolist())}
        order = [position[key] for key in keys_of(found, target.key)] if found else []
        if len(order) < len(rows):
            return None
        labels = self._labels(job, rows[np.array(order, np.int64)])
        columns = with_labels(found, labels, self._setup.schema.declared)
        upsert_columns(client, limit, target, columns, len(order), job.partition)
        return digests(found, target.key, self._setup.schema.readable)

    def _look_again(self, job: Job, rows: Int64Array, before: Digests) -> None:
        """Mark rows that are gone, or hold other foreign values, since they were read."""
        written = np.array([key in before for key in job.batch.keys[rows].tolist()], np.bool_)
        rows = rows[written]
        if not rows.size:
            return
        keys, target = job.batch.keys[rows], self._target
        try:
            found = target.milvus.raw(
                lambda client, limit: whole_rows(client, limit, target, keys, job.partition)
            )
        except backend_errors() as error:
            if not is_too_large(error) or len(rows) == 1:
                raise translate(error, self._doing) from error
            self._look_again(job, rows[: len(rows) // 2], before)
            self._look_again(job, rows[len(rows) // 2 :], before)
            return
        after = digests(found, target.key, self._setup.schema.readable)
        rows = job.keep(rows, set(after), otherwise=RowStatus.VANISHED)
        touched = [after[key] != before[key] for key in job.batch.keys[rows].tolist()]
        rows = rows[np.array(touched, np.bool_)]
        if rows.size:
            job.tally.mark(rows, RowStatus.CHANGED, f"{len(rows):,} {TOUCHED}")
