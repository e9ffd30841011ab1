"""The neighbour graph of some of its rows.

In: ``NeighborGraph``, places of rows. Out: the graph among these rows alone.
Promise: distances and their order stay; a row whose neighbours are all left out has none; O(m k)
time, O(n) memory beside the result.

    among(graph, np.flatnonzero(still_there))
"""

from __future__ import annotations

import numpy as np

from vdbcluster.model.arrays import Allocate, Int64Array
from vdbcluster.model.neighbors import PADDING, NeighborGraph


def among(graph: NeighborGraph, rows: Int64Array, *, empty: Allocate = np.empty) -> NeighborGraph:
    """``rows (m,)``: ascending, each once; the result counts by places among them.

    Its arrays lie where ``empty`` says, unless it is the whole graph, which is given as it is.
    """
    from vdbcluster.graph.keeping import keep_edges  # the compiler takes half a second to load

    if len(rows) == graph.n_rows:
        return graph
    place = np.full(graph.n_rows, PADDING, np.int32)
    place[rows] = np.arange(len(rows), dtype=np.int32)
    shape = (len(rows), graph.n_neighbors)
    indices, distances = empty(shape, np.int32), empty(shape, np.float32)
    keep_edges(
        graph.indices, graph.distances, np.asarray(rows, np.int64), place, indices, distances
    )
    return NeighborGraph(indices, distances, graph.metric)
