"""Plan now, write later: over plain arrays, with interruptions and with a world that moves on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.test_run import Listener, adapters, blobs
from vdbcluster.adapters.memory import MemorySink
from vdbcluster.adapters.memory_catalogue import MemoryCatalogue
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.gate import GateSettings
from vdbcluster.config.settings import Settings
from vdbcluster.errors import (
    BackendUnavailableError,
    CollectionChangedError,
    RefusedError,
    UsageError,
)
from vdbcluster.model.labels import LabelBatch, WriteOutcome
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.apply import apply_run, recall_plan
from vdbcluster.pipeline.record import planned
from vdbcluster.pipeline.run import run

N = 120


class Bench:
    """A collection of blobs, its catalogue, its runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held = MemoryCollection(blobs(N))
        self.catalogue = MemoryCatalogue(self.held)
        self.store = RunDirectory(path)

    def adapters(self, sink: MemorySink | None = None) -> Adapters:
        return replace(adapters(self.held, self.path, sink), catalogue=lambda: self.catalogue)

    def plan(self, run_id: str) -> RunManifest:
        return self.run(run_id, dry_run=True)

    def run(self, run_id: str, settings: Settings | None = None, **how: bool) -> RunManifest:
        chosen = settings or Settings()
        return run(self.adapters(), chosen, Listener(), run_id=run_id, versions={}, **how)

    def apply(
        self, run_id: str, sink: MemorySink | None = None, *, forced: bool = False
    ) -> RunManifest:
        outlets = self.adapters(sink)
        found = recall_plan(outlets, self.store.load(run_id), forced=forced)
        return apply_run(found, outlets, Listener())

    def labels(self) -> list[np.ndarray]:
        held = self.held
        return [held.cluster_id.copy(), held.run_ids.copy(), held.probability.copy()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_applied_it_is_as_if_it_had_been_run(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "other")
    other.run("one")
    assert bench.plan("one").state == "planned"
    assert not bench.held.labelled.any()
    assert bench.catalogue.read() is None

    manifest = bench.apply("one")

    assert manifest.state == "written"
    assert manifest.facts["write"]["written"] == 3 * N
    assert all(np.array_equal(a, b) for a, b in zip(bench.labels(), other.labels(), strict=True))
    mine, theirs = bench.catalogue.read(), other.catalogue.read()
    assert mine is not None
    assert theirs is not None
    assert [e.id for e in mine.entries] == [e.id for e in theirs.entries]
    assert mine.run_id == "one"


def test_applied_twice_nothing_is_written_again(bench: Bench) -> None:
    bench.plan("one")
    bench.apply("one")
    before = bench.labels()
    assert bench.apply("one").facts["write"]["written"] == 0
    assert all(np.array_equal(a, b) for a, b in zip(bench.labels(), before, strict=True))
    recorded = planned(bench.store.load_arrays("one"))
    assert not recorded.had_label.any()  # still what was there before the run


class Breaking(MemorySink):
    """Away after the first batch."""

    calls = 0

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        self.calls += 1
        half = batch.take(np.arange(len(batch) // 2))
        super().write(half, partition)
        raise BackendUnavailableError("the server went away")


def test_interrupted_it_is_finished_and_what_was_there_before_is_kept(bench: Bench) -> None:
    bench.run("one")
    before = bench.labels()
    bench.held.insert(np.arange(5000, 5060), blobs(20, seed=3))
    bench.plan("two")
    with pytest.raises(BackendUnavailableError):
        bench.apply("two", Breaking(bench.held))
    assert bench.store.load("two").state == "writing"

    manifest = bench.apply("two")

    assert manifest.state == "written"
    assert bench.held.labelled.all()
    recorded = planned(bench.store.load_arrays("two"))
    old = recorded.had_label
    assert np.array_equal(recorded.old.cluster_id[old], before[0])
    assert np.array_equal(recorded.old.run_ids[old], before[1])


def test_rows_that_came_and_went_meanwhile_are_left(bench: Bench) -> None:
    bench.plan("one")
    bench.held.delete(np.arange(10))
    bench.held.insert(np.arange(9000, 9003), blobs(1, seed=5))
    report = bench.apply("one").facts["write"]
    assert report["vanished"] == 10
    assert report["unlabelled"] == 3
    assert set(bench.held.keys[~bench.held.labelled].tolist()) == {9000, 9001, 9002}


def test_labels_of_another_run_are_written_over_only_when_asked(bench: Bench) -> None:
    bench.plan("one")
    bench.held.vectors[:] = np.random.default_rng(1).permutation(bench.held.vectors)
    bench.run("two")
    before = bench.labels()
    with pytest.raises(RefusedError, match=r"\d+ rows have other labels.*plan again.*--yes"):
        bench.apply("one")
    assert all(np.array_equal(a, b) for a, b in zip(bench.labels(), before, strict=True))
    bench.apply("one", forced=True)
    assert set(bench.held.run_ids.tolist()) == {"one", "two"}  # where both agree "two" stays


def test_a_collection_that_was_created_anew_is_refused(bench: Bench) -> None:
    bench.plan("one")
    bench.held = MemoryCollection(blobs(N))
    with pytest.raises(CollectionChangedError, match="created anew"):
        bench.apply("one")
    assert not bench.held.labelled.any()


def test_a_run_without_a_plan_cannot_be_applied(bench: Bench) -> None:
    bench.store.save(replace(bench.plan("one"), state="reading", facts={}))
    with pytest.raises(UsageError, match=r"one has no plan.*'reading'"):
        bench.apply("one")


def test_what_the_gate_refuses_is_kept_and_can_be_applied(bench: Bench) -> None:
    bench.run("one")
    bench.held.vectors[:] = np.random.default_rng(1).permutation(bench.held.vectors)
    strict = Settings(gate=GateSettings(max_moved=0.0, max_died=0.0))
    with pytest.raises(RefusedError, match="of the labelled rows would change cluster"):
        bench.run("two", strict)
    assert bench.store.load("two").state == "refused"
    assert set(bench.held.run_ids.tolist()) == {"one"}
    bench.run("three", strict, gated=False)
    assert "three" in bench.held.run_ids.tolist()
