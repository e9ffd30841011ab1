"""Which of the rows without a cluster are a cluster that is forming.

In: ``Reference``, the pool (noise of the run and rows that no cluster took), its ``Surroundings``
among all rows. Out: labels of the pool. Promise: pure; O(p k) a round for p rows.

    members = members[kindred(kept, around, members)]      # and the same of around
    graph = pool_graph(around, members)                    # to be clustered as any other
    labels = emerging(kept, around, members, labels, jaccard, min_cluster_size)

Noise that is scattered between the clusters looks clustered once these are gone, and its clusters
are even found again in samples. What tells it from a class of its own is the whole neighbourhood:
rows of a new class are each other's neighbours, those of noise have clusters around them. So rows
that lack ``min_support`` within the pool go first, and again those that lack it without them.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.assign.reference import bounds, grouped_quantile
from vdbcluster.assign.rule import DEFAULTS
from vdbcluster.assign.votes import core_distances, labels_around, share, weights
from vdbcluster.model.arrays import BoolArray, Float64Array, Int64Array
from vdbcluster.model.assign import AssignParams, Reference, Surroundings
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.neighbors import PADDING, NeighborGraph


def kindred(
    kept: Reference,
    around: Surroundings,
    members: Int64Array,
    params: AssignParams = DEFAULTS,
) -> BoolArray:
    """The largest part of the pool whose rows have ``min_support`` within that part, ``(p,) bool``.

    ``members (p,) int64``: positions of the rows of the pool, as ``around.indices`` counts them.
    """
    around = around.nearest(kept.n_neighbors)
    weight, places = weights(around, kept.min_samples), _places(around, members)
    left = np.ones(len(members), np.bool_)
    while True:
        counted = np.append(left, False)[places]
        now = left & (share(weight, counted) >= params.min_support)
        if now.sum() == left.sum():
            return now
        left = now


def pool_graph(around: Surroundings, members: Int64Array, metric: str) -> NeighborGraph:
    """The neighbours that rows of the pool are to each other: the same pairs, fewer a row."""
    places = _places(around, members)
    left = np.where(places == PADDING, np.inf, around.distances)
    order = np.argsort(places == PADDING, axis=1, kind="stable")
    return NeighborGraph(
        np.take_along_axis(places, order, axis=1).astype(np.int32),
        np.take_along_axis(left, order, axis=1).astype(np.float32),
        metric,
    )


def emerging(
    kept: Reference,
    around: Surroundings,
    members: Int64Array,
    labels: Int64Array,
    jaccard: Float64Array,
    min_cluster_size: int,
    params: AssignParams = DEFAULTS,
) -> Int64Array:
    """Of the clusters of the pool those that are one, numbered by size, ties by first row; else -1.

    ``labels (p,)``: ``0 .. e - 1`` and -1; ``jaccard (e,)``: how well each is found again in
    samples (``quality.stability``), NaN if that is not known.

    A cluster is forming if it has ``min_cluster_size`` rows, is found again (``min_stability``),
    half of its rows have ``min_support`` within it, and half of them lie at least as dense as rows
    may that are core in the sparsest live cluster (the greatest ``inner`` bound).
    """
    around = around.nearest(kept.n_neighbors)
    e, inside = len(jaccard), labels != NOISE
    size = np.bincount(labels[inside], minlength=e)

    def median(values: np.ndarray) -> Float64Array:
        return grouped_quantile(values[inside], labels[inside], e, 0.5)

    support = median(support_within(kept, around, members, labels))
    density = median(core_distances(around, kept.min_samples))
    inner = bounds(kept, params).inner
    sparsest = inner[~np.isnan(inner)].max() if len(inner) else np.inf
    forming = (size >= min_cluster_size) & (jaccard >= params.min_stability)
    forming &= (support >= params.min_support) & (density <= sparsest)
    return _by_size(np.where(forming[labels], labels, NOISE) if e else labels, size)


def support_within(
    kept: Reference, around: Surroundings, members: Int64Array, labels: Int64Array
) -> Float64Array:
    """The share of each row's neighbourhood that has its label in the pool, ``(p,)``."""
    around = around.nearest(kept.n_neighbors)
    among = np.append(labels, NOISE)[_places(around, members)]
    own = (among == labels[:, None]) & (among != NOISE)
    return share(weights(around, kept.min_samples), own)


def _places(around: Surroundings, members: Int64Array) -> Int64Array:
    """The place of each neighbour in the pool, ``(p, k)``, -1 for those outside."""
    place = np.full(int(max(around.indices.max(initial=-1), members.max(initial=-1))) + 1, PADDING)
    place[members] = np.arange(len(members))
    return labels_around(around, place)


def _by_size(labels: Int64Array, size: Int64Array) -> Int64Array:
    found, first = np.unique(labels[labels != NOISE], return_index=True)
    number = np.full(len(size) + 1, NOISE)
    number[found[np.lexsort((first, -size[found]))]] = np.arange(len(found))
    return number[labels]
