"""One neighbour pass over all rows, and its audit against exact search.

In: a ``NeighborSearch`` over the rows, and their prepared vectors. Out: ``NeighborGraph``,
``RecallAudit``. Promise: O(n k) memory beyond the vectors; the distances of the graph are those of
``graph.measure``, whoever searched.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.measure import nearest
from vdbcluster.model.arrays import Float32Array, Int32Array, Int64Array
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.ports import NeighborSearch, Observer
from vdbcluster.quality.recall import RecallAudit, audit_sample, recall

BATCH = 4000  # a multiple of what is sent to a server at once


def neighbor_graph(
    search: NeighborSearch, points: Float32Array, metric: str, k: int, observer: Observer
) -> NeighborGraph:
    """The ``k`` nearest neighbours of every row, in batches; fewer where there are fewer rows.

    ``points (n, d)`` as ``graph.distance.prepare`` made them for ``metric``, which is that of the
    graph; the search may go by another that orders neighbours alike.
    """
    n_rows = len(points)
    k = max(1, min(k, n_rows - 1))
    indices = np.full((n_rows, k), PADDING, np.int32)
    distances = np.full((n_rows, k), np.inf, np.float32)
    with observer.stage("neighbours", n_rows) as progress:
        for start in range(0, n_rows if n_rows > 1 else 0, BATCH):
            rows = slice(start, min(start + BATCH, n_rows))
            which = np.arange(rows.start, rows.stop)
            indices[rows], distances[rows] = search_batch(search, points, which, metric, k)
            progress.advance(which.shape[0])
    return NeighborGraph(indices, distances, metric)


def search_batch(
    search: NeighborSearch, points: Float32Array, which: Int64Array, metric: str, k: int
) -> tuple[Int32Array, Float32Array]:
    """The ``k`` nearest of rows ``which (m,)``, ``(m, k)`` each, with distances as measured.

    Raises ``ValueError`` if the search gives positions that no row has.
    """
    indices, distances = search.search(which, k)
    if search.measured and search.metric == metric:
        return indices, distances
    if indices.size and (indices.min() < PADDING or indices.max() >= len(points)):
        raise ValueError(f"indices must lie in -1 .. {len(points) - 1}")
    return nearest(points, which, indices, k, metric)


def audit(
    graph: NeighborGraph, vectors: Float32Array, sample: int, seed: int, observer: Observer
) -> RecallAudit:
    """Recall of the graph on a random sample of rows against exact search on the vectors."""
    which = audit_sample(graph.n_rows, sample, seed)
    with observer.stage("recall audit", which.shape[0]) as progress:
        indices, distances = exact_neighbors(vectors, which, graph.n_neighbors, graph.metric)
        progress.advance(which.shape[0])
    return recall(graph.indices[which], indices, graph.distances[which], distances)
