"""What the engine is compared with: hdbscan on the dense matrix, and the definition of the default.

In: ``NeighborGraph``, ``HdbscanParams``. Out: ``Clustering``.
``reference`` runs hdbscan 0.8.43 on the symmetrised, infinity-padded float64 matrix.
``definition`` follows the words of the default setting, with recursion over sets of rows and the
minimax distance of every pair: O(n^3), no spanning tree, no union-find.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import hdbscan
import numpy as np

from vdbcluster.model.hierarchy import Clustering, ExtraEdges
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams


def dense(graph: NeighborGraph, extra: ExtraEdges | None = None) -> np.ndarray:
    """The symmetrised infinity-padded matrix, ``(n, n) float64``, zero diagonal."""
    n = graph.n_rows
    matrix = np.full((n, n), np.inf)
    rows, places = np.nonzero(graph.indices >= 0)
    np.minimum.at(matrix, (rows, graph.indices[rows, places]), graph.distances[rows, places])
    if extra is not None:
        np.minimum.at(matrix, (extra.left, extra.right), extra.distances)
    matrix = np.minimum(matrix, matrix.T)
    np.fill_diagonal(matrix, 0.0)
    return matrix


def reference(
    graph: NeighborGraph, params: HdbscanParams, extra: ExtraEdges | None = None
) -> tuple[Clustering, np.ndarray]:
    """hdbscan's own answer, exemplars left out, and its condensed tree as a record array."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of infinite edges and divides by zero
        model = hdbscan.HDBSCAN(
            metric="precomputed",
            min_cluster_size=params.min_cluster_size,
            min_samples=params.min_samples,
            cluster_selection_method=params.cluster_selection_method,
            cluster_selection_epsilon=float(params.cluster_selection_epsilon),
            max_cluster_size=params.max_cluster_size,
            allow_single_cluster=params.allow_single_cluster,
        ).fit(dense(graph, extra))
        scores = (model.labels_, model.probabilities_, model.outlier_scores_)
    none = np.zeros(graph.n_rows, np.bool_)
    return Clustering(*scores, model.cluster_persistence_, (), none), model._condensed_tree


@dataclass
class _Cluster:
    rows: list[int]
    birth: float
    parent: _Cluster | None
    children: list[_Cluster] = field(default_factory=list)
    leaving: dict[int, float] = field(default_factory=dict)
    terms: list[tuple[float, int]] = field(default_factory=list)  # lambda, rows that leave at it
    best: float = 0.0

    @property
    def stability(self) -> float:
        total = 0.0
        for lam, count in self.terms:
            total += (lam - self.birth) * count
        return total

    @property
    def distance(self) -> float:
        return 1.0 / self.birth if self.birth > 0 else np.inf

    def below(self) -> list[_Cluster]:
        found = [self]
        for child in self.children:
            found += child.below()
        return found


def minimax(graph: NeighborGraph, params: HdbscanParams) -> np.ndarray:
    """The least threshold that connects each pair of rows, joins included; -1 on the diagonal."""
    matrix = dense(graph)
    n = graph.n_rows
    core = np.sort(matrix, axis=0)[min(params.min_samples, n - 1)]
    best = np.maximum(matrix, np.maximum(core[:, None], core[None, :]))
    for middle in range(n):
        best = np.minimum(best, np.maximum(best[:, [middle]], best[[middle], :]))
    np.fill_diagonal(best, -1.0)
    if params.join != "inf":
        greatest = best[np.isfinite(best)].max()
        best[np.isinf(best)] = greatest if greatest > 0 else np.inf
    return best


def _grow(cluster: _Cluster, rows: list[int], best: np.ndarray, smallest: int) -> None:
    """Follow a cluster, now made of ``rows``, up to its end."""
    threshold = best[np.ix_(rows, rows)].max()
    lam = 1.0 / threshold if threshold > 0 else np.inf
    parts: list[list[int]] = []
    for row in rows:
        home = next((part for part in parts if best[part[0], row] < threshold), None)
        if home is None:
            parts.append([row])
        else:
            home.append(row)
    large = [part for part in parts if len(part) >= smallest]
    stays = large[0] if len(large) == 1 else []
    cluster.terms.append((lam, len(rows) - len(stays)))
    for part in parts:
        if part not in large:
            cluster.leaving.update(dict.fromkeys(part, lam))
    if stays:
        _grow(cluster, stays, best, smallest)
    for part in large if len(large) > 1 else []:
        child = _Cluster(part, lam, cluster)
        cluster.children.append(child)
        _grow(child, part, best, smallest)


