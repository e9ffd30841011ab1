"""Core distances and mutual reachability, in place on a private copy of the neighbour lists.

In: ``NeighborGraph``, further known pairs, ``min_samples``. Out: ``Reachability``: every pair once,
weighted by max(d, core_i, core_j) (Campello, Moulavi and Sander, 2013).
Promise: d(i, j) is the lesser of what row i and row j say; a core distance counts all known
neighbours of a row, those that only the other side knows included. The caller's arrays are not
touched. O(n k) memory, no sorting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.hierarchy.jit import kernel
from vdbcluster.model.arrays import Allocate, BoolArray, Float32Array, Int32Array
from vdbcluster.model.hierarchy import ExtraEdges
from vdbcluster.model.neighbors import PADDING, NeighborGraph

_ONE_SIDED = -2  # row i lists j, j does not list i: held as _ONE_SIDED - j until cores are final


@dataclass(frozen=True, slots=True, eq=False)
class Reachability:
    """The mutual reachability graph: pairs held by the rows, and further pairs as edges.

    ``indices (n, k) int32``, ``weights (n, k) float32``: each pair in one row only, -1 elsewhere,
    in no order; owned by the holder, who may overwrite them. ``core (n,) float32``, ``+inf`` for a
    row with fewer than ``min_samples`` neighbours, whose pairs are infinite and therefore absent.
    ``extra``: further pairs, none of them in ``indices``, their distances weighted likewise.
    """

    indices: Int32Array
    weights: Float32Array
    core: Float32Array
    extra: ExtraEdges


def mutual_reachability(
    graph: NeighborGraph,
    extra: ExtraEdges | None,
    min_samples: int,
    empty: Allocate = np.empty,
) -> Reachability:
    """Weight all known pairs; ``min_samples`` is at least 1 and counts neighbours without self.

    The private copy of the lists lies where ``empty`` says.
    """
    indices = empty(graph.indices.shape, np.int32)
    distances = empty(graph.indices.shape, np.float32)
    indices[:], distances[:] = graph.indices, graph.distances
    pairs = _absorb(indices, distances, extra)
    _symmetrise(indices, distances)
    nearest = np.full((graph.n_rows, min_samples), np.inf, np.float32)
    _collect_nearest(indices, distances, nearest)
    if len(pairs):
        _collect_pairs(pairs.left, pairs.right, pairs.distances, nearest)
    core = nearest[:, -1].copy()
    _weigh(indices, distances, core)
    reach = np.maximum(pairs.distances, np.maximum(core[pairs.left], core[pairs.right]))
    finite = np.isfinite(reach)
    weighted = ExtraEdges(pairs.left[finite], pairs.right[finite], reach[finite])
    return Reachability(indices, distances, core, weighted)


def _absorb(indices: Int32Array, distances: Float32Array, extra: ExtraEdges | None) -> ExtraEdges:
    """Lower the distances of pairs that the graph has already; return the others, each once."""
    if extra is None or not len(extra):
        nothing = np.empty(0, np.int32)
        return ExtraEdges(nothing, nothing, np.empty(0, np.float32))
    low = np.minimum(extra.left, extra.right)
    high = np.maximum(extra.left, extra.right)
    order = np.lexsort((extra.distances, high, low))
    low, high, distance = low[order], high[order], extra.distances[order]
    first = (low != high) & np.isfinite(distance)
    first[1:] &= (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    low, high, distance = low[first], high[first], distance[first]
    new = ~_lower(indices, distances, low, high, distance)
    return ExtraEdges(low[new], high[new], distance[new])


@kernel
def _lower(
    indices: Int32Array,
    distances: Float32Array,
    left: Int32Array,
    right: Int32Array,
    values: Float32Array,
) -> BoolArray:
    found = np.zeros(left.shape[0], np.bool_)
    for e in range(left.shape[0]):
        for i, j in ((left[e], right[e]), (right[e], left[e])):
            for t in range(indices.shape[1]):
                if indices[i, t] == j:
                    distances[i, t] = min(distances[i, t], values[e])
                    found[e] = True
    return found


@kernel
def _symmetrise(indices: Int32Array, distances: Float32Array) -> None:
    """Give both rows of a pair the lesser distance, and leave the pair with the smaller row.

    The other row keeps the distance without the index: its core distance still needs it.
    """
    n, k = indices.shape
    for i in range(n):
        for t in range(k):
            j = indices[i, t]
            if j < 0:
                continue
            mutual = False
            if j > i:  # else row j, which came before, did not list i
                for u in range(k):
                    if indices[j, u] == i:
                        lesser = min(distances[i, t], distances[j, u])
                        distances[i, t] = lesser
                        distances[j, u] = lesser
                        indices[j, u] = PADDING
                        mutual = True
                        break
            if not mutual:
                indices[i, t] = _ONE_SIDED - j


@kernel
def insert(nearest: Float32Array, row: int, value: float) -> None:
    t = nearest.shape[1] - 1
    if value >= nearest[row, t]:
        return
    while t > 0 and nearest[row, t - 1] > value:
        nearest[row, t] = nearest[row, t - 1]
        t -= 1
    nearest[row, t] = value


@kernel
def _collect_nearest(indices: Int32Array, distances: Float32Array, nearest: Float32Array) -> None:
    """Fill the ``min_samples`` least distances of every row, ascending; unmark one-sided pairs."""
    n, k = indices.shape
    for i in range(n):
        for t in range(k):
            insert(nearest, i, distances[i, t])
            if indices[i, t] <= _ONE_SIDED:
                j = _ONE_SIDED - indices[i, t]
                indices[i, t] = j
                insert(nearest, j, distances[i, t])


@kernel
def _collect_pairs(
    left: Int32Array, right: Int32Array, distances: Float32Array, nearest: Float32Array
) -> None:
    for e in range(left.shape[0]):
        insert(nearest, left[e], distances[e])
        insert(nearest, right[e], distances[e])


@kernel
def _weigh(indices: Int32Array, distances: Float32Array, core: Float32Array) -> None:
    n, k = indices.shape
    for i in range(n):
        for t in range(k):
            j = indices[i, t]
            if j < 0:
                continue
            reach = max(distances[i, t], core[i], core[j])
            distances[i, t] = reach
            if reach == np.inf:
                indices[i, t] = PADDING


KERNELS = (_symmetrise, _collect_nearest, _weigh)
