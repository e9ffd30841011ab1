"""Exact distances for candidate neighbours, whoever proposed them.

In: prepared vectors ``(n, d) float32`` (see ``distance.prepare``) and candidates ``(n, k) int32``
padded with -1, in any order, with repeats and self among them. Out: a ``NeighborGraph``.
Promise: one kernel measures every pair of the product, so a pair has one distance, to the last
bit, in both directions and whichever stage asks; ties are in order of row position. O(n k d) time.

The kernel is faiss's squared Euclidean distance by index: it takes the difference first, so equal
rows are at exactly 0, and needs no compilation at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import faiss
import numpy as np

from vdbcluster.graph.distance import check_metric, from_squared
from vdbcluster.model.arrays import Float32Array, Int32Array, Int64Array
from vdbcluster.model.neighbors import PADDING, NeighborGraph

_BLOCK_ROWS = 8192
_WORTH_THREADS = 1 << 20
"""Of so many values; below, one thread is as quick."""
_INFINITY = np.float32(np.inf)
_ABSENT = (np.uint64(np.array(_INFINITY).view(np.uint32)) << np.uint64(32)) | np.uint64(0xFFFFFFFF)


def measure(vectors: Float32Array, indices: Int32Array, metric: str) -> NeighborGraph:
    """The graph of the candidates with exact distances, ascending, self and repeats dropped.

    ``vectors (n, d) float32`` as ``prepare`` made them; ``indices (n, k) int32`` row positions,
    -1 for padding. Raises ``ValueError`` if shapes disagree or a position is out of range.
    """
    check_metric(metric)
    n = len(vectors)
    if indices.ndim != 2 or len(indices) != n:
        raise ValueError(f"indices {indices.shape} must be ({n}, k) for {n} vectors")
    if indices.size and (indices.min() < PADDING or indices.max() >= n):
        raise ValueError(f"indices must lie in -1 .. {n - 1}")
    found = np.empty(indices.shape, np.int32)
    distances = np.empty(indices.shape, np.float32)
    for start in range(0, n, _BLOCK_ROWS):
        which = np.arange(start, min(start + _BLOCK_ROWS, n))
        rows = slice(start, start + len(which))
        found[rows], distances[rows] = nearest(
            vectors, which, indices[rows], indices.shape[1], metric
        )
    return NeighborGraph(found, distances, metric)


def nearest(
    vectors: Float32Array,
    which: Int64Array,
    candidates: Int32Array | Int64Array,
    n_neighbors: int,
    metric: str,
    *,
    exclude_self: bool = True,
) -> tuple[Int32Array, Float32Array]:
    """The nearest of each row's candidates, ``(m, n_neighbors)``, for ``candidates (m, c)``.

    Ascending, ties by position, without repeats, padded with -1 / +inf.
    """
    distances = pair_distances(vectors, which, candidates, metric)
    if exclude_self:
        distances[candidates == np.asarray(which)[:, None]] = _INFINITY
    return select(candidates, distances, n_neighbors)


def pair_distances(
    vectors: Float32Array, which: Int64Array, candidates: Int32Array | Int64Array, metric: str
) -> Float32Array:
    """Distance of row ``which[a]`` to row ``candidates[a, b]``, ``(m, c) float32``; +inf for -1."""
    pairs = np.ascontiguousarray(candidates, dtype=np.int64)
    squared = _by_index(faiss.fvec_L2sqr_by_idx, vectors, which, pairs)
    if metric != "jaccard":
        return from_squared(squared, metric)
    common = _by_index(faiss.fvec_inner_products_by_idx, vectors, which, pairs)
    absent = pairs == PADDING
    apart = from_squared(np.where(absent, 0, squared), metric, np.where(absent, 0, common))
    return np.where(absent, _INFINITY, apart)


def select(
    candidates: Int32Array | Int64Array, distances: Float32Array, n_neighbors: int
) -> tuple[Int32Array, Float32Array]:
    """The first ``n_neighbors`` by (distance, position) without repeats, from ``(m, c)`` arrays.

    Candidates at -1 or at infinity are padding. A repeat must carry the same distance.
    """
    keys = _pack(candidates, distances)
    keys.sort(axis=1)
    repeated = (keys[:, 1:] == keys[:, :-1]) & (keys[:, 1:] != _ABSENT)
    if repeated.any():
        keys[:, 1:][repeated] = _ABSENT
        keys.sort(axis=1)
    missing = n_neighbors - keys.shape[1]
    if missing > 0:
        keys = np.pad(keys, ((0, 0), (0, missing)), constant_values=_ABSENT)
    return _unpack(keys[:, :n_neighbors])


def _by_index(
    kernel: Callable[..., None], vectors: Float32Array, which: Int64Array, pairs: Int64Array
) -> Float32Array:
    out = np.empty(pairs.shape, np.float32)
    for start in range(0, len(pairs), _BLOCK_ROWS):
        rows = slice(start, min(start + _BLOCK_ROWS, len(pairs)))
        queries = np.ascontiguousarray(vectors[which[rows]])
        with _threads(pairs[rows].size * vectors.shape[1]):
            kernel(
                faiss.swig_ptr(out[rows]),
                faiss.swig_ptr(queries),
                faiss.swig_ptr(vectors),
                faiss.swig_ptr(pairs[rows]),
                vectors.shape[1],
                *pairs[rows].shape,
            )
    return out


@contextmanager
def _threads(values: int) -> Iterator[None]:
    """One thread for little work: waiting for the others takes longer, most of all where a machine
    is busy (two cores with a load of 6, sets of a few rows: below 0.1 ms for 5.6).
    """
    usual = faiss.omp_get_max_threads()
    if values >= _WORTH_THREADS or usual == 1:
        yield
        return
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(usual)


def _pack(candidates: Int32Array | Int64Array, distances: Float32Array) -> np.ndarray:
    """One sortable number a pair: the bits of a non-negative float ascend with its value."""
    bits = np.ascontiguousarray(distances, dtype=np.float32).view(np.uint32).astype(np.uint64)
    keys = (bits << np.uint64(32)) | candidates.astype(np.uint32)
    keys[(candidates == PADDING) | np.isinf(distances)] = _ABSENT
    return keys


def _unpack(keys: np.ndarray) -> tuple[Int32Array, Float32Array]:
    indices = (keys & np.uint64(0xFFFFFFFF)).astype(np.uint32).view(np.int32)
    distances = (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)
    return indices, distances
