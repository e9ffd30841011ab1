"""How far each row lies from its neighbours, from what is usual beside it, and from the centre.

In: ``NeighborGraph``, vectors ``(n, d)``, who is whose duplicate. Out: ``(n,)`` each.
Promise: O(n k) and O(n d) in blocks; duplicates count as one neighbour and are none to each other,
so that a row beside many copies of another is not odd for that.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.graph.distance import ON_SPHERE, blocks, directions
from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from vdbcluster.model.neighbors import PADDING, NeighborGraph

_BLOCK_ROWS = 16384


def reach(graph: NeighborGraph, unit_of: Int64Array) -> Float64Array:
    """The mean reachability distance to the neighbours, ``(n,)``, NaN where a row has none.

    The inverse of the local reachability density of Breunig et al. (2000), over all neighbours:
    for each the greater of its distance and of its own distance to its last neighbour.
    ``unit_of (n,)``: the same number for duplicates.
    """
    core = np.full(graph.n_rows, np.nan)
    for rows in _rows(graph):
        real = others(graph, unit_of, rows)
        last = np.where(real, graph.distances[rows], -np.inf).max(axis=1, initial=-np.inf)
        core[rows] = np.where(np.isinf(last), np.nan, last)
    found = np.full(graph.n_rows, np.nan)
    for rows in _rows(graph):
        far = np.fmax(graph.distances[rows], core[graph.indices[rows]])
        found[rows] = _mean(far, others(graph, unit_of, rows))
    return found


def around(graph: NeighborGraph, unit_of: Int64Array, values: Float64Array) -> Float64Array:
    """The mean of the neighbours' values, ``(n,)``, NaN where there is none."""
    found = np.full(graph.n_rows, np.nan)
    for rows in _rows(graph):
        theirs = values[graph.indices[rows]]
        found[rows] = _mean(theirs, others(graph, unit_of, rows) & ~np.isnan(theirs))
    return found


def from_centre(vectors: Float32Array, metric: str) -> Float64Array:
    """The Euclidean distance of each row to the mean of all, ``(n,)``.

    Of directions, where the metric compares these.
    """
    total = np.zeros(vectors.shape[1])
    for rows in blocks(vectors):
        total += _as_compared(vectors[rows], metric).sum(axis=0)
    mean, found = total / max(1, len(vectors)), np.empty(len(vectors))
    for rows in blocks(vectors):
        apart = _as_compared(vectors[rows], metric) - mean
        found[rows] = np.sqrt(np.square(apart).sum(axis=1))
    return found


def _as_compared(rows: Float32Array, metric: str) -> Float64Array:
    values = rows.astype(np.float64)
    return directions(values) if metric in ON_SPHERE else values


def others(graph: NeighborGraph, unit_of: Int64Array, rows: slice) -> BoolArray:
    """Which neighbours of these rows count: no duplicate of the row, of others only the first."""
    indices = graph.indices[rows]
    units = np.where(indices == PADDING, PADDING, unit_of[indices])
    order = np.argsort(units, axis=1, kind="stable")
    ordered = np.take_along_axis(units, order, axis=1)
    first = np.ones(units.shape, np.bool_)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    real = np.empty_like(first)
    np.put_along_axis(real, order, first, axis=1)
    return np.asarray(real & (units != PADDING) & (units != unit_of[rows][:, None]))


def _mean(values: np.ndarray, real: BoolArray) -> Float64Array:
    count = real.sum(axis=1)
    total = np.where(real, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _rows(graph: NeighborGraph) -> list[slice]:
    n = graph.n_rows
    return [slice(at, min(at + _BLOCK_ROWS, n)) for at in range(0, n, _BLOCK_ROWS)]
