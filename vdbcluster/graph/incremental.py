"""A neighbour graph carried over to the rows that there are now.

In: the graph of before, where its rows are now, what rows that are new (or changed) are near whom.
Out: ``Carried``: the lists of now as far as they are certain, and the rows whose lists are too
short for that and have to be searched.
Promise: if the graph of before was exact (ties in order of position) and so is what is said of new
rows, the first neighbours of every row that need not be searched, and their distances, are those of
a search among all rows, to the last bit. O(n k) time, memory of a block beside the result.

    found = carried(before, place, near_new, k)
    found.indices[found.again] = ...    # by a search among all rows

Why so few rows are searched again: whatever a row did not list before comes after the last that it
did list. So of what is known now, all that comes no later than that is the beginning of its list,
whichever of the old ones are gone, and it will do if it is long enough. A row that lists a few more
than are needed (``SPARE``) can lose as many: with 50 neighbours and 5 % of all rows gone, 9 rows of
10 lose one at least, and 1 of 100 more than 7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.graph.measure import select
from vdbcluster.model.arrays import BoolArray, Float32Array, Int32Array
from vdbcluster.model.neighbors import PADDING, NeighborGraph

SPARE = 5
"""Of so many neighbours that are needed, one more is searched for rows that may go."""
_BLOCK_ROWS = 1 << 15


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """``indices``, ``distances (n, w)``: neighbours that are certain, padded after them.

    ``again (n,) bool``: rows of which less are certain than are needed.
    """

    indices: Int32Array
    distances: Float32Array
    again: BoolArray


def spare_for(n_neighbors: int, n_rows: int) -> int:
    """How many neighbours to search beyond those that are needed, so that rows may go."""
    return max(0, min(-(-n_neighbors // SPARE), n_rows - 1 - n_neighbors))


def carried(
    before: NeighborGraph,
    place: Int32Array,
    near_new: NeighborGraph,
    n_neighbors: int,
    out: tuple[Int32Array, Float32Array] | None = None,
) -> Carried:
    """``place (n_before,) int32``: where each row is now, ascending, ``PADDING`` if it is gone.

    A row whose vector changed counts as gone and as new. ``near_new``: for each of the n rows of
    now its nearest among the rows that nobody has a place in, at least as many as ``out`` is wide,
    or all of them; measured as ``before`` was. A list of ``before`` may end, with padding after it,
    where more is not certain. ``out``: arrays to fill, ``(n, w)``, w at least ``n_neighbors``; by
    default as wide as ``before``. Raises ``ValueError`` if the metrics differ or a place is none of
    the n rows.
    """
    n, k = near_new.n_rows, before.n_neighbors
    if before.metric != near_new.metric:
        raise ValueError(f"one graph is by {before.metric}, the other by {near_new.metric}")
    if place.max(initial=PADDING) >= n:
        raise ValueError(f"rows are said to be at places up to {place.max()}; there are {n} rows")
    indices, distances = out or (np.empty((n, k), np.int32), np.empty((n, k), np.float32))
    was = np.full(n, PADDING, np.int32)
    stayed = np.flatnonzero(place != PADDING)
    was[place[stayed]] = stayed
    moves = _Moves(before, np.append(place, np.int32(PADDING)), np.maximum.accumulate(place))
    again = np.empty(n, np.bool_)
    for start in range(0, n, _BLOCK_ROWS):
        rows = slice(start, min(start + _BLOCK_ROWS, n))
        old, far, reach, last = moves.lists(was[rows])
        both = np.hstack((old, near_new.indices[rows])), np.hstack((far, near_new.distances[rows]))
        found, apart = select(*both, indices.shape[1])
        certain = (apart < reach) | ((apart == reach) & (found <= last))
        certain &= found != PADDING
        indices[rows] = np.where(certain, found, PADDING)
        distances[rows] = np.where(certain, apart, np.inf)
        again[rows] = certain.sum(axis=1) < min(n_neighbors, n - 1)
    return Carried(indices, distances, again)


@dataclass(frozen=True, slots=True, eq=False)
class _Moves:
    """``place (n_before + 1,)``: the last entry is for padding. ``up_to (n_before,)``: that of each
    row, or of the last before it that is not gone.
    """

    before: NeighborGraph
    place: Int32Array
    up_to: Int32Array

    def lists(self, was: Int32Array) -> tuple[Int32Array, Float32Array, Float32Array, Int32Array]:
        """Of the rows that were at ``was (m,)``, -1 for none: old neighbours at their new places,
        those that are gone infinitely far; ``reach``, ``last (m, 1)``: the distance up to which all
        are known, and at that distance the place up to which they are.
        """
        old, far = self.before.indices[was], self.before.distances[was]
        count = (old != PADDING).sum(axis=1)[:, None]
        end = np.maximum(count - 1, 0)
        last = self.up_to[np.take_along_axis(old, end, axis=1)]
        reach = np.where(count > 0, np.take_along_axis(far, end, axis=1), np.float32(-1))
        reach[count >= self.before.n_rows - 1] = np.inf  # there was no other row
        moved = self.place[old]
        unknown = (was == PADDING)[:, None]
        gone = unknown | (moved == PADDING)
        return moved, np.where(gone, np.float32(np.inf), far), np.where(unknown, -1, reach), last
