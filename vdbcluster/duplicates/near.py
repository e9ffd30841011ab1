"""Rows much nearer to each other than to anything around them.

In: ``NeighborGraph``, prepared vectors ``(n, d)``, one row for each exact set. Out: ``NearSet``.
Promise: no matrix of all pairs; a set does not depend on the order of rows; each of its rows lies
within the threshold times the set's scale of its centre, so that no chain joins different things.

A set is a connected part of the graph at some height whose radius, from the row nearest its mean,
is small against its *scale*: the median, over its rows, of the distance to the ``outside``-th
neighbour that is not in the set. Copies of copies thus do not shrink the scale that they are
measured by. The scale is at most the median of that of all rows: two strangers are not the same for
being strange. Heights descend from the highest that can matter by steps of ``STEP``; the first at
which a part passes is its own, and what does not pass falls apart further.

A cluster that is many times as dense as everything else looks the same as a flood of near copies;
what tells them apart is only that a cluster is larger. So a set has at most ``largest`` units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vdbcluster.duplicates.scale import rounding_floor
from vdbcluster.graph.distance import blocks
from vdbcluster.graph.measure import pair_distances
from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from vdbcluster.model.members import members_of
from vdbcluster.model.neighbors import PADDING, NeighborGraph

STEP = 2.0 ** (-1 / 8)
LEVELS = 80
"""Down to a thousandth of the threshold; what is nearer differs by rounding or not at all."""
_LOOKS = 512
"""So many sets whose lists hold nothing but themselves are measured against all rows; for further
ones the usual distance is that of all rows."""
_FLAT = 0.75
"""Data count as flat around a set if so many of the rows around say so: where a small cluster ends,
some see few dimensions for that alone."""
_HIGH = 0.9
"""Nothing farther than what so many of all rows call near is looked at: the rest is noise."""
_TIES = 64


@dataclass(frozen=True, slots=True, eq=False)
class NearSet:
    """``units (m,) int64`` with their centre among them, distances to it ``(m,)``, the scale."""

    units: Int64Array
    centre: int
    distances: Float64Array
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class _Links:
    """Pairs of units that may be near, ``(e,)`` each."""

    left: Int64Array
    right: Int64Array
    distances: Float64Array

    def within(self, height: float, units: BoolArray) -> _Links:
        keep = (self.distances <= height) & units[self.left] & units[self.right]
        return _Links(self.left[keep], self.right[keep], self.distances[keep])


class NearSearch:
    """Finds the sets; ``unit_of (n,)``: the unit of each row, ``rows (u,)``: the row of each unit.

    Rows of a unit that do not stand for it (equal texts, but another vector) are left out of the
    geometry. ``rank (n,)``: which of equals is the centre. ``thresholds (n,)``, ``usual``: as of
    ``scale``; a set is judged by the rows that its rows list besides themselves.
    """

    def __init__(
        self,
        graph: NeighborGraph,
        points: Float32Array,
        unit_of: Int64Array,
        rows: Int64Array,
        stands_for: BoolArray,
        rank: Int64Array,
        *,
        thresholds: Float64Array,
        usual: float,
        outside: int,
        largest: int,
    ) -> None:
        self._graph, self._points = graph, points
        self._unit_of, self._rows, self._stands = unit_of, rows, stands_for
        self._rank = rank
        self._thresholds, self._wanted, self._largest = thresholds, outside, largest
        self._floor = rounding_floor(points)
        self._usual = usual
        self._share = float(np.median(thresholds)) if len(thresholds) else 0.0
        self._top = float(np.quantile(thresholds, _HIGH)) * usual if len(thresholds) else 0.0
        self._looks = _LOOKS

    def sets(self) -> Iterator[NearSet]:
        """All of them, in no particular order."""
        if not np.isfinite(self._usual):
            return
        top = self._top
        links = self._links(max(top, self._floor))
        free = np.zeros(len(self._rows), np.bool_)
        free[links.left] = free[links.right] = True
        refused: dict[int, int] = {}
        for height in [top * STEP**level for level in range(LEVELS)] + [self._floor]:
            links = links.within(max(height, self._floor), free)
            for part in _parts(links):
                if refused.get(int(part[0])) == len(part):
                    continue  # the same units as one step higher
                found = self._judge(part)
                if found is not None or len(part) == 2:  # a pair does not fall into smaller sets
                    free[part] = False
                if found is not None:
                    yield found
                refused[int(part[0])] = len(part)

    def _outside(self, rows: Int64Array, inside: Int64Array) -> tuple[Float64Array, Float64Array]:
        """What the neighbours that are not ``inside`` tell of the place.

        Distances to the ``outside``-th of them, where the list ends sooner to the last, of each row
        that has any; and the thresholds of all of them.
        """
        indices, distances = self._graph.indices[rows], self._graph.distances[rows]
        out = (indices != PADDING) & ~_among(inside, self._unit_of[indices])
        rank = np.cumsum(out, axis=1)
        wanted = np.minimum(rank[:, -1:], self._wanted)
        at = np.argmax(out & (rank == wanted), axis=1)
        found = distances[np.arange(len(rows)), at].astype(np.float64)
        return found[rank[:, -1] > 0], self._thresholds[np.unique(indices[out])]

    def _links(self, height: float) -> _Links:
        graph = self._graph
        rows, places = np.nonzero((graph.distances <= height) & self._stands[:, None])
        targets = graph.indices[rows, places]
        real = self._stands[targets]
        left, right = self._unit_of[rows[real]], self._unit_of[targets[real]]
        apart = left != right
        distances = graph.distances[rows[real], places[real]][apart].astype(np.float64)
        return _Links(left[apart], right[apart], distances)

    def _judge(self, units: Int64Array) -> NearSet | None:
        if len(units) > self._largest:
            return None
        rows = self._rows[units]
        centre, distances = self._centre(rows)
        radius = float(distances.max())
        if radius > max(self._top, self._floor):
            return None
        scale, threshold = self._around(units, rows, centre)
        if radius > max(threshold * scale, self._floor):
            return None
        return NearSet(units, int(units[centre]), distances, scale)

    def _centre(self, rows: Int64Array) -> tuple[int, Float64Array]:
        """The place of the row nearest the mean, and distances to it.

        Of rows that are equally near, as both of a pair are, that with the least radius, then the
        one of lowest rank.
        """
        points = self._points[rows].astype(np.float64)
        apart = np.square(points - points.mean(axis=0)).sum(axis=1)
        nearest = np.flatnonzero(apart <= apart.min() * (1 + 1e-6) + self._floor**2)
        nearest = nearest[np.argsort(self._rank[rows[nearest]])][:_TIES]
        others = np.broadcast_to(rows, (len(nearest), len(rows)))
        found = pair_distances(self._points, rows[nearest], others, self._graph.metric)
        centre = int(np.argmin(found.max(axis=1)))
        return int(nearest[centre]), found[centre].astype(np.float64)

    def _around(self, units: Int64Array, rows: Int64Array, centre: int) -> tuple[float, float]:
        """The scale of a set and its threshold, both told by what is not in it."""
        distances, shares = self._outside(rows, units)
        if distances.size:
            scale = min(float(np.median(distances)), self._usual)
            return scale, float(np.quantile(shares, _FLAT))
        scale = self._usual
        if self._looks > 0:
            self._looks -= 1
            scale = min(self._look_around(int(rows[centre]), units), scale)
        return scale, self._share

    def _look_around(self, row: int, inside: Int64Array) -> float:
        """The distance from a row to the ``outside``-th of all rows that are not inside."""
        n, best = len(self._points), np.empty(0)
        for block in blocks(self._points):
            others = np.arange(block.start, min(block.stop, n))
            others = others[~_among(inside, self._unit_of[others])]
            if others.size:
                found = pair_distances(
                    self._points, np.array([row]), others[None, :], self._graph.metric
                )
                best = np.sort(np.concatenate((best, found[0])))[: self._wanted]
        return float(best[-1]) if best.size else self._usual


def _parts(links: _Links) -> Iterator[Int64Array]:
    """Units of each connected part, ascending; nothing but linked units."""
    from scipy.sparse import coo_array  # a third of a second to import
    from scipy.sparse.csgraph import connected_components

    units, ends = np.unique(np.concatenate((links.left, links.right)), return_inverse=True)
    if not units.size:
        return
    half = len(links.left)
    pairs = coo_array(
        (np.ones(half, np.bool_), (ends[:half], ends[half:])), shape=(len(units), len(units))
    )
    number = connected_components(pairs, directed=False)[1]
    yield from (units[part] for part in members_of(number))


def _among(inside: Int64Array, values: np.ndarray) -> np.ndarray:
    """Whether each value is one of ``inside``, which ascends."""
    if not inside.size:
        return np.zeros(values.shape, np.bool_)
    at = np.minimum(np.searchsorted(inside, values), len(inside) - 1)
    return np.asarray(inside[at] == values)
