"""The rows that show what a cluster is, so that few texts need to be fetched and read.

In: points, labels; probabilities and distances to neighbours, where there are any. Out: for each
cluster its ``Representatives``, places of rows. Promise: every place is of a member, each once in a
list; rows that are one another's copies count once; deterministic, ties by the smaller place;
memory of (n, d).

    shown = representatives(points, labels, clustering.probabilities, graph.distances, n=5)
    shown[7].medoid, shown[7].border
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.explain.centroids import (
    NO_SIBLING,
    Clusters,
    centroids,
    clusters,
    directions,
    siblings,
)
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.members import members_of

CORE = 0.5
"""Share of a cluster, the surest members, among which diverse ones are sought."""
SAME = 1 - 1e-5
"""From this cosine two rows are copies."""


@dataclass(frozen=True, slots=True, eq=False)
class Representatives:
    """Places of rows, ``int64``, the best first; lists are shorter where a cluster is small.

    ``medoid``: the member with the least mean squared distance to the others. ``central``: those
    nearest the centroid, of which it is the first. ``dense``: those with the nearest neighbours.
    ``diverse``: the medoid, and members of the core as far from one another as can be. ``border``:
    those that lean most to ``sibling``, the label of the nearest cluster (-1 if there is none).
    """

    medoid: int
    central: Int64Array
    dense: Int64Array
    diverse: Int64Array
    border: Int64Array
    sibling: int


def representatives(
    points: Float32Array,
    labels: Int64Array,
    probabilities: Float64Array | Float32Array | None = None,
    distances: Float32Array | None = None,
    *,
    n: int = 5,
) -> dict[int, Representatives]:
    """Of each cluster by its label, ascending.

    ``points (n, d)``, compared by direction with their mean taken out; ``labels (n,)``, -1 noise;
    ``probabilities (n,)`` in [0, 1]: how surely a row is a member, by default how near the centroid
    it is; ``distances (n, k)`` to the nearest neighbours, ascending, +inf where there are fewer;
    without them ``dense`` are the surest. Raises ``ValueError`` where lengths differ.
    """
    for name, given in (
        ("labels", labels),
        ("probabilities", probabilities),
        ("distances", distances),
    ):
        if given is not None and len(given) != len(points):
            raise ValueError(f"{len(points)} points and {len(given)} {name}")
    found = clusters(labels)
    if not len(found):
        return {}
    rows = directions(points)
    centers = centroids(found, rows)
    beside = siblings(centers)[:, 0]
    nearness = _nearness(found, rows, centers)
    surely = nearness if probabilities is None else np.asarray(probabilities, np.float64)
    tight = -surely if distances is None else _spread(distances)
    shown = {}
    for c, (label, members) in enumerate(zip(found.ids, members_of(found.places), strict=True)):
        own = rows[members]
        by_center = np.lexsort((members, -nearness[members]))
        by_surety = np.lexsort((members, -nearness[members], -surely[members]))
        by_density = np.lexsort((members, -nearness[members], tight[members]))
        sibling = beside[c]
        shown[int(label)] = Representatives(
            int(members[by_center[0]]),
            members[_unlike(own, by_center, n)],
            members[_unlike(own, by_density, n)],
            members[_spread_out(own, by_center[0], by_surety[: _core(len(members), n)], n)],
            members[_border(own, members, centers, (c, int(sibling)), n)],
            NOISE if sibling == NO_SIBLING else int(found.ids[sibling]),
        )
    return shown


def _nearness(found: Clusters, rows: Float32Array, centers: Float32Array) -> Float64Array:
    """Cosine of each row with its centroid, ``(n,)``; 0 for noise."""
    near = np.einsum("ij,ij->i", rows, centers[found.places], dtype=np.float64)
    return np.where(found.places >= 0, near, 0.0)


def _spread(distances: Float32Array) -> Float64Array:
    """Mean distance to the neighbours that there are; a row without any comes last."""
    there = np.isfinite(distances)
    total = np.where(there, distances, 0).sum(axis=1, dtype=np.float64)
    return np.where(there.any(axis=1), total / np.maximum(1, there.sum(axis=1)), np.inf)


def _core(size: int, n: int) -> int:
    return max(n, int(np.ceil(CORE * size)))


def _unlike(rows: Float32Array, order: Int64Array, n: int) -> Int64Array:
    """The first ``n`` in that order, without copies of those taken."""
    taken: list[int] = []
    for place in order:
        if len(taken) == n:
            break
        if not taken or float((rows[taken] @ rows[place]).max()) < SAME:
            taken.append(int(place))
    return np.asarray(taken, np.int64)


def _spread_out(rows: Float32Array, start: int, among: Int64Array, n: int) -> Int64Array:
    """Farthest-point traversal (Gonzalez 1985) from ``start``; stops where only copies are left."""
    chosen = [int(start)]
    nearest = rows[among] @ rows[start]
    nearest[among == start] = 1
    while len(chosen) < n and nearest.min(initial=1) < SAME:
        best = int(np.argmin(nearest))
        chosen.append(int(among[best]))
        nearest = np.maximum(nearest, rows[among] @ rows[chosen[-1]])
        nearest[best] = 1  # a row at the mean has no direction, and is not like itself
    return np.asarray(chosen, np.int64)


def _border(
    rows: Float32Array,
    members: Int64Array,
    centers: Float32Array,
    pair: tuple[int, int],
    n: int,
) -> Int64Array:
    own, sibling = pair
    if sibling == NO_SIBLING:
        return np.empty(0, np.int64)
    margin = rows @ (centers[own] - centers[sibling])
    return _unlike(rows, np.lexsort((members, margin)), n)
