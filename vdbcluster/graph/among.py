"""The neighbour graph of some of its rows.

In: ``NeighborGraph``, places of rows. Out: the graph among these rows alone.
Promise: distances and their order stay; a row whose neighbours are all left out has none.

    among(graph, np.flatnonzero(still_there))
"""

from __future__ import annotations

import numpy as np

from vdbcluster.model.arrays import Int64Array
from vdbcluster.model.neighbors import PADDING, NeighborGraph


def among(graph: NeighborGraph, rows: Int64Array) -> NeighborGraph:
    """``rows (m,)``: ascending, each once; the result counts by places among them."""
    if len(rows) == graph.n_rows:
        return graph
    place = np.full(graph.n_rows + 1, PADDING, np.int32)  # the last entry is for padding
    place[rows] = np.arange(len(rows), dtype=np.int32)
    indices = place[graph.indices[rows]]
    distances = np.where(indices == PADDING, np.float32(np.inf), graph.distances[rows])
    order = np.argsort(indices == PADDING, axis=1, kind="stable")
    return NeighborGraph(
        np.take_along_axis(indices, order, axis=1),
        np.take_along_axis(distances, order, axis=1).astype(np.float32, copy=False),
        graph.metric,
    )
