"""What a map shows of a run: its rows where they lie, its clusters by the names they have now.

In: members of a recorded run, their layout, catalogue, cards, texts. Out: a ``MapView``.
Promise: nothing is read here; names, pins and hidden marks are the catalogue's; rows of a cluster
that people merged go by the id that they have now; a cluster without any row is not on the map.

    view = map_view(manifest, members, layout, catalogue, explanation, texts=texts)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Float32Array, Int64Array, Keys
from vdbcluster.model.cards import Card, Explanation
from vdbcluster.model.catalogue import Catalogue, RowKey
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.maps import MapCluster, MapLayout, MapView
from vdbcluster.pages.map_places import stand
from vdbcluster.pipeline.members import Members
from vdbcluster.pipeline.paths import families

Texts = Sequence[str | None]


def map_view(
    manifest: RunManifest,
    members: Members,
    layout: MapLayout,
    catalogue: Catalogue | None,
    explanation: Explanation,
    *,
    texts: Texts | None,
    images: Texts | None = None,
    dimensions: int = 2,
) -> MapView:
    """See the module. ``layout``, ``texts``, ``images``: aligned with ``members``.

    ``catalogue``: counts only if it is of the same collection; None has clusters go by their cards
    alone. ``explanation``: cards of this run, or none. Raises ``UsageError`` if ``dimensions`` is 3
    and the layout is flat.
    """
    points = layout.flat if dimensions == 2 else layout.space
    if points is None:
        raise UsageError("the layout is flat; lay it out with --dimensions 3")
    if catalogue is not None and catalogue.identity != manifest.identity:
        catalogue = None
    labels = _labels_now(members.labels, catalogue)
    clusters = _clusters(labels, catalogue, explanation)
    return MapView(
        title=manifest.collection,
        keys=members.keys,
        points=points,
        labels=labels,
        probability=members.labelled.probability,
        clusters=clusters,
        texts=None if texts is None else tuple(texts),
        images=None if images is None else tuple(images),
        facts=_facts(manifest, labels, len(clusters)),
        inner=_inner(members, points, explanation),
        shown=_shown(members.keys, labels, explanation),
    )


def _labels_now(labels: Int64Array, catalogue: Catalogue | None) -> Int64Array:
    heirs = {} if catalogue is None else catalogue.heirs()
    now = labels.copy()
    for merged, heir in heirs.items():
        now[labels == merged] = heir
    return now


def _clusters(
    labels: Int64Array, catalogue: Catalogue | None, explanation: Explanation
) -> tuple[MapCluster, ...]:
    ids, sizes = np.unique(labels[labels != NOISE], return_counts=True)
    made = [
        _cluster(int(i), int(size), catalogue, explanation.get(int(i)))
        for i, size in zip(ids, sizes, strict=True)
    ]
    return tuple(sorted(made, key=lambda one: (-one.size, one.id)))


def _cluster(cluster: int, size: int, catalogue: Catalogue | None, card: Card | None) -> MapCluster:
    """What the catalogue says comes first; the card fills in what it is silent about."""
    told = _of_card(MapCluster(cluster, size), card)
    entry = None if catalogue is None else catalogue.get(cluster)
    if entry is None:
        return told
    return replace(
        told,
        name=entry.name or told.name,
        description=entry.description or told.description,
        keywords=entry.keywords or told.keywords,
        pinned=entry.pinned,
        hidden=entry.hidden,
    )


def _of_card(one: MapCluster, card: Card | None) -> MapCluster:
    if card is None:
        return one
    said = card.commentary
    return replace(
        one,
        name=said.name if said else "",
        description=said.description if said else "",
        keywords=card.terms,
    )


def _inner(
    members: Members, points: Float32Array, explanation: Explanation
) -> tuple[MapCluster, ...]:
    """Clusters within others that have a card, where their rows are densest; largest first."""
    cards = {card.path: card for card in explanation.cards if card.path}
    if not cards or members.labelled.path is None:
        return ()
    made = []
    for path, rows in _rows_of(members).items():
        there = rows[np.isfinite(points[rows]).all(axis=1)]
        if path in cards and len(there):
            at = stand(points[there], np.zeros(len(there), np.int64), (0,))[0]
            one = MapCluster(cards[path].id, len(rows), path=path, at=at)
            made.append(_of_card(one, cards[path]))
    return tuple(sorted(made, key=lambda one: (-one.size, one.path)))


def _rows_of(members: Members) -> dict[str, Int64Array]:
    """Rows by the path of the inner cluster they are in."""
    paths = members.labelled.path
    if paths is None:
        return {}
    found = [family.members.items() for family in families(paths)]
    return {path: rows for family in found for path, rows in family}


def _shown(keys: Keys, labels: Int64Array, explanation: Explanation) -> dict[int, tuple[int, ...]]:
    """Rows that show a cluster, of those that are still in it."""
    place: dict[RowKey, int] = {key: row for row, key in enumerate(keys.tolist())}
    found = {}
    for card in explanation.cards:
        if card.path or card.representatives is None:
            continue
        told = card.representatives
        rows = [told.medoid, *told.diverse, *told.central, *told.dense]
        there = dict.fromkeys(place[row.key] for row in rows if row.key in place)
        found[card.id] = tuple(row for row in there if labels[row] == card.id)
    return found


def _facts(manifest: RunManifest, labels: Int64Array, clusters: int) -> dict[str, str]:
    noise = int((labels == NOISE).sum())
    return {
        "rows": f"{len(labels):,}",
        "clusters": f"{clusters:,}",
        "noise": f"{noise / max(1, len(labels)):.1%}",
        "run": manifest.run_id,
        "date": manifest.started[:10],
    }
