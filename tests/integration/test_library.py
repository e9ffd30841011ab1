"""The library does what the command line does: same checks, same distances, same warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vdbcluster
from tests import backends
from tests.integration.docs import make_docs
from tests.silent import Listener
from vdbcluster.adapters.milvus.source import MilvusSource
from vdbcluster.config.settings import load_settings
from vdbcluster.errors import CollectionChangedError, RefusedError
from vdbcluster.graph.distance import prepare
from vdbcluster.graph.measure import measure

Open = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    with backends.lite_file(tmp_path) as backend:
        make_docs(backend.uri)
        yield backend.uri


def test_neighbours_of_milvus_are_measured_again(path: str) -> None:
    settings = load_settings({"neighbors": {"engine": "milvus"}})
    with vdbcluster.open(path, "docs", settings=settings) as docs:
        rows = docs.read()
        graph = docs.neighbors(rows, n_neighbors=10)
    points = prepare(rows.vectors, "chord")
    assert np.array_equal(graph.distances, measure(points, graph.indices, "chord").distances)
    exact = vdbcluster.neighbors(rows.vectors, n_neighbors=10, metric="chord")
    assert np.allclose(graph.distances, exact.distances, atol=1e-5)


def test_rows_that_were_left_out_are_not_called_new(path: str) -> None:
    with backends.connected(backends.Backend("lite", path)) as client:
        client.insert("docs", [{"id": 1000 + i, "vector": [0.0] * 16} for i in range(3)])
    listener = Listener()
    with vdbcluster.open(path, "docs", observer=listener) as docs:
        rows = docs.read()
        assert len(rows) == 240
        clustering = vdbcluster.cluster(docs.neighbors(rows))
        report = docs.write(rows, clustering)
    assert (report.written, report.unlabelled) == (240, 0)
    assert [warning for warning in listener.warnings if warning.startswith("3 rows hold")]


def test_what_a_run_refuses_is_refused(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        vdbcluster.open(path, "docs", filter="id > 500") as docs,
        pytest.raises(RefusedError, match="'id > 500'"),
    ):
        docs.read()
    monkeypatch.setattr(MilvusSource, "count", lambda _: 241)
    with (
        vdbcluster.open(path, "docs") as docs,
        pytest.raises(RefusedError, match="240 rows were read, but the server counted 241"),
    ):
        docs.read()
    accepting = load_settings({"write": {"accept_mismatch": True}})
    listener = Listener()
    with vdbcluster.open(path, "docs", settings=accepting, observer=listener) as docs:
        assert len(docs.read()) == 240
    assert "--accept-mismatch" in listener.warnings[0]


def test_a_collection_that_was_made_anew_is_not_written(path: str) -> None:
    with vdbcluster.open(path, "docs") as docs:
        rows = docs.read()
        clustering = vdbcluster.cluster(docs.neighbors(rows))
        with backends.connected(backends.Backend("lite", path)) as client:
            client.drop_collection("docs")
        make_docs(path)
        with pytest.raises(CollectionChangedError, match="run again"):
            docs.write(rows, clustering)


def test_labels_in_another_place_are_told(path: str) -> None:
    listener = Listener()
    aside = load_settings({"write": {"way": "side-collection"}})
    for settings in (aside, None):
        with vdbcluster.open(path, "docs", observer=listener, settings=settings) as docs:
            rows = docs.read()
            docs.write(rows, vdbcluster.cluster(docs.neighbors(rows)))
    assert [w for w in listener.warnings if "client.drop_collection('docs_cluster_labels')" in w]
