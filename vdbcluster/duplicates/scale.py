"""How far apart rows usually are, and how near is too near for chance.

In: ``NeighborGraph``. Out: for each row the dimension of the data around it and a threshold; the
distance that is usual everywhere.
Promise: all in proportion to the distances themselves, so that nothing depends on their unit; only
the farther half of each list is looked at, so that near copies in the nearer one decide nothing.

How near is too near follows from the dimension of the data around a row: if the ``outside``-th
neighbour lies at s, chance puts ``outside * r**dimension`` rows within ``r * s``. Where that is at
most ``chance``, a row so near is there for a reason. In 2 dimensions this r is 0.01, in 10 about
0.4, in 20 about 0.65.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.graph.exact import ROUNDING
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array
from vdbcluster.model.neighbors import NeighborGraph


def inverse_dimensions(graph: NeighborGraph) -> Float64Array:
    """One over the intrinsic dimension around each row, ``(n,)``; NaN where nothing tells it.

    The maximum likelihood estimate of Levina and Bickel (2004) on the neighbours of rank h to k,
    h = k / 2, whose logs of distances have the mean that order statistics of uniform volumes have.
    One row's is off by a fifth to a half: take the median of many.
    """
    count, half = _ranks(graph)
    rank = np.arange(1, graph.n_neighbors + 1)
    inner = (rank >= half[:, None]) & (rank < count[:, None])
    last = _at_rank(graph, count)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(inner, np.log(last[:, None] / graph.distances), 0.0).sum(axis=1)
        own = logs / _expected_logs(graph.n_neighbors)[half, count]
    return np.where(np.isfinite(own), own, np.nan)


def usual_distance(graph: NeighborGraph, inverse: Float64Array, outside: int) -> float:
    """The median over rows of the distance to the ``outside``-th neighbour, NaN if unknown.

    Told from the neighbour in the middle of the list, by the dimension.
    """
    _, half = _ranks(graph)
    middle = _at_rank(graph, half)
    known = middle > 0
    if not known.any():
        return float("nan")
    ratio = outside / half[known]
    return float(np.median(middle[known] * ratio ** np.nan_to_num(inverse[known])))


def thresholds(inverse: Float64Array, chance: float, outside: int, most: float) -> Float64Array:
    """Within which share of the usual distance chance puts ``chance`` rows, ``(n,)``.

    At most ``most``, which holds too where the dimension is not known.
    """
    return np.minimum(most, (chance / outside) ** np.nan_to_num(inverse))


def rounding_floor(points: Float32Array) -> float:
    """Distances below it are rounding: points that are equal but for their last bits."""
    longest = np.square(points, dtype=np.float64).sum(axis=1).max(initial=0)
    return float(16 * ROUNDING * np.sqrt(longest))


def _ranks(graph: NeighborGraph) -> tuple[Int64Array, Int64Array]:
    """How many neighbours each row has, and the rank in the middle of them, at least 1."""
    count = np.count_nonzero(np.isfinite(graph.distances), axis=1)
    return count, np.maximum(1, count // 2)


def _at_rank(graph: NeighborGraph, rank: Int64Array) -> Float64Array:
    """The distance to the neighbour of this rank, ``(n,)``, NaN where there is none."""
    if not graph.n_neighbors:
        return np.full(graph.n_rows, np.nan)
    found = graph.distances[np.arange(graph.n_rows), np.maximum(rank, 1) - 1].astype(np.float64)
    return np.where((rank > 0) & np.isfinite(found), found, np.nan)


def _expected_logs(most: int) -> Float64Array:
    """By lowest and last rank: the sum of log distances to the last in one dimension, expected.

    Of k - 1 uniform volumes below that of rank k, each step from rank l to l + 1 takes 1 / l.
    """
    expected = np.zeros((most + 1, most + 1))
    for low in range(1, most + 1):
        rank = np.arange(low, most)
        expected[low, low + 1 :] = np.cumsum((rank - low + 1) / rank)
    return expected
