"""Which cluster of the last run each new one is, and the catalogue that keeps what they are.

In: what a run found, the labels and the catalogue that are stored. Out: ``Identity``: the clusters
as they are to be written, with stable ids; then the catalogue to store.
Promise: no I/O; names, marks of people and the history of an id go with it, what people merged
stays merged, retired ids stay in the catalogue, so that they are never given again.

    identity = identified(found, stored, held, margin=settings.cluster.hold)
    plan = plan_labels(rows, identity.clustering, stored, run_id, ids=identity.ids)
    catalogue = described(found, identity, held, run_id=..., now=..., collection=...)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from vdbcluster.matching import lineage, match
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, ClusterState, json_text
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.labels import LabelBatch
from vdbcluster.model.matching import BEGINS, Event, EventKind, Former, Matching, Previous
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.aligned import stored_ids
from vdbcluster.pipeline.catalogue import Middle, Points, entries_of, middles
from vdbcluster.pipeline.folding import Folded, fold, steadied
from vdbcluster.pipeline.read import positions

_NO_ROWS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a run found: clusters ``0 .. c - 1`` of ``rows``, how stable each is, ``(c,)``.

    ``points``: the rows as the collection holds them; ``graph``: the one that was searched.
    """

    rows: Rows
    points: Points
    graph: NeighborGraph
    clustering: Clustering
    stability: Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """The clusters as they are to be written: ``clustering``, their ``ids`` and ``stability (c,)``.

    Fewer than were found where people merged some. ``matching``: of those that were found, with the
    events of what is written; ``kept``: rows on borders that stay where they were.
    """

    clustering: Clustering
    ids: Int64Array
    stability: Float64Array
    matching: Matching
    kept: int
    folded: Folded
    middle: Middle | None
    """Of ``clustering``, where it had to be found already."""

    @property
    def labels(self) -> Int64Array:
        """Stable ids of the rows, ``(n,)``, -1 for noise."""
        labels: Int64Array = np.append(self.ids, -1)[self.clustering.labels]
        return labels


def identified(
    found: Found, stored: Sequence[LabelBatch], held: Catalogue | None, *, margin: float = 0.0
) -> Identity:
    """Match with what is stored; ``held`` is None where there is no catalogue of this selection.

    ``margin``: see ``matching.steady``; 0 writes every row as it was found.
    """
    previous = previous_of(found.rows, stored, held)
    middle = None
    if previous.centroids is not None and found.clustering.n_clusters:
        middle = middles(found.points, found.clustering)
    matching = match(
        previous, found.clustering.labels, centroids=middle.centroids if middle else None
    )
    folded = fold(found.clustering, found.stability, matching)
    final, kept = steadied(folded.clustering, folded.ids, previous, found.graph, margin=margin)
    events = lineage(previous, np.append(folded.ids, -1)[final.labels])
    return Identity(
        clustering=final,
        ids=folded.ids,
        stability=folded.stability,
        matching=replace(matching, events=events),
        kept=kept,
        folded=folded,
        middle=middle if final is found.clustering else None,
    )


def previous_of(rows: Rows, stored: Sequence[LabelBatch], held: Catalogue | None) -> Previous:
    """The last clustering, seen from ``rows``.

    Ids that rows have and no entry tells of are live too: a run was ended after it had written
    labels and before it had written its catalogue, and what it began the next one finishes.
    """
    labels, labelled = stored_ids(rows.keys, stored)
    if held is None:
        return Previous.of(labels, ~labelled)
    live = held.live
    merged = [entry for entry in held.entries if entry.merged_into is not None]
    retired = np.array([e.id for e in held.entries if not e.live], np.int64)
    ended = np.isin(labels, retired) & ~np.isin(labels, [entry.id for entry in merged])
    untold, counts = _untold(labels[labelled], held)
    ids = np.append(np.array([entry.id for entry in live], np.int64), untold)
    order = np.argsort(ids)
    exemplars = [*(_rows_of(entry, rows) for entry in live), *[_NO_ROWS] * len(untold)]
    return Previous(
        labels=labels,
        absent=~labelled | ended,
        ids=ids[order],
        sizes=np.append(np.array([entry.size for entry in live], np.int64), counts)[order],
        pinned=np.append([entry.pinned for entry in live], np.zeros(len(untold)))[order] > 0,
        centroids=None if len(untold) else _centroids(live),
        exemplars=tuple(exemplars[i] for i in order),
        retired=retired,
        next_id=max(held.next_id, int(labels.max(initial=-1)) + 1),
        aliases=held.heirs(),
        former=tuple(Former(e.id, _rows_of(e, rows), e.centroid) for e in merged),
    )


