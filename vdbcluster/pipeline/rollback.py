"""Put back the labels that were there before a run wrote its own.

In: the recorded ``LabelPlan`` of the run, the sink that it wrote through. Out: ``RollbackReport``;
the labels in the collection are those of before, the run id of each row included.
Promise: only rows that hold exactly what the run wrote are touched; a row whose label was changed
since, by a later run or by somebody, stays as it is and is counted; a row deleted since stays
deleted; a row that had no label has none afterwards. Interrupted anywhere, the same again finishes
the job. What reads back as the run left it is sent once more, and what then still does is counted.

    report = roll_back(planned(runs.load_arrays(run_id)), sink, observer)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from vdbcluster.errors import RefusedError
from vdbcluster.model.arrays import BoolArray, Int64Array
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, ClusterState
from vdbcluster.model.labels import LabelBatch, LabelPlan, RowStatus, WriteOutcome
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.adapters import Outlets
from vdbcluster.pipeline.explain_record import Said, said_by_models, unexplained
from vdbcluster.pipeline.journal import Journal
from vdbcluster.pipeline.plan import compared, same_labels
from vdbcluster.pipeline.read import check_same
from vdbcluster.pipeline.record import catalogues, planned
from vdbcluster.pipeline.write import Sending
from vdbcluster.ports import LabelSink, Observer
from vdbcluster.ports.catalogue import ClusterCatalogue

Confirm = Callable[[RunManifest], bool]


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What is to become of each row, ``(n,) bool`` each; rows that the run left alone are in none.

    ``restore``: gets its old label back; ``erase``: loses its label; ``already``: is as it was
    before the run; ``changed_since``: holds a label that is neither; ``gone``: had a label and has
    none, because it was deleted or somebody took the label away.
    """

    restore: BoolArray
    erase: BoolArray
    already: BoolArray
    changed_since: BoolArray
    gone: BoolArray

    @property
    def back(self) -> BoolArray:
        """Rows to be written."""
        return self.restore | self.erase


@dataclass(frozen=True, slots=True)
class RollbackReport:
    """Counts over the rows that the run was to write.

    ``vanished``: without a label by now, see ``Verdict.gone``, or deleted while we worked.
    ``mismatched``: still as the run left them, though they were sent twice.
    """

    restored: int = 0
    erased: int = 0
    already: int = 0
    changed_since: int = 0
    vanished: int = 0
    failed: int = 0
    mismatched: int = 0
    messages: tuple[str, ...] = field(default=())

    @property
    def clean(self) -> bool:
        """Whether no row is left that should have been put back."""
        return self.failed == 0 and self.mismatched == 0


def judge(plan: LabelPlan, now: LabelBatch, has_label: BoolArray) -> Verdict:
    """Row by row, by what is stored ``now`` (aligned with the plan, valid where ``has_label``)."""
    was = np.where(plan.had_label, has_label & _equal(plan.old, now), ~has_label)
    ours = has_label & _equal(plan.new, now) & ~was
    wrote = plan.changed
    return Verdict(
        restore=wrote & ours & plan.had_label,
        erase=wrote & ours & ~plan.had_label,
        already=wrote & was,
        changed_since=wrote & has_label & ~was & ~ours,
        gone=wrote & ~has_label & ~was,
    )


def _equal(one: LabelBatch, other: LabelBatch) -> BoolArray:
    """Equal in all that a label is, the run that wrote it included."""
    equal: BoolArray = same_labels(one, other) & (one.run_ids == other.run_ids)
    return equal


def look(plan: LabelPlan, sink: LabelSink, observer: Observer) -> Verdict:
    """Read the labels that are stored, and judge."""
    with observer.stage("compare", len(plan.new)) as progress:

        def told() -> Iterator[LabelBatch]:
            for batch in sink.stored():
                progress.advance(len(batch))
                yield batch

        now = compared(plan.new, plan.partition_of, plan.partitions, told())
    return judge(plan, now.old, now.had_label)


def foreseen(verdict: Verdict) -> RollbackReport:
    """What a rollback would do, for all that is known before."""
    return RollbackReport(
        restored=_count(verdict.restore),
        erased=_count(verdict.erase),
        already=_count(verdict.already),
        changed_since=_count(verdict.changed_since),
        vanished=_count(verdict.gone),
    )


def roll_back(
    plan: LabelPlan, sink: LabelSink, observer: Observer, verdict: Verdict | None = None
) -> RollbackReport:
    """Send, verify, mend once; see the module. ``verdict``: of ``look``, if that was asked."""
    putting = _PuttingBack(plan, sink, observer)
    first = look(plan, sink, observer) if verdict is None else verdict
    left = putting.back(first, "put back")
    if left.back.any():
        left = putting.back(left, "put back again")
    status = putting.sending.status
    vanished = first.back & left.gone | first.erase & left.already & (status == RowStatus.VANISHED)
    return RollbackReport(
        restored=_count(first.restore & left.already),
        erased=_count(first.erase & left.already & ~vanished),
        already=_count(first.already),
        changed_since=_count(left.changed_since),
        vanished=_count(first.gone) + _count(vanished),
        failed=_count(left.back & (status != RowStatus.WRITTEN)),
        mismatched=_count(left.back & (status == RowStatus.WRITTEN)),
        messages=tuple(putting.sending.messages),
    )


