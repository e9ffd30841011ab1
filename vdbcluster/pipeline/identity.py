"""Which cluster of the last run each new one is, and the catalogue that keeps what they are.

In: rows, clustering, the labels and the catalogue that are stored. Out: ``Matching``; the catalogue
to store. Promise: no I/O; names, marks of people and the history of an id go with it, retired ids
stay in the catalogue, so that they are never given again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from vdbcluster.matching import match
from vdbcluster.model.arrays import Float32Array, Int64Array
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, ClusterState, json_text
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.labels import LabelBatch
from vdbcluster.model.matching import Event, EventKind, Matching, Previous
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.catalogue import Points, middles
from vdbcluster.pipeline.read import positions


def matched(
    rows: Rows,
    clustering: Clustering,
    stored: Sequence[LabelBatch],
    held: Catalogue | None,
    points: Points,
) -> Matching:
    """Stable ids of the clusters; ``held`` is None where there is no catalogue of this selection.

    ``points``: the rows as the collection holds them.
    """
    previous = _previous(rows, stored, held)
    centroids = None
    if previous.centroids is not None and clustering.n_clusters:
        centroids = middles(points, clustering).centroids
    return match(previous, clustering.labels, centroids=centroids)


def _previous(rows: Rows, stored: Sequence[LabelBatch], held: Catalogue | None) -> Previous:
    n = len(rows)
    labels, absent = np.full(n, -1, np.int64), np.ones(n, np.bool_)
    for batch in stored:
        at = positions(batch.keys, rows.keys)
        known = at >= 0
        labels[at[known]] = batch.cluster_id[known]
        absent[at[known]] = False
    if held is None:
        return Previous.of(labels, absent)
    live = held.live
    unlisted = ~absent & (labels >= 0) & ~np.isin(labels, [entry.id for entry in live])
    return Previous(
        labels=labels,
        absent=absent | unlisted,
        ids=np.array([entry.id for entry in live], np.int64),
        sizes=np.array([entry.size for entry in live], np.int64),
        pinned=np.array([entry.pinned for entry in live], np.bool_),
        centroids=_centroids(live),
        exemplars=tuple(_rows_of(entry, rows) for entry in live),
        retired=np.array([e.id for e in held.entries if not e.live], np.int64),
        next_id=max(held.next_id, int(labels.max(initial=-1)) + 1),
    )


def _centroids(live: Sequence[CatalogueEntry]) -> Float32Array | None:
    found = [entry.centroid for entry in live if entry.centroid is not None]
    return np.stack(found) if found and len(found) == len(live) else None


def _rows_of(entry: CatalogueEntry, rows: Rows) -> Int64Array:
    """Positions of the exemplars that are still there, the medoid among them."""
    keys = np.empty(1 + len(entry.exemplar_keys), rows.keys.dtype)
    keys[:] = [entry.medoid_key, *entry.exemplar_keys]
    at = np.unique(positions(keys, rows.keys))
    return at[at >= 0]


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
