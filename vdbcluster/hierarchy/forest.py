"""The minimum spanning forest of the mutual reachability graph.

In: pairs held by rows, ``(n, k)``; they are consumed. Out: the edges of the forest.
Promise: Borůvka's method straight off the rows, without sorting or copying the pairs; each round
orders edges by (weight, place), so that no cycle can close and threads cannot change what is found;
O(n k log n) at worst.

Blocks of rows are looked through by several threads, each with a list of its own of the least edge
of every component; the lists are then put together.
"""

from __future__ import annotations

from queue import SimpleQueue

import numpy as np

from vdbcluster.graph.by_rows import RowBlocks
from vdbcluster.hierarchy.jit import kernel
from vdbcluster.model.arrays import Float32Array, Int32Array, Int64Array

_LISTS = 4
"""Of least edges in the first round, where a component is a row: 12 bytes for each of them."""


def spanning_forest(
    indices: Int32Array, weights: Float32Array, blocks: RowBlocks
) -> tuple[Int32Array, Int32Array, Float32Array]:
    """Edges ``left``, ``right`` ``(m,) int32`` and ``weights (m,) float32``, in no order, m < n.

    ``indices``, ``weights``: as in ``Reachability``; both are overwritten. ``blocks``: of the rows.
    """
    n, k = indices.shape
    component = np.arange(n, dtype=np.int32)
    active = np.arange(n, dtype=np.int32)
    live = np.full(n, k, np.int32)
    left, right = np.empty(max(n - 1, 0), np.int32), np.empty(max(n - 1, 0), np.int32)
    chosen = np.empty(max(n - 1, 0), np.float32)
    n_edges, n_components = 0, n
    while len(active) and n_components > 1:
        pairs = (indices, weights, component, active, live)
        active, least, edge = _least_edges(*pairs, n_components, blocks)
        number, n_edges = _hook(indices, component, least, edge, left, right, chosen, n_edges)
        n_components = _number(number)
        _renumber_rows(component, number, blocks)
    return left[:n_edges], right[:n_edges], chosen[:n_edges]


def _least_edges(
    indices: Int32Array,
    weights: Float32Array,
    component: Int32Array,
    active: Int32Array,
    live: Int32Array,
    n_components: int,
    blocks: RowBlocks,
) -> tuple[Int32Array, Float32Array, Int64Array]:
    """The rows that still have pairs, and each component's least edge to another: weight, place."""
    n_lists = min(blocks.threads, _LISTS * len(component) // n_components)
    least = np.full((n_lists, n_components), np.inf, np.float32)
    edge = np.full((n_lists, n_components), -1, np.int64)
    free: SimpleQueue[int] = SimpleQueue()
    for own in range(n_lists):
        free.put(own)

    def scan(rows: slice) -> Int32Array:
        own, part = free.get(), active[rows]
        try:
            left = _scan(indices, weights, component, part, live, least[own], edge[own])
        finally:
            free.put(own)
        return part[:left]

    left = np.concatenate(blocks.of(len(active)).each(scan))
    blocks.of(n_components).each(lambda some: _put_together(least, edge, some.start, some.stop))
    return left, least[0], edge[0]


def _renumber_rows(component: Int32Array, number: Int32Array, blocks: RowBlocks) -> None:
    blocks.each(lambda rows: _renumber(component, number, rows.start, rows.stop))


@kernel
def _scan(
    indices: Int32Array,
    weights: Float32Array,
    component: Int32Array,
    active: Int32Array,
    live: Int32Array,
    least: Float32Array,
    edge: Int64Array,
) -> int:
    """Find each component's least edge to another; drop pairs within one, rows without pairs."""
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
            if w < own_least or (w == own_least and e < own_edge):
                own_least, own_edge = w, e
            if w < least[other] or (w == least[other] and e < edge[other]):
                least[other], edge[other] = w, e
            t += 1
        live[i] = end
        least[mine], edge[mine] = own_least, own_edge
        if end > 0:
            active[n_active] = i
            n_active += 1
    return n_active


@kernel
def _put_together(least: Float32Array, edge: Int64Array, start: int, stop: int) -> None:
    """Of components ``start`` to ``stop`` the least edge of all lists, into the first of these."""
    for own in range(1, least.shape[0]):
        for c in range(start, stop):
            w, e = least[own, c], edge[own, c]
            if w < least[0, c] or (w == least[0, c] and e < edge[0, c]):
                least[0, c], edge[0, c] = w, e


@kernel
def _hook(
    indices: Int32Array,
    component: Int32Array,
    least: Float32Array,
    edge: Int64Array,
    left: Int32Array,
    right: Int32Array,
    chosen: Float32Array,
    n_edges: int,
) -> tuple[Int32Array, int]:
    """Join each component by its edge to another; the parent of each, and how many edges now."""
    k = indices.shape[1]
    parent = np.arange(edge.shape[0]).astype(np.int32)
    for c in range(edge.shape[0]):
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
    return parent, n_edges


@kernel
def _number(parent: Int32Array) -> int:
    """Put the number of its tree, from 0, in the place of each parent; how many trees there are."""
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
    parent[:] = number
    return n_roots


@kernel
def _renumber(component: Int32Array, number: Int32Array, start: int, stop: int) -> None:
    for i in range(start, stop):
        component[i] = number[component[i]]


KERNELS = (_scan, _put_together, _hook, _number, _renumber)
