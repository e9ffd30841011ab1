"""Spectral smoothing of the neighbour graph: distances between slow random walks.

In: a ``NeighborGraph``. Out: a ``NeighborGraph`` on the same edges with other distances.
Promise: no vectors needed; no edge is added, so what the graph leaves apart stays infinitely far;
O(n k m) time for m coordinates, at most ``MOST``.

A random walk on the graph mixes at once within a dense group and slowly between groups. The
eigenvectors that decay slowly (eigenvalue of the normalised Laplacian below ``CUT``) tell the
groups apart; as coordinates, rows brought to unit length (Shi and Malik 2000; Ng, Jordan and Weiss
2001; Coifman and Lafon 2006), they take the noise out of the distances of raw embeddings and even
out their density. The one constant, ``CUT``, is relative to the graph itself.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from vdbcluster.graph.measure import select
from vdbcluster.model.arrays import Float32Array, Float64Array
from vdbcluster.model.neighbors import PADDING, NeighborGraph

SPECTRAL = "spectral"
CUT = 0.25
"""Eigenvalues of the normalised Laplacian below it count: walks that keep 3/4 of themselves."""
FIRST, MOST = 24, 256
"""Eigenvectors asked for at first, and at most."""
TOLERANCE = 1e-3
_BLOCK_ROWS = 4096


def spectral_neighbors(graph: NeighborGraph, seed: int = 0) -> NeighborGraph:
    """The same edges at the chord between the coordinates of their rows, metric ``spectral``.

    Distances lie in [0, 2], ties in order of row position. ``seed`` draws the start vector. Rows
    are as near as can be (0) where no walk tells them apart, for instance in a graph without
    structure.
    """
    points = coordinates(graph, seed)
    indices = np.empty_like(graph.indices)
    distances = np.empty_like(graph.distances)
    for start in range(0, graph.n_rows, _BLOCK_ROWS):
        rows = slice(start, min(start + _BLOCK_ROWS, graph.n_rows))
        cosine = np.einsum("id,ikd->ik", points[rows], points[graph.indices[rows]])
        apart = np.sqrt(np.maximum(0, 2 - 2 * cosine), dtype=np.float32)
        indices[rows], distances[rows] = select(graph.indices[rows], apart, graph.n_neighbors)
    return NeighborGraph(indices, distances, SPECTRAL)


def coordinates(graph: NeighborGraph, seed: int = 0) -> Float32Array:
    """Unit vectors ``(n, m) float32``, m from 1 to ``MOST``: where each row's slow walks lead.

    Edges weigh 1, or 2 where both rows found each other. The stationary direction, along which all
    rows agree, is left out.
    """
    weights = _weights(graph)
    degree = np.maximum(np.asarray(weights.sum(axis=1)).ravel(), 1e-12)
    root = np.sqrt(degree)
    vectors = _slow(weights, root, seed)
    walks = vectors / root[:, None]
    length = np.linalg.norm(walks, axis=1, keepdims=True)
    # where all coordinates are zero nothing tells the row apart: one direction for all of these
    walks = np.where(length > 1e-9, walks / np.maximum(length, 1e-9), np.eye(1, walks.shape[1]))
    return np.ascontiguousarray(walks, np.float32)


def _weights(graph: NeighborGraph) -> csr_array:
    n, k = graph.indices.shape
    found = graph.indices != PADDING
    rows = np.repeat(np.arange(n), k)[found.ravel()]
    ones = np.ones(rows.shape[0], np.float32)
    one_way = csr_array((ones, (rows, graph.indices[found])), shape=(n, n))
    return csr_array(one_way + one_way.T)


def _slow(weights: csr_array, root: Float64Array, seed: int) -> Float64Array:
    """Eigenvectors ``(n, m)`` of the normalised adjacency with eigenvalues above ``1 - CUT``."""
    n = root.shape[0]
    scale = diags_array(1 / root)
    adjacency = csr_array(scale @ weights @ scale, dtype=np.float32)
    steady = np.asarray(root / np.linalg.norm(root), np.float32)
    operator = LinearOperator(
        (n, n),
        matvec=lambda x: adjacency @ x - steady * (steady @ x),
        dtype=np.float32,
    )
    if n < 4:
        return np.ones((n, 1))
    start = np.random.default_rng(seed).standard_normal((n,)).astype(np.float32)
    wanted = min(FIRST, n - 2)
    while True:
        values, vectors = _largest(operator, wanted, start)
        if values.min(initial=0) <= 1 - CUT or wanted >= min(MOST, n - 2):
            slow = values > 1 - CUT
            return vectors[:, slow] if slow.any() else np.ones((n, 1))
        wanted = min(2 * wanted, MOST, n - 2)


def _largest(
    operator: LinearOperator, wanted: int, start: Float32Array
) -> tuple[Float64Array, Float64Array]:
    try:
        values, vectors = eigsh(operator, k=wanted, which="LA", tol=TOLERANCE, v0=start)
    except ArpackNoConvergence as error:
        values, vectors = error.eigenvalues, error.eigenvectors
    return np.asarray(values, np.float64), np.asarray(vectors, np.float64)
