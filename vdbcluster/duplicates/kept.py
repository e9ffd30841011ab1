"""The neighbour graph without duplicates.

In: ``NeighborGraph``, ``duplicate_of (n,)``. Out: the graph of the rows to keep, and which.
Promise: distances and their order stay; rows whose neighbours were all duplicates have none.

    kept, rows = without_duplicates(graph, found.duplicate_of)

For what counts statements rather than rows: five copies of one are no group.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.model.arrays import Int64Array
from vdbcluster.model.neighbors import PADDING, NeighborGraph


def without_duplicates(
    graph: NeighborGraph, duplicate_of: Int64Array
) -> tuple[NeighborGraph, Int64Array]:
    """``rows (m,)``: position of each row that is left; the graph counts by places among these."""
    rows = np.flatnonzero(duplicate_of < 0)
    place = np.full(graph.n_rows + 1, PADDING, np.int32)  # the last entry is for padding
    place[rows] = np.arange(len(rows), dtype=np.int32)
    indices = place[graph.indices[rows]]
    distances = np.where(indices == PADDING, np.float32(np.inf), graph.distances[rows])
    order = np.argsort(indices == PADDING, axis=1, kind="stable")
    return (
        NeighborGraph(
            np.take_along_axis(indices, order, axis=1),
            np.take_along_axis(distances, order, axis=1).astype(np.float32, copy=False),
            graph.metric,
        ),
        rows,
    )
