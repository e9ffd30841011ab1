"""The neighbours of an earlier run carried over to the rows of now (``--incremental``).

In: the record of the earlier graph, the rows of now with their fingerprints, a search among them.
Out: ``CarriedOver``, or the reason why all is searched anew. Promise: with exact searches the graph
is that of a search anew among the same points, to the last bit; else what new rows are near is
exact, what old rows had found stays, and the audit tells.

Vectors that are centred: the mean of the earlier run is subtracted again, so that distances stay
what they were, until the mean of the rows of now has moved by ``DRIFT`` of what sets a typical row
apart from it. A search anew would take the mean of now; that is the one difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.graph.exact import exact_among
from vdbcluster.graph.fingerprint import Fingerprints
from vdbcluster.graph.incremental import carried, spare_for
from vdbcluster.model.arrays import Float32Array, Float64Array, Int32Array, Int64Array, Keys
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.pipeline.graph_record import Origin, read_record, same_rows, with_graph
from vdbcluster.pipeline.neighbors import BATCH, search_batch
from vdbcluster.pipeline.read import positions
from vdbcluster.pipeline.room import Room
from vdbcluster.ports import NeighborSearch, Observer, RunStore

MOST_TOUCHED = 0.3
"""Of the rows, that may be new, changed or gone; beyond, most lists must be searched anyway."""
MOST_NEW = 100_000
"""Rows that all others are compared with one by one where the search is approximate: it compares
a row with about 30,000 others, or what costs as much."""
DRIFT = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Earlier:
    """The run whose neighbours may be carried over, and its record."""

    manifest: RunManifest
    graph: NeighborGraph
    origin: Origin

    @property
    def exact(self) -> bool:
        return bool(self.manifest.facts["neighbors"].get("exact"))

    @property
    def n_neighbors(self) -> int:
        """Of each row, those to spare included."""
        spare = self.origin.spare
        return self.graph.n_neighbors + (spare[0].shape[1] if spare else 0)


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """``place (n_before,) int32``: where rows are now, -1 for those that are gone or changed.

    ``new (m,)``: rows of now that have no place, ``changed`` of them had another vector before;
    ``gone``: keys that are no more.
    """

    place: Int32Array
    new: Int64Array
    changed: int
    gone: int

    @property
    def told(self) -> str:
        found = len(self.new) - self.changed
        return f"{found:,} new, {self.changed:,} changed, {self.gone:,} gone"


@dataclass(frozen=True, slots=True, eq=False)
class CarriedOver:
    """``searched``: rows whose lists could not be carried over."""

    graph: NeighborGraph
    spare: tuple[Int32Array, Float32Array] | None
    searched: int


def earlier_run(runs: RunStore, begun: RunManifest, inputs: str) -> Earlier | str:
    """The last run of the selection of ``begun`` that has kept its neighbours, or why none fits.

    ``inputs``: a digest of what its search must have depended on.
    """
    same = [m for m in with_graph(runs) if m.run_id != begun.run_id and same_rows(m, begun)]
    if not same:
        return "no earlier run of this selection has kept its neighbours"
    manifest = max(same, key=lambda one: (one.started, one.run_id))
    record = read_record(runs, manifest.run_id)
    if record is None:
        return f"the neighbours of run {manifest.run_id} cannot be read"
    if record.origin is None or manifest.facts.get("neighbors", {}).get("inputs") != inputs:
        return f"run {manifest.run_id} searched in another way, or another collection"
    return Earlier(manifest, record.graph, record.origin)


def drifted(before: Float64Array | None, now: Float64Array | None) -> str:
    """Why the mean of before cannot be subtracted any more; empty if it can.

    Both ``(d,)``, means of unit vectors (``graph.distance.mean_direction``).
    """
    if before is None or now is None:
        return "" if before is now else "vectors are centred now, or were before, and not both"
    apart = np.sqrt(max(1e-12, 1 - float(before @ before)))  # the rows, from their mean
    moved = float(np.linalg.norm(now - before)) / apart
    if moved <= DRIFT:
        return ""
    return f"the mean of the vectors has moved by {moved:.0%} of what sets rows apart from it"


def moves(before: Origin, keys: Keys, fingerprints: Fingerprints) -> Moves:
    """What became of the rows of before; ``keys (n,)`` ascending, as those of ``before``."""
    at = positions(before.keys, keys)
    there = at >= 0
    same = there.copy()
    same[there] = before.fingerprints[there] == fingerprints[at[there]]
    known = np.zeros(len(keys), np.bool_)
    known[at[same]] = True
    place = np.where(same, at, PADDING).astype(np.int32)
    changed = int(np.count_nonzero(there & ~same))
    return Moves(place, np.flatnonzero(~known), changed, int(np.count_nonzero(~there)))


def why_anew(before: Earlier, found: Moves, n_rows: int, n_neighbors: int, *, exact: bool) -> str:
    """Why nothing can, or should, be carried over; empty if it should.

    ``exact``: whether a search anew would be.
    """
    if before.n_neighbors < n_neighbors:
        return f"{n_neighbors} neighbours are wanted now, and {before.n_neighbors} were found then"
    touched = (len(found.new) + found.gone) / max(1, n_rows)
    if touched > MOST_TOUCHED:
        return f"{found.told} are {touched:.0%} of the rows, more than {MOST_TOUCHED:.0%}"
    if exact and not before.exact:
        return "they were found approximately, and now all can be found"
    if not exact and len(found.new) > MOST_NEW:
        return f"{len(found.new):,} rows are new, too many to compare all others with"
    return ""


def carry_over(
    before: Earlier,
    found: Moves,
    search: NeighborSearch,
    points: Float32Array,
    n_neighbors: int,
    room: Room,
    observer: Observer,
) -> CarriedOver:
    """At least two rows; ``n_neighbors`` less than there are; see ``why_anew``."""
    metric, n = before.graph.metric, len(points)
    wide = n_neighbors + spare_for(n_neighbors, n)
    near = _near_new(points, found.new, wide, metric, room, observer)
    out = room.empty((n, wide), np.int32), room.empty((n, wide), np.float32)
    result = carried(_whole(before, room), found.place, near, n_neighbors, out)
    again = np.flatnonzero(result.again)
    with observer.stage("neighbours", len(again)) as progress:
        for start in range(0, len(again), BATCH):
            which = again[start : start + BATCH]
            out[0][which], out[1][which] = search_batch(search, points, which, metric, wide)
            progress.advance(len(which))
    graph, spare = parted(NeighborGraph(*out, metric), n_neighbors, room)
    return CarriedOver(graph, spare, len(again))


def parted(
    wide: NeighborGraph, n_neighbors: int, room: Room
) -> tuple[NeighborGraph, tuple[Int32Array, Float32Array] | None]:
    """The first ``n_neighbors`` of each row, and those that follow; None where none do."""
    if wide.n_neighbors <= n_neighbors:
        return wide, None
    first = _columns(wide, slice(None, n_neighbors), room)
    return NeighborGraph(*first, wide.metric), _columns(wide, slice(n_neighbors, None), room)


def _columns(wide: NeighborGraph, which: slice, room: Room) -> tuple[Int32Array, Float32Array]:
    width = len(range(*which.indices(wide.n_neighbors)))
    indices = room.empty((wide.n_rows, width), np.int32)
    distances = room.empty((wide.n_rows, width), np.float32)
    for start in range(0, wide.n_rows, BATCH):
        rows = slice(start, start + BATCH)
        indices[rows], distances[rows] = wide.indices[rows, which], wide.distances[rows, which]
    return indices, distances


def _whole(before: Earlier, room: Room) -> NeighborGraph:
    """The graph of before with its spare neighbours."""
    graph, spare = before.graph, before.origin.spare
    if spare is None:
        return graph
    k = graph.n_neighbors
    indices = room.empty((graph.n_rows, before.n_neighbors), np.int32)
    distances = room.empty((graph.n_rows, before.n_neighbors), np.float32)
    for start in range(0, graph.n_rows, BATCH):
        rows = slice(start, start + BATCH)
        indices[rows, :k], distances[rows, :k] = graph.indices[rows], graph.distances[rows]
        indices[rows, k:], distances[rows, k:] = spare[0][rows], spare[1][rows]
    return NeighborGraph(indices, distances, graph.metric)


def _near_new(
    points: Float32Array,
    new: Int64Array,
    wide: int,
    metric: str,
    room: Room,
    observer: Observer,
) -> NeighborGraph:
    """Of all rows the nearest among the new ones."""
    n, width = len(points), min(wide, len(new))
    indices = room.empty((n, width), np.int32)
    distances = room.empty((n, width), np.float32)
    with observer.stage("neighbours among new rows", n if width else 0) as progress:
        for start in range(0, n if width else 0, BATCH):
            which = np.arange(start, min(start + BATCH, n))
            rows = slice(start, start + len(which))
            indices[rows], distances[rows] = exact_among(points, which, new, width, metric)
            progress.advance(len(which))
    return NeighborGraph(indices, distances, metric)
