"""A neighbour graph carried over to the rows that there are now.

In: the graph of before, where its rows are now, what rows that are new (or changed) are near whom.
Out: ``Carried``: the graph of now, and the rows that have to be searched for themselves.
Promise: if the graph of before was exact and so is what is said of new rows, the distances of every
row that need not be searched are those of a search among all rows, to the last bit; of several rows
equally far the list may hold others. O(n k) time and memory.

    found = carried(before, place, near_new)
    found.graph.indices[found.again] = ...    # by a search among all rows

Why so few rows are searched again: whatever a row did not list before is at least as far as the
last that it did list. With as many known neighbours within that distance as its list has places,
its list is whole, whichever of the old ones are gone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.model.arrays import BoolArray, Float32Array, Int32Array
from vdbcluster.model.neighbors import PADDING, NeighborGraph


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """``graph`` of all rows of now; ``again (n,) bool``: rows whose lists are to be searched."""

    graph: NeighborGraph
    again: BoolArray


def carried(before: NeighborGraph, place: Int32Array, near_new: NeighborGraph) -> Carried:
    """``place (n_before,) int32``: where each row is now, ascending, ``PADDING`` if it is gone.

    A row whose vector changed counts as gone and as new. ``near_new``: for each of the n rows of
    now its nearest among the rows that nobody has a place in, at least as many as ``before`` has
    neighbours, or all of them; measured as ``before`` was. Raises ``ValueError`` if the metrics
    differ or a place is none of the n rows.
    """
    n, k = near_new.n_rows, before.n_neighbors
    if before.metric != near_new.metric:
        raise ValueError(f"one graph is by {before.metric}, the other by {near_new.metric}")
    if place.max(initial=PADDING) >= n:
        raise ValueError(f"rows are said to be at places up to {place.max()}; there are {n} rows")
    stayed = np.flatnonzero(place != PADDING)
    indices = np.full((n, k), PADDING, np.int32)
    distances = np.full((n, k), np.inf, np.float32)
    moved = np.append(place, np.int32(PADDING))[before.indices[stayed]]
    indices[place[stayed]] = moved
    left = np.where(moved == PADDING, np.float32(np.inf), before.distances[stayed])
    distances[place[stayed]] = left
    reach = np.full(n, -1.0, np.float32)  # of rows that nobody knows
    reach[place[stayed]] = before.distances[stayed, -1] if k else np.inf
    both = _nearest(indices, distances, near_new.indices, near_new.distances, k)
    graph = NeighborGraph(*both, before.metric)
    return Carried(graph, np.any(graph.distances > reach[:, None], axis=1))


def _nearest(
    indices: Int32Array, distances: Float32Array, more: Int32Array, further: Float32Array, k: int
) -> tuple[Int32Array, Float32Array]:
    """Of two lists a row, no row in both, the ``k`` least."""
    every = np.hstack((distances, further))
    order = np.argsort(every, axis=1, kind="stable")[:, :k]
    whose = np.take_along_axis(np.hstack((indices, more)), order, axis=1)
    return whose, np.take_along_axis(every, order, axis=1)
