"""The condensed tree of a dendrogram: clusters of ``min_cluster_size`` rows and what leaves them.

In: ``Dendrogram``. Out: ``CondensedTree``.
Promise: a node with two or more large children splits into all of them at once, with exactly one
it goes on as that child, with none it ends; small children leave row by row. Entries that come from
one node are adjacent, and within a parent lambda ascends.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.hierarchy.jit import kernel
from vdbcluster.hierarchy.linkage import Dendrogram
from vdbcluster.model.arrays import Float64Array, Int64Array
from vdbcluster.model.hierarchy import CondensedTree


def condense(dendrogram: Dendrogram, min_cluster_size: int) -> CondensedTree:
    """Condense in one pass from the root down, O(n); the root is cluster ``n``."""
    return CondensedTree(*_condense(dendrogram, min_cluster_size))


@kernel
def _fall(tree: Dendrogram, n: int, node: int, children: Int64Array, at: int) -> int:
    """Write the rows under ``node`` to ``children`` from place ``at`` on; return the place after.

    Inner nodes wait in the tail of the free space: a node leaves at most as many as it has rows.
    """
    if node < n:
        children[at] = node
        return at + 1
    end = at + tree.sizes[node - n]
    waiting = end - 1
    children[waiting] = node
    while waiting < end:
        child = tree.first[children[waiting] - n]
        waiting += 1
        while child >= 0:
            if child < n:
                children[at] = child
                at += 1
            else:
                waiting -= 1
                children[waiting] = child
            child = tree.next_sibling[child]
    return int(end)


@kernel
def _count_large(tree: Dendrogram, n: int, v: int, min_cluster_size: int) -> int:
    count = 0
    child = tree.first[v]
    while child >= 0:
        if child >= n and tree.sizes[child - n] >= min_cluster_size:
            count += 1
        child = tree.next_sibling[child]
    return count


@kernel
def _condense(
    tree: Dendrogram, min_cluster_size: int
) -> tuple[Int64Array, Int64Array, Float64Array, Int64Array]:
    n = tree.first.shape[0] + 1
    capacity = n + 2 * (n // min_cluster_size)
    parents = np.empty(capacity, np.int64)
    children = np.empty(capacity, np.int64)
    lambdas = np.empty(capacity, np.float64)
    sizes = np.ones(capacity, np.int64)
    cluster_of = np.full(n - 1, -1, np.int32)
    cluster_of[tree.root] = n
    n_clusters, at = 1, 0
    for v in range(tree.root, -1, -1):
        if cluster_of[v] < 0:
            continue
        begin = at
        splits = _count_large(tree, n, v, min_cluster_size) > 1
        child = tree.first[v]
        while child >= 0:
            if child < n or tree.sizes[child - n] < min_cluster_size:
                at = _fall(tree, n, child, children, at)
            elif splits:
                cluster_of[child - n] = n + n_clusters
                children[at], sizes[at] = n + n_clusters, tree.sizes[child - n]
                n_clusters += 1
                at += 1
            else:
                cluster_of[child - n] = cluster_of[v]
            child = tree.next_sibling[child]
        weight = np.float64(tree.weights[v])
        lambdas[begin:at] = 1.0 / weight if weight > 0 else np.inf
        parents[begin:at] = cluster_of[v]
    return parents[:at], children[:at], lambdas[:at], sizes[:at]


KERNELS = (_condense,)
