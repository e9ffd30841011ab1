"""From the hierarchy to labels.

In: ``Hierarchy``, ``HdbscanParams``. Out: ``Clustering``.
Promise: probabilities, GLOSH outlier scores and persistence as hdbscan defines them. Under
``ties="together"`` clusters are numbered by size, ties by their first row, and an outlier score is
never NaN; under ``ties="reference"`` numbers and scores are hdbscan's own, which gives NaN to a row
beside a cluster of infinite density.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.hierarchy.selection import ClusterTree, cluster_tree, select, sweep
from vdbcluster.model.arrays import BoolArray, Float64Array, Int64Array
from vdbcluster.model.hierarchy import NOISE, Clustering, CondensedTree, Hierarchy, no_clusters
from vdbcluster.model.params import HdbscanParams


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Where each row leaves the condensed tree: cluster ``(n,) int64``, lambda ``(n,) float64``."""

    cluster: Int64Array
    lam: Float64Array


def extract(hierarchy: Hierarchy, params: HdbscanParams) -> Clustering:
    """Select clusters and score rows; ``params`` may differ from those of ``build`` in everything
    but ``min_cluster_size``, ``min_samples``, ``join`` and ``ties``.
    """
    n = hierarchy.n_rows
    if n < 2:
        return no_clusters(n)
    tree = cluster_tree(hierarchy.condensed_tree, n, params)
    chosen, stability = select(tree, params)
    return extract_chosen(hierarchy, tree, chosen, stability, params)


def extract_chosen(
    hierarchy: Hierarchy,
    tree: ClusterTree,
    chosen: BoolArray,
    stability: Float64Array,
    params: HdbscanParams,
) -> Clustering:
    """The flat clustering of the clusters that somebody chose, none within another.

    ``tree``: that of the hierarchy's condensed tree; ``chosen (c,) bool`` and ``stability (c,)`` as
    of ``select``. At least two rows.
    """
    n, condensed = hierarchy.n_rows, hierarchy.condensed_tree
    rows = _rows(condensed, n)
    depth = tree.death.copy()
    owner = sweep(tree.parent, chosen, depth)[rows.cluster]
    owner[~_belongs(tree, rows, chosen, owner, params)] = NOISE
    clusters = np.flatnonzero(chosen)
    if params.ties == "together":
        clusters = _by_size(owner)
    number = np.full(len(tree) + 1, NOISE)  # the last entry is for owner -1
    number[clusters] = np.arange(clusters.shape[0])
    labels = number[owner]
    return Clustering(
        labels=labels,
        probabilities=_probabilities(tree, rows, owner),
        outlier_scores=_outlier_scores(rows, depth, params),
        persistence=_persistence(labels, stability[clusters], float(condensed.lambda_val.max())),
        exemplars=_exemplars(tree, rows, labels, clusters.shape[0]),
        soft=np.zeros(n, np.bool_),
    )


def _rows(tree: CondensedTree, n: int) -> _Rows:
    outer = tree.child < n
    cluster, lam = np.empty(n, np.int64), np.empty(n, np.float64)
    cluster[tree.child[outer]] = tree.parent[outer] - n
    lam[tree.child[outer]] = tree.lambda_val[outer]
    return _Rows(cluster, lam)


def _belongs(
    tree: ClusterTree, rows: _Rows, chosen: BoolArray, owner: Int64Array, params: HdbscanParams
) -> BoolArray:
    """Rows that are members of their owner: all, but of the root only the densest ones."""
    if not chosen[0]:
        return np.asarray(owner >= 0)
    if np.count_nonzero(chosen) > 1:
        return np.asarray(owner > 0)
    epsilon = params.cluster_selection_epsilon
    return np.asarray(rows.lam >= (1 / epsilon if epsilon > 0 else tree.death[0]))


def _by_size(owner: Int64Array) -> Int64Array:
    """The selected clusters that have rows, largest first, ties by first row."""
    found, first, size = np.unique(owner, return_index=True, return_counts=True)
    real = found >= 0
    found, first, size = found[real], first[real], size[real]
    return np.asarray(found[np.lexsort((first, -size))])


def _probabilities(tree: ClusterTree, rows: _Rows, owner: Int64Array) -> Float64Array:
    """Lambda of a row over the greatest lambda in its cluster, 1 where that says nothing."""
    member = owner >= 0
    greatest = tree.death[owner]
    scores = member.astype(np.float64)
    graded = member & (greatest != 0) & np.isfinite(rows.lam)
    lam, greatest = rows.lam[graded], greatest[graded]
    scores[graded] = np.minimum(lam, greatest) / greatest
    return scores


def _outlier_scores(rows: _Rows, depth: Float64Array, params: HdbscanParams) -> Float64Array:
    """GLOSH (Campello et al., 2015): how far a row falls short of the densest below its cluster."""
    greatest = depth[rows.cluster]
    scores = np.zeros(greatest.shape[0])
    graded = (greatest != 0) & np.isfinite(rows.lam)
    lam, greatest = rows.lam[graded], greatest[graded]
    with np.errstate(invalid="ignore"):
        scores[graded] = (greatest - lam) / greatest
    if params.ties == "together":
        scores[np.isnan(scores)] = 1.0  # the limit, as the greatest lambda grows
    return scores


def _persistence(labels: Int64Array, stability: Float64Array, greatest: float) -> Float64Array:
    """Stability over the most that a cluster of this size could have."""
    size = np.bincount(labels[labels >= 0], minlength=stability.shape[0])
    scores = np.ones(stability.shape[0])
    if np.isfinite(greatest) and greatest != 0:
        filled = size > 0
        scores[filled] = stability[filled] / (size[filled] * greatest)
    return scores


def _exemplars(
    tree: ClusterTree, rows: _Rows, labels: Int64Array, n_clusters: int
) -> tuple[Int64Array, ...]:
    """The rows that live longest in each leaf of the condensed tree below a selected cluster."""
    last = tree.leaves()[rows.cluster] & (rows.lam == tree.death[rows.cluster]) & (labels >= 0)
    found = np.flatnonzero(last)
    found = found[np.argsort(labels[found], kind="stable")]
    ends = np.cumsum(np.bincount(labels[found], minlength=n_clusters))
    return tuple(np.split(found, ends[:-1])) if n_clusters else ()
