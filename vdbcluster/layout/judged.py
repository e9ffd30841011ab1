"""How true a map is to the vectors, and how far rows moved from one map to the next.

In: vectors or points of rows, NaN for rows without a place. Out: numbers between 0 and 1, and
shares of the radius of the map. Promise: exact ranks for the rows drawn; the same seed, the
same number; O(sample n d) time, memory for some rows at a time.

    trustworthiness(vectors, points, k=15)     # Venna and Kaski 2001
    movement(before, after).median
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.layout.align import aligned, placed, radius
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array

_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Movement:
    """Of rows with a place on both maps, in shares of the radius of the first one.

    ``still``: share of the rows that moved by no more than 3 % of it.
    """

    rows: int
    median: float
    mean: float
    still: float


def movement(before: Float32Array, after: Float32Array, *, turned: bool = False) -> Movement:
    """``before``, ``after (n, d)``. ``turned``: once ``after`` is turned onto ``before``."""
    if turned:
        after = aligned(after, before)
    both = placed(before) & placed(after)
    size = radius(before)
    if not both.any() or size <= 0:
        return Movement(int(both.sum()), 0.0, 0.0, 1.0)
    apart = np.linalg.norm(after[both].astype(np.float64) - before[both], axis=1) / size
    return Movement(
        int(both.sum()), float(np.median(apart)), float(apart.mean()), float(np.mean(apart <= 0.03))
    )


def trustworthiness(
    vectors: Float32Array, points: Float32Array, k: int = 15, *, sample: int = 1000, seed: int = 0
) -> float:
    """1 where the k nearest on the map are the k nearest of all, about 0.5 for a map by lot.

    ``vectors (n, d)``: near by Euclidean distance; for cosine, of unit length. Over ``sample`` rows
    drawn by lot, among all rows with a place. Raises ``ValueError`` unless 2 k < n.
    """
    there = np.flatnonzero(placed(points))
    n = len(there)
    if not 0 < 2 * k < n:
        raise ValueError(f"{n} rows with a place are too few for {k} neighbours")
    high, low = vectors[there].astype(np.float32), points[there].astype(np.float32)
    drawn = np.sort(np.random.default_rng(seed).permutation(n)[:sample])
    worst = sum(
        _intruders(high, low, drawn[at : at + _BLOCK], k) for at in range(0, len(drawn), _BLOCK)
    )
    return 1.0 - 2.0 * worst / (len(drawn) * k * (2 * n - 3 * k - 1))


def _intruders(high: Float32Array, low: Float32Array, rows: Int64Array, k: int) -> float:
    """Ranks beyond k, in ``high``, of the k nearest in ``low``, summed."""
    far = _squared(high, rows)
    near = np.argpartition(_squared(low, rows), k - 1, axis=1)[:, :k]
    told = np.take_along_axis(far, near, axis=1)
    ranks = np.stack([(far < told[:, [j]]).sum(axis=1) + 1 for j in range(k)], axis=1)
    return float(np.maximum(ranks - k, 0).sum())


def _squared(points: Float32Array, rows: Int64Array) -> Float64Array:
    """Squared distances of some rows to all, ``(m, n)``; to themselves infinite."""
    some = points[rows]
    found = (points**2).sum(axis=1)[None, :] - 2.0 * (some @ points.T)
    found[np.arange(len(rows)), rows] = np.inf
    return np.asarray(found)