def _untold(labels: Int64Array, held: Catalogue) -> tuple[Int64Array, Int64Array]:
    """Ids that rows have and no entry tells of, and how many rows."""
    ids, counts = np.unique(labels[labels >= 0], return_counts=True)
    untold = ~np.isin(ids, [entry.id for entry in held.entries])
    return ids[untold], counts[untold]


def _centroids(live: Sequence[CatalogueEntry]) -> Float32Array | None:
    found = [entry.centroid for entry in live if entry.centroid is not None]
    return np.stack(found) if found and len(found) == len(live) else None


def _rows_of(entry: CatalogueEntry, rows: Rows) -> Int64Array:
    """Positions of the exemplars that are still there, the medoid among them."""
    keys = np.empty(1 + len(entry.exemplar_keys), rows.keys.dtype)
    keys[:] = [entry.medoid_key, *entry.exemplar_keys]
    at = np.unique(positions(keys, rows.keys))
    return at[at >= 0]


def described(
    found: Found,
    identity: Identity,
    held: Catalogue | None,
    *,
    run_id: str,
    now: datetime,
    collection: str,
) -> Catalogue:
    """The catalogue to store; ``collection``: the identity of the collection."""

    def entries(
        clustering: Clustering, stability: Float64Array, ids: Int64Array, middle: Middle | None
    ) -> Catalogue:
        return entries_of(
            found.rows.keys,
            found.points,
            clustering,
            stability,
            {},
            run_id=run_id,
            now=now,
            identity=collection,
            ids=ids,
            middle=middle,
        )

    clusters = entries(identity.clustering, identity.stability, identity.ids, identity.middle)
    merged: list[CatalogueEntry] = []
    if (parts := identity.folded.parts) is not None:
        unmeasured = np.full(parts.n_clusters, np.nan)
        again = entries(parts, unmeasured, identity.folded.part_ids, None)
        heirs = {
            int(part): int(heir)
            for part, heir in zip(identity.folded.part_ids, identity.folded.part_of, strict=True)
        }
        merged = [
            replace(entry, state=ClusterState.MERGED, merged_into=heirs[entry.id])
            for entry in again.entries
        ]
    return renewed(clusters.having(merged), held, identity.matching.events)


def renewed(found: Catalogue, held: Catalogue | None, events: Sequence[Event]) -> Catalogue:
    """``found`` with what was known of its clusters, and those that ended as retired."""
    before: Mapping[int, CatalogueEntry] = {e.id: e for e in held.entries} if held else {}
    told: dict[int, list[Event]] = {}
    for event in events:
        if event.kind != EventKind.UNCHANGED:
            told.setdefault(event.id, []).append(event)
    entries = [
        _carried(entry, before.get(entry.id), told.get(entry.id, []), found.run_id)
        for entry in found.entries
    ]
    there = {entry.id for entry in entries}
    entries += [
        _retired(entry, told.get(entry.id, []), found.run_id)
        for entry in before.values()
        if entry.id not in there
    ]
    ordered = sorted(entries, key=lambda entry: entry.id)
    return Catalogue(tuple(ordered), found.run_id, found.identity)


def _carried(
    new: CatalogueEntry, old: CatalogueEntry | None, events: Sequence[Event], run_id: str
) -> CatalogueEntry:
    if old is None:
        # A run that could not write its catalogue has written the label; no event tells of that.
        if not {event.kind for event in events} & set(BEGINS):
            events = [Event(EventKind.BORN, new.id, 0, new.size, 0)]
        return replace(new, lineage=_lineage("[]", events, run_id))
    return replace(
        new,
        name=old.name or new.name,
        description=old.description or new.description,
        keywords=old.keywords or new.keywords,
        pinned=old.pinned,
        hidden=old.hidden,
        first_run=old.first_run,
        first_seen=old.first_seen,
        lineage=_lineage(old.lineage, events, run_id),
    )


def _retired(old: CatalogueEntry, events: Sequence[Event], run_id: str) -> CatalogueEntry:
    if not old.live:
        return old
    return replace(old, state=ClusterState.RETIRED, lineage=_lineage(old.lineage, events, run_id))


def _lineage(before: str, events: Sequence[Event], run_id: str) -> str:
    told = [{"run": run_id} | event.to_json() for event in events]
    return json_text([*json.loads(before), *told])
