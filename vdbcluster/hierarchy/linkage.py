"""The dendrogram in which all joins of equal weight happen at once.

In: edges in ascending order. Out: ``Dendrogram``, whose nodes may have any number of children.
Promise: a node is a connected component of the graph at a threshold, so the tree does not depend on
the order of rows nor on which of several minimum spanning trees the edges are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdbcluster.hierarchy.jit import kernel
from vdbcluster.model.arrays import Float32Array, Int32Array, Int64Array


class Dendrogram(NamedTuple):
    """Rows are ``0..n-1``; inner node ``n + v`` has ``sizes[v]`` rows and joins at ``weights[v]``.

    Its children are ``first[v]``, then ``next_sibling`` of each in turn, ``-1`` ends the list.
    A child's number is less than its parent's. ``root`` is ``v`` of the root; unused ``v`` exist.
    """

    first: Int32Array
    next_sibling: Int32Array
    weights: Float32Array
    sizes: Int32Array
    root: int


class Links(NamedTuple):
    """``dendrogram``, and the edges that made it: ``n_known`` given ones, then joins."""

    dendrogram: Dendrogram
    left: Int32Array
    right: Int32Array
    weights: Float32Array
    n_known: int


@kernel
def find(parent: Int32Array, node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@kernel
def _merge(
    tree: Dendrogram, last: Int32Array, n_nodes: int, a: int, b: int, weight: float
) -> tuple[int, int]:
    """Join nodes ``a`` and ``b`` at ``weight``; returns the node that holds both, and the count.

    A node of the same weight does not become a child: its children are taken over.
    """
    n = last.shape[0] + 1
    size_a = 1 if a < n else tree.sizes[a - n]
    size_b = 1 if b < n else tree.sizes[b - n]
    v = a - n
    if a < n or tree.weights[v] != weight:
        v = n_nodes
        n_nodes += 1
        tree.first[v], last[v], tree.weights[v] = a, a, weight
    if b >= n and tree.weights[b - n] == weight:
        tree.next_sibling[last[v]] = tree.first[b - n]
        last[v] = last[b - n]
    else:
        tree.next_sibling[last[v]] = b
        last[v] = b
    tree.sizes[v] = size_a + size_b
    return v + n, n_nodes


@kernel
def link(
    left: Int32Array, right: Int32Array, weights: Float32Array, order: Int64Array, n: int, at: float
) -> Links:
    """Kruskal over the edges in ``order``, then join at once what is still apart.

    ``at``: the weight of those joins; 0 stands for the greatest weight among the edges used, or
    infinity if that is 0, because distinct groups of equal rows are not equal to each other.
    """
    tree = Dendrogram(
        np.full(n - 1, -1, np.int32),
        np.full(2 * n - 1, -1, np.int32),
        np.zeros(n - 1, np.float32),
        np.zeros(n - 1, np.int32),
        0,
    )
    last = np.empty(n - 1, np.int32)
    parent = np.arange(n).astype(np.int32)
    top = np.arange(n).astype(np.int32)
    used_left = np.empty(n - 1, np.int32)
    used_right = np.empty(n - 1, np.int32)
    used_weights = np.empty(n - 1, np.float32)
    m = order.shape[0]
    n_used, n_nodes, n_known, greatest = 0, 0, n - 1, np.float32(0.0)
    for step in range(m + n):
        if n_used == n - 1:
            break
        if step < m:
            e = order[step]
            i, j, weight = left[e], right[e], weights[e]
        else:
            if step == m:
                n_known = n_used
                greatest = np.float32(at) if at > 0 else greatest
                greatest = greatest if greatest > 0 else np.float32(np.inf)
            i, j, weight = np.int32(0), np.int32(step - m), greatest
        a, b = find(parent, i), find(parent, j)
        if a == b:
            continue
        greatest = weight
        used_left[n_used], used_right[n_used], used_weights[n_used] = i, j, weight
        n_used += 1
        node, n_nodes = _merge(tree, last, n_nodes, top[a], top[b], weight)
        if a > b:
            a, b = b, a
        parent[b] = a
        top[a] = node
    root = top[find(parent, 0)] - n
    whole = Dendrogram(tree.first, tree.next_sibling, tree.weights, tree.sizes, root)
    return Links(whole, used_left, used_right, used_weights, n_known)


KERNELS = (link,)
