"""Spectral smoothing of the neighbour graph: distances between slow random walks.

In: a ``NeighborGraph``. Out: a ``NeighborGraph`` on the same edges with other distances.
Promise: no vectors needed; no edge is added, so what the graph leaves apart stays infinitely far,
and is smoothed as if it were alone; the same seed gives the same result, whatever the threads.

A random walk on the graph mixes at once within a dense group and slowly between groups. The
eigenvectors that decay slowly (eigenvalue of the normalised Laplacian below the cut) tell the
groups apart; as coordinates, rows brought to unit length (Shi and Malik 2000; Ng, Jordan and Weiss
2001; Coifman and Lafon 2006), they take the noise out of the distances of raw embeddings and even
out their density. The one constant, the cut, is relative to the graph itself.

Memory beside the graph: about 16 bytes for each of its edges while they are put in order, then half
of it and, for each row, the coordinates that it may get (``coordinates_for``) and some 100 more.
"""

from __future__ import annotations

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from vdbcluster.graph.by_rows import RowBlocks, row_blocks
from vdbcluster.graph.chebyshev import Told, beginning, largest
from vdbcluster.graph.coordinates import coordinates_for
from vdbcluster.graph.measure import select
from vdbcluster.graph.walks import walks_on
from vdbcluster.model.arrays import Allocate, Float32Array, Int32Array, Int64Array
from vdbcluster.model.neighbors import NeighborGraph

SPECTRAL = "spectral"
CUT = 0.25
"""Eigenvalues of the normalised Laplacian below it count: walks that keep 3/4 of themselves."""
UNTOLD = 1e-3
"""Shorter than this beside the mean, the coordinates of a row are nothing but rounding."""


def spectral_neighbors(
    graph: NeighborGraph,
    seed: int = 0,
    cut: float = CUT,
    *,
    empty: Allocate = np.empty,
    told: Told | None = None,
) -> NeighborGraph:
    """The same edges at the chord between the coordinates of their rows, metric ``spectral``.

    Distances lie in [0, 2], ties in order of row position. ``seed`` draws the start. Rows
    are as near as can be (0) where no walk tells them apart, for instance in a graph without
    structure. ``told``: see ``graph.chebyshev``.
    """
    points = coordinates(graph, seed, cut, told)
    listed = np.asarray(graph.indices)
    indices = empty(listed.shape, np.int32)
    distances = empty(listed.shape, np.float32)

    def work(rows: slice) -> None:
        apart = np.empty(listed[rows].shape, np.float32)
        _chords(points, listed, apart, rows.start)
        indices[rows], distances[rows] = select(listed[rows], apart, graph.n_neighbors)

    with row_blocks(graph.n_rows) as blocks:
        blocks.each(work)
    return NeighborGraph(indices, distances, SPECTRAL)


def coordinates(
    graph: NeighborGraph, seed: int = 0, cut: float = CUT, told: Told | None = None
) -> Float32Array:
    """Unit vectors ``(n, m) float32``, m from 1 to ``coordinates_for(n)``: where slow walks lead.

    Edges weigh 1, or 2 where both rows found each other. The stationary directions, along which all
    rows of a connected component agree, are left out: they say nothing about the edges.
    """
    n = graph.n_rows
    if n < 4:
        return np.ones((n, 1), np.float32)
    # sums depend on the number of threads of BLAS, not on ours
    with row_blocks(n) as blocks, threadpool_limits(limits=1, user_api="blas"):
        walks, inverse = _slow(graph, blocks, seed, cut, told)
    walks *= inverse[:, None]
    length = np.sqrt(np.einsum("ij,ij->i", walks, walks))
    apart = length * np.linalg.norm(1 / inverse) > UNTOLD * np.sqrt(walks.shape[1])
    walks /= np.where(apart, length, 1)[:, None]
    walks[~apart] = np.eye(1, walks.shape[1])  # nothing tells these apart: one direction for all
    return walks


def _slow(
    graph: NeighborGraph, blocks: RowBlocks, seed: int, cut: float, told: Told | None
) -> tuple[Float32Array, Float32Array]:
    """Eigenvectors ``(n, m)`` with eigenvalues above ``1 - cut``, without the stationary ones.

    A column of ones where there is none. Also 1 over the roots of the degrees, ``(n,)``.
    """
    random = np.random.default_rng(seed)
    walks = walks_on(graph, blocks)
    inverse = walks.inverse
    block = beginning(walks, 1 - cut, random)
    order = alike_together(block)
    walks, block = walks.in_order(order), block[order]
    _, found = largest(walks, block, 1 - cut, coordinates_for(graph.n_rows), random, told)
    if not found.shape[1]:
        return np.ones((graph.n_rows, 1), np.float32), inverse
    vectors = np.empty(found.shape, np.float32)
    vectors[order] = found
    return vectors, inverse


def alike_together(side: Float32Array) -> Int64Array:
    """An order of rows by the sides of a few random planes that they are on, ``(n,)``.

    ``side (n, 32)``: random numbers, of which the slow walks are left, so rows in one group are on
    the same sides (Charikar 2002).
    """
    codes = np.packbits(side > 0, axis=1).view(">u4")[:, 0]
    return np.argsort(codes, kind="stable")


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def _chords(points: Float32Array, indices: Int32Array, apart: Float32Array, start: int) -> None:
    """Between rows from ``start`` on and those that they list; +inf where a list has ended."""
    for a in range(apart.shape[0]):
        for t in range(apart.shape[1]):
            j = indices[start + a, t]
            if j < 0:
                apart[a, t] = np.inf
                continue
            cosine = np.float32(0)
            for c in range(points.shape[1]):
                cosine += points[start + a, c] * points[j, c]
            apart[a, t] = np.sqrt(max(np.float32(0), np.float32(2) - np.float32(2) * cosine))
