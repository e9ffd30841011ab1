"""Smoothing of the neighbour graph: distances from what two rows have in common around them.

In: a ``NeighborGraph``. Out: a ``NeighborGraph`` on the same edges with other distances.
Promise: symmetric, in [0, 1], ties in order of row position; no vectors needed, O(n k^2) time.

Shared nearest neighbours (Jarvis and Patrick 1973; Ertoz, Steinbach and Kumar 2003) even out
differences of density, which in raw embeddings drown the clusters.
"""

from __future__ import annotations

import numba
import numpy as np

from vdbcluster.graph.by_rows import row_blocks
from vdbcluster.graph.chebyshev import Told
from vdbcluster.graph.measure import select
from vdbcluster.graph.spectral import CUT, spectral_neighbors
from vdbcluster.model.arrays import Allocate, Int32Array
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.model.params import Smooth

SHARED = "shared-neighbors"


def smoothed(
    graph: NeighborGraph,
    how: Smooth,
    seed: int = 0,
    cut: float | None = None,
    *,
    empty: Allocate = np.empty,
    told: Told | None = None,
) -> NeighborGraph:
    """The graph with the distances that ``how`` asks for.

    ``seed`` is for those that draw lots, ``cut`` and ``told`` for ``spectral``
    (``graph.spectral``); the graph that is returned lies where ``empty`` says.
    """
    if how == "spectral":
        return spectral_neighbors(graph, seed, CUT if cut is None else cut, empty=empty, told=told)
    return shared_neighbors(graph, empty=empty) if how == SHARED else graph


def shared_neighbors(graph: NeighborGraph, *, empty: Allocate = np.empty) -> NeighborGraph:
    """The same edges at distance ``1 - |N(i) and N(j)| / k``, metric ``shared-neighbors``.

    k is the largest number of neighbours that any row has. Rows are sorted anew by the new
    distance. Float32 values are exact quotients rounded once, so equal overlaps tie exactly.
    """
    k = int((graph.indices != PADDING).sum(axis=1).max(initial=0))
    indices = empty(graph.indices.shape, np.int32)
    distances = empty(graph.indices.shape, np.float32)

    def work(rows: slice) -> None:
        overlap = _overlaps(graph.indices, rows.start, rows.stop)
        apart = ((k - overlap) / max(k, 1)).astype(np.float32)
        indices[rows], distances[rows] = select(graph.indices[rows], apart, graph.n_neighbors)

    with row_blocks(graph.n_rows) as blocks:
        blocks.each(work)
    return NeighborGraph(indices, distances, SHARED)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _overlaps(indices: Int32Array, start: int, stop: int) -> Int32Array:
    """Neighbours that rows ``start .. stop - 1`` share with each of their neighbours."""
    n, k = indices.shape
    seen_by = np.full(n, -1, np.int32)
    overlap = np.zeros((stop - start, k), np.int32)
    for i in range(start, stop):
        for t in range(k):
            if indices[i, t] >= 0:
                seen_by[indices[i, t]] = i
        for t in range(k):
            j = indices[i, t]
            if j < 0:
                continue
            count = 0
            for u in range(k):
                other = indices[j, u]
                if other >= 0 and seen_by[other] == i:
                    count += 1
            overlap[i - start, t] = count
    return overlap
