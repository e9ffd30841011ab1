"""Where rows are on a map, and which are near them, by key.

In: keys of a run, coordinates, neighbour lists. Out: ``Places``. Promise: a row that the run did
not have has no place; numbers of neighbours are those of the table that is written, counted from 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from vdbcluster.config.settings import Settings
from vdbcluster.model.arrays import BoolArray, Float32Array, Int64Array, Keys
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.layout import placed_since, run_layout
from vdbcluster.pipeline.map_record import recorded_layout
from vdbcluster.pipeline.members import neighborhood, run_members
from vdbcluster.pipeline.read import positions
from vdbcluster.pipeline.room import room_of
from vdbcluster.ports import Observer, RunStore

ATLAS_NAMES = ("projection_x", "projection_y")
ATLAS_NEIGHBORS = "neighbors"
NEAREST = 15
"""Neighbours of each row in a table, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """``keys (n,)`` ascending, ``flat (n, 2) float32``, NaN for a row without a place.

    ``names``: of the columns of coordinates, None for those of labels. ``graph``: of these rows.
    ``numbered``: the name of the column of neighbours, empty for none; then rows that are not here
    have no place in the table at all. ``numbers (n,) int64``: of each row in the table, -1 where it
    is not there.
    """

    keys: Keys
    flat: Float32Array
    names: tuple[str, str] | None = None
    graph: NeighborGraph | None = None
    numbered: str = ""
    numbers: Int64Array | None = None

    def has(self, keys: Keys) -> BoolArray:
        """Which of ``keys (m,)`` are here."""
        return np.asarray(positions(keys, self.keys) >= 0)

    def in_order_of(self, pages: Iterable[Keys]) -> Places:
        """The same, rows numbered as they come; the first of two with one key has the number."""
        numbers, count = np.full(len(self.keys), -1, np.int64), 0
        for keys in pages:
            at = positions(keys, self.keys)
            new = np.flatnonzero(numbers[at] < 0)[::-1]
            numbers[at[new]] = count + new
            count += len(keys)
        return replace(self, numbers=numbers)

    def of(self, keys: Keys) -> tuple[list[float | None], list[float | None]]:
        """Both coordinates of each row, None where it has no place."""
        at = positions(keys, self.keys)
        here = (at >= 0) & np.isfinite(self.flat[at]).all(axis=1)
        x, y = (
            [value if there else None for value, there in zip(axis, here.tolist(), strict=True)]
            for axis in self.flat[at].T.tolist()
        )
        return x, y

    def near(self, keys: Keys) -> list[tuple[list[int], list[float]] | None]:
        """The nearest rows of each that are in the table: their numbers, and distances."""
        graph, numbers = self.graph, self.numbers
        if graph is None or numbers is None:
            return [None] * len(keys)
        at = positions(keys, self.keys)
        indices, distances = graph.indices[at, :NEAREST], graph.distances[at, :NEAREST]
        there = np.where(indices >= 0, numbers[indices], -1)
        found: list[tuple[list[int], list[float]] | None] = []
        for ids, far in zip(there, distances, strict=True):
            known = ids >= 0
            found.append((ids[known].tolist(), far[known].tolist()))
        return found


def recorded_places(runs: RunStore, manifest: RunManifest) -> Places | None:
    """Those that the run has recorded, and of rows assigned since; None if there are none."""
    layout = recorded_layout(runs, manifest.run_id)
    if layout is None:
        return None
    keys = runs.load_arrays(manifest.run_id)["keys"]
    return _joined(runs, manifest, keys, layout.flat) if len(keys) == len(layout) else None


def atlas_places(
    adapters: Adapters, manifest: RunManifest, settings: Settings, observer: Observer
) -> Places:
    """Places and neighbours of the rows of a run, laid out and searched now where need be.

    Raises as ``pipeline.members.run_members`` does.
    """
    members = run_members(adapters, manifest, observer, room_of(settings))
    flat = run_layout(adapters, manifest, members, settings, observer).flat
    graph = neighborhood(adapters, manifest, members, observer).graph
    found = _joined(adapters.runs, manifest, members.keys, flat)
    return replace(
        found,
        names=ATLAS_NAMES,
        graph=_spread(graph, positions(members.keys, found.keys), len(found.keys)),
        numbered=ATLAS_NEIGHBORS,
    )


def _joined(runs: RunStore, manifest: RunManifest, keys: Keys, flat: Float32Array) -> Places:
    since, places = placed_since(runs, manifest)
    new = positions(since, keys) < 0
    if not new.any():
        return Places(keys, flat)
    both = np.concatenate([keys, since[new]])
    order = np.argsort(both, kind="stable")
    return Places(both[order], np.concatenate([flat, places[new]])[order])


def _spread(graph: NeighborGraph, at: Int64Array, n: int) -> NeighborGraph:
    """The same graph among ``n`` rows, its own being those at ``at``; the others have no edge."""
    k = graph.n_neighbors
    indices, distances = np.full((n, k), -1, np.int32), np.full((n, k), np.inf, np.float32)
    known = graph.indices >= 0
    indices[at] = np.where(known, at[graph.indices], -1).astype(np.int32)
    distances[at] = graph.distances
    return NeighborGraph(indices, distances, graph.metric)
