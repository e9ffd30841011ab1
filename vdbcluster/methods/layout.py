"""A layout of the graph in few dimensions by UMAP, and HDBSCAN on the layout.

In: ``NeighborGraph``, the vectors it is of, ``Recipe``. Out: ``Clustering``.
Promise: no search in the vectors, which UMAP reads for where to begin alone; same seed, same
labels, on one thread; exact Euclidean neighbours in the layout.

The recipe that BERTopic made customary (UMAP: McInnes, Healy and Melville 2018): 15 neighbours with
the row itself, five dimensions, ``min_dist`` 0. UMAP is fed with the graph at hand. Its layout says
which rows hang together, not how far groups are from each other, so distances in it, and with them
probabilities and outlier scores, mean less than those of the vectors.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from vdbcluster.graph.measure import measure
from vdbcluster.hierarchy import build, extract
from vdbcluster.hierarchy.bridge import bridges
from vdbcluster.layout.umap import Embedding, embedded
from vdbcluster.methods.density import cluster_density, finish
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.model.params import Recipe

_DIMENSIONS = 5
_METRIC = "euclidean"
_LEAST_NEIGHBORS = 30
"""In the layout: with fewer, HDBSCAN on the graph differs from HDBSCAN on all pairs."""
_FEWEST_ROWS = 4 * _DIMENSIONS


def umap_hdbscan(graph: NeighborGraph, vectors: Float32Array, recipe: Recipe) -> Clustering:
    """HDBSCAN, as ``recipe.hdbscan`` says, on the layout; ``recipe.smooth`` is not looked at.

    Noise goes to its neighbours in the layout where the recipe says so. Fewer than 20 rows with
    neighbours are too few for a layout; they are clustered by the graph itself. Rows without any
    neighbour are noise. Raises ``ValueError`` where ``min_samples`` is more than fits the rows.
    """
    linked = np.count_nonzero((graph.indices != PADDING).any(axis=1))
    if linked < _FEWEST_ROWS:
        return cluster_density(graph, replace(recipe, method="hdbscan", smooth="none"))[0]
    params = recipe.hdbscan
    points = layout(graph, vectors, recipe.seed)
    k = max(graph.n_neighbors, _LEAST_NEIGHBORS, 2 * params.min_samples)
    edges = _neighbors(points, min(k, graph.n_rows - 1))
    hierarchy = build(edges, params)
    if params.join == "bridge" and hierarchy.n_components > 1:
        extra = bridges(hierarchy, points, edges.metric, params.min_samples)
        hierarchy = build(edges, params, extra=extra)
    return finish(edges, extract(hierarchy, params), recipe)


def layout(graph: NeighborGraph, vectors: Float32Array, seed: int) -> Float32Array:
    """The rows in ``(n, 5) float32``, NaN for those without any neighbour; n at least 20."""
    return embedded(graph, vectors, Embedding(_DIMENSIONS, seed, min_dist=0.0))


def _neighbors(points: Float32Array, k: int) -> NeighborGraph:
    """Exact neighbours in few dimensions, in O(n k log n); rows without a place have none."""
    n = len(points)
    indices = np.full((n, k), PADDING, np.int32)
    distances = np.full((n, k), np.inf, np.float32)
    rows = np.flatnonzero(np.isfinite(points).all(axis=1))
    width = min(k, len(rows) - 1)
    if width > 0:
        placed = np.ascontiguousarray(points[rows])
        _, found = cKDTree(placed).query(placed, width + 1)
        near = measure(placed, found.astype(np.int32), _METRIC)  # drops the row itself
        nearest = near.indices[:, :width]
        indices[rows, :width] = np.where(nearest == PADDING, PADDING, rows[nearest])
        distances[rows, :width] = near.distances[:, :width]
    return NeighborGraph(indices, distances, _METRIC)
