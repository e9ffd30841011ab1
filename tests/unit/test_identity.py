"""Ids that stay, and a catalogue that remembers: runs in memory, one after the other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.unit.test_run import Listener, adapters, blobs
from vdbcluster.adapters.memory_catalogue import MemoryCatalogue
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.config.settings import Settings
from vdbcluster.errors import BackendError
from vdbcluster.model.catalogue import Catalogue
from vdbcluster.model.manifest import RunManifest, unwritten_catalogue
from vdbcluster.pipeline.run import run

N = 120


class Job:
    """A collection of blobs, its catalogue, and runs over them."""

    def __init__(self, vectors: np.ndarray, path: Path) -> None:
        self.path, self.runs, self.listener = path, 0, Listener()
        self.held = MemoryCollection(vectors)
        self.catalogue = MemoryCatalogue(self.held)

    def run(self) -> RunManifest:
        self.runs += 1
        found = adapters(self.held, self.path)
        return run(
            replace(found, catalogue=lambda: self.catalogue),
            Settings(),
            self.listener,
            run_id=f"run-{self.runs}",
            versions={},
        )

    def read(self) -> Catalogue:
        found = self.catalogue.read()
        assert found is not None
        return found


def test_a_first_run_counts_from_nought_by_size_and_a_second_writes_nothing(tmp_path: Path) -> None:
    vectors = blobs(N)
    job = Job(vectors[: -N // 2], tmp_path)
    first = job.run()
    assert [c.id for c in first.clusters] == [0, 1, 2]
    entries = job.read().entries
    assert [(e.id, e.size) for e in entries] == [(c.id, c.size) for c in first.clusters]
    assert all(e.stability == c.stability for e, c in zip(entries, first.clusters, strict=True))
    assert all(e.centroid is not None and e.first_run == "run-1" for e in entries)
    second = job.run()
    assert second.facts["write"]["written"] == 0
    assert second.facts["catalogue"] == {"name": job.catalogue.name, "written": False}
    assert job.read().run_id == "run-1"


def test_an_id_stays_where_another_cluster_becomes_the_largest(tmp_path: Path) -> None:
    vectors = blobs(N)
    keys = np.arange(len(vectors))
    job = Job(vectors, tmp_path)
    job.run()
    before = dict(zip(job.held.keys.tolist(), job.held.cluster_id.tolist(), strict=True))
    job.catalogue.replace(
        Catalogue(
            tuple(replace(e, name=f"name {e.id}", pinned=True) for e in job.read().entries),
            "run-1",
            job.read().identity,
        )
    )
    largest = before[0]
    left = np.array([k >= N or k % 3 == 0 for k in keys])
    job.held.delete(keys[~left])
    again = job.run()
    now = dict(zip(job.held.keys.tolist(), job.held.cluster_id.tolist(), strict=True))
    assert all(now[key] == before[key] for key in now)
    assert again.clusters[-1].id == largest
    shrunk = job.read().get(largest)
    assert shrunk is not None
    assert (shrunk.name, shrunk.pinned, shrunk.first_run, shrunk.last_run) == (
        f"name {largest}",
        True,
        "run-1",
        "run-2",
    )
    [event] = json.loads(shrunk.lineage)[-1:]
    assert (event["kind"], event["run"], event["before"], event["after"]) == (
        "shrunk",
        "run-2",
        N,
        N // 3,
    )


def test_a_cluster_that_is_gone_is_retired_and_its_id_not_given_again(tmp_path: Path) -> None:
    vectors = blobs(N)
    keys = np.arange(len(vectors))
    job = Job(vectors, tmp_path)
    job.run()
    gone = int(job.held.cluster_id[0])
    job.held.delete(keys[:N])
    job.run()
    assert [e.id for e in job.read().live] == sorted({0, 1, 2} - {gone})
    assert job.read().next_id == 3
    job.held.insert(keys[:N] + 10_000, -vectors[:N])
    job.run()
    assert {e.id for e in job.read().live} == {0, 1, 2, 3} - {gone}
    retired = job.read().get(gone)
    assert retired is not None
    assert not retired.live
    assert json.loads(retired.lineage)[-1]["kind"] == "died"


def test_labels_are_written_where_no_catalogue_can_be(tmp_path: Path) -> None:
    class Forbidden(MemoryCatalogue):
        def read(self) -> Catalogue | None:
            raise BackendError("permission denied")

    job = Job(blobs(N), tmp_path)
    job.catalogue = Forbidden(job.held)
    found = job.run()
    assert "no catalogue of the clusters is kept: permission denied" in job.listener.warnings
    assert found.facts["write"]["written"] == 3 * N
    assert found.facts["catalogue"] == {"error": "permission denied", "written": False}


def test_an_id_stays_where_the_run_that_gave_it_could_not_write_its_catalogue(
    tmp_path: Path,
) -> None:
    class Broken(MemoryCatalogue):
        def read(self) -> Catalogue | None:
            return kept.read()

        def replace(self, catalogue: Catalogue, *, since: Catalogue | None = None) -> None:
            raise BackendError("the server is gone")

    vectors = blobs(N)
    job = Job(vectors[: 2 * N], tmp_path)
    kept = job.catalogue
    job.run()
    job.held.insert(np.arange(2 * N, 3 * N), vectors[2 * N :])
    job.catalogue = Broken(job.held)
    half = job.run()
    assert unwritten_catalogue(half) == "the server is gone"
    assert [entry.id for entry in kept.read().entries] == [0, 1]
    job.catalogue = kept
    whole = job.run()
    assert whole.facts["write"]["written"] == 0
    assert unwritten_catalogue(whole) == ""
    born = job.read().get(2)
    assert born is not None
    assert (born.size, born.first_run) == (N, "run-3")
    assert [event["kind"] for event in json.loads(born.lineage)] == ["born"]
    job.held.delete(np.arange(2 * N, 3 * N))
    job.run()
    assert [entry.id for entry in job.read().live] == [0, 1]
    assert job.read().next_id == 3
