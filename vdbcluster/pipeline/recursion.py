"""Going into the large clusters of a run: what lies in them, as paths with stable numbers.

In: the clusters as they are to be written, with their stable ids; what is stored; settings.
Out: ``GoneInto``: a path for each row, and what the manifest tells. Promise: the clusters
themselves, their ids and the scores of the rows stay as they are; the same members, settings and
stored paths give the same paths, so that a second run writes nothing; neighbours are searched among
the members of one cluster at a time, O(m k) beside a copy of their m vectors.

Clusters are gone into after identity: those that people merged are one, a row that was held back is
where it is written. Within a cluster the recipe is that of ``--method auto`` for so many rows,
whatever the run's own method was: a ``min_cluster_size`` that was said is one for all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vdbcluster.config.settings import ClusterSettings, Settings
from vdbcluster.errors import UsageError
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.methods.recursion import large, recurse, split
from vdbcluster.model.arrays import Float32Array, Int32Array, Int64Array, Keys
from vdbcluster.model.labels import LabelBatch
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import Recipe
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.paths import Paths, families, free_numbers, stable_paths, stored_paths
from vdbcluster.pipeline.recipe import recipe, wanted_neighbors
from vdbcluster.ports import NeighborSearch, Observer

BATCH = 4000
"""Rows searched for at a time."""
COARSER = 2
"""Times ``min_cluster_size`` in a layout by UMAP, which draws rows into clumps."""
Search = Callable[[Int64Array, int], tuple[Int32Array, Float32Array]]


@dataclass(frozen=True, slots=True, eq=False)
class GoneInto:
    """``paths (n,)``; ``facts``: for the manifest of the run."""

    paths: Paths
    facts: dict[str, Any]


def gone_into(
    adapters: Adapters,
    settings: Settings,
    observer: Observer,
    *,
    keys: Keys,
    points: Float32Array,
    ids: Int64Array,
    stored: Sequence[LabelBatch],
    begun: RunManifest,
) -> GoneInto:
    """Paths of the rows ``keys (n,)`` in the clusters ``ids (n,)``, which are stable.

    ``points (n, d)`` as prepared for the metric; ``begun``: the run that this is done for. Raises
    ``UsageError`` where the settings do not go together with the members of a cluster.
    """
    asked = settings.cluster
    inside = Inside(points, adapters.metric, settings, adapters.among)
    total = sum(map(len, large(ids, asked.recurse_min_size)))
    with observer.stage("recursion", total) as progress:
        try:
            found = recurse(
                ids,
                inside.split,
                depth=asked.recurse,
                min_size=asked.recurse_min_size,
                done=progress.advance,
            )
        except ValueError as error:
            raise UsageError(f"--recurse: {error}") from error
    free = free_numbers(adapters.runs.every(), begun)
    made = stable_paths(ids, found.levels, stored_paths(keys, stored), free)
    facts: dict[str, Any] = {
        "depth": asked.recurse,
        "min_size": asked.recurse_min_size,
        "by": "umap" if inside.by_umap else "graph",
        "entered": found.entered,
        "split": found.split,
        "clusters": sum(len(family.members) for family in families(made.paths)),
        "rows": int(np.count_nonzero(found.levels[:, 0] >= 0)),
        "free": dict(made.free),
    }
    facts["told"] = _told(facts)
    observer.note(facts["told"])
    return GoneInto(made.paths, facts)


@dataclass(frozen=True, slots=True, eq=False)
class Inside:
    """How the members of a cluster are clustered, by the settings of the run.

    ``points (n, d)``: all rows, as prepared for ``metric``; ``among``: as in ``Adapters``.
    """

    points: Float32Array
    metric: str
    settings: Settings
    among: Callable[[Float32Array], NeighborSearch] | None = None

    @property
    def by_umap(self) -> bool:
        asked = self.settings.cluster
        if asked.recurse_by == "auto":
            return asked.method == "umap+hdbscan"
        return asked.recurse_by == "umap"

    def split(self, rows: Int64Array) -> Int64Array:
        """See ``methods.recursion.split``."""
        return split(
            self.points[rows],
            self.metric,
            self._graph,
            self._recipe,
            centered=self.settings.neighbors.center != "none",
        )

    def _graph(self, points: Float32Array) -> NeighborGraph:
        search, rows = self._search(points), np.arange(len(points))
        k = max(1, min(wanted_neighbors(self._by_itself, len(rows)), len(rows) - 1))
        found = [search(rows[at : at + BATCH], k) for at in range(0, len(rows), BATCH)]
        indices, distances = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return NeighborGraph(indices, distances, self.metric)

    def _search(self, points: Float32Array) -> Search:
        if self.among is not None:
            return self.among(points).search
        return lambda which, k: exact_neighbors(points, which, k, self.metric)

    def _recipe(self, n_rows: int, n_neighbors: int) -> Recipe:
        found = recipe(self._by_itself, n_rows, n_neighbors)
        if not self.by_umap:
            return found
        coarser = replace(found.hdbscan, min_cluster_size=COARSER * found.hdbscan.min_cluster_size)
        return replace(found, method="umap+hdbscan", hdbscan=coarser)

    @property
    def _by_itself(self) -> Settings:
        """The settings with all that is about so many rows left to the rules."""
        asked = self.settings.cluster
        cluster = ClusterSettings(
            max_noise=asked.max_noise, min_confidence=asked.min_confidence, merge=asked.merge
        )
        neighbors = self.settings.neighbors.model_copy(
            update={"n_neighbors": "auto", "smooth": "auto"}
        )
        return self.settings.model_copy(update={"cluster": cluster, "neighbors": neighbors})


def _told(facts: Mapping[str, Any]) -> str:
    """What came of it, in a line."""
    if not facts["entered"]:
        return (
            f"no cluster has {facts['min_size']:,} rows, from which on it would be gone into "
            "(--recurse-min-size)"
        )
    return (
        f"{facts['entered']:,} clusters of {facts['min_size']:,} rows or more were gone into, by "
        f"{facts['by']}; {facts['split']:,} came apart: {facts['clusters']:,} inner clusters, "
        f"{facts['rows']:,} rows"
    )
