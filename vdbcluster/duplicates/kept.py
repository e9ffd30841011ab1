"""The neighbour graph without duplicates.

In: ``NeighborGraph``, ``duplicate_of (n,)``. Out: the graph of the rows to keep, and which.
Promise: as ``graph.among``.

    kept, rows = without_duplicates(graph, found.duplicate_of)

For what counts statements rather than rows: five copies of one are no group.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.graph.among import among
from vdbcluster.model.arrays import Int64Array
from vdbcluster.model.neighbors import NeighborGraph


def without_duplicates(
    graph: NeighborGraph, duplicate_of: Int64Array
) -> tuple[NeighborGraph, Int64Array]:
    """``rows (m,)``: position of each row that is left; the graph counts by places among these."""
    rows = np.flatnonzero(duplicate_of < 0)
    return among(graph, rows), rows
