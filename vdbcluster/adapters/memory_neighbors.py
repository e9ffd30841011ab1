"""Neighbours by comparing every pair: ``NeighborSearch`` over plain arrays of a few thousand rows.

In: vectors ``(n, d)`` and a metric. Out: the nearest of each row. Promise: exact, whatever the
rounding; no row is its own neighbour.

    BruteForceSearch(vectors).search(np.arange(len(vectors)), 15)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Float32Array, Float64Array, Int32Array, Int64Array


class BruteForceSearch:
    """Exact neighbours by comparing every pair, in blocks of rows; O(n^2 d) time.

    ``metric``: ``euclidean``, ``chord`` (euclidean between normalised vectors) or ``angular``
    (radians). Identical rows are at exactly 0; ties are ordered by position.
    """

    exact = True
    measured = False
    _BLOCK_CELLS = 4_000_000

    def __init__(self, vectors: npt.ArrayLike, metric: str = "euclidean") -> None:
        if metric not in ("euclidean", "chord", "angular"):
            raise UsageError(f"metric {metric!r} is not euclidean, chord or angular")
        self._metric = metric
        points = np.asarray(vectors, np.float64)
        if metric != "euclidean":
            norms = np.linalg.norm(points, axis=1, keepdims=True)
            points = points / np.where(norms == 0, 1.0, norms)
        self._points: Float64Array = points
        self._squares: Float64Array = np.einsum("ij,ij->i", points, points)

    @property
    def description(self) -> str:
        return "brute force in memory, exact"

    @property
    def metric(self) -> str:
        return self._metric

    def search(self, which: Int64Array, n_neighbors: int) -> tuple[Int32Array, Float32Array]:
        """See ``ports.NeighborSearch``."""
        which = np.asarray(which, np.int64)
        indices = np.full((len(which), n_neighbors), -1, np.int32)
        distances = np.full((len(which), n_neighbors), np.inf, np.float32)
        found = min(n_neighbors, len(self._points) - 1)
        block = max(1, self._BLOCK_CELLS // max(1, len(self._points)))
        for begin in range(0, len(which) if found > 0 else 0, block):
            rows = which[begin : begin + block]
            rough = self._rough(rows)
            for i, row in enumerate(rows):
                near, exact = self._nearest(int(row), rough[i], found)
                indices[begin + i, :found], distances[begin + i, :found] = near, exact
        return indices, distances

    def _rough(self, rows: Int64Array) -> Float64Array:
        """Squared distances to all points, off by rounding; self is infinitely far."""
        dots = self._points[rows] @ self._points.T
        rough: Float64Array = self._squares[rows, None] + self._squares[None, :] - 2.0 * dots
        rough[np.arange(len(rows)), rows] = np.inf
        return rough

    def _nearest(self, row: int, rough: Float64Array, k: int) -> tuple[Int64Array, Float64Array]:
        """The k nearest, measured again by differences, so that identical rows are at 0."""
        # Slack for rounding, and for all that float32 will not tell apart from the k-th.
        kth = max(float(np.partition(rough, k - 1)[k - 1]), 0.0)
        slack = 1e-12 * float(self._squares.max() + 1.0) + 1e-6 * kth
        candidates = np.flatnonzero(rough <= kth + slack)
        exact = np.linalg.norm(self._points[candidates] - self._points[row], axis=1)
        if self._metric == "angular":
            exact = 2.0 * np.arcsin(np.minimum(exact / 2.0, 1.0))
        # Compared as they are returned: what float32 cannot tell apart is a tie.
        order = np.lexsort((candidates, exact.astype(np.float32)))[:k]
        return candidates[order], exact[order]
