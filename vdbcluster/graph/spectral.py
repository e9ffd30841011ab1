"""Spectral smoothing of the neighbour graph: distances between slow random walks.

In: a ``NeighborGraph``. Out: a ``NeighborGraph`` on the same edges with other distances.
Promise: no vectors needed; no edge is added, so what the graph leaves apart stays infinitely far,
and is smoothed as if it were alone; the same seed gives the same result, whatever the threads.

A random walk on the graph mixes at once within a dense group and slowly between groups. The
eigenvectors that decay slowly (eigenvalue of the normalised Laplacian below the cut) tell the
groups apart; as coordinates, rows brought to unit length (Shi and Malik 2000; Ng, Jordan and Weiss
2001; Coifman and Lafon 2006), they take the noise out of the distances of raw embeddings and even
out their density. The one constant, the cut, is relative to the graph itself.

Memory beside the graph, measured: 280 MB for 70,000 rows with 50 neighbours and 163 coordinates.
A third is the edges seen from both ends, the rest coordinates, which ``coordinates_for`` bounds.
"""

from __future__ import annotations

import numba
import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from vdbcluster.graph.chebyshev import largest
from vdbcluster.graph.measure import select
from vdbcluster.model.arrays import Allocate, Float32Array, Int32Array, Int64Array
from vdbcluster.model.neighbors import PADDING, NeighborGraph

SPECTRAL = "spectral"
CUT = 0.25
"""Eigenvalues of the normalised Laplacian below it count: walks that keep 3/4 of themselves."""
MOST, FEWEST = 256, 32
MOST_VALUES = 1 << 24
"""Bounds of the coordinates, see ``coordinates_for``."""
UNTOLD = 1e-3
"""Shorter than this beside the mean, the coordinates of a row are nothing but rounding."""
_BLOCK_VALUES = 1 << 22


