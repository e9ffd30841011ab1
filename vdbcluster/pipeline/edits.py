"""What people do to clusters: name, describe, pin, hide, merge, take apart.

In: a cluster id, a ``ClusterCatalogue``. Out: the entry as it is then; of a merge what was written.
Promise: an edit changes the entries that it names and nothing else; ids that are not there, or not
any more, are one ``UsageError``. Made twice it is as made once, so that a ``merge`` that was
interrupted is finished by the same again.

    change_entry(catalogue, 7, named("Late deliveries"))
    merge_clusters(outlets, observer, 9, 7, run_id=..., settings=..., versions=..., places=...)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Int32Array, Keys
from vdbcluster.model.catalogue import (
    DESCRIPTION_BYTES,
    NAME_BYTES,
    Catalogue,
    CatalogueEntry,
    ClusterState,
    json_text,
)
from vdbcluster.model.labels import LabelBatch, LabelPlan, WriteReport
from vdbcluster.model.lines import one_line
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.matching import EventKind, Part
from vdbcluster.pipeline.adapters import Outlets
from vdbcluster.pipeline.journal import Journal
from vdbcluster.pipeline.paths import free_numbers, moved
from vdbcluster.pipeline.plan import compared
from vdbcluster.pipeline.record import catalogue_arrays, plan_arrays
from vdbcluster.pipeline.write import write_labels
from vdbcluster.ports import Observer
from vdbcluster.ports.catalogue import Change, ClusterCatalogue, no_catalogue

UNMERGED = "unmerged"
"""Kind of an event in the lineage, beside those of ``EventKind``: people took it out again."""
Edit = Callable[[CatalogueEntry], CatalogueEntry]
Places = Callable[[Keys], tuple[Int32Array, tuple[str, ...]]]
"""Of some rows: which of the partitions each is in, and the partitions."""


def named(name: str) -> Edit:
    """Its name from now on; the empty one leaves naming to the next run that names clusters.

    Raises ``UsageError`` for one of several lines or of more than ``NAME_BYTES``.
    """
    if name != one_line(name, max(1, len(name))):
        raise UsageError(f"a name is one line of plain text, not {name!r}")
    return _text("name", name, NAME_BYTES)


def described_as(text: str) -> Edit:
    """As ``named``, and may have several lines."""
    return _text("description", text, DESCRIPTION_BYTES)


def _text(field: str, text: str, limit: int) -> Edit:
    if (size := len(text.encode("utf-8", "replace"))) > limit:
        raise UsageError(f"the {field} has {size:,} bytes; there is room for {limit:,}")
    if field == "name":
        return lambda entry: replace(entry, name=text)
    return lambda entry: replace(entry, description=text)


def pinned(value: bool) -> Edit:
    return lambda entry: replace(entry, pinned=value)


def hidden(value: bool) -> Edit:
    return lambda entry: replace(entry, hidden=value)


def change_entry(catalogue: ClusterCatalogue, cluster: int, edit: Edit) -> CatalogueEntry:
    """Edit one live cluster. Raises ``UsageError`` if there is none of this id."""

    def change(held: Catalogue) -> tuple[CatalogueEntry, ...]:
        return (edit(live_entry(held, cluster)),)

    return live_entry(catalogue.edit(change), cluster)


def entry_of(held: Catalogue, cluster: int) -> CatalogueEntry:
    """The entry of any state. ``UsageError`` if the id was never given."""
    entry = held.get(cluster)
    if entry is None:
        raise UsageError(f"there is no cluster {cluster}; vdbcluster clusters list shows them")
    return entry


def live_entry(held: Catalogue, cluster: int) -> CatalogueEntry:
    """``UsageError`` if the id is of no cluster, or of one that is retired or merged."""
    entry = entry_of(held, cluster)
    if entry.state == ClusterState.MERGED:
        raise UsageError(
            f"cluster {cluster} was merged into {entry.merged_into}; edit that one, or take it out "
            f"with vdbcluster clusters unmerge {cluster}"
        )
    if not entry.live:
        raise UsageError(
            f"cluster {cluster} is retired: run {entry.last_run or 'unknown'} was the last to find "
            "it, and no row has its id"
        )
    return entry


def merging(cluster: int, into: int) -> Change:
    """The entries of both once ``cluster`` is merged ``into`` another; none if it is already."""

    def change(held: Catalogue) -> tuple[CatalogueEntry, ...]:
        if cluster == into:
            raise UsageError(f"cluster {cluster} cannot be merged into itself")
        home, part = live_entry(held, into), entry_of(held, cluster)
        if part.merged_into == into:
            return ()
        part = live_entry(held, cluster)
        shared = Part(into, part.size, 1.0)
        gone = _event(EventKind.MERGED_INTO, part, after=0, parts=[asdict(shared)])
        both = home.size + part.size
        parts = [asdict(Part(e.id, e.size, e.size / max(1, both))) for e in (home, part)]
        joined = _event(EventKind.MERGED_FROM, home, after=both, parts=parts)
        return (
            replace(part, state=ClusterState.MERGED, merged_into=into, lineage=_with(part, gone)),
            replace(home, size=both, lineage=_with(home, joined)),
        )

    return change


def unmerge(catalogue: ClusterCatalogue, cluster: int) -> CatalogueEntry:
    """Let a merged cluster come back: live, with no rows until the next run finds it.

    Its rows keep the id that they have until then. Raises ``UsageError`` if it is not merged.
    """

    def change(held: Catalogue) -> tuple[CatalogueEntry, ...]:
        entry = entry_of(held, cluster)
        if entry.live and entry.size == 0:
            return ()
        if entry.state != ClusterState.MERGED:
            raise UsageError(f"cluster {cluster} is {entry.state}, not merged into another")
        lineage = _with(entry, _event(UNMERGED, entry, after=0, parts=[]))
        live = replace(entry, state=ClusterState.LIVE, merged_into=None, size=0, lineage=lineage)
        return (live,)

    return entry_of(catalogue.edit(change), cluster)


def _event(
    kind: str, entry: CatalogueEntry, *, after: int, parts: list[dict[str, object]]
) -> dict[str, object]:
    """As ``Event.to_json``; not a run said it, but ``people``."""
    kept = after if after == 0 else entry.size
    return {
        "run": "people",
        "kind": str(kind),
        "id": entry.id,
        "before": entry.size,
        "after": after,
        "kept": kept,
        "parts": parts,
    }


def _with(entry: CatalogueEntry, event: dict[str, object]) -> str:
    return json_text([*json.loads(entry.lineage), event])


@dataclass(frozen=True, slots=True)
class Merged:
    """``entry``: that of the cluster that is left; ``rows``: those that were to be written."""

    manifest: RunManifest
    entry: CatalogueEntry
    rows: int
    report: WriteReport


def merge_clusters(
    outlets: Outlets,
    observer: Observer,
    journal: Journal,
    cluster: int,
    into: int,
    places: Places,
) -> Merged:
    """Give the rows of ``cluster`` the id ``into``, and keep it in the catalogue as merged.

    First the catalogue says so, in one step for both entries, then the labels are written: if that
    is interrupted, the same again or the next run finishes it. ``journal``: of a run of its own,
    by which it can be rolled back. Raises ``UsageError`` where there is no catalogue, or one of the
    two is not live.
    """
    if outlets.catalogue is None:
        raise UsageError("no catalogue of clusters is kept of this selection; nothing to merge in")
    sink, catalogue = outlets.sink.result(), outlets.catalogue()
    before, change = catalogue.read(), merging(cluster, into)
    if before is None:
        raise no_catalogue(outlets.profile.name)
    after = before.having(change(before))
    free = free_numbers(journal.runs.every(), journal.begun).get(str(into), 0)
    plan = relabelling(list(sink.stored()), cluster, into, journal.run_id, places, free)
    journal.runs.save_arrays(journal.run_id, plan_arrays(plan))
    journal.runs.save_arrays(journal.run_id, catalogue_arrays(before, after), "catalogue")
    journal.facts["merge"] = {"cluster": cluster, "into": into, "rows": len(plan.new)}
    journal.facts["way"] = asdict(sink.way)
    journal.record("writing")
    with journal.timed("catalogue"):
        held = catalogue.edit(change)
    with journal.timed("write"):
        report = write_labels(plan, sink, outlets.source, observer, partial=True)
    journal.facts["write"] = asdict(report)
    return Merged(journal.record("written"), entry_of(held, into), len(plan.new), report)


def relabelling(
    stored: Sequence[LabelBatch],
    cluster: int,
    into: int,
    run_id: str,
    places: Places,
    free: int = 0,
) -> LabelPlan:
    """The rows that have the label ``cluster``, as they are and with ``into`` in its place.

    What lies in it gets paths in the other one, with numbers from ``free`` on. Where no row has a
    path none is written: there may be no room for any.
    """
    mine = [batch.keys[batch.cluster_id == cluster] for batch in stored]
    keys = np.unique(np.concatenate(mine)) if mine else np.empty(0, np.int64)
    partition_of, partitions = places(keys)
    plan = compared(LabelBatch.blank(keys), partition_of, partitions, stored)
    n = len(keys)
    new = replace(
        plan.old.texts_only().without(plan.old.lacking()),
        cluster_id=np.full(n, into, np.int64),
        run_ids=np.full(n, run_id, object),
        path=None if plan.old.path is None else moved(plan.old, stored, into, free),
    )
    return replace(plan, new=new, changed=np.ones(n, np.bool_))
