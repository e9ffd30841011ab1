"""Pairs of clusters whose centroids lie together, on the scale that the old clusters set.

In: old and new centroids, which of each may be paired. Out: pairs.
Promise: a new centroid is paired with no old one but its nearest, and only within ``reach`` of the
distance from that to the nearest other old one; an old one takes the nearest of those new. One old
cluster alone has no such scale, and is paired with nothing.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array, Int64Array

_BLOCK_VALUES = 1 << 22  # 32 MB of float64 at a time


def nearest_pairs(
    olds: Float64Array, news: Float64Array, may_old: BoolArray, may_new: BoolArray, reach: float
) -> tuple[Int64Array, Int64Array]:
    """Positions of the pairs; ``olds (m, d)``, ``news (c, d)``, Euclidean.

    Ties go to the smaller position on both sides.
    """
    asked = np.flatnonzero(may_new)
    if len(olds) < 2 or not may_old.any() or not len(asked):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    old, distance = nearest(news[asked], olds, np.full(len(asked), -1))
    mine = np.flatnonzero(may_old[old])
    named = np.unique(old[mine])
    gap = np.zeros(len(olds))
    gap[named] = nearest(olds[named], olds, named)[1]
    mine = mine[distance[mine] <= reach * gap[old[mine]]]
    mine = mine[np.lexsort((asked[mine], distance[mine], old[mine]))]
    taken, first = np.unique(old[mine], return_index=True)
    return taken.astype(np.int64), asked[mine[first]].astype(np.int64)


def centroids_of_groups(
    centroids: Float32Array, group: Int64Array, sizes: Int64Array, n_groups: int
) -> Float64Array:
    """Of clusters that count as one, the mean by rows; ``(n_groups, d)``."""
    weights = np.maximum(sizes, 1).astype(np.float64)
    sums = np.zeros((n_groups, centroids.shape[1]))
    np.add.at(sums, group, centroids * weights[:, None])
    total: Float64Array = sums / np.bincount(group, weights, minlength=n_groups)[:, None]
    return total


def nearest(
    points: Float64Array, base: Float64Array, left_out: Int64Array
) -> tuple[Int64Array, Float64Array]:
    """The nearest of ``base`` to each point, but for the position in ``left_out`` (-1: none).

    Positions and distances, ``(p,)`` each; the first of equals.
    """
    lengths = np.einsum("ij,ij->i", base, base)
    found = np.empty(len(points), np.int64)
    squares = np.empty(len(points))
    step = max(1, _BLOCK_VALUES // len(base))
    for start in range(0, len(points), step):
        block, without = points[start : start + step], left_out[start : start + step]
        apart = lengths - 2 * (block @ base.T)
        masked = np.flatnonzero(without >= 0)
        apart[masked, without[masked]] = np.inf
        best = np.argmin(apart, axis=1)
        found[start : start + step] = best
        squares[start : start + step] = np.einsum(
            "ij,ij->i", block - base[best], block - base[best]
        )
    return found, np.sqrt(squares)
