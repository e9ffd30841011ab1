"""Where the rows of a run lie: as its record has it, or laid out now and recorded.

In: adapters, the manifest of a run, its members. Out: ``MapLayout``, its rows those of the members.
Promise: neighbours are those of the run (``pipeline.members.neighborhood``); a map begins from the
last one of the same selection, so that it keeps its shape; nothing is written but the part ``map``
of the run's record, which holds all rows of the run in the plan's order.

    layout = run_layout(adapters, manifest, members, settings, observer)
    keys, flat = placed_since(adapters.runs, manifest)     # rows that were assigned since
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from vdbcluster.config.settings import Settings
from vdbcluster.errors import VdbclusterError
from vdbcluster.layout import LayoutParams, lay_out
from vdbcluster.model.arrays import Float32Array, Int64Array, Keys
from vdbcluster.model.manifest import RunManifest, is_assignment
from vdbcluster.model.maps import MapLayout
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.last_run import HAS_WRITTEN
from vdbcluster.pipeline.map_record import MAP, keep_layout, recorded_layout
from vdbcluster.pipeline.members import Members, neighborhood
from vdbcluster.pipeline.read import positions
from vdbcluster.ports import Observer, RunStore

FIXED_ROWS = 100_000
"""Up to so many rows a map is the same every time unless somebody says otherwise."""


def run_layout(
    adapters: Adapters,
    manifest: RunManifest,
    members: Members,
    settings: Settings,
    observer: Observer,
) -> MapLayout:
    """See the module; ``settings.map`` says how, ``settings.run.seed`` by which seed.

    With three dimensions a flat map comes too.
    """
    runs, wanted, n = adapters.runs, settings.map, members.n_then
    held = None if wanted.afresh else recorded_layout(runs, manifest.run_id)
    if held is not None and len(held) != n:
        held = None
    flat = None if held is None else held.flat
    space = None if held is None else held.space
    if flat is None or (wanted.dimensions == 3 and space is None):
        near = neighborhood(adapters, manifest, members, observer)
        last = None if wanted.afresh else last_map(runs, manifest)
        laying = Laying(near.graph, near.points, members.keys, settings, observer)
        if flat is None:
            flat = _of_all(laying.points(2, last), members.at, n)
        if wanted.dimensions == 3 and space is None:
            space = _of_all(laying.points(3, last), members.at, n)
        keep_layout(runs, manifest.run_id, MapLayout(flat, space))
    return MapLayout(flat[members.at], None if space is None else space[members.at])


@dataclass(frozen=True, slots=True, eq=False)
class LastMap:
    """The places of rows on an earlier map: ``keys (m,)`` ascending, ``layout`` of them.

    ``later_keys``, ``later``: of rows that were assigned since, in the plane alone.
    """

    run_id: str
    keys: Keys
    layout: MapLayout
    later_keys: Keys
    later: Float32Array

    def of(self, keys: Keys, dimensions: int) -> Float32Array | None:
        """The places of ``keys (n,)``, NaN where a row has none; None if it is a flat map only."""
        points = self.layout.flat if dimensions == 2 else self.layout.space
        if points is None:
            return None
        found = _taken(points, positions(keys, self.keys))
        if dimensions == 2:
            later = _taken(self.later, positions(keys, self.later_keys))
            found = np.where(np.isfinite(later), later, found)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Laying:
    """Rows to be laid out: ``graph`` as it was searched, ``vectors (n, d)``, ``keys (n,)``."""

    graph: NeighborGraph
    vectors: Float32Array
    keys: Keys
    settings: Settings
    observer: Observer

    def points(self, dimensions: int, last: LastMap | None) -> Float32Array:
        """From the last map where there is one of so many dimensions."""
        known = None if last is None else last.of(self.keys, dimensions)
        return self.points_from(dimensions, known)

    def points_from(self, dimensions: int, known: Float32Array | None) -> Float32Array:
        """``known (n, dimensions)``: where rows lay, NaN for new ones."""
        n = self.graph.n_rows
        params = layout_params(self.settings, n, dimensions)
        if params.seed is None:
            self.observer.note(
                f"{n:,} rows are laid out in parallel, a little differently each time; "
                "--layout-seed fixed takes longer and is the same every time"
            )
        with self.observer.stage("layout", n) as progress:
            found = lay_out(self.graph, self.vectors, params, known)
            progress.advance(n)
        return found


def layout_params(settings: Settings, n_rows: int, dimensions: int) -> LayoutParams:
    """By the settings, what is left open by the number of rows."""
    asked = settings.map.layout_seed
    fixed = asked == "fixed" or (asked == "auto" and n_rows <= FIXED_ROWS)
    return LayoutParams(3 if dimensions == 3 else 2, settings.run.seed if fixed else None)


def last_map(runs: RunStore, manifest: RunManifest) -> LastMap | None:
    """The newest map of the same selection that is not of this run; None where there is none."""
    having = set(runs.having(MAP)) - {manifest.run_id}
    for one in reversed(runs.every() if having else ()):
        if one.run_id in having and not is_assignment(one) and same_rows(one, manifest):
            with suppress(VdbclusterError):  # a damaged record is as good as none
                if (found := recorded_map(runs, one)) is not None:
                    return found
    return None


def recorded_map(runs: RunStore, manifest: RunManifest) -> LastMap | None:
    """The map of a run and the rows that were placed on it since; None where it has none.

    ``VdbclusterError`` if the record is damaged.
    """
    layout = recorded_layout(runs, manifest.run_id)
    if layout is None:
        return None
    keys = runs.load_arrays(manifest.run_id)["keys"]
    if len(keys) != len(layout):
        return None
    return LastMap(manifest.run_id, keys, layout, *placed_since(runs, manifest))


def placed_since(runs: RunStore, manifest: RunManifest) -> tuple[Keys, Float32Array]:
    """Rows that were assigned since the run and have a place: ``keys (m,)`` ascending, ``(m, 2)``.

    Those of assignments that found a map of the run; what was assigned last counts.
    """
    having = set(runs.having(MAP))
    keys: Keys = np.empty(0, np.int64)
    flat = np.empty((0, 2), np.float32)
    for one in runs.every():
        told = one.facts.get("assign", {}).get("run") == manifest.run_id
        if not told or one.run_id not in having or one.state not in HAS_WRITTEN:
            continue
        layout = recorded_layout(runs, one.run_id)
        new = runs.load_arrays(one.run_id)["keys"]
        if layout is not None and len(layout) == len(new):
            keys, flat = _joined(keys, flat, new, layout.flat)
    there = np.isfinite(flat).all(axis=1)
    return keys[there], flat[there]


def _joined(
    keys: Keys, flat: Float32Array, new: Keys, places: Float32Array
) -> tuple[Keys, Float32Array]:
    """Both, keys ascending; of a key that is in both the new place."""
    if not len(keys):
        return new, places
    rest = positions(keys, new) < 0
    both = np.concatenate([keys[rest], new])
    order = np.argsort(both, kind="stable")
    return both[order], np.concatenate([flat[rest], places])[order]


def same_rows(one: RunManifest, other: RunManifest) -> bool:
    """Whether both are about the same rows, and write the same fields."""
    return _of(one) == _of(other)


def _of(manifest: RunManifest) -> tuple[object, ...]:
    prefix = manifest.settings.get("write", {}).get("label_prefix")
    return manifest.collection, manifest.identity, manifest.selection, prefix


def _of_all(points: Float32Array, at: Int64Array, n: int) -> Float32Array:
    """``points`` of the rows at ``at``, NaN for the others of n."""
    found = np.full((n, points.shape[1]), np.nan, np.float32)
    found[at] = points
    return found


def _taken(points: Float32Array, at: Int64Array) -> Float32Array:
    """The rows at ``at``, NaN for -1."""
    if not len(points):
        return np.full((len(at), points.shape[1]), np.nan, np.float32)
    return np.where((at >= 0)[:, None], points[at], np.float32(np.nan)).astype(np.float32)
