"""The compatible setting: ties broken one after the other, exactly as hdbscan 0.8.43 breaks them.

In: ``Reachability``, parameters. Out: ``Hierarchy``.
Promise: the same spanning edges in the same order, the same single linkage and condensed tree, as
hdbscan makes of the dense infinity-padded matrix, in O(n k log n) and O(n k). What decides there:
Prim from row 0, always on to the nearest row that is left, the first of them among equals and where
all are infinitely far; an edge leads from the row before to the new one; numpy's argsort of the
weights as it falls; children breadth first, the side of the row before as the left one.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.hierarchy.jit import kernel
from vdbcluster.hierarchy.reachability import Reachability
from vdbcluster.model.arrays import Float32Array, Float64Array, Int32Array, Int64Array
from vdbcluster.model.hierarchy import CondensedTree, Hierarchy, SpanningTree
from vdbcluster.model.params import HdbscanParams


def reference_hierarchy(reach: Reachability, params: HdbscanParams) -> Hierarchy:
    """The hierarchy of at least two rows, joined at infinity or at the greatest finite weight."""
    extra = reach.extra
    start, neighbors, weights = _adjacency(
        reach.indices, reach.weights, extra.left, extra.right, extra.distances
    )
    visited, reached = _prim(start, neighbors, weights)
    joined = np.isinf(reached)
    if params.join != "inf":
        greatest = reached[~joined].max(initial=0.0)
        reached[joined] = greatest if greatest > 0 else np.inf
    order = np.argsort(reached)
    left, right, ascending = visited[:-1][order], visited[1:][order], reached[order]
    children, sizes = _label(left, right)
    return Hierarchy(
        n_rows=visited.shape[0],
        n_components=int(np.count_nonzero(joined)) + 1,
        core_distances=reach.core.astype(np.float64),
        spanning_tree=SpanningTree(left, right, ascending, joined[order]),
        condensed_tree=CondensedTree(
            *_condense(children, sizes, ascending, params.min_cluster_size)
        ),
    )


@kernel
def _adjacency(
    indices: Int32Array,
    weights: Float32Array,
    left: Int32Array,
    right: Int32Array,
    distances: Float32Array,
) -> tuple[Int64Array, Int32Array, Float32Array]:
    """Neighbours of row i, seen from both ends, at ``start[i]:start[i + 1]``."""
    n, k = indices.shape
    start = np.zeros(n + 2, np.int64)
    for i in range(n):
        for t in range(k):
            if indices[i, t] >= 0:
                start[i + 2] += 1
                start[indices[i, t] + 2] += 1
    for e in range(left.shape[0]):
        start[left[e] + 2] += 1
        start[right[e] + 2] += 1
    for i in range(n + 1):
        start[i + 1] += start[i]
    neighbors = np.empty(start[n + 1], np.int32)
    reach = np.empty(start[n + 1], np.float32)
    for i in range(n):
        for t in range(k):
            if indices[i, t] >= 0:
                _put(start, neighbors, reach, i, indices[i, t], weights[i, t])
    for e in range(left.shape[0]):
        _put(start, neighbors, reach, left[e], right[e], distances[e])
    return start[: n + 1], neighbors, reach


@kernel
def _put(
    start: Int64Array, neighbors: Int32Array, reach: Float32Array, i: int, j: int, weight: float
) -> None:
    neighbors[start[i + 1]], neighbors[start[j + 1]] = j, i
    reach[start[i + 1]], reach[start[j + 1]] = weight, weight
    start[i + 1] += 1
    start[j + 1] += 1


@kernel
def _prim(
    start: Int64Array, neighbors: Int32Array, weights: Float32Array
) -> tuple[Int32Array, Float64Array]:
    """The order in which rows are reached, ``(n,)``, and how far each was, ``(n - 1,)``."""
    n = start.shape[0] - 1
    visited = np.empty(n, np.int32)
    reached = np.full(n - 1, np.inf, np.float64)
    distance = np.full(n, np.inf, np.float32)
    place = np.full(n, -1, np.int32)  # in the heap; -1 not yet, -2 visited
    heap = np.empty(n, np.int32)
    waiting, unseen, node = 0, 0, 0
    for step in range(n):
        if waiting > 0:
            node = heap[0]
            reached[step - 1] = distance[node]
            waiting -= 1
            _sink(heap, place, distance, heap[waiting], waiting)
        else:
            while place[unseen] == -2:
                unseen += 1
            node = unseen
        place[node] = -2
        visited[step] = node
        for e in range(start[node], start[node + 1]):
            j = neighbors[e]
            if place[j] != -2 and weights[e] < distance[j]:
                distance[j] = weights[e]
                if place[j] == -1:
                    place[j] = waiting
                    waiting += 1
                _rise(heap, place, distance, j)
    return visited, reached


@kernel
def _nearer(distance: Float32Array, a: int, b: int) -> bool:
    return bool(distance[a] < distance[b] or (distance[a] == distance[b] and a < b))


@kernel
def _rise(heap: Int32Array, place: Int32Array, distance: Float32Array, node: int) -> None:
    at = place[node]
    while at > 0:
        above = heap[(at - 1) // 2]
        if not _nearer(distance, node, above):
            break
        heap[at] = above
        place[above] = at
        at = (at - 1) // 2
    heap[at] = node
    place[node] = at


@kernel
def _sink(
    heap: Int32Array, place: Int32Array, distance: Float32Array, node: int, size: int
) -> None:
    """Put ``node`` into the hole at the top of a heap of ``size``."""
    at = 0
    while 2 * at + 1 < size:
        below = 2 * at + 1
        if below + 1 < size and _nearer(distance, heap[below + 1], heap[below]):
            below += 1
        if not _nearer(distance, heap[below], node):
            break
        heap[at] = heap[below]
        place[heap[at]] = at
        at = below
    heap[at] = node
    place[node] = at


@kernel
def _label(left: Int32Array, right: Int32Array) -> tuple[Int64Array, Int64Array]:
    """Single linkage: the two nodes that each edge joins, ``(n - 1, 2)``, and the rows of both."""
    n = left.shape[0] + 1
    parent = np.arange(2 * n - 1)
    children = np.empty((n - 1, 2), np.int64)
    sizes = np.ones(2 * n - 1, np.int64)
    for e in range(n - 1):
        for side, row in ((0, left[e]), (1, right[e])):
            node = np.int64(row)
            while parent[node] != node:
                parent[node] = parent[parent[node]]
                node = parent[node]
            children[e, side] = node
        a, b = children[e, 0], children[e, 1]
        parent[a], parent[b] = n + e, n + e
        sizes[n + e] = sizes[a] + sizes[b]
    return children, sizes


@kernel
def _fall(
    children: Int64Array, n: int, node: int, out: Int64Array, at: int, queue: Int64Array
) -> int:
    """Write the rows under ``node``, breadth first, from ``out[at]`` on; return the place after."""
    queue[0] = node
    head, tail = 0, 1
    while head < tail:
        current = queue[head]
        head += 1
        if current < n:
            out[at] = current
            at += 1
        else:
            queue[tail], queue[tail + 1] = children[current - n, 0], children[current - n, 1]
            tail += 2
    return at


@kernel
def _condense(
    children: Int64Array, sizes: Int64Array, weights: Float64Array, min_cluster_size: int
) -> tuple[Int64Array, Int64Array, Float64Array, Int64Array]:
    """The condensed tree, entries in hdbscan's order."""
    n = children.shape[0] + 1
    capacity = n + 2 * (n // min_cluster_size)
    parents = np.empty(capacity, np.int64)
    child = np.empty(capacity, np.int64)
    lambdas = np.empty(capacity, np.float64)
    counts = np.ones(capacity, np.int64)
    cluster_of = np.empty(2 * n - 1, np.int64)
    line = np.empty(n, np.int64)  # large nodes, breadth first
    queue = np.empty(2 * n - 1, np.int64)
    line[0], cluster_of[2 * n - 2] = 2 * n - 2, n
    head, tail, next_cluster, at = 0, 1, n + 1, 0
    while head < tail:
        node = line[head]
        head += 1
        pair = children[node - n]
        splits = sizes[pair[0]] >= min_cluster_size and sizes[pair[1]] >= min_cluster_size
        begin = at
        for side in range(2):
            below = pair[side]
            if sizes[below] < min_cluster_size:
                at = _fall(children, n, below, child, at, queue)
                continue
            line[tail], cluster_of[below] = below, cluster_of[node]
            tail += 1
            if splits:
                cluster_of[below] = next_cluster
                child[at], counts[at] = next_cluster, sizes[below]
                next_cluster += 1
                at += 1
        weight = weights[node - n]
        lambdas[begin:at] = 1.0 / weight if weight > 0 else np.inf
        parents[begin:at] = cluster_of[node]
    return parents[:at], child[:at], lambdas[:at], counts[:at]