def spectral_neighbors(
    graph: NeighborGraph, seed: int = 0, cut: float = CUT, *, empty: Allocate = np.empty
) -> NeighborGraph:
    """The same edges at the chord between the coordinates of their rows, metric ``spectral``.

    Distances lie in [0, 2], ties in order of row position. ``seed`` draws the start. Rows
    are as near as can be (0) where no walk tells them apart, for instance in a graph without
    structure.
    """
    points = coordinates(graph, seed, cut)
    indices = empty(graph.indices.shape, np.int32)
    distances = empty(graph.indices.shape, np.float32)
    step = max(1, _BLOCK_VALUES // max(1, graph.n_neighbors * points.shape[1]))
    for start in range(0, graph.n_rows, step):
        rows = slice(start, min(start + step, graph.n_rows))
        cosine = np.einsum("id,ikd->ik", points[rows], points[graph.indices[rows]])
        apart = np.sqrt(np.maximum(0, 2 - 2 * cosine), dtype=np.float32)
        indices[rows], distances[rows] = select(graph.indices[rows], apart, graph.n_neighbors)
    return NeighborGraph(indices, distances, SPECTRAL)


def coordinates_for(n: int) -> int:
    """The most coordinates that n rows get: 256 up to 65,536 rows, 167 for 100,000, 32 from
    524,288 on. Where more lie below the cut, the slowest walks are kept.
    """
    return max(1, min(MOST, max(FEWEST, MOST_VALUES // max(1, n)), n - 2))


def coordinates(graph: NeighborGraph, seed: int = 0, cut: float = CUT) -> Float32Array:
    """Unit vectors ``(n, m) float32``, m from 1 to ``coordinates_for(n)``: where slow walks lead.

    Edges weigh 1, or 2 where both rows found each other. The stationary directions, along which all
    rows of a connected component agree, are left out: they say nothing about the edges.
    """
    adjacency, root = _normalised(graph)
    with threadpool_limits(limits=1, user_api="blas"):  # sums depend on the number of threads
        walks = _slow(adjacency, root, seed, cut)
    walks /= root[:, None]
    length = np.sqrt(np.einsum("ij,ij->i", walks, walks))
    told = length * np.linalg.norm(root) > UNTOLD * np.sqrt(walks.shape[1])
    walks /= np.where(told, length, 1)[:, None]
    walks[~told] = np.eye(1, walks.shape[1])  # nothing tells these apart: one direction for all
    return walks


def _normalised(graph: NeighborGraph) -> tuple[csr_array, Float32Array]:
    """The weights over the roots of the degrees of both ends, ``(n, n) float32``; the roots."""
    counted = _both_ways(graph)
    values = counted.data.astype(np.float32)
    weights = csr_array((values, counted.indices, counted.indptr), shape=counted.shape)
    degree = np.asarray(weights.sum(axis=1), np.float32)
    root = np.sqrt(np.maximum(degree, 1e-12))  # of a row without edges any number will do
    weights.data /= root[weights.indices]
    weights.data /= np.repeat(root, np.diff(weights.indptr))
    return weights, root


def _both_ways(graph: NeighborGraph) -> csr_array:
    """How often two rows found each other, ``(n, n) int8``: a byte for each edge while they are
    sorted, the most memory that smoothing takes.
    """
    found = graph.indices != PADDING
    ends = _ends(found.sum(axis=1, dtype=np.int64))
    columns = graph.indices[found]
    ones = np.ones(columns.shape[0], np.int8)
    one_way = csr_array((ones, columns, ends), shape=(graph.n_rows, graph.n_rows))
    return csr_array(one_way + one_way.T)


def _ends(counts: Int64Array) -> Int32Array | Int64Array:
    """Where rows of so many edges begin and end, ``(n + 1,)``; int64 where int32 is too narrow."""
    ends = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
    return ends if ends[-1] > np.iinfo(np.int32).max else ends.astype(np.int32)


def _slow(adjacency: csr_array, root: Float32Array, seed: int, cut: float) -> Float32Array:
    """Eigenvectors ``(n, m)`` with eigenvalues above ``1 - cut``, without the stationary ones.

    A column of ones where there is none.
    """
    n = root.shape[0]
    if n < 4:
        return np.ones((n, 1), np.float32)
    steady = _steady(adjacency, root)
    across = csr_array(steady.T)

    def walk(block: Float32Array) -> Float32Array:
        step: Float32Array = adjacency @ block
        step -= steady @ (across @ block)
        return step

    _, vectors = largest(walk, n, 1 - cut, coordinates_for(n), seed)
    return vectors if vectors.shape[1] else np.ones((n, 1), np.float32)


def _steady(adjacency: csr_array, root: Float32Array) -> csr_array:
    """Where the walk comes to rest in each connected component: eigenvalue 1, ``(n, c)``."""
    n = root.shape[0]
    count, component = _components(adjacency.indptr, adjacency.indices)
    square = np.bincount(component, root.astype(np.float64) ** 2, minlength=count)
    share = (root / np.sqrt(square)[component]).astype(np.float32)
    return csr_array((share, component, np.arange(n + 1)), shape=(n, count))


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _components(ends: Int32Array, columns: Int32Array) -> tuple[int, Int32Array]:
    """How many connected components, and which each row is in, ``(n,)``; in the order of rows.

    ``ends``, ``columns``: those of a symmetric matrix. Nothing is copied: scipy's own makes two
    matrices of float64 of it.
    """
    n = ends.shape[0] - 1
    component = np.full(n, -1, np.int32)
    waiting = np.empty(n, np.int32)
    count = 0
    for first in range(n):
        if component[first] >= 0:
            continue
        component[first], waiting[0], left = count, first, 1
        while left > 0:
            left -= 1
            row = waiting[left]
            for e in range(ends[row], ends[row + 1]):
                other = columns[e]
                if component[other] < 0:
                    component[other] = count
                    waiting[left] = other
                    left += 1
        count += 1
    return count, component
