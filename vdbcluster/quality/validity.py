"""How good labels are without a truth, judged on the neighbour graph that they came from.

In: ``NeighborGraph``, labels ``(n,)`` with ``-1`` for noise, core distances ``(n,)``.
Out: ``Validity`` per cluster and in all, and the agreement of each row with its neighbours.
Promise: O(n k log n) time, no vectors, no further search; independent of the order of rows.

The validity follows DBCV (Moulavi, Jaskowiak, Campello, Zimek and Sander 2014): a cluster is good
if its sparsest inside is denser than the densest way out of it.

    v = (separation - sparseness) / max(separation, sparseness)        between -1 and 1

``sparseness`` is the longest edge of the cluster's own minimum spanning tree, ``separation`` the
shortest edge between it and another cluster, both by mutual reachability; the whole is the mean
over rows, where noise adds 0, so that noise costs. It differs from DBCV in four ways:

1. Only pairs of the neighbour graph are edges, all others are infinitely far. A cluster without an
   edge to another is separated perfectly, at 1.
2. The core distance is HDBSCAN's (to the ``min_samples``-th neighbour), not an average over the
   cluster, so that both speak of the same density: every cluster that HDBSCAN takes from this
   graph has ``v >= 0``, since it hangs together at a level at which it touches no other.
3. All edges count, not only those between inner vertices of the tree, of which there is no unique
   choice where distances tie.
4. A cluster may be in several parts of the graph. Its largest part is judged (of equal ones the
   worst), and the rows in the others count as -1: nothing says that they belong to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from vdbcluster.model.arrays import Float32Array, Float64Array, Int32Array, Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.neighbors import PADDING, NeighborGraph


@dataclass(frozen=True, slots=True, eq=False)
class Validity:
    """``total``: mean over all rows. Per cluster, ``(c,)``, in ascending order of ``ids``:

    ``scores`` in [-1, 1]; ``sparseness`` and ``separation`` of the largest part, distances;
    ``connected``: share of the cluster's rows in it.
    """

    total: float
    ids: Int64Array
    scores: Float64Array
    sparseness: Float64Array
    separation: Float64Array
    connected: Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class _Edges:
    """Finite edges between clustered rows by mutual reachability, by row, as the rows list them."""

    left: Int32Array
    right: Int32Array
    weights: Float32Array


def graph_validity(
    graph: NeighborGraph, labels: Int64Array, core_distances: Float64Array
) -> Validity:
    """Judge ``labels (n,)`` on ``graph``; ``core_distances (n,)`` as ``Hierarchy`` holds them.

    Raises ``ValueError`` if the lengths differ.
    """
    n = graph.n_rows
    if len(labels) != n or len(core_distances) != n:
        raise ValueError(
            f"the graph has {n} rows, but there are {len(labels)} labels and "
            f"{len(core_distances)} core distances"
        )
    ids, sizes = np.unique(labels[labels != NOISE], return_counts=True)
    edges = _reachability(graph, labels, core_distances)
    inside = labels[edges.left] == labels[edges.right]
    part = _parts(edges, inside, n)
    size = np.bincount(part, minlength=n)
    sparseness = _longest(edges, inside, part, n)
    separation = _shortest_way_out(edges, ~inside, part, n)
    score = _score(sparseness, separation)
    judged = _largest(part, size, score, labels, ids)
    share = size[judged] / sizes
    scores = share * score[judged] - (1 - share)
    return Validity(
        total=float((scores * sizes).sum() / n) if n else 0.0,
        ids=ids,
        scores=scores,
        sparseness=sparseness[judged],
        separation=separation[judged],
        connected=share,
    )


def neighbor_agreement(graph: NeighborGraph, labels: Int64Array) -> Float64Array:
    """Share of each row's neighbours that have its label, ``(n,) float64``.

    NaN for noise and for rows without a neighbour.
    """
    present = graph.indices != PADDING
    own = labels[:, None]
    same = present & (labels[np.where(present, graph.indices, 0)] == own)
    known = present.sum(axis=1)
    judged = (labels != NOISE) & (known > 0)
    return np.where(judged, same.sum(axis=1) / np.maximum(known, 1), np.nan)


def by_cluster(values: Float64Array, labels: Int64Array) -> Float64Array:
    """Mean of ``values (n,)`` over each cluster's rows, NaN left out; ascending by id."""
    known = (labels != NOISE) & ~np.isnan(values)
    ids = np.unique(labels[labels != NOISE])
    at = np.searchsorted(ids, labels[known])
    total = np.bincount(at, values[known], minlength=len(ids))
    counts = np.bincount(at, minlength=len(ids))
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def _reachability(graph: NeighborGraph, labels: Int64Array, core: Float64Array) -> _Edges:
    clustered = labels != NOISE
    real = (graph.indices != PADDING) & clustered[:, None]
    real &= clustered[np.where(real, graph.indices, 0)]
    left = np.repeat(np.arange(graph.n_rows, dtype=np.int32), real.sum(axis=1))
    right, weights = graph.indices[real], graph.distances[real]
    near = core.astype(np.float32)  # as it was measured
    np.maximum(weights, near[left], out=weights)
    np.maximum(weights, near[right], out=weights)
    finite = np.isfinite(weights)
    return _Edges(left[finite], right[finite], weights[finite])


