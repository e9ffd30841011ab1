"""A collection in memory that runs, grows and is assigned to; everything that is asked is counted.

In: a directory for the runs. Out: ``AssignBench``; rows come from groups, see ``group``.

    bench = AssignBench(tmp_path)
    bench.run("run")
    bench.add(1, 5)
    bench.assign("first").facts["assign"]
"""

from __future__ import annotations

import shutil
from copy import deepcopy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.silent import Listener
from tests.unit.test_assign_pipeline import Counting
from tests.unit.test_run import adapters
from vdbcluster.adapters.memory import MemorySink
from vdbcluster.adapters.memory_catalogue import MemoryCatalogue
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.memory_unlabelled import MemoryUnlabelled
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.model.catalogue import Catalogue
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.adapters import Outlets
from vdbcluster.pipeline.apply import apply_run, recall_plan
from vdbcluster.pipeline.assign_job import assign_run
from vdbcluster.pipeline.assign_plan import AssignOutlets
from vdbcluster.pipeline.journal import begin
from vdbcluster.pipeline.last_run import last_run
from vdbcluster.pipeline.rollback import roll_back_run
from vdbcluster.pipeline.run import run

GROUPS, EACH, DIM = 3, 100, 12
PLAIN = load_settings({})


def group(number: int, rows: int, seed: int) -> np.ndarray:
    """Rows around the middle of a group; the first three are there from the start."""
    middle = 4 * np.roll(np.r_[np.ones(2), np.zeros(DIM - 2)], 2 * number) + np.arange(DIM) / DIM
    noise = np.random.default_rng([number, seed]).normal(0, 0.3, (rows, DIM))
    return (middle + noise).astype(np.float32)


class Watched(MemorySink):
    """Tells whether somebody has read all labels."""

    read_all = 0

    def stored(self, keys: np.ndarray | None = None) -> Any:
        self.read_all += keys is None
        return super().stored(keys)


class AssignBench:
    """``search``, ``sink``: of the last assignment; ``told``: what it told."""

    def __init__(self, path: Path, *, each: int = EACH) -> None:
        self.path, self.runs = path, RunDirectory(path)
        start = np.concatenate([group(g, each, 0) for g in range(GROUPS)])
        texts = [f"row {i}" for i in range(len(start))]
        self.held = MemoryCollection(start, metric="L2", columns={"text": texts})
        self.catalogue = MemoryCatalogue(self.held)
        self.told = Listener()
        self._next_key = 10_000

    def copy(self, path: Path) -> AssignBench:
        """The same, that goes its own way."""
        shutil.copytree(self.path, path)
        made = deepcopy(self)
        made.path, made.runs = path, RunDirectory(path)
        return made

    def add(
        self, group_: int, rows: int, *, seed: int = 1, partition: str = "_default"
    ) -> list[int]:
        """Rows that no run has seen; their keys."""
        keys = list(range(self._next_key, self._next_key + rows))
        self._next_key += rows
        texts = {"text": [f"row {key}" for key in keys]}
        self.held.insert(keys, group(group_, rows, seed), partition, texts)
        return keys

    def outlets(self, sink: MemorySink | None = None) -> Outlets:
        opened = adapters(self.held, self.path, sink)
        return replace(opened, metric="euclidean", catalogue=lambda: self.catalogue)

    def run(self, run_id: str, settings: Settings = PLAIN) -> RunManifest:
        return run(self.outlets(), settings, Listener(), run_id=run_id, versions={})  # type: ignore[arg-type]

    def assign(
        self, run_id: str, settings: Settings = PLAIN, sink: MemorySink | None = None, **how: Any
    ) -> RunManifest:
        self.search, self.told = Counting(self.held), Listener()
        self.sink = sink or Watched(self.held)
        opened = self.outlets(self.sink)
        outlets = AssignOutlets(
            **{field.name: getattr(opened, field.name) for field in fields(Outlets)},
            unlabelled=lambda: MemoryUnlabelled(self.held),
            search=lambda _: self.search,
            places=self.places,
        )
        last = last_run(self.runs.every(), begin(opened, settings, run_id, {}).begun)
        return assign_run(outlets, settings, self.told, last, run_id=run_id, versions={}, **how)

    def places(self, keys: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        names = self.held.partitions
        at = [names.index(name) for name in self.held.partition_of[self.held.positions(keys)]]
        return np.array(at, np.int32), names

    def apply(self, run_id: str) -> RunManifest:
        outlets = self.outlets()
        return apply_run(recall_plan(outlets, self.runs.load(run_id)), outlets, Listener())

    def roll_back(self, run_id: str) -> RunManifest:
        return roll_back_run(self.outlets(), self.runs.load(run_id), Listener())

    def label(self, keys: list[int]) -> list[int]:
        """Their cluster ids; -9 for a row without a label."""
        at = self.held.positions(np.array(keys))
        return np.where(self.held.labelled[at], self.held.cluster_id[at], -9).tolist()

    def labels(self) -> dict[int, tuple[Any, ...]]:
        """All that is stored of every labelled row."""
        held, rows = self.held, np.flatnonzero(self.held.labelled)
        columns = (held.cluster_id, held.probability, held.outlier_score, held.run_ids,
                   held.assignment, held.path)  # fmt: skip
        return {int(held.keys[row]): tuple(c[row] for c in columns) for row in rows}

    def stored(self) -> Catalogue:
        found = self.catalogue.read()
        assert found is not None
        return found

    def sizes(self) -> dict[int, int]:
        return {entry.id: entry.size for entry in self.stored().live}
