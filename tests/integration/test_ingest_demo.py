"""The demo as a whole: ingested, clustered, written back, filtered, and again without a change."""

from __future__ import annotations

import pytest

from tests.silent import Listener
from vdbcluster.adapters.pydocs import standard_library_docs

pytest.importorskip("wordllama", reason="the extra 'local' is not installed")

from vdbcluster.wiring.demo import DemoCluster, run_demo, run_query, summarize

KNOWN = {"datetime", "encodings", "logging", "tarfile", "threading", "tkinter", "turtle"}
"""Modules that lead a cluster where Python comes with them: some packages leave tkinter out."""


def test_clusters_are_counted_by_module_largest_first():
    labels = [(2, "io"), (2, "io"), (2, "bz2"), (-1, "re"), (0, "re"), (5, "ast"), (5, "abc")]
    rows = [{"module": module, "cluster_id": label} for label, module in labels]
    assert summarize(rows, {2: "Read bytes."}) == (
        DemoCluster(2, 3, (("io", 2), ("bz2", 1)), "Read bytes."),
        DemoCluster(5, 2, (("abc", 1), ("ast", 1)), ""),
        DemoCluster(0, 1, (("re", 1),), ""),
    )


@pytest.mark.slow
def test_the_demo_finds_clusters_that_a_programmer_knows(tmp_path, capsys):
    result = run_demo(tmp_path / "out", Listener())

    assert result.ingested.stored == len(standard_library_docs())
    assert result.manifest.facts["write"]["written"] == result.ingested.stored
    assert 30 <= len(result.clusters) <= 90
    assert result.noise < 0.65
    assert result.purity > 0.45
    led = {cluster.modules[0][0] for cluster in result.clusters}
    assert KNOWN & {doc.module for doc in standard_library_docs()} <= led
    assert all(cluster.representative for cluster in result.clusters)

    drawn, told = result.map.read_text(), result.report.read_text()
    assert drawn.lower().startswith("<!doctype html>")
    assert "tarfile" in drawn
    assert "tarfile" in told

    run_query(result.query)
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 12
    assert any(line.startswith("tarfile.") for line in shown)

    again = run_demo(tmp_path / "out", Listener())
    assert again.manifest.facts["write"]["written"] == 0
    assert again.clusters == result.clusters
    assert (again.ingested.written, again.ingested.stored) == (0, result.ingested.stored)
