"""Whole jobs from a notebook: the same as the commands, on an open collection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import vdbcluster
from tests import backends
from tests.integration.docs import CLUSTERS, ROWS, make_docs
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.errors import RefusedError, UsageError
from vdbcluster.layout import LayoutParams, lay_out


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    with backends.lite_file(tmp_path) as backend:
        make_docs(backend.uri)
        yield backend.uri


def test_a_collection_that_lives(path: str, tmp_path: Path) -> None:
    runs = tmp_path / "records"
    with vdbcluster.open(path, "docs", runs_dir=runs) as docs:
        planned = vdbcluster.run(docs, dry_run=True)
        assert planned.state == "planned"
        with pytest.raises(UsageError, match="carries no labels"):
            vdbcluster.evaluate(docs)
        before = vdbcluster.run(docs, cluster={"min_cluster_size": 20})
        assert (before.state, len(before.clusters)) == ("written", CLUSTERS)
        assert before.settings["cluster"]["min_cluster_size"] == 20
        assert docs.settings.cluster.min_cluster_size == "auto"
        assert set(RunDirectory(runs).ids()) == {planned.run_id, before.run_id}

        old = docs.read()
        with backends.connected(backends.Backend("lite", path)) as client:
            near = [{"id": 1000 + i, "vector": old.vectors[i] * 1.01} for i in range(5)]
            client.insert("docs", near)
            client.delete("docs", ids=[0, 1, 2])
        assigned = vdbcluster.assign_new(docs)
        assert (assigned.facts["assign"]["rows"], assigned.facts["assign"]["noise"]) == (5, 0)
        now = vdbcluster.diff(docs, before.run_id)
        assert (now.only_after, now.only_before, now.moved) == (5, 3, 0)

        strict = {"max_noise_share": 0.0}
        refused = {"min_samples": 15, "min_cluster_size": 100, "method": "hdbscan"}
        with pytest.raises(RefusedError):
            vdbcluster.run(docs, cluster=refused, gate={**strict, "max_died": 0.0})
        after = vdbcluster.run(docs, cluster={"min_cluster_size": 20})
        changes = vdbcluster.diff(docs, before.run_id, after.run_id)
        assert (changes.rows_before, changes.rows_after) == (ROWS, ROWS + 2)
        assert {event.kind for event in changes.events} <= {"grown", "shrunk", "unchanged"}

        found = vdbcluster.evaluate(docs, repeats=0)
        assert (found.rows, found.graph.clusters) == (ROWS + 2, CLUSTERS)
        cells = vdbcluster.sweep(docs, sizes=(10, 20), min_samples=(5,)).cells
        assert [(c.min_cluster_size, c.clusters) for c in cells] == [(10, 4), (20, 4)]


def test_a_wrong_setting_is_told(path: str) -> None:
    with vdbcluster.open(path, "docs") as docs:
        with pytest.raises(UsageError, match="no section 'clusters'"):
            vdbcluster.run(docs, clusters={})
        with pytest.raises(UsageError, match=r"cluster\.min_cluster_size is wrong"):
            vdbcluster.run(docs, cluster={"min_cluster_size": 1})
        with pytest.raises(UsageError, match=r"cluster\.size is wrong: Extra"):
            vdbcluster.sweep(docs, cluster={"size": 3})
        with pytest.raises(UsageError, match="below min_samples"):
            vdbcluster.run(docs, neighbors={"n_neighbors": 2}, cluster={"min_samples": 5})


@pytest.mark.slow
def test_a_map_without_a_database() -> None:
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(c, 0.3, (30, 8)) for c in (-2, 0, 2)]).astype(np.float32)
    graph = vdbcluster.neighbors(vectors, n_neighbors=10, metric="euclidean")
    points = vdbcluster.lay_out(graph, vectors)
    assert points.dtype == np.float32
    assert np.array_equal(points, lay_out(graph, vectors, LayoutParams(2, 0)))


def test_a_smoothed_graph_makes_no_map() -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    graph = vdbcluster.smooth(vdbcluster.neighbors(vectors, n_neighbors=10, metric="euclidean"))
    with pytest.raises(UsageError, match="a map needs the graph of neighbors"):
        vdbcluster.lay_out(graph, vectors)
