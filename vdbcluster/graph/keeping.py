"""The edges among some rows, one after the other to the front of their lists.

In: neighbour lists, which rows stay and where. Out: their lists, in arrays of the caller.
Promise: nothing is allocated, order stays. Apart from ``graph.among``, so that what only might need
it does not load the compiler.
"""

from __future__ import annotations

import numba
import numpy as np

from vdbcluster.graph.by_rows import row_blocks
from vdbcluster.model.arrays import Float32Array, Int32Array, Int64Array
from vdbcluster.model.neighbors import PADDING


def keep_edges(
    indices: Int32Array,
    distances: Float32Array,
    rows: Int64Array,
    place: Int32Array,
    found: Int32Array,
    apart: Float32Array,
) -> None:
    """``rows (m,)``: those that stay; ``place (n,)``: where, -1 for the others; ``found``, ``apart
    (m, k)``: their neighbours and distances, overwritten.
    """
    arrays = [np.asarray(array) for array in (indices, distances, rows, place, found, apart)]
    with row_blocks(len(rows)) as blocks:
        blocks.each(lambda part: _keep(*arrays, part.start, part.stop))


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _keep(
    indices: Int32Array,
    distances: Float32Array,
    rows: Int64Array,
    place: Int32Array,
    found: Int32Array,
    apart: Float32Array,
    start: int,
    stop: int,
) -> None:
    k = indices.shape[1]
    for a in range(start, stop):
        i, left = rows[a], 0
        for t in range(k):
            j = indices[i, t]
            if j >= 0 and place[j] >= 0:
                found[a, left], apart[a, left] = place[j], distances[i, t]
                left += 1
        for t in range(left, k):
            found[a, t], apart[a, t] = PADDING, np.inf
