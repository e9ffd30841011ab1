"""The whole job with ``--neighbors gpu``; numpy plays the GPU, see ``tests.stand_in_gpu``, and
another stand-in plays cuVS.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends import Backend
from tests.integration.labelled import ROWS, fill_labelled
from tests.stand_in_cuvs import Cuvs, play
from tests.stand_in_gpu import FakeCupy
from vdbcluster.adapters import gpu_graph
from vdbcluster.adapters.gpu_graph import GraphNeighbors, graph_bytes
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.adapters.this_machine import ThisMachine
from vdbcluster.config.milvus import MilvusSettings
from vdbcluster.config.scale import ScaleSettings
from vdbcluster.config.settings import ClusterSettings, NeighborSettings, RunSettings, Settings
from vdbcluster.errors import UsageError
from vdbcluster.pipeline.needs import Job
from vdbcluster.wiring import bench, choice, inspection
from vdbcluster.wiring.budget import job_of
from vdbcluster.wiring.inspection import inspect_collection
from vdbcluster.wiring.main_job import run_job

QUIET = QuietObserver()


def settings_for(backend: Backend, engine: str, runs: Path) -> Settings:
    return Settings(
        milvus=MilvusSettings(uri=backend.uri, collection="docs"),
        neighbors=NeighborSettings.model_validate({"engine": engine}),
        cluster=ClusterSettings(method="hdbscan", min_cluster_size=10, min_samples=5),
        run=RunSettings(runs_dir=runs),
    )


@pytest.fixture
def docs(lite_file: Backend, connect) -> Backend:
    fill_labelled(connect(lite_file), "docs")
    return lite_file


def test_labels_are_those_of_local_search(
    docs: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = run_job(settings_for(docs, "local", tmp_path), QUIET, dry_run=True)
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy())  # type: ignore[arg-type]
    gpu = run_job(settings_for(docs, "gpu", tmp_path), QUIET, dry_run=True)
    assert gpu.facts["neighbors"]["engine"] == "Card 7, every pair, exact"
    assert [c.size for c in gpu.clusters] == [c.size for c in local.clusters]
    assert gpu.facts["clustering"] == local.facts["clustering"]


def test_inspect_says_which_and_why(
    docs: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy())  # type: ignore[arg-type]
    found = inspect_collection(settings_for(docs, "gpu", tmp_path), QUIET)
    assert found.neighbors == "gpu, euclidean: it was asked for"
    assert 0 < found.estimate.seconds["neighbors"] < np.inf
    monkeypatch.setattr(choice, "EXACT_ROWS", ROWS - 1)
    found = inspect_collection(settings_for(docs, "auto", tmp_path), QUIET)
    assert found.neighbors.startswith(
        "gpu, euclidean: embedded Milvus searches by brute force; a GPU"
    )


def test_a_graph_is_built_where_every_pair_takes_long(
    docs: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = run_job(settings_for(docs, "local", tmp_path), QUIET, dry_run=True)
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy())  # type: ignore[arg-type]
    monkeypatch.setattr(gpu_graph, "_LONG", 0)
    cuvs, settings = play(monkeypatch, Cuvs()), settings_for(docs, "gpu", tmp_path)
    found = inspect_collection(settings, QUIET)
    assert "it was asked for; cuVS builds a graph of so many rows" in found.neighbors
    assert "the neighbours' time is told for every pair, on the GPU" in found.remarks
    cuvs.built.clear()
    graph = run_job(settings, QUIET, dry_run=True)
    assert [n for n, _ in cuvs.built] == [ROWS]
    facts = graph.facts["neighbors"]
    assert facts["engine"] == "Card 7, cuVS graph by NN-descent, ranked by exact distance"
    assert facts["exact"] is False
    assert [c.size for c in graph.clusters] == [c.size for c in pairs.clusters]
    certified = settings.model_copy(
        update={"cluster": settings.cluster.model_copy(update={"certify": True})}
    )
    cuvs.built.clear()
    facts = run_job(certified, QUIET, dry_run=True).facts["neighbors"]
    assert (facts["engine"], facts["exact"], cuvs.built) == ("Card 7, every pair, exact", True, [])


def test_a_graph_may_take_half_of_what_the_limit_leaves(
    docs: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy())  # type: ignore[arg-type]
    monkeypatch.setattr(gpu_graph, "_LONG", 0)
    play(monkeypatch, Cuvs())
    allowed: list[int] = []

    def made(*args: Any, **more: Any) -> GraphNeighbors:
        allowed.append(more["host_bytes"])
        return GraphNeighbors(*args, **more)

    monkeypatch.setattr(bench, "GraphNeighbors", made)
    limit = 64 * 10**9
    scale = {"scale": ScaleSettings(memory_limit=limit)}
    run_job(settings_for(docs, "gpu", tmp_path).model_copy(update=scale), QUIET, dry_run=True)
    assert 0 < allowed[0] < limit // 2 - (ThisMachine().own_memory() or 0) // 4


def test_what_a_graph_takes_of_the_host_is_foretold(
    docs: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy())  # type: ignore[arg-type]
    settings = settings_for(docs, "gpu", tmp_path)
    jobs: list[Job] = []

    def spied(*args: Any) -> Job:
        jobs.append(job_of(*args))
        return jobs[-1]

    monkeypatch.setattr(inspection, "job_of", spied)
    inspect_collection(settings, QUIET)
    monkeypatch.setattr(gpu_graph, "_LONG", 0)
    play(monkeypatch, Cuvs())
    inspect_collection(settings, QUIET)
    pairs, graph = jobs
    assert (pairs.gpu, pairs.local, pairs.index, pairs.building) == (True, False, 0, 0)
    assert (graph.index, graph.building) == graph_bytes(ROWS, graph.n_neighbors)


def test_without_a_gpu_nothing_is_read(
    docs: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy(RuntimeError("no device")))  # type: ignore[arg-type]
    told = "--neighbors gpu: no GPU can be used: no device; or pass --neighbors local"
    with pytest.raises(UsageError, match=told):
        run_job(settings_for(docs, "gpu", tmp_path), QUIET)
    assert told in inspect_collection(settings_for(docs, "gpu", tmp_path), QUIET).problems
    monkeypatch.setattr(choice, "EXACT_ROWS", ROWS - 1)
    found = inspect_collection(settings_for(docs, "auto", tmp_path), QUIET)
    assert found.neighbors.endswith("brute force; no GPU can be used: no device")
