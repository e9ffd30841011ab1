"""Which clusters of the condensed tree are the flat clustering.

In: ``ClusterTree``, parameters. Out: a mask over its clusters.
Promise: excess of mass or leaves as Campello et al. (2013, 2015), epsilon as Malzer and Baum
(2020), without recursion. Under ``ties="reference"`` as hdbscan 0.8.43 does it, its sums in single
precision and its size of the root included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.hierarchy.jit import kernel
from vdbcluster.model.arrays import BoolArray, Float64Array, Int64Array
from vdbcluster.model.hierarchy import CondensedTree
from vdbcluster.model.params import HdbscanParams


@dataclass(frozen=True, slots=True, eq=False)
class ClusterTree:
    """The clusters of a condensed tree, the root first, parents before children; all ``(c,)``.

    ``parent int64`` (the root's is itself), ``birth float64`` lambda at which a cluster begins,
    ``size int64`` rows, ``death float64`` greatest lambda among its own entries, ``stability
    float64``: sum over its rows of (lambda - birth).
    """

    parent: Int64Array
    birth: Float64Array
    size: Int64Array
    death: Float64Array
    stability: Float64Array

    def __len__(self) -> int:
        return int(self.parent.shape[0])

    def leaves(self) -> BoolArray:
        """Clusters that do not split."""
        mask = np.ones(len(self), np.bool_)
        mask[self.parent[1:]] = False
        return mask


def cluster_tree(tree: CondensedTree, n: int, params: HdbscanParams) -> ClusterTree:
    """Gather the clusters of a condensed tree over n rows."""
    together = params.ties == "together"
    inner = tree.child >= n
    split = tree.child[inner] - n
    c = split.shape[0] + 1
    parent = np.zeros(c, np.int64)
    birth = np.zeros(c, np.float64)
    size = np.full(c, n if together else tree.child_size[inner & (tree.parent == n)].sum())
    parent[split] = tree.parent[inner] - n
    birth[split] = tree.lambda_val[inner]
    size[split] = tree.child_size[inner]
    owner, lam, count = tree.parent - n, tree.lambda_val, tree.child_size
    if together and owner.size:  # one term per node, so that the order of rows cannot matter
        start = np.ones(owner.shape[0], np.bool_)
        start[1:] = (owner[1:] != owner[:-1]) | (lam[1:] != lam[:-1])
        begin = np.flatnonzero(start)
        owner, lam, count = owner[begin], lam[begin], np.add.reduceat(count, begin)
    death = np.zeros(c, np.float64)
    np.maximum.at(death, owner, lam)
    with np.errstate(invalid="ignore"):  # hdbscan's inf - inf, where duplicates split
        stability = np.bincount(owner, (lam - birth[owner]) * count, minlength=c)
    return ClusterTree(parent, birth, size, death, np.asarray(stability, np.float64))


def select(tree: ClusterTree, params: HdbscanParams) -> tuple[BoolArray, Float64Array]:
    """The selected clusters as a mask, and the stabilities after selection, both ``(c,)``.

    Where excess of mass prefers the children, their sum takes the place of a cluster's stability.
    """
    stability = tree.stability.copy()
    single = params.allow_single_cluster
    if params.cluster_selection_method == "leaf":
        chosen = tree.leaves()
        chosen[0] = False
    else:
        chosen = _excess_of_mass(
            tree.parent,
            stability,
            tree.size,
            params.max_cluster_size or np.iinfo(np.int64).max,
            0 if single else 1,
            params.ties == "reference",
        )
    if params.cluster_selection_epsilon > 0 and not chosen[0]:
        chosen = _merge_below(tree, chosen, params)
    return chosen, stability


def _merge_below(tree: ClusterTree, chosen: BoolArray, params: HdbscanParams) -> BoolArray:
    """Replace clusters that are born nearer than epsilon by the ancestor that reaches it."""
    epsilon = params.cluster_selection_epsilon
    clusters = np.flatnonzero(chosen)
    with np.errstate(divide="ignore"):
        distance = 1.0 / tree.birth
    below = distance[clusters] < epsilon
    goal = _ancestors(
        tree.parent, distance, epsilon, params.allow_single_cluster, params.ties == "together"
    )
    merged = np.zeros(len(tree), np.bool_)
    merged[clusters[~below]] = True
    merged[goal[clusters[below]]] = True
    return merged


@kernel
def _ancestors(
    parent: Int64Array, distance: Float64Array, epsilon: float, single: bool, inclusive: bool
) -> Int64Array:
    """For each cluster the nearest ancestor born beyond epsilon (``inclusive``: or at it).

    Below the root there may be none: then the root if ``single``, else its child.
    """
    goal = np.arange(parent.shape[0])
    for v in range(1, parent.shape[0]):
        p = parent[v]
        if p == 0:
            goal[v] = 0 if single else v
        elif distance[p] > epsilon or (inclusive and distance[p] == epsilon):
            goal[v] = p
        else:
            goal[v] = goal[p]
    return goal


@kernel
def _ascending_sum(values: Float64Array) -> float:
    """Sum from the least value up (sorted in place, by Shell's method): the order cannot matter."""
    m = values.shape[0]
    gap = m // 2
    while gap > 0:
        for i in range(gap, m):
            value, j = values[i], i
            while j >= gap and values[j - gap] > value:
                values[j] = values[j - gap]
                j -= gap
            values[j] = value
        gap //= 2
    total = 0.0
    for i in range(m):
        total += values[i]
    return total


@kernel
def _excess_of_mass(
    parent: Int64Array,
    stability: Float64Array,
    size: Int64Array,
    max_size: int,
    first: int,
    single_precision: bool,
) -> BoolArray:
    """Select from the leaves up, where a cluster is at least as stable as what is below it.

    ``stability`` is overwritten by the best sum below where that is preferred; clusters before
    ``first`` are not candidates.
    """
    c = parent.shape[0]
    start = np.zeros(c + 1, np.int64)
    for v in range(1, c):
        start[parent[v] + 1] += 1
    for v in range(c):
        start[v + 1] += start[v]
    filled = start[:-1].copy()
    below = np.empty(max(c - 1, 0), np.float64)
    keep = np.zeros(c, np.bool_)
    for v in range(c - 1, -1, -1):
        total = _ascending_sum(below[start[v] : start[v + 1]])
        if single_precision:
            total = np.float64(np.float32(total))
        if v >= first:
            if total > stability[v] or size[v] > max_size:
                stability[v] = total
            else:
                keep[v] = True
        if v > 0:
            below[filled[parent[v]]] = stability[v]
            filled[parent[v]] += 1
    hidden = np.zeros(c, np.bool_)
    for v in range(1, c):
        hidden[v] = hidden[parent[v]] or keep[parent[v]]
        keep[v] = keep[v] and not hidden[v]
    return keep


@kernel
def sweep(parent: Int64Array, chosen: BoolArray, death: Float64Array) -> Int64Array:
    """The nearest chosen cluster at or above each cluster, -1 for none.

    ``death`` becomes the greatest lambda of the whole subtree.
    """
    owner = np.full(parent.shape[0], -1, np.int64)
    for v in range(parent.shape[0]):
        owner[v] = v if chosen[v] else owner[parent[v]]
    for v in range(parent.shape[0] - 1, 0, -1):
        death[parent[v]] = max(death[parent[v]], death[v])
    return owner


KERNELS = (_excess_of_mass, sweep)
