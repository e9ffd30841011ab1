"""The minimum spanning forest of the mutual reachability graph.

In: pairs held by rows, ``(n, k)``; they are consumed. Out: the edges of the forest.
Promise: Borůvka's method straight off the rows, without sorting or copying the pairs; each round
orders edges by (weight, place), so that no cycle can close; O(n k log n) at worst.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.hierarchy.jit import kernel
from vdbcluster.model.arrays import Float32Array, Int32Array, Int64Array


@kernel
def spanning_forest(
    indices: Int32Array, weights: Float32Array
) -> tuple[Int32Array, Int32Array, Float32Array]:
    """Edges ``left``, ``right`` ``(m,) int32`` and ``weights (m,) float32``, in no order, m < n.

    ``indices``, ``weights``: as in ``Reachability``; both are overwritten.
    """
    n, k = indices.shape
    component = np.arange(n).astype(np.int32)
    active = np.arange(n).astype(np.int32)
    live = np.full(n, k, np.int32)
    left = np.empty(max(n - 1, 0), np.int32)
    right = np.empty(max(n - 1, 0), np.int32)
    chosen = np.empty(max(n - 1, 0), np.float32)
    n_edges, n_components = 0, n
    while active.shape[0] > 0 and n_components > 1:
        edge = np.full(n_components, -1, np.int64)
        least = np.full(n_components, np.inf, np.float32)
        n_active = _scan(indices, weights, component, active, live, edge, least)
        active = active[:n_active]
        parent = np.arange(n_components).astype(np.int32)
        for c in range(n_components):
            if edge[c] < 0:
                continue
            i = edge[c] // k
            j = indices[i, edge[c] % k]
            other = component[i] + component[j] - c
            if edge[other] == edge[c] and c < other:
                continue  # both chose this edge: the other one hooks on, this one stays root
            parent[c] = other
            left[n_edges], right[n_edges], chosen[n_edges] = i, j, least[c]
            n_edges += 1
        n_components = _contract(parent, component)
    return left[:n_edges], right[:n_edges], chosen[:n_edges]


@kernel
def _scan(
    indices: Int32Array,
    weights: Float32Array,
    component: Int32Array,
    active: Int32Array,
    live: Int32Array,
    edge: Int64Array,
    least: Float32Array,
) -> int:
    """Find each component's least edge to another; drop pairs within one, rows without pairs.

    Edges are met in the order of their places, so the first of equal weight is the least of them.
    """
    k = indices.shape[1]
    n_active = 0
    for a in range(active.shape[0]):
        i = active[a]
        mine = component[i]
        t, end = 0, live[i]
        own_least, own_edge = least[mine], edge[mine]
        while t < end:
            j = indices[i, t]
            other = mine if j < 0 else component[j]
            if other == mine:
                end -= 1
                indices[i, t], weights[i, t] = indices[i, end], weights[i, end]
                continue
            w, e = weights[i, t], np.int64(i) * k + t
            if w < own_least:
                own_least, own_edge = w, e
            if w < least[other]:
                least[other], edge[other] = w, e
            t += 1
        live[i] = end
        least[mine], edge[mine] = own_least, own_edge
        if end > 0:
            active[n_active] = i
            n_active += 1
    return n_active


@kernel
def _contract(parent: Int32Array, component: Int32Array) -> int:
    """Number the trees of ``parent`` from 0 and relabel the rows; return how many there are."""
    number = np.full(parent.shape[0], -1, np.int32)
    n_roots = 0
    for c in range(parent.shape[0]):
        if parent[c] == c:
            number[c] = n_roots
            n_roots += 1
    for c in range(parent.shape[0]):
        root = c
        while number[root] < 0:
            root = parent[root]
        node = c
        while number[node] < 0:
            number[node] = number[root]
            node = parent[node]
    for i in range(component.shape[0]):
        component[i] = number[component[i]]
    return n_roots


KERNELS = (spanning_forest,)