def _parts(edges: _Edges, inside: np.ndarray, n: int) -> Int64Array:
    """The part of the graph that each row is in, if only edges within clusters are kept."""
    ends = (edges.left[inside], edges.right[inside])
    pairs = csr_array((np.ones(len(ends[0]), np.bool_), ends), shape=(n, n))
    part: Int64Array = connected_components(pairs, directed=False)[1].astype(np.int64)
    return part


def _longest(edges: _Edges, inside: np.ndarray, part: Int64Array, n: int) -> Float64Array:
    """Longest edge of the spanning tree of each part, ``(n,)``; 0 for a part of one row."""
    # A sparse matrix takes 0 for no edge, so 0 is represented by the least number above it.
    least = np.finfo(np.float64).smallest_subnormal
    weights = np.maximum(edges.weights[inside], least, dtype=np.float64)
    starts = np.searchsorted(edges.left[inside], np.arange(n + 1))
    tree = minimum_spanning_tree(csr_array((weights, edges.right[inside], starts), shape=(n, n)))
    pairs = tree.tocoo()
    longest = np.zeros(n)
    np.maximum.at(longest, part[pairs.row], pairs.data)
    return np.where(longest == least, 0.0, longest)


def _shortest_way_out(edges: _Edges, outside: np.ndarray, part: Int64Array, n: int) -> Float64Array:
    """Shortest edge from each part to a row of another cluster, ``(n,)``; +inf if there is none."""
    shortest = np.full(n, np.inf)
    for ends in (edges.left, edges.right):
        np.minimum.at(shortest, part[ends[outside]], edges.weights[outside])
    return shortest


def _score(sparseness: Float64Array, separation: Float64Array) -> Float64Array:
    greater = np.maximum(separation, sparseness)
    graded = np.isfinite(separation) & (greater > 0)
    score = np.where(np.isinf(separation), 1.0, 0.0)
    score[graded] = (separation[graded] - sparseness[graded]) / greater[graded]
    return score


def _largest(
    part: Int64Array, size: Int64Array, score: Float64Array, labels: Int64Array, ids: Int64Array
) -> Int64Array:
    """The part that each cluster is judged by: its largest, of equal ones the worst."""
    rows = np.flatnonzero(labels != NOISE)
    order = np.lexsort((score[part[rows]], -size[part[rows]], labels[rows]))
    _, first = np.unique(labels[rows[order]], return_index=True)
    return part[rows[order[first]]] if len(ids) else np.empty(0, np.int64)