def _excess_of_mass(cluster: _Cluster, params: HdbscanParams) -> list[_Cluster]:
    """The best selection in a subtree; ``cluster.best`` becomes its worth."""
    chosen = [found for child in cluster.children for found in _excess_of_mass(child, params)]
    total = 0.0
    for worth in sorted(child.best for child in cluster.children):
        total += worth
    own = cluster.stability
    too_large = 0 < params.max_cluster_size < len(cluster.rows)
    candidate = cluster.parent is not None or params.allow_single_cluster
    if candidate and not (total > own or too_large):
        cluster.best = own
        return [cluster]
    cluster.best = total
    return chosen


def _beyond(cluster: _Cluster, params: HdbscanParams) -> _Cluster:
    """The nearest ancestor, or the cluster itself, that is born at epsilon or beyond."""
    while cluster.distance < params.cluster_selection_epsilon:
        assert cluster.parent is not None  # the root is born at infinity
        if cluster.parent.parent is None and not params.allow_single_cluster:
            break
        cluster = cluster.parent
    return cluster


def _select(root: _Cluster, params: HdbscanParams) -> list[_Cluster]:
    if params.cluster_selection_method == "leaf":
        chosen = [c for c in root.below() if not c.children and c is not root]
        for cluster in root.below():
            cluster.best = cluster.stability
    else:
        chosen = _excess_of_mass(root, params)
    if params.cluster_selection_epsilon > 0 and root not in chosen:
        chosen = list({id(c): c for c in (_beyond(c, params) for c in chosen)}.values())
    return chosen


def _members(cluster: _Cluster, params: HdbscanParams) -> dict[int, float]:
    """The rows of a selected cluster, each with the lambda at which it leaves the tree."""
    rows = {row: lam for part in cluster.below() for row, lam in part.leaving.items()}
    if cluster.parent is not None:
        return rows
    epsilon = params.cluster_selection_epsilon
    least = 1 / epsilon if epsilon > 0 else max(lam for lam, _ in cluster.terms)
    return {row: lam for row, lam in rows.items() if lam >= least}


def definition(graph: NeighborGraph, params: HdbscanParams) -> Clustering:
    """What ``ties="together"`` means, for at least two rows."""
    n = graph.n_rows
    best = minimax(graph, params)
    root = _Cluster(list(range(n)), 0.0, None)
    _grow(root, root.rows, best, params.min_cluster_size)
    found = [(c, _members(c, params)) for c in _select(root, params)]
    found = sorted(
        ((c, rows) for c, rows in found if rows), key=lambda pair: (-len(pair[1]), min(pair[1]))
    )
    labels, probabilities = np.full(n, -1), np.zeros(n)
    everything = root.below()
    greatest = max(lam for c in everything for lam, _ in c.terms)
    persistence, exemplars = [], []
    for number, (cluster, rows) in enumerate(found):
        densest = cluster.terms[-1][0]
        for row, lam in rows.items():
            labels[row] = number
            sure = densest == 0 or np.isinf(lam)
            probabilities[row] = 1.0 if sure else min(lam, densest) / densest
        unbounded = np.isinf(greatest) or greatest == 0
        persistence.append(1.0 if unbounded else cluster.best / (len(rows) * greatest))
        leaves = [c for c in cluster.below() if not c.children]
        last = [r for c in leaves for r, lam in c.leaving.items() if lam == c.terms[-1][0]]
        exemplars.append(np.array(sorted(set(last) & set(rows)), np.int64))
    outlier_scores = np.zeros(n)
    for cluster in everything:
        depth = max(c.terms[-1][0] for c in cluster.below())
        for row, lam in cluster.leaving.items():
            if np.isinf(depth):
                outlier_scores[row] = 0.0 if np.isinf(lam) else 1.0
            elif depth > 0:
                outlier_scores[row] = (depth - lam) / depth
    none = np.zeros(n, np.bool_)
    return Clustering(
        labels, probabilities, outlier_scores, np.array(persistence), tuple(exemplars), none
    )
