"""The neighbour graph of a run: taken from an earlier run, carried over from it, or searched.

In: rows, prepared points, adapters, settings. Out: ``Found``.
Promise: nothing is taken that was found from other inputs: the collection, its selection, one
vector, the metric, the number of neighbours, the engine with its index, effort and seed are all in
the key (``graph.fingerprint``). What is searched lies in pieces in the folder of its key as soon as
they are finished, so that a killed run goes on; the folder goes when the run is done with it.
Another run with the same key may finish first and drop it: then its graph is taken.

    stage = GraphStage(adapters, settings, observer, journal)
    prepared = prepare(rows, mean=stage.steady(mean))
    found = stage.find(rows, prepared.points, prepared.mean)
    stage.keep(found)  # in the record of the run
    stage.finish()  # nobody needs the pieces any more
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vdbcluster.config.settings import Settings
from vdbcluster.errors import VdbclusterError
from vdbcluster.graph.fingerprint import digest
from vdbcluster.graph.incremental import spare_for
from vdbcluster.model.arrays import Float32Array, Float64Array
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.graph_carry import (
    Earlier,
    Moves,
    carry_over,
    drifted,
    earlier_run,
    moves,
    parted,
    why_anew,
)
from vdbcluster.pipeline.graph_inputs import key_for, search_inputs, stem
from vdbcluster.pipeline.graph_record import (
    GraphRecord,
    Origin,
    keep_graph,
    kept_record,
)
from vdbcluster.pipeline.graph_shards import graph_in_shards, most_neighbors
from vdbcluster.pipeline.journal import Journal
from vdbcluster.pipeline.neighbors import neighbor_graph
from vdbcluster.pipeline.recipe import wanted_neighbors
from vdbcluster.pipeline.room import room_of
from vdbcluster.pipeline.shards import has_shard
from vdbcluster.ports import NeighborSearch, Observer, RunStore
from vdbcluster.ports.shards import ShardStore

ABANDONED = 86_400.0
"""Seconds after which nobody is expected to finish what another run has begun."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """``facts``: for the manifest. ``source``: the run in whose record the very same lies, if one
    does.
    """

    graph: NeighborGraph
    origin: Origin
    facts: dict[str, Any]
    source: RunManifest | None = None

    @property
    def exact(self) -> bool:
        """Whether no neighbour is missing."""
        return bool(self.facts["exact"])


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """What is to be found; ``facts`` are those that are known before."""

    rows: Rows
    points: Float32Array
    n_neighbors: int
    origin: Origin
    facts: dict[str, Any]

    @property
    def key(self) -> str:
        return str(self.facts["key"])


@dataclass
class GraphStage:
    """See the module; made when the record of the run has begun."""

    adapters: Adapters
    settings: Settings
    observer: Observer
    journal: Journal
    inputs: dict[str, Any] = field(init=False)
    earlier: Earlier | None = field(init=False, default=None)
    anew: str = field(init=False, default="")
    """Why nothing is carried over, where that was asked for."""
    folder: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self.inputs = search_inputs(
            self.journal.begun, self.adapters.metric, self.adapters.searching, self.settings
        )
        if self.settings.scale.incremental:
            found = earlier_run(self.runs, self.journal.begun, digest(self.inputs))
            self.earlier, self.anew = (None, found) if isinstance(found, str) else (found, "")

    @property
    def runs(self) -> RunStore:
        return self.journal.runs

    def steady(self, mean: Float64Array | None) -> Float64Array | None:
        """What to subtract from the vectors, whose mean direction is ``mean``; None is nothing."""
        if self.earlier is None:
            return mean
        before = self.earlier.origin.mean
        if why := drifted(before, mean):
            self.anew, self.earlier = why, None
            return mean
        return before

    def find(self, rows: Rows, points: Float32Array, mean: Float64Array | None) -> Found:
        """The graph of these rows; ``mean``: what was subtracted from them in ``points (n, d)``."""
        k = most_neighbors(len(rows), wanted_neighbors(self.settings, len(rows)))
        unfinished = not self.adapters.local and self.adapters.source.vector.unindexed_rows > 0
        key = key_for(self.inputs, rows.keys, points, k, unfinished=unfinished)
        facts = {
            "metric": self.adapters.metric,
            "n_neighbors": k,
            "key": key.whole,
            "inputs": digest(self.inputs),
            "found_by": self.journal.run_id,
        }
        piece = digest({"key": key.whole, "n_neighbors": self._wide(k, len(rows))})
        self.folder = f"{stem(self.journal.begun)}-{piece}"
        if self.settings.scale.reuse and (found := self._kept(key.whole)):
            return found
        task = _Task(rows, points, k, Origin(rows.keys, key.rows, mean), facts)
        search = self.adapters.search(rows, points)
        if found := self._carried(task, search):
            return found
        return self._searched(task, search)

    def _wide(self, n_neighbors: int, n_rows: int) -> int:
        """Neighbours that are searched: with some to spare where rows will come and go."""
        spare = spare_for(n_neighbors, n_rows) if self.settings.scale.incremental else 0
        return n_neighbors + spare

    def _kept(self, key: str) -> Found | None:
        found = kept_record(self.runs, key)
        if found is None:
            return None
        manifest, graph, origin = found
        room, self.earlier = room_of(self.settings), None  # its arrays are large
        graph = replace(
            graph, indices=room.placed(graph.indices), distances=room.placed(graph.distances)
        )
        self.observer.note(
            f"neighbours: those of run {manifest.run_id}, since nothing that they depend on has "
            "changed"
        )
        facts = manifest.facts["neighbors"] | {"from": "kept", "run": manifest.run_id}
        return Found(graph, origin, facts | {"searched": 0}, manifest)

    def _carried(self, task: _Task, search: NeighborSearch) -> Found | None:
        """Over from the earlier run, if that is asked for and can be."""
        before, n = self.earlier, len(task.rows)
        if before is not None:
            happened = moves(before.origin, task.origin.keys, task.origin.fingerprints)
            self.anew = why_anew(before, happened, n, task.n_neighbors, exact=search.exact)
        if before is None or self.anew or n < 2:
            if self.anew:
                self.observer.note(f"neighbours: all are searched, since {self.anew}")
            return None
        self.earlier = None  # its arrays are large
        room = room_of(self.settings)
        k, points = task.n_neighbors, task.points
        result = carry_over(before, happened, search, points, k, room, self.observer)
        self.observer.note(_told(before, happened, result.searched, n))
        facts = {
            "engine": search.description,
            "exact": search.exact and before.exact,
            "from": "carried",
            "run": before.manifest.run_id,
            "searched": result.searched,
            "new": len(happened.new) - happened.changed,
            "changed": happened.changed,
            "gone": happened.gone,
        }
        return Found(result.graph, replace(task.origin, spare=result.spare), task.facts | facts)

    def _searched(self, task: _Task, search: NeighborSearch) -> Found:
        try:
            wide = self._search(task, search, self._wide(task.n_neighbors, len(task.rows)))
        except VdbclusterError:
            if self.settings.scale.reuse and (found := self._kept(task.key)):
                return found  # another run has finished first, and dropped the pieces
            raise
        graph, spare = parted(wide, task.n_neighbors, room_of(self.settings))
        facts = {
            "engine": search.description,
            "exact": search.exact,
            "from": "searched",
            "searched": len(task.rows),
        }
        return Found(graph, replace(task.origin, spare=spare), task.facts | facts)

    def _search(self, task: _Task, search: NeighborSearch, k: int) -> NeighborGraph:
        """In pieces that are kept, where there is a place for them."""
        shards, store, metric = self.adapters.shards, self._store(), self.adapters.metric
        if shards is None or store is None or len(task.rows) < 2:
            return neighbor_graph(search, task.points, metric, k, self.observer)
        bounds = self._bounds(store, shards.bounds(len(task.rows)))
        work, workers = shards.search(store, bounds, search, task.rows, task.points, metric, k)
        return graph_in_shards(
            store,
            bounds,
            work,
            workers,
            metric=metric,
            n_neighbors=k,
            room=room_of(self.settings),
            observer=self.observer,
        )

    def _bounds(self, store: ShardStore, wanted: Sequence[int]) -> Sequence[int]:
        """Those of an earlier run that did not finish, else as wanted; pieces are named by them."""
        if not self.settings.scale.reuse:
            store.drop()
        if not store.has("bounds"):
            store.save("bounds", {"bounds": np.array(wanted, np.int64)})
        bounds: list[int] = store.load("bounds")["bounds"].tolist()
        there = [i for i in range(len(bounds) - 1) if has_shard(store, i)]
        if there:
            rows = sum(bounds[i + 1] - bounds[i] for i in there)
            self.observer.note(
                f"neighbours: {rows / bounds[-1]:.0%} of them were found by an earlier run that "
                "did not finish"
            )
        return bounds

    def _store(self) -> ShardStore | None:
        place = self.adapters.work
        return None if place is None or not self.folder else place.store(self.folder)

    def keep(self, found: Found) -> None:
        """In the record of the run, with what it was found from; what cannot be kept is told."""
        if not self.settings.run.keep_graph or not found.graph.n_neighbors:
            return
        record = GraphRecord(found.graph, found.origin)
        source = found.source.run_id if found.source else ""
        try:
            keep_graph(self.runs, self.journal.begun, record, source)
        except VdbclusterError as error:
            self.observer.warn(f"the next run searches again, as the neighbours are lost: {error}")

    def finish(self) -> None:
        """Drop the pieces, and what earlier runs of this selection have left unfinished.

        What cannot be dropped is told: the run has all that it needs by now.
        """
        store, place = self._store(), self.adapters.work
        if store is None or place is None:
            return
        try:
            store.drop()
            place.clear(stem(self.journal.begun), self.folder, ABANDONED)
        except VdbclusterError as error:
            self.observer.warn(f"pieces of the search are left behind: {error}")


def _told(before: Earlier, happened: Moves, searched: int, n_rows: int) -> str:
    told = (
        f"neighbours: carried over from run {before.manifest.run_id} (rows: {happened.told}); "
        f"{searched:,} of {n_rows:,} rows are searched"
    )
    if before.origin.mean is None:
        return told
    return f"{told}; the mean of that run is subtracted again, so that distances stay comparable"
