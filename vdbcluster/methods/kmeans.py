"""k-means, for those who want every row in a cluster.

In: ``NeighborGraph`` (its metric, and its slow walks where no number of clusters is given), vectors
``(n, d)``, ``Recipe``. Out: ``Clustering`` without noise.
Promise: vectors may be a memory map larger than memory, no more than ``_SAMPLE`` rows (more for
thousands of clusters) and a few blocks are held at a time; O(n k d) time; same seed, same labels.

Lloyd's k-means on a sample, the best of ``_STARTS`` (k-means++, Arthur and Vassilvitskii 2007); if
there are more rows, its centres are carried on over all of them by mini-batches (Sculley 2010).
scikit-learn does both. Rows of unit length (``chord``, ``angular``) are sorted by angle, so this is
spherical k-means but for the length of the centres. Not for bits: a mean of them is none.
"""

from __future__ import annotations

from warnings import catch_warnings, filterwarnings

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning

from vdbcluster.graph.distance import ON_BITS
from vdbcluster.graph.spectral import coordinates
from vdbcluster.methods.density import finish
from vdbcluster.methods.merge import by_size
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array
from vdbcluster.model.hierarchy import Clustering, no_clusters
from vdbcluster.model.members import members_of
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.model.params import Recipe

_SAMPLE = 4096
_PER_CLUSTER = 32
"""Rows of the sample for each cluster, at least."""
_STARTS = 4
_PASSES = 6
_CHUNK = 64
"""Rows that stand together and are read together."""
_BATCH_CHUNKS = 16
_BLOCK_VALUES = 1 << 22
_SAME = 1e-12
"""Squared distances this small beside the squared lengths are the rounding of float32."""


def kmeans(graph: NeighborGraph, vectors: Float32Array, recipe: Recipe) -> Clustering:
    """Sort rows to the nearest of ``recipe.n_clusters`` centres; with 0 of ``slow_groups``.

    ``probabilities``: how clearly a row belongs to its centre rather than to the second, in
    [0.5, 1]: ``e / (d + e)`` with the squared distances d and e to the two, the membership of
    fuzzy c-means (Bezdek 1981) among them. ``outlier_scores``: ``1 - m / d`` with the median m of
    its cluster, 0 up to the median, 0.5 at twice of it. ``persistence``: of each cluster the mean
    of ``1 - d / e``, its simplified silhouette. Exemplars are the rows nearest to the centre.
    Fewer clusters come back where rows are identical. Raises ``ValueError`` for a metric of bits
    and for more clusters than rows.
    """
    n, k = graph.n_rows, recipe.n_clusters
    if graph.metric in ON_BITS:
        raise ValueError(f"kmeans needs means of vectors, and {graph.metric} has none")
    if k > n:
        raise ValueError(f"n_clusters is {k}, but there are only {n} rows")
    if n == 0:
        return no_clusters(0)
    k = k or min(slow_groups(graph, recipe), n)
    labels, nearest, second = _sorted_rows(vectors, _centers(vectors, k, recipe.seed))
    return finish(graph, _scored(labels, nearest, second), recipe)


def slow_groups(graph: NeighborGraph, recipe: Recipe) -> int:
    """As many groups as the graph has slow walks, the steady ones included; at least 2.

    Each separate part of ``min_cluster_size`` rows or more has a steady one.
    """
    walks = coordinates(graph, recipe.seed, recipe.cut)
    slow = 0 if (walks == walks[:1]).all() else walks.shape[1]  # one direction for all: none
    n, k = graph.indices.shape
    known = graph.indices != PADDING
    ends = (np.repeat(np.arange(n), k)[known.ravel()], graph.indices[known])
    ones = np.ones(ends[0].shape[0], np.int8)
    _, part = connected_components(csr_array((ones, ends), shape=(n, n)), directed=False)
    parts = np.count_nonzero(np.bincount(part) >= recipe.hdbscan.min_cluster_size)
    return max(2, slow + int(parts))


def _centers(vectors: Float32Array, k: int, seed: int) -> Float64Array:
    """``(k, d)``; some may be repeated."""
    n = len(vectors)
    lots = np.random.default_rng(seed)
    size = min(n, max(_SAMPLE, _PER_CLUSTER * k))
    rows = np.sort(lots.choice(n, size, replace=False))
    sample = np.asarray(vectors[rows], np.float32)
    with catch_warnings():
        # of fewer different rows than clusters, where some centres are repeated
        filterwarnings("ignore", "Number of distinct clusters", ConvergenceWarning)
        first = KMeans(k, n_init=_STARTS, random_state=seed).fit(sample)
    if size == n:
        return np.asarray(first.cluster_centers_, np.float64)
    model = MiniBatchKMeans(
        k, init=first.cluster_centers_, n_init=1, reassignment_ratio=0.0, random_state=seed
    )
    chunks = np.arange(0, n, _CHUNK)
    in_batch = max(_BATCH_CHUNKS, -(-8 * k // _CHUNK))
    for _ in range(_PASSES):
        lots.shuffle(chunks)
        for at in range(0, len(chunks), in_batch):
            model.partial_fit(_gathered(vectors, np.sort(chunks[at : at + in_batch])))
    return np.asarray(model.cluster_centers_, np.float64)


def _gathered(vectors: Float32Array, chunks: Int64Array) -> Float32Array:
    return np.concatenate([np.asarray(vectors[at : at + _CHUNK], np.float32) for at in chunks])


def _sorted_rows(
    vectors: Float32Array, centers: Float64Array
) -> tuple[Int64Array, Float64Array, Float64Array]:
    """Nearest centre of each row, and the squared distances to it and to the second nearest.

    The second is infinitely far where there is one centre.
    """
    n, c = len(vectors), len(centers)
    labels = np.empty(n, np.int64)
    nearest, second = np.empty(n), np.full(n, np.inf)
    lengths = np.einsum("ij,ij->i", centers, centers)
    step = max(1, _BLOCK_VALUES // max(c, centers.shape[1], 1))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        block = np.asarray(vectors[rows], np.float64)
        sums = lengths + np.einsum("ij,ij->i", block, block)[:, None]
        apart = sums - 2 * (block @ centers.T)
        apart[apart < _SAME * sums] = 0
        at = np.arange(len(block))
        labels[rows] = np.argmin(apart, axis=1)
        nearest[rows] = apart[at, labels[rows]]
        if c > 1:
            apart[at, labels[rows]] = np.inf
            second[rows] = apart.min(axis=1)
    return labels, nearest, second


def _scored(labels: Int64Array, nearest: Float64Array, second: Float64Array) -> Clustering:
    found, labels = np.unique(labels, return_inverse=True)
    size = np.bincount(labels)
    share = np.divide(nearest, second, out=np.ones_like(nearest), where=second > 0)
    share[nearest == 0] = 0.0  # on its centre, even where the second lies there too
    order = np.argsort(nearest, kind="stable")
    members = [order[rows] for rows in members_of(labels[order])]
    middle = np.array([np.median(np.sqrt(nearest[rows])) for rows in members])
    apart = np.sqrt(nearest)
    typical = np.minimum(middle[labels], apart)
    outlying = 1 - np.divide(typical, apart, out=np.ones_like(apart), where=apart > 0)
    return by_size(
        Clustering(
            labels=labels,
            probabilities=1 / (1 + share),
            outlier_scores=outlying,
            persistence=np.bincount(labels, 1 - share, minlength=found.shape[0]) / size,
            exemplars=tuple(rows[nearest[rows] == nearest[rows[0]]] for rows in members),
            soft=np.zeros(labels.shape[0], np.bool_),
        )
    )
