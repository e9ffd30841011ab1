"""The rows of a recorded run that are still there, its clusters, and who is near whom.

In: adapters, the manifest of a run. Out: ``Members``, and their ``Neighborhood``.
Promise: labels are those that the run wrote; the neighbour graph is the one that it recorded, or is
searched again where there is none; no label and no field of a row is touched.

    members = run_members(adapters, manifest, observer, room)
    near = neighborhood(adapters, manifest, members, observer)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.errors import RefusedError, UsageError
from vdbcluster.graph.among import among
from vdbcluster.graph.distance import prepare
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array, Keys
from vdbcluster.model.labels import LabelBatch
from vdbcluster.model.manifest import RunManifest, is_assignment
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.graph_record import recorded_graph
from vdbcluster.pipeline.neighbors import neighbor_graph
from vdbcluster.pipeline.read import positions, read_rows
from vdbcluster.pipeline.record import planned
from vdbcluster.pipeline.room import Room
from vdbcluster.ports import Observer

FEWEST_NEIGHBORS = 15
"""That are searched again where the run had none."""


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """``rows`` that are still there, with ``labels`` as the run gave them to each.

    ``labelled``: the same in all its fields. ``at (n,) int64``: places among all rows of the run,
    ascending; ``n_then``: how many those were.
    """

    rows: Rows
    labelled: LabelBatch
    at: Int64Array
    n_then: int

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def keys(self) -> Keys:
        return self.rows.keys

    @property
    def vectors(self) -> Float32Array:
        return self.rows.vectors

    @property
    def labels(self) -> Int64Array:
        """``(n,) int64``, -1 is noise."""
        return self.labelled.cluster_id


@dataclass(frozen=True, slots=True, eq=False)
class Neighborhood:
    """The graph as it was searched, not smoothed, and the points that its distances are of."""

    graph: NeighborGraph
    points: Float32Array


def run_members(
    adapters: Adapters, manifest: RunManifest, observer: Observer, room: Room
) -> Members:
    """See the module.

    Raises ``UsageError`` if the run labelled nothing that can be explained; ``RefusedError`` if the
    collection was created anew since, or most rows are gone.
    """
    if "plan" not in manifest.facts or is_assignment(manifest):
        kind = "only labelled rows that came later" if "plan" in manifest.facts else "has no labels"
        raise UsageError(f"run {manifest.run_id} {kind}; name a run of vdbcluster run")
    if manifest.identity != adapters.profile.identity:
        raise RefusedError(
            f"the collection {manifest.collection!r} was created anew since run "
            f"{manifest.run_id}; run again"
        )
    plan = planned(adapters.runs.load_arrays(manifest.run_id))
    rows, _ = read_rows(adapters.source, observer, room=room)
    at = positions(rows.keys, plan.new.keys)
    there = np.flatnonzero(at >= 0)
    if 2 * len(there) < len(plan.new):
        raise RefusedError(
            f"{len(plan.new) - len(there):,} of {len(plan.new):,} rows of run {manifest.run_id} "
            "are gone; run again"
        )
    left = rows if len(there) == len(rows) else _some(rows, there)
    return Members(left, plan.new.take(at[there]), at[there], len(plan.new))


def _some(rows: Rows, which: Int64Array) -> Rows:
    return Rows(rows.keys[which], rows.vectors[which], rows.partition_of[which], rows.partitions)


def neighborhood(
    adapters: Adapters, manifest: RunManifest, members: Members, observer: Observer
) -> Neighborhood:
    """See the module; a row that came since is nobody's neighbour."""
    graph = recorded_graph(adapters.runs, manifest.run_id)
    if graph is None or graph.n_rows != members.n_then or _by_language(manifest):
        return _searched(adapters, manifest, members, observer)
    points = prepare(members.vectors, graph.metric, mean=_mean(adapters, manifest))
    return Neighborhood(among(graph, members.at), points)


def _by_language(manifest: RunManifest) -> bool:
    """Whether the run compared vectors that were centred by language, which cannot be repeated."""
    return bool(manifest.settings.get("neighbors", {}).get("center") == "language")


def _mean(adapters: Adapters, manifest: RunManifest) -> Float64Array | None:
    """What the run subtracted from the vectors; one that kept nothing subtracted nothing."""
    if manifest.run_id not in adapters.runs.having("kept"):
        return None
    return adapters.runs.load_arrays(manifest.run_id, "kept").get("mean")


def _searched(
    adapters: Adapters, manifest: RunManifest, members: Members, observer: Observer
) -> Neighborhood:
    points = prepare(members.vectors, adapters.metric)
    k = manifest.facts.get("neighbors", {}).get("n_neighbors") or FEWEST_NEIGHBORS
    search = adapters.search(members.rows, points)
    return Neighborhood(neighbor_graph(search, points, adapters.metric, k, observer), points)
