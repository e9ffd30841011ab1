"""The smoothed neighbour graph of a run: that of an earlier run, or smoothed and put in the record.

In: the graph as it was found, the recipe, the journal of the run. Out: a ``NeighborGraph``.
Promise: what is taken was smoothed from the very same graph (by its key) in the same way, seed and
all; of each selection only the newest is kept. It takes as much of a record as the graph itself.

Why only ``spectral`` is kept: it is what most of the time after the search goes to, while shared
neighbours are counted, and core distances and trees built, in a small part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from vdbcluster.errors import VdbclusterError
from vdbcluster.graph.fingerprint import digest
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import Recipe
from vdbcluster.pipeline.graph_record import same_rows
from vdbcluster.pipeline.journal import Journal
from vdbcluster.pipeline.room import Room
from vdbcluster.ports import Observer

SMOOTHED = "smoothed"
FORMAT = 2
"""Of keys: raised when the same graph begins to be smoothed to another."""
Smoothing = Callable[[NeighborGraph, Recipe], NeighborGraph]
Keeping = Callable[[NeighborGraph, Recipe, Smoothing], NeighborGraph]


@dataclass(frozen=True, slots=True)
class SmoothStage:
    """``key``: of the graph, and which run has found it: two searches that begin alike may end
    otherwise. ``reuse``: whether to take what was smoothed before, which ``room`` puts in place.
    ``observer`` hears of what cannot be kept: the next run makes it again.
    """

    journal: Journal
    key: str
    reuse: bool
    room: Room
    observer: Observer

    def through(self, graph: NeighborGraph, chosen: Recipe, smooth: Smoothing) -> NeighborGraph:
        """The graph as ``smooth`` makes it, or as it has made it before."""
        if chosen.smooth != "spectral":
            return smooth(graph, chosen)
        key = digest(
            {
                "format": FORMAT,
                "graph": self.key,
                "smooth": chosen.smooth,
                "seed": chosen.seed,
                "cut": chosen.cut,
            }
        )
        found = self._kept(key) if self.reuse else None
        if found is None:
            found = smooth(graph, chosen)
            self._keep(found, key)
        self.journal.facts[SMOOTHED] = {"key": key}
        self.journal.record("reading")
        return found

    def _kept(self, key: str) -> NeighborGraph | None:
        """Goes on to this run if its own would lose it."""
        runs, begun = self.journal.runs, self.journal.begun
        for manifest in self._having():
            if manifest.facts.get(SMOOTHED, {}).get("key") != key:
                continue
            with suppress(VdbclusterError, LookupError, ValueError):
                held = runs.load_arrays(manifest.run_id, SMOOTHED)
                pair = self.room.placed(held["indices"]), self.room.placed(held["distances"])
                graph = NeighborGraph(*pair, str(held["metric"][0]))
                graph.validate()
                if str(held["key"][0]) != key:
                    continue
                if same_rows(manifest, begun):
                    runs.move_arrays(manifest.run_id, SMOOTHED, begun.run_id)
                return graph
        return None

    def _keep(self, graph: NeighborGraph, key: str) -> None:
        runs, begun = self.journal.runs, self.journal.begun
        arrays: dict[str, Any] = {"indices": graph.indices, "distances": graph.distances}
        arrays |= {"metric": np.array([graph.metric], object), "key": np.array([key], object)}
        try:
            runs.save_arrays(begun.run_id, arrays, SMOOTHED)
        except VdbclusterError as error:
            self.observer.warn(f"the next run smooths again, as this is not kept: {error}")
            return
        for manifest in self._having():
            with suppress(VdbclusterError):
                if manifest.run_id != begun.run_id and same_rows(manifest, begun):
                    runs.drop_arrays(manifest.run_id, SMOOTHED)

    def _having(self) -> list[RunManifest]:
        found = []
        for run_id in self.journal.runs.having(SMOOTHED):
            with suppress(VdbclusterError):
                found.append(self.journal.runs.load(run_id))
        return found
