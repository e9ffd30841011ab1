"""Core distances and mutual reachability, in place on a private copy of the neighbour lists.

In: ``NeighborGraph``, further known pairs, ``min_samples``. Out: ``Reachability``: every pair once,
weighted by max(d, core_i, core_j) (Campello, Moulavi and Sander, 2013).
Promise: d(i, j) is the lesser of what row i and row j say; a core distance counts all known
neighbours of a row, those that only the other side knows included. The caller's arrays are not
touched. O(n k) memory, no sorting; the same result whatever the threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.graph.by_rows import RowBlocks
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
    blocks: RowBlocks,
    empty: Allocate = np.empty,
) -> Reachability:
    """Weight all known pairs; ``min_samples`` is at least 1 and counts neighbours without self.

    ``blocks``: of the rows of the graph. The private copy of the lists, and the ``min_samples``
    nearest of each row, lie where ``empty`` says.
    """
    indices = empty(graph.indices.shape, np.int32)
    distances = empty(graph.indices.shape, np.float32)

    def copy(rows: slice) -> None:
        indices[rows], distances[rows] = graph.indices[rows], graph.distances[rows]

    blocks.each(copy)
    pairs = _absorb(indices, distances, extra)
    order = _near_together(indices, blocks)
    blocks.each(lambda rows: _symmetrise(indices, distances, order[rows]))
    core = _cores(indices, distances, pairs, min_samples, blocks, empty)
    blocks.each(lambda rows: _weigh(indices, distances, core, rows.start, rows.stop))
    reach = np.maximum(pairs.distances, np.maximum(core[pairs.left], core[pairs.right]))
    finite = np.isfinite(reach)
    weighted = ExtraEdges(pairs.left[finite], pairs.right[finite], reach[finite])
    return Reachability(indices, distances, core, weighted)


def _near_together(indices: Int32Array, blocks: RowBlocks) -> Int32Array:
    """The rows in an order in which those that list the same row come together, ``(n,)``.

    By the least position in each list and its own (Broder's min-hash, 1997): what the next row
    looks up is then in the processor's cache, as the row before has looked it up, too.
    """
    least = np.empty(len(indices), np.uint32)

    def find(rows: slice) -> None:
        own = np.arange(rows.start, rows.stop, dtype=np.uint32)
        lists = indices[rows].view(np.uint32)  # padding becomes the greatest
        least[rows] = np.minimum(own, lists.min(axis=1, initial=np.iinfo(np.uint32).max))

    blocks.each(find)
    return np.argsort(least, kind="stable").astype(np.int32)


def _cores(
    indices: Int32Array,
    distances: Float32Array,
    pairs: ExtraEdges,
    min_samples: int,
    blocks: RowBlocks,
    empty: Allocate,
) -> Float32Array:
    """The distance of each row to the last of its ``min_samples`` nearest, ``(n,)``."""
    nearest = empty((len(indices), min_samples), np.float32)

    def collect(rows: slice) -> None:
        nearest[rows] = np.inf
        _collect_own(indices, distances, nearest, rows.start, rows.stop)

    blocks.each(collect)
    _collect_others(indices, distances, nearest)
    if len(pairs):
        _collect_pairs(pairs.left, pairs.right, pairs.distances, nearest)
    return nearest[:, -1].copy()


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
def _symmetrise(indices: Int32Array, distances: Float32Array, rows: Int32Array) -> None:
    """Give both rows of a pair the lesser distance, and leave the pair with the smaller row.

    The other row keeps the distance without the index: its core distance still needs it. Each of
    ``rows`` looks up the pairs whose smaller row it is, and these alone are read for what they
    hold and changed: others may do so with other rows meanwhile.
    """
    k = indices.shape[1]
    for i in rows:
        for t in range(k):
            j = indices[i, t]
            if j <= i:
                continue
            mutual = False
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
def _collect_own(
    indices: Int32Array, distances: Float32Array, nearest: Float32Array, start: int, stop: int
) -> None:
    """Fill the ``min_samples`` least distances of rows, ascending, as far as they know themselves.

    What is left of pairs with a smaller row, which did not list this one, is marked.
    """
    for i in range(start, stop):
        for t in range(indices.shape[1]):
            insert(nearest, i, distances[i, t])
            if 0 <= indices[i, t] <= i:
                indices[i, t] = _ONE_SIDED - indices[i, t]


@kernel
def _collect_others(indices: Int32Array, distances: Float32Array, nearest: Float32Array) -> None:
    """What rows are told by those that they do not list: little, as a row lists its nearest."""
    n, k = indices.shape
    core = nearest[:, -1].copy()
    for i in range(n):
        for t in range(k):
            if indices[i, t] <= _ONE_SIDED:
                j = _ONE_SIDED - indices[i, t]
                if distances[i, t] < core[j]:
                    insert(nearest, j, distances[i, t])
                    core[j] = nearest[j, -1]


@kernel
def _collect_pairs(
    left: Int32Array, right: Int32Array, distances: Float32Array, nearest: Float32Array
) -> None:
    for e in range(left.shape[0]):
        insert(nearest, left[e], distances[e])
        insert(nearest, right[e], distances[e])


@kernel
def _weigh(
    indices: Int32Array, distances: Float32Array, core: Float32Array, start: int, stop: int
) -> None:
    """Mutual reachability of pairs that rows hold; those of one side are unmarked."""
    for i in range(start, stop):
        for t in range(indices.shape[1]):
            j = indices[i, t]
            if j <= _ONE_SIDED:
                j = _ONE_SIDED - j
                indices[i, t] = j
            if j < 0:
                continue
            reach = max(distances[i, t], core[i], core[j])
            distances[i, t] = reach
            if reach == np.inf:
                indices[i, t] = PADDING


KERNELS = (_symmetrise, _collect_own, _collect_others, _weigh)
