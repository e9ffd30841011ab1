"""Layers of clusters from coarse to fine, all cut from one condensed tree.

In: ``NeighborGraph``, ``Recipe``. Out: ``Clustering`` with ``paths``.
Promise: no cluster of a finer layer lies in two of a coarser one; O(n) beside the hierarchy.

    min_cluster_size 25, n_layers 4: the leaves at sizes 25, 50, 100 and 200, as "3/12/40/97"

The leaves at size s are the clusters that HDBSCAN with ``min_cluster_size`` s ends in. As s grows,
a leaf appears when it no longer splits into two groups of s rows, and goes when it, or all that
stands beside it, has fewer. So the one tree at the least size tells the leaves at any size. How
long a leaf lasts tells how real it is: persistent leaves (PLSCAN: Bot, McInnes and Aerts 2025; here
with lifetimes as ratios of sizes rather than differences). The labels are those of the layer in
which rows live longest: the greatest mean over all rows of ln(last / first size) of their leaf, 0
for noise. On three labelled sets of texts that layer was the best or second best of the first four.

In a path the first number is of the coarsest layer. Numbers are unique within a layer, by size. A
row that is noise in the finest layers has a shorter path; where it is noise in a coarser layer than
one it has a cluster in, -1 holds the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from vdbcluster.graph.smooth import smoothed
from vdbcluster.hierarchy import build
from vdbcluster.hierarchy.extraction import extract_chosen
from vdbcluster.hierarchy.selection import ClusterTree, cluster_tree
from vdbcluster.methods.density import finish, whole_if_uncut
from vdbcluster.model.arrays import BoolArray, Float64Array, Int64Array
from vdbcluster.model.arrays import Float32Array as Vectors
from vdbcluster.model.hierarchy import NOISE, Clustering, Hierarchy, no_clusters
from vdbcluster.model.members import by_size
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Lifetimes:
    """A cluster is a leaf at sizes s with ``after < s <= last``; both ``(c,) int64``.

    None is below ``min_cluster_size``; the root is never a leaf.
    """

    after: Int64Array
    last: Int64Array

    def leaves(self, size: int) -> BoolArray:
        """Clusters that are leaves at ``size``, ``(c,) bool``; none lies within another."""
        return np.asarray((self.after < size) & (size <= self.last))

    @property
    def logs(self) -> Float64Array:
        """The logarithm of the last size over the first, ``(c,)``, 0 for what is never a leaf."""
        ratio = np.maximum(self.last, 1) / np.maximum(self.after + 1, 1)
        return np.asarray(np.log(np.maximum(ratio, 1.0)))


def layers(graph: NeighborGraph, _: Vectors, recipe: Recipe) -> Clustering:
    """The layers of up to ``n_layers`` different cuts at one, two, four ... times
    ``min_cluster_size``, and the labels of the one in which rows live longest.

    Soft assignment fills the noise of that layer: such rows take the coarser clusters of theirs,
    and leave the finer ones. Selection and ``allow_single_cluster`` are not looked at. Raises
    ``ValueError`` where ``merge`` is asked for (its clusters are none of the tree), ``n_layers`` is
    less than 1, or the graph has fewer neighbours than ``min_samples``.
    """
    if recipe.merge:
        raise ValueError("layers are cuts of one tree, which merging would leave; set merge to 0")
    if recipe.n_layers < 1:
        raise ValueError(f"n_layers is {recipe.n_layers}; it must be at least 1")
    recipe = replace(recipe, hdbscan=replace(recipe.hdbscan, ties="together"))
    edges = smoothed(graph, recipe.smooth, recipe.seed, recipe.cut)
    hierarchy = build(edges, recipe.hdbscan)
    cuts, best = _cuts(hierarchy, recipe)
    raw = cuts[best] if cuts else no_clusters(graph.n_rows)
    found = finish(edges, whole_if_uncut(raw, hierarchy, recipe), recipe)
    members = [cut.labels for cut in cuts] or [found.labels]
    return replace(found, paths=_paths(_settled(members, best, found)))


def lifetimes(tree: ClusterTree, min_cluster_size: int) -> Lifetimes:
    """At which sizes the clusters of a tree, condensed at ``min_cluster_size``, are leaves."""
    after = np.full(len(tree), min_cluster_size - 1)
    last = np.zeros(len(tree), np.int64)
    if len(tree) == 1:
        return Lifetimes(after, last)
    child = 1 + np.lexsort((-tree.size[1:], tree.parent[1:]))
    family, first = np.unique(tree.parent[child], return_index=True)
    second = np.zeros(len(tree), np.int64)
    second[family] = tree.size[child[first + 1]]  # who splits has two children or more
    last[1:] = np.minimum(tree.size[1:], second[tree.parent[1:]])
    np.maximum(after, second, out=after)
    for v in range(len(tree) - 1, 0, -1):
        after[tree.parent[v]] = max(after[tree.parent[v]], after[v])
    return Lifetimes(after, last)


def _cuts(hierarchy: Hierarchy, recipe: Recipe) -> tuple[list[Clustering], int]:
    """The layers, the finest first, and the place of the one whose rows live longest."""
    if hierarchy.n_rows < 2:
        return [], 0
    params = recipe.hdbscan
    tree = cluster_tree(hierarchy.condensed_tree, hierarchy.n_rows, params)
    life = lifetimes(tree, params.min_cluster_size)
    chosen = list(_different(life, params.min_cluster_size, recipe.n_layers))
    lived = [float((tree.size * life.logs)[leaves].sum()) for leaves in chosen]
    cuts = [extract_chosen(hierarchy, tree, leaves, tree.stability, params) for leaves in chosen]
    return cuts, int(np.argmax(lived)) if cuts else 0


def _different(life: Lifetimes, size: int, at_most: int) -> Iterator[BoolArray]:
    """The leaves at ``size``, twice, four times ... of it, where they are not those before."""
    before, count = np.zeros_like(life.last, np.bool_), 0
    while count < at_most and (leaves := life.leaves(size)).any():
        if (leaves != before).any():
            yield leaves
            before, count = leaves, count + 1
        size *= 2


def _settled(members: list[Int64Array], best: int, found: Clustering) -> Int64Array:
    """Clusters per row and layer, ``(n, l)``, the coarsest first, as they are after ``finish``."""
    table = np.column_stack(members[::-1])
    at = len(members) - 1 - best
    rows = np.flatnonzero(found.soft)
    if rows.size:
        core = np.array([some[0] for some in found.exemplars])
        table[rows, :at] = table[core[found.labels[rows]], :at]
        table[rows, at + 1 :] = NOISE
    table[:, at] = found.labels
    return np.column_stack([by_size(column) for column in table.T])


def _paths(table: Int64Array) -> np.ndarray:
    """Each row's clusters as text, without noise at the end."""
    different, inverse = np.unique(table, axis=0, return_inverse=True)
    texts = np.empty(different.shape[0], object)
    for i, path in enumerate(different.tolist()):
        while path and path[-1] == NOISE:
            path.pop()
        texts[i] = "/".join(map(str, path))
    return np.asarray(texts[inverse.ravel()], object)
