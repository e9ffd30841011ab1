"""How much of the hierarchy is proven equal to HDBSCAN on all pairs of rows, and proving the rest.

In: a ``Hierarchy``, the exact neighbour graph it was built from, and how far each row has looked.
Out: a ``Certificate``; ``refine`` adds further pairs until all is proven. Holds only for exact
neighbours. O(n) beside the searches.

A merge of A and B at weight w is proven if every row of A (or every row of B) knows all its
neighbours nearer than w: then no unknown pair leaves A below w, and by the cut property the merging
edge belongs to a minimum spanning tree of the complete mutual reachability graph, in which A is a
single-linkage cluster that merges at exactly w. With every merge proven the two trees are equal.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vdbcluster.hierarchy.engine import build
from vdbcluster.hierarchy.jit import kernel
from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array, Int32Array, Int64Array
from vdbcluster.model.hierarchy import Certificate, ExtraEdges, Hierarchy, SpanningTree
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.model.params import HdbscanParams

Search = Callable[[Int64Array, int], tuple[Int32Array, Float32Array]]
"""``search(which, n_neighbors)`` as in ``ports.NeighborSearch``, exact."""

_FOUND_AT_ONCE = 1 << 22


def neighbor_reach(graph: NeighborGraph) -> Float64Array:
    """Distance below which each row's neighbours are all known, ``(n,) float64``.

    That of its last neighbour; ``+inf`` for a row that lists every other row.
    """
    reach = np.where(graph.indices == PADDING, 0.0, graph.distances).max(axis=1, initial=0.0)
    complete = (graph.indices != PADDING).sum(axis=1) >= graph.n_rows - 1
    return np.where(complete, np.inf, reach)


def certify(
    hierarchy: Hierarchy, graph: NeighborGraph, reach: Float64Array | None = None
) -> Certificate:
    """Which merges are proven, and which rows would have to look further to prove the others.

    ``reach (n,)``: distance below which each row's pairs are all known, in the graph or in the
    extra edges that the hierarchy was built with; by default that of the graph alone.
    Joins of what the graph leaves apart are not proven.
    """
    known = neighbor_reach(graph) if reach is None else reach
    proven, need = _examine(hierarchy.spanning_tree, known)
    return Certificate(proven, np.flatnonzero(known < need))


def refine(
    graph: NeighborGraph, params: HdbscanParams, search: Search, rounds: int
) -> tuple[ExtraEdges, Float64Array, Hierarchy, Certificate]:
    """Search the rows that block a proof again, with twice the neighbours each round.

    Stops when all is proven or after ``rounds``. Returns the pairs found, the reach of each row
    with them, and the hierarchy with its certificate. Only pairs nearer than what blocks a row are
    kept, and the row's reach is cut to match: other pairs cannot belong to the tree.
    """
    reach = neighbor_reach(graph)
    width = np.full(graph.n_rows, graph.n_neighbors)
    extra = ExtraEdges(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))
    hierarchy = build(graph, params)
    for _ in range(rounds):
        _, need = _examine(hierarchy.spanning_tree, reach)
        blocking = np.flatnonzero(reach < need)
        if not len(blocking):
            break
        width[blocking] = np.minimum(2 * width[blocking], graph.n_rows - 1)
        extra, reach = _look_further(extra, reach, need, blocking, width[blocking], search)
        hierarchy = build(graph, params, extra=extra)
    return extra, reach, hierarchy, certify(hierarchy, graph, reach)


def _look_further(
    extra: ExtraEdges,
    reach: Float64Array,
    need: Float64Array,
    blocking: Int64Array,
    width: Int64Array,
    search: Search,
) -> tuple[ExtraEdges, Float64Array]:
    again = np.zeros(len(reach), np.bool_)
    again[blocking] = True
    stay = ~again[extra.left]
    edges = [(extra.left[stay], extra.right[stay], extra.distances[stay])]
    reach = reach.copy()
    for k in np.unique(width).tolist():
        rows = blocking[width == k]
        step = max(1, _FOUND_AT_ONCE // k)
        for start in range(0, len(rows), step):
            which = rows[start : start + step]
            indices, distances = search(which, k)
            limit = need[which]
            near = (indices != PADDING) & (distances < limit[:, None])
            left = np.broadcast_to(which[:, None], indices.shape)[near].astype(np.int32)
            edges.append((left, indices[near], distances[near]))
            seen = np.inf if k >= len(reach) - 1 else distances[:, -1].astype(np.float64)
            reach[which] = np.minimum(seen, limit)
    left, right, found = (np.concatenate(part) for part in zip(*edges, strict=True))
    return ExtraEdges(left, right, found), reach


def _examine(tree: SpanningTree, reach: Float64Array) -> tuple[BoolArray, Float64Array]:
    weights = np.where(tree.joined, np.inf, tree.weights)
    proven, need = _follow_merges(tree.left, tree.right, weights, reach)
    return proven & ~tree.joined, need


@kernel
def _follow_merges(
    left: Int32Array, right: Int32Array, weights: Float64Array, reach: Float64Array
) -> tuple[BoolArray, Float64Array]:
    """Proven merges, and the reach that each row needs: 0 where it blocks none.

    Of an unproven merge the smaller side is asked to look further.
    """
    n = reach.shape[0]
    n_nodes = n + weights.shape[0]
    parent = np.full(n_nodes, -1, np.int32)  # in the dendrogram
    asked = np.zeros(n_nodes)
    root = np.arange(n_nodes).astype(np.int32)
    least = np.empty(n_nodes)
    size = np.ones(n_nodes, np.int32)
    least[:n] = reach
    proven = np.zeros(weights.shape[0], np.bool_)
    for e in range(weights.shape[0]):
        a, b, node = left[e], right[e], n + e
        while root[a] != a:
            root[a] = root[root[a]]
            a = root[a]
        while root[b] != b:
            root[b] = root[root[b]]
            b = root[b]
        if size[a] > size[b] or (size[a] == size[b] and least[a] < least[b]):
            a, b = b, a
        root[a] = root[b] = parent[a] = parent[b] = node
        least[node], size[node] = min(least[a], least[b]), size[a] + size[b]
        proven[e] = least[a] >= weights[e] or least[b] >= weights[e]
        if not proven[e]:
            asked[a] = weights[e]
    for node in range(n_nodes - 1, -1, -1):
        if parent[node] >= 0:
            asked[node] = max(asked[node], asked[parent[node]])
    return proven, asked[:n]


KERNELS = (_follow_merges,)
