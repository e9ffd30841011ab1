"""Write a plan through a sink, read it back, mend once, and report every row.

In: ``LabelPlan``, ``LabelSink``. Out: ``WriteReport``.
Promise: only rows that the plan calls changed are sent; what reads back differently is sent once
more, and what still differs is counted, never hidden. Interrupted anywhere, a new plan against
what is then stored finishes the job.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vdbcluster.model.arrays import BoolArray, Int8Array, Int64Array
from vdbcluster.model.labels import LabelBatch, LabelPlan, RowStatus, WriteReport
from vdbcluster.pipeline.plan import same_labels
from vdbcluster.pipeline.read import positions
from vdbcluster.ports import LabelSink, Observer, VectorSource

UNTOUCHED = 0
BATCH_ROWS = 8192
"""Rows handed to the sink at once; it cuts them as its way of writing wants them."""


def write_labels(
    plan: LabelPlan,
    sink: LabelSink,
    source: VectorSource,
    observer: Observer,
    *,
    left_out: int = 0,
) -> WriteReport:
    """Send, verify, mend once; see the module for what is promised.

    ``left_out``: rows that were read but cannot be clustered, and so are not in the plan.
    """
    writing = _Writing(plan, sink)
    to_send = np.flatnonzero(plan.changed)
    if to_send.size:
        sink.prepare()
        writing.send(to_send, observer, "write")
        sink.finish()
    present, differing, stale = _verify(plan, sink, observer)
    expected = np.isin(writing.status, (UNTOUCHED, RowStatus.WRITTEN))
    mend = np.flatnonzero(expected & (~present | differing))
    if mend.size:
        sink.prepare()
        writing.send(mend, observer, "write again")
        sink.finish()
        present, differing, stale = _verify(plan, sink, observer)
    removed = sum(sink.remove(batch) for batch in stale)
    return writing.report(source.count() - left_out, present, differing, len_of(stale) - removed)


@dataclass
class _Writing:
    plan: LabelPlan
    sink: LabelSink
    status: Int8Array = field(init=False)
    messages: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.status = np.full(len(self.plan.new), UNTOUCHED, np.int8)

    def send(self, which: Int64Array, observer: Observer, stage: str) -> None:
        """Send rows partition by partition, in batches of one partition each."""
        with observer.stage(stage, which.shape[0]) as progress:
            for code, partition in enumerate(self.plan.partitions):
                mine = which[self.plan.partition_of[which] == code]
                for start in range(0, mine.shape[0], BATCH_ROWS):
                    rows = mine[start : start + BATCH_ROWS]
                    outcome = self.sink.write(self.plan.new.take(rows), partition)
                    self.status[rows] = outcome.status
                    if outcome.message and outcome.message not in self.messages:
                        self.messages.append(outcome.message)
                    progress.advance(rows.shape[0])

    def report(
        self, counted: int, present: BoolArray, differing: BoolArray, foreign: int
    ) -> WriteReport:
        def tally(status: int) -> int:
            return int(np.count_nonzero(self.status == status))

        expected = np.isin(self.status, (UNTOUCHED, RowStatus.WRITTEN))
        labelled = int(np.count_nonzero(present)) + foreign
        return WriteReport(
            written=tally(RowStatus.WRITTEN),
            unchanged=tally(UNTOUCHED),
            vanished=tally(RowStatus.VANISHED),
            skipped=tally(RowStatus.CHANGED),
            failed=tally(RowStatus.FAILED),
            unlabelled=max(0, counted - labelled),
            mismatched=int(np.count_nonzero(expected & (~present | differing))),
            messages=tuple(self.messages),
        )


def _verify(
    plan: LabelPlan, sink: LabelSink, observer: Observer
) -> tuple[BoolArray, BoolArray, list[LabelBatch]]:
    """Read all labels back: rows with one, rows that differ, labels of rows not in the plan."""
    n = len(plan.new)
    present, differing = np.zeros(n, bool), np.zeros(n, bool)
    strangers: list[LabelBatch] = []
    with observer.stage("verify", n) as progress:
        for batch in sink.stored():
            at = positions(batch.keys, plan.new.keys)
            known = at >= 0
            if not known.all():
                strangers.append(batch.take(~known))
            at = at[known]
            present[at] = True
            differing[at] = ~same_labels(plan.new.take(at), batch.take(known))
            progress.advance(batch.keys.shape[0])
    return present, differing, strangers


def len_of(batches: list[LabelBatch]) -> int:
    """Rows in all batches."""
    return sum(len(batch) for batch in batches)