class _PuttingBack:
    def __init__(self, plan: LabelPlan, sink: LabelSink, observer: Observer) -> None:
        self._plan, self._sink, self._observer = plan, sink, observer
        self._before = _as_it_was(plan)
        self.sending = Sending(plan.new.keys, plan.partition_of, plan.partitions, sink)

    def back(self, verdict: Verdict, stage: str) -> Verdict:
        """Write and erase, read again, and judge by that."""
        if not verdict.back.any():
            return verdict
        acts = ((verdict.restore, self._restore), (verdict.erase, self._erase))
        self.sending.send(acts, self._observer, stage)
        return look(self._plan, self._sink, self._observer)

    def _restore(self, rows: Int64Array, partition: str) -> WriteOutcome:
        return self._sink.write(self._before.take(rows), partition)

    def _erase(self, rows: Int64Array, partition: str) -> WriteOutcome:
        return self._sink.erase(self._plan.new.take(rows), partition)


def _as_it_was(plan: LabelPlan) -> LabelBatch:
    """The old labels, and nothing in the fields that came with the run or with later versions."""
    old = plan.old.blanked(set(plan.old.lacking()) - set(plan.new.lacking()), None)
    assignment = old.assignment.copy()
    assignment[assignment == ""] = None
    return replace(old, assignment=assignment)


def _count(which: BoolArray) -> int:
    return int(np.count_nonzero(which))


def catalogue_before(before: Catalogue | None, after: Catalogue) -> Catalogue:
    """``before`` a run again, and what only the run knew as retired: its ids are never given anew.

    Where there was none before, all that the run made is retired.
    """
    known = () if before is None else before.entries
    ids = {entry.id for entry in known}
    made = [_retired(entry) for entry in after.entries if entry.id not in ids]
    entries = tuple(sorted((*known, *made), key=lambda entry: entry.id))
    return replace(after if before is None else before, entries=entries)


def _retired(entry: CatalogueEntry) -> CatalogueEntry:
    return replace(entry, state=ClusterState.RETIRED, merged_into=None)


def restore_catalogue(
    held: ClusterCatalogue,
    before: Catalogue | None,
    after: Catalogue | None,
    by_models: Said | None = None,
) -> str:
    """Put back what the clusters were; empty, or a line for the user where it was left alone.

    What people have edited since the run stays; what ``explain`` has said of its clusters goes.
    ``after``: what the run was to store; None if it left the catalogue as it was. ``by_models``:
    see ``explain_record.said_by_models``.
    """
    if after is None:
        return ""
    now = held.read()
    if now is None or now.run_id == after.run_id:
        if now is not None:
            made: Catalogue = after
            held.edit(lambda kept: unexplained(kept, made, by_models or {}))
        held.replace(catalogue_before(before, after), since=after)
    elif before is not None and now.run_id == before.run_id:
        # The run was killed before it stored its own, or a rollback after it had put this back.
        kept = catalogue_before(now, after)
        if len(kept.entries) > len(now.entries):
            held.replace(kept, since=now)
    else:
        return (
            f"{held.name!r} was left as it is: run {now.run_id} has written it since, and what it "
            "says belongs to that run"
        )
    return ""


def roll_back_run(
    outlets: Outlets,
    manifest: RunManifest,
    observer: Observer,
    *,
    dry_run: bool = False,
    confirm: Confirm = lambda _: True,
) -> RunManifest:
    """Labels, then the catalogue, then the record: the run is ``rolled-back`` once all is done.

    ``facts["rollback"]`` is the ``RollbackReport``; with ``dry_run`` the one that is foreseen, and
    nothing is written, the record neither; ``confirm`` is asked with that. Raises ``RefusedError``
    if the collection was created anew since the run, or if ``confirm`` says no.
    """
    if manifest.identity != outlets.profile.identity:
        raise RefusedError(
            f"run {manifest.run_id} labelled an earlier collection {manifest.collection!r}, which "
            "was created anew since; there is nothing to put back"
        )
    journal = Journal(outlets.runs, manifest)
    plan = planned(outlets.runs.load_arrays(manifest.run_id))
    before, after = catalogues(outlets.runs.load_arrays(manifest.run_id, "catalogue"))
    sink = outlets.sink.result()
    verdict = look(plan, sink, observer)
    journal.facts["rollback"] = asdict(foreseen(verdict))
    if dry_run:
        return journal.manifest(manifest.state)
    if not confirm(journal.manifest(manifest.state)):
        raise RefusedError("not confirmed; nothing was put back")
    check_same(outlets.source, outlets.profile)
    report = roll_back(plan, sink, observer, verdict)
    journal.facts["rollback"] = asdict(report)
    if not report.clean:
        return journal.manifest(manifest.state)
    if outlets.catalogue is not None:
        by_models = said_by_models(outlets.runs, manifest)
        if told := restore_catalogue(outlets.catalogue(), before, after, by_models):
            observer.warn(told)
    return journal.record("rolled-back")
