"""One neighbour pass over all rows, and its audit against exact search.

In: a ``NeighborSearch`` over the rows, and their prepared vectors. Out: ``NeighborGraph``,
``RecallAudit``. Promise: O(n k) memory beyond the vectors; the distances of the graph are those of
``graph.measure``, whoever searched.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.measure import measure
from vdbcluster.model.arrays import Float32Array
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
            which = np.arange(start, min(start + BATCH, n_rows))
            indices[which], distances[which] = search.search(which, k)
            progress.advance(which.shape[0])
    if search.measured and search.metric == metric:
        return NeighborGraph(indices, distances, metric)
    return measure(points, indices, metric)


def audit(
    graph: NeighborGraph, vectors: Float32Array, sample: int, seed: int, observer: Observer
) -> RecallAudit:
    """Recall of the graph on a random sample of rows against exact search on the vectors."""
    which = audit_sample(graph.n_rows, sample, seed)
    with observer.stage("recall audit", which.shape[0]) as progress:
        indices, distances = exact_neighbors(vectors, which, graph.n_neighbors, graph.metric)
        progress.advance(which.shape[0])
    return recall(graph.indices[which], indices, graph.distances[which], distances)
