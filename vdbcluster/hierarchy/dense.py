"""The dense recipe: hdbscan itself on the infinity-padded distance matrix.

In: ``NeighborGraph``, ``HdbscanParams``. Out: ``Clustering``, with hdbscan's own numbering.
Promise: nothing of our engine is used; this is the reference that it is compared with. O(n^2)
memory, about five float64 matrices, and O(n^2) time.

hdbscan is held at 0.8.43: the next release never ends where components are infinitely far apart.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from vdbcluster.model.arrays import Float64Array, Int64Array
from vdbcluster.model.hierarchy import Clustering, no_clusters
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.model.params import HdbscanParams

MAX_BYTES = 8 << 30
_MATRICES = 5


def dense_reference(
    graph: NeighborGraph, params: HdbscanParams, *, max_bytes: int = MAX_BYTES
) -> Clustering:
    """hdbscan with ``metric="precomputed"`` on the symmetrised matrix of the graph.

    What the graph leaves apart is joined at infinity. ``params.ties`` is not looked at: hdbscan
    merges ties one after the other. Outlier scores may be NaN beside clusters of duplicates.
    Raises ``ValueError`` for another ``join``, or if the matrices would exceed ``max_bytes``.
    """
    n = graph.n_rows
    if params.join != "inf":
        raise ValueError(f'join is {params.join!r}; the dense engine knows only "inf"')
    if n * n * 8 * _MATRICES > max_bytes:
        raise ValueError(
            f"the dense engine needs {n * n * 8 * _MATRICES / 2**30:.1f} GB for {n:,} rows "
            f"({_MATRICES} matrices of n x n float64), more than {max_bytes / 2**30:.1f} GB; "
            'ties="reference" gives the same labels from the graph itself'
        )
    if n < 2:
        return no_clusters(n)
    fitted = _fit(dense_matrix(graph), params)
    labels = fitted.labels_.astype(np.int64)
    return Clustering(
        labels=labels,
        probabilities=np.asarray(fitted.probabilities_, np.float64),
        outlier_scores=np.asarray(fitted.outlier_scores_, np.float64),
        persistence=np.asarray(fitted.cluster_persistence_, np.float64),
        exemplars=_exemplars(fitted.condensed_tree_.to_numpy(), labels),
        soft=np.zeros(n, np.bool_),
    )


def dense_matrix(graph: NeighborGraph) -> Float64Array:
    """The ``(n, n) float64`` matrix: 0 on the diagonal, +inf where neither row lists the other.

    Of two distances of a pair the lesser holds.
    """
    n = graph.n_rows
    matrix = np.full((n, n), np.inf)
    rows, places = np.nonzero(graph.indices != PADDING)
    columns, found = graph.indices[rows, places], graph.distances[rows, places]
    np.minimum.at(matrix, (rows, columns), found)
    np.minimum(matrix, matrix.T, out=matrix)
    np.fill_diagonal(matrix, 0.0)
    return matrix


def _fit(matrix: Float64Array, params: HdbscanParams) -> Any:
    from hdbscan import HDBSCAN  # takes a second, and only this engine needs it

    model = HDBSCAN(
        metric="precomputed",
        min_cluster_size=params.min_cluster_size,
        min_samples=params.min_samples,
        cluster_selection_method=params.cluster_selection_method,
        cluster_selection_epsilon=params.cluster_selection_epsilon,
        max_cluster_size=params.max_cluster_size,
        allow_single_cluster=params.allow_single_cluster,
    )
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # The warning of infinite edges, and divisions by the distance 0 of duplicates: both meant.
        warnings.filterwarnings("ignore", "The minimum spanning tree contains edge weights")
        return model.fit(matrix)


def _exemplars(tree: Any, labels: Int64Array) -> tuple[Int64Array, ...]:
    """The rows that live longest in each leaf of the condensed tree below a selected cluster.

    hdbscan's own ``exemplars_`` needs the vectors.
    """
    n = len(labels)
    outer = tree["child"] < n
    parent, row, lam = (tree[name][outer] for name in ("parent", "child", "lambda_val"))
    greatest = np.full(int(tree["parent"].max()) + 1, -np.inf)
    np.maximum.at(greatest, parent, lam)
    leaf = ~np.isin(parent, tree["parent"][~outer])
    found = np.sort(row[leaf & (lam == greatest[parent]) & (labels[row] >= 0)]).astype(np.int64)
    return tuple(found[labels[found] == label] for label in range(labels.max(initial=-1) + 1))
