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
from vdbcluster.pipeline.beside import beside
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
    writing.send(np.flatnonzero(plan.changed), observer, "write")
    found = _read_back(plan, sink, source, observer)
    mend = np.flatnonzero(writing.wrong(found))
    if mend.size:
        writing.send(mend, observer, "write again")
        found = _read_back(plan, sink, source, observer)
    removed = sum(sink.remove(batch) for batch in found.strangers)
    return writing.report(found, found.labelled - removed, left_out)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What is stored: rows of the plan with a label and those whose label differs, ``(n,) bool``.

    ``strangers``: labels of rows that are not in the plan. ``counted``: rows that there are.
    """

    present: BoolArray
    differing: BoolArray
    strangers: list[LabelBatch]
    counted: int

    @property
    def labelled(self) -> int:
        return int(np.count_nonzero(self.present)) + sum(len(batch) for batch in self.strangers)


@dataclass
class _Writing:
    plan: LabelPlan
    sink: LabelSink
    status: Int8Array = field(init=False)
    messages: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.status = np.full(len(self.plan.new), UNTOUCHED, np.int8)

    def send(self, which: Int64Array, observer: Observer, stage: str) -> None:
        """Send rows partition by partition, in batches of one partition each; nothing if none."""
        if not which.size:
            return
        self.sink.prepare()
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
            gone = positions(self.sink.finish(), self.plan.new.keys)
            self.status[gone[gone >= 0]] = RowStatus.VANISHED

    def wrong(self, found: _Found) -> BoolArray:
        """Rows that should have their label and do not, ``(n,) bool``."""
        expected = np.isin(self.status, (UNTOUCHED, RowStatus.WRITTEN))
        wrong: BoolArray = expected & (~found.present | found.differing)
        return wrong

    def report(self, found: _Found, labelled: int, left_out: int) -> WriteReport:
        def tally(status: int) -> int:
            return int(np.count_nonzero(self.status == status))

        return WriteReport(
            written=tally(RowStatus.WRITTEN),
            unchanged=tally(UNTOUCHED),
            vanished=tally(RowStatus.VANISHED),
            skipped=tally(RowStatus.CHANGED),
            failed=tally(RowStatus.FAILED),
            unlabelled=max(0, found.counted - left_out - labelled),
            mismatched=int(np.count_nonzero(self.wrong(found))),
            messages=tuple(self.messages),
        )


def _read_back(
    plan: LabelPlan, sink: LabelSink, source: VectorSource, observer: Observer
) -> _Found:
    """Read all labels, and beside that count the rows."""
    n = len(plan.new)
    present, differing = np.zeros(n, bool), np.zeros(n, bool)
    strangers: list[LabelBatch] = []
    with beside(source.count) as counted, observer.stage("verify", n) as progress:
        for batch in sink.stored():
            at = positions(batch.keys, plan.new.keys)
            known = at >= 0
            if not known.all():
                strangers.append(batch.take(~known))
            at = at[known]
            present[at] = True
            differing[at] = ~same_labels(plan.new.take(at), batch.take(known))
            progress.advance(batch.keys.shape[0])
    return _Found(present, differing, strangers, counted.result())
