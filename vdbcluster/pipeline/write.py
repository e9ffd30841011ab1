"""Write a plan through a sink, read it back, mend once, and report every row.

In: ``LabelPlan``, ``LabelSink``, by choice other processes that write (``pipeline.write_shards``).
Out: ``WriteReport``.
Promise: only rows that the plan calls changed are sent; what reads back differently is sent once
more, and what still differs is counted, never hidden. Interrupted anywhere, a new plan against
what is then stored finishes the job. Rows go by partition and key; the report of several processes
is that of one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vdbcluster.model.arrays import BoolArray, Int8Array, Int32Array, Int64Array, Keys
from vdbcluster.model.labels import LabelBatch, LabelPlan, RowStatus, WriteOutcome, WriteReport
from vdbcluster.pipeline.beside import beside
from vdbcluster.pipeline.plan import same_labels
from vdbcluster.pipeline.read import positions
from vdbcluster.pipeline.write_shards import BATCH_ROWS, Elsewhere, PlanPart, cut
from vdbcluster.ports import LabelSink, Observer, VectorSource

UNTOUCHED = 0


def write_labels(
    plan: LabelPlan,
    sink: LabelSink,
    source: VectorSource,
    observer: Observer,
    *,
    left_out: int = 0,
    partial: bool = False,
    elsewhere: Elsewhere | None = None,
) -> WriteReport:
    """Send, verify, mend once; see the module for what is promised.

    ``left_out``: rows that were read but cannot be clustered, and so are not in the plan.
    ``partial``: the plan covers only some rows of the selection, so labels of others are theirs to
    keep, and rows without one are not counted. ``elsewhere``: other processes that write the rows;
    all that is done once is done here.
    """
    count = _nothing if partial else source.count
    keys = plan.new.keys if partial else None
    writing = _Writing(plan, sink, elsewhere)
    writing.write(plan.changed, observer, "write")
    found = _read_back(plan, sink, count, observer, keys)
    mend = writing.wrong(found)
    if mend.any():
        writing.write(mend, observer, "write again")
        found = _read_back(plan, sink, count, observer, keys)
    if partial:
        return writing.report(found, found.labelled, left_out)
    removed = sum(sink.remove(batch) for batch in found.strangers)
    return writing.report(found, found.labelled - removed, left_out)


def _nothing() -> int:
    return 0


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


Act = Callable[[Int64Array, str], WriteOutcome]
"""Sends some rows of one partition; one status for each."""


class Sending:
    """Rows on their way to the sink, partition by partition.

    ``status (n,) int8``: what became of each row, 0 while it was not sent; ``messages``: all
    different ones; ``seconds`` and ``paused``: see ``WriteReport``. In: the keys ``(n,)`` and where
    their rows are.
    """

    def __init__(
        self, keys: Keys, partition_of: Int32Array, partitions: tuple[str, ...], sink: LabelSink
    ) -> None:
        self._keys, self._partition_of, self._partitions = keys, partition_of, partitions
        self._sink = sink
        self.status: Int8Array = np.full(len(keys), UNTOUCHED, np.int8)
        self.messages: list[str] = []
        self.seconds = self.paused = 0.0

    def send(self, acts: Sequence[tuple[BoolArray, Act]], observer: Observer, stage: str) -> None:
        """Do each act to its rows, in batches of one partition; finish once. Nothing if no rows."""
        rows = sum(int(np.count_nonzero(which)) for which, _ in acts)
        if not rows:
            return
        self._sink.prepare()
        with observer.stage(stage, rows) as progress:
            began = time.monotonic()
            for which, act in acts:
                for batch, partition in self.parts(which, BATCH_ROWS):
                    self.took(batch, act(batch, partition))
                    progress.advance(batch.shape[0])
            self.seconds += time.monotonic() - began
            self.finish()

    def parts(self, which: BoolArray, rows: int) -> Iterator[tuple[Int64Array, str]]:
        """See ``cut``."""
        return cut(which, self._partition_of, self._partitions, rows)

    def took(self, rows: Int64Array, outcome: WriteOutcome) -> None:
        """Note what became of some rows."""
        self.status[rows] = outcome.status
        self.paused += outcome.paused
        if outcome.message and outcome.message not in self.messages:
            self.messages.append(outcome.message)

    def finish(self, also: Keys | None = None) -> None:
        """See ``LabelSink.finish``; rows that turn out to be gone are marked."""
        gone = positions(self._sink.finish(also), self._keys)
        self.status[gone[gone >= 0]] = RowStatus.VANISHED

    def count(self, status: int, which: BoolArray | None = None) -> int:
        """Rows of this status, among ``which``."""
        found = self.status == status
        return int(np.count_nonzero(found if which is None else found & which))


class _Writing(Sending):
    """The rows of a plan."""

    def __init__(self, plan: LabelPlan, sink: LabelSink, elsewhere: Elsewhere | None) -> None:
        super().__init__(plan.new.keys, plan.partition_of, plan.partitions, sink)
        self._act: Act = lambda rows, place: sink.write(plan.new.take(rows), place)
        self._labels, self._elsewhere = plan.new, elsewhere

    def write(self, which: BoolArray, observer: Observer, stage: str) -> None:
        if self._elsewhere is None:
            self.send([(which, self._act)], observer, stage)
        elif which.any():
            self._send_elsewhere(self._elsewhere, which, observer, stage)

    def _send_elsewhere(
        self, elsewhere: Elsewhere, which: BoolArray, observer: Observer, stage: str
    ) -> None:
        """As ``send``; what is done once is done here."""
        self._sink.prepare()
        rows = int(np.count_nonzero(which))
        with observer.stage(stage, rows) as progress:
            began = time.monotonic()
            cuts = list(self.parts(which, elsewhere.part_rows))
            parts = [PlanPart(self._labels.take(at), partition) for at, partition in cuts]
            outcomes = elsewhere.write(parts, progress.advance)
            for (at, _), outcome in zip(cuts, outcomes, strict=True):
                self.took(at, outcome)
            self.seconds += time.monotonic() - began
            self.finish(self._labels.keys[which])

    def wrong(self, found: _Found) -> BoolArray:
        """Rows that should have their label and do not, ``(n,) bool``."""
        expected = np.isin(self.status, (UNTOUCHED, RowStatus.WRITTEN))
        wrong: BoolArray = expected & (~found.present | found.differing)
        return wrong

    def report(self, found: _Found, labelled: int, left_out: int) -> WriteReport:
        return WriteReport(
            written=self.count(RowStatus.WRITTEN),
            unchanged=self.count(UNTOUCHED),
            vanished=self.count(RowStatus.VANISHED),
            skipped=self.count(RowStatus.CHANGED),
            failed=self.count(RowStatus.FAILED),
            unlabelled=max(0, found.counted - left_out - labelled),
            mismatched=int(np.count_nonzero(self.wrong(found))),
            messages=tuple(self.messages),
            seconds=round(self.seconds, 3),
            paused=round(self.paused, 3),
        )


def _read_back(
    plan: LabelPlan,
    sink: LabelSink,
    count: Callable[[], int],
    observer: Observer,
    keys: Keys | None,
) -> _Found:
    """Read all labels, or those of ``keys``, and beside that count the rows."""
    n = len(plan.new)
    present, differing = np.zeros(n, bool), np.zeros(n, bool)
    strangers: list[LabelBatch] = []
    with beside(count) as counted, observer.stage("verify", n) as progress:
        for batch in sink.stored(keys):
            at = positions(batch.keys, plan.new.keys)
            known = at >= 0
            if not known.all():
                strangers.append(batch.take(~known))
            at = at[known]
            present[at] = True
            differing[at] = ~same_labels(plan.new.take(at), batch.take(known))
            progress.advance(batch.keys.shape[0])
    return _Found(present, differing, strangers, counted.result())
