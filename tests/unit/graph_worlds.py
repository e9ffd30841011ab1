"""A collection in memory whose runs say how many rows they searched for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.silent import Listener
from vdbcluster.adapters.here import Here
from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.adapters.local_neighbors import LocalNeighbors
from vdbcluster.adapters.memory import MemorySink, MemorySource
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.adapters.work_folders import WorkFolders
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.beside import known
from vdbcluster.pipeline.graph_shards import SearchHere, bounds_for
from vdbcluster.pipeline.run import run
from vdbcluster.ports import NeighborSearch
from vdbcluster.ports.shards import ShardStore, Work, Workers


def blobs(n: int = 300, dim: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 3, (4, dim))
    return (centers[rng.integers(0, 4, n)] + rng.normal(0, 0.4, (n, dim))).astype(np.float32)


def settings(**scale: Any) -> Settings:
    return load_settings({"scale": scale, "cluster": {"resamples": 0}})


@dataclass
class Counted:
    """A search that says what it was asked for; ``before`` is called before each answer."""

    inner: NeighborSearch
    asked: list[int]
    before: Callable[[], object]

    @property
    def description(self) -> str:
        return self.inner.description

    @property
    def metric(self) -> str:
        return self.inner.metric

    @property
    def exact(self) -> bool:
        return self.inner.exact

    @property
    def measured(self) -> bool:
        return self.inner.measured

    def search(self, which: np.ndarray, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
        self.before()
        self.asked.append(len(which))
        return self.inner.search(which, n_neighbors)


@dataclass(frozen=True)
class InPieces:
    """``ShardSearch`` of this process; ``count`` pieces."""

    count: int = 5

    def bounds(self, n_rows: int) -> Sequence[int]:
        return bounds_for(n_rows, self.count)

    def search(
        self,
        store: ShardStore,
        bounds: Sequence[int],
        search: NeighborSearch,
        rows: Rows,
        points: np.ndarray,
        metric: str,
        n_neighbors: int,
    ) -> tuple[Work, Workers]:
        return SearchHere(store, bounds, search, points, metric, n_neighbors), Here()


@dataclass
class World:
    """``asked``: how many rows each call of the search of the last run was for."""

    held: MemoryCollection
    folder: Path
    metric: str = "chord"
    searching: Mapping[str, object] = field(default_factory=dict)
    where: Callable[[np.ndarray], np.ndarray] | None = None
    before: Callable[[], object] = lambda: None
    asked: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    exact_rows: int = 30_000
    pieces: int = 5

    def adapters(self) -> Adapters:
        source = MemorySource(self.held, where=self.where)

        def search(rows: Rows, points: np.ndarray) -> NeighborSearch:
            found = LocalNeighbors(points, self.metric, exact_rows=self.exact_rows)
            return Counted(found, self.asked, self.before)

        return Adapters(
            source=source,
            profile=source.profile(),
            sink=known(MemorySink(self.held, where=self.where)),
            search=search,
            runs=RunDirectory(self.folder),
            metric=self.metric,
            languages=Py3LangId(),
            searching=self.searching,
            work=WorkFolders(str(self.folder / "work")),
            shards=InPieces(self.pieces),
        )

    def run(self, run_id: str, how: Settings, **changes: Any) -> RunManifest:
        self.asked.clear()
        listener = Listener()
        try:
            return run(
                replace(self.adapters(), **changes), how, listener, run_id=run_id, versions={}
            )
        finally:
            self.notes, self.warnings = listener.notes, listener.warnings

    def work(self) -> list[str]:
        """What lies in the folder of unfinished work."""
        return sorted(path.name for path in (self.folder / "work").rglob("*"))

    def labels(self) -> dict[Any, int]:
        return dict(zip(self.held.keys.tolist(), self.held.cluster_id.tolist(), strict=True))


def copy_of(held: MemoryCollection) -> MemoryCollection:
    """The same rows, labels included, under the same identity."""
    found = MemoryCollection(held.vectors.copy(), held.keys.copy(), metric=held.metric)
    found.identity = held.identity
    for name in ("cluster_id", "probability", "outlier_score", "run_ids", "labelled"):
        setattr(found, name, getattr(held, name).copy())
    return found
