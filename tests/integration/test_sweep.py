"""``sweep``: every cell is what a run gives; the table, the plateau, the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings

from tests.data import embeddings
from tests.in_process import vdbcluster
from tests.integration.labelled import CLASSES, DUST, ROWS, fill_labelled
from tests.integration.test_evaluate import QUIET, database, settings_for, with_filter  # noqa: F401
from tests.silent import Listener
from tests.unit.engine_graphs import enough, graphs, parameters
from vdbcluster.errors import UsageError
from vdbcluster.methods.density import on_edges
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams, Recipe, Smooth
from vdbcluster.wiring import library
from vdbcluster.wiring.main_job import run_job
from vdbcluster.wiring.sweep import cuts, sweep

SIZES = [2, 3, 5, 8, 13]


def check_cuts(graph: NeighborGraph, chosen: Recipe, sizes: list[int]) -> None:
    """Each cut equals the clustering that was built for its size alone."""
    for size, cut in zip(sizes, cuts(graph, chosen, sizes), strict=True):
        own = replace(chosen, hdbscan=replace(chosen.hdbscan, min_cluster_size=size))
        built = on_edges(graph, own)
        assert (cut.labels == built.labels).all()
        assert np.array_equal(cut.probabilities, built.probabilities)
        assert np.array_equal(cut.outlier_scores, built.outlier_scores)
        assert np.array_equal(cut.persistence, built.persistence)


@pytest.mark.parametrize("join", ["max", "inf"])
@hypothesis_settings(max_examples=60, deadline=None)
@given(graph=graphs(), params=parameters())
def test_cuts_of_one_tree(graph: NeighborGraph, params: HdbscanParams, join: str) -> None:
    assume(enough(graph, params))
    check_cuts(graph, Recipe(hdbscan=replace(params, join=join)), SIZES)


@pytest.mark.parametrize("smooth", ["none", "shared-neighbors", "spectral"])
def test_cuts_of_real_neighbours(smooth: Smooth) -> None:
    vectors = embeddings("bbc2225.minilm-l6-int8.384.f16.npy")
    graph = library.smooth(library.neighbors(vectors, n_neighbors=30, center="mean"), smooth)
    params = HdbscanParams(min_samples=5)
    chosen = Recipe(smooth=smooth, hdbscan=params, soft=True, max_noise=0.1, merge=0.5)
    check_cuts(graph, chosen, [5, 10, 20, 50, 200])


def test_cells_are_what_a_run_gives(lite_server, connect, collection_name, tmp_path: Path) -> None:
    client = connect(lite_server)
    fill_labelled(client, collection_name)
    base = settings_for(lite_server, collection_name, tmp_path)
    found = sweep(
        base, QUIET, sizes=[40, 5, 10, 20, 60], min_samples=[5, 2], truth="kind", repeats=2
    )
    again = sweep(
        base, QUIET, sizes=[5, 10, 20, 40, 60], min_samples=[2, 5], truth="kind", repeats=2
    )
    assert found == again
    assert [(c.min_samples, c.min_cluster_size) for c in found.cells] == [
        (m, size) for m in (2, 5) for size in (5, 10, 20, 40, 60)
    ]
    for cell in found.cells[1:3] + found.cells[-2:-1]:
        cluster = base.cluster.model_copy(
            update={"min_cluster_size": cell.min_cluster_size, "min_samples": cell.min_samples}
        )
        facts = run_job(base.model_copy(update={"cluster": cluster}), QUIET, dry_run=True).facts[
            "clustering"
        ]
        assert (facts["clusters"], facts["noise"]) == (cell.clusters, round(cell.noise * ROWS))
        assert facts["largest"] == round(cell.largest * ROWS)
    told = Listener()
    reused = sweep(
        base, told, sizes=[5, 10, 20, 40, 60], min_samples=[2, 5], truth="kind", repeats=2
    )
    assert reused == found
    assert any("neighbours: those of run" in note for note in told.notes)
    assert "neighbours" not in told.stages
    assert found.without_truth == DUST
    assert found.plateau in found.plateaus
    marked = [c for c in found.cells if c.plateau]
    assert all(c.clusters >= 2 for c in marked)
    plain = sweep(base, QUIET, sizes=[5, 10], min_samples=[5], repeats=0)
    assert [(cell.stability, cell.ami) for cell in plain.cells] == [(None, None)] * 2
    assert json.loads(json.dumps(plain.to_json()))["plateau"]["min_samples"] == 5
    best = found.plateau
    assert best is not None
    assert best.length == sum(c.min_samples == best.min_samples for c in marked)
    assert all(c.clusters == len(CLASSES) and c.ami and c.ami > 0.9 for c in marked if
               c.min_samples == best.min_samples)  # fmt: skip
    client.drop_collection(collection_name)


def test_the_command_prints_a_table_and_draws_a_page(database: Path, tmp_path: Path) -> None:  # noqa: F811
    line = ["sweep", "--uri", str(database), "-c", "docs", "--min-samples", "5"]
    line += ["--min-cluster-size", "5,10,20", "--truth", "kind"]
    done = vdbcluster(tmp_path, *line, "--output", "sweep.html")
    assert done.returncode == 0, done.stderr
    table = [row for row in done.stdout.splitlines() if row.strip().startswith(("5", "10", "20"))]
    assert len(table) == 3
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80
    assert "Longest plateau: min_cluster_size" in done.stdout
    page = (tmp_path / "sweep.html").read_text()
    assert "<script src" not in page
    assert '"min_samples 5"' in page
    assert '"type":"log"' in page
    assert [p.name for p in tmp_path.iterdir()] == ["sweep.html"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--min-samples", "five"], "--min-samples takes whole numbers, as 5,10,20, not 'five'"),
        (["--output", "no/such/dir.html"], "is no file in a directory that exists"),
    ],
)
def test_one_line_before_anything_is_opened(
    tmp_path: Path, arguments: list[str], told: str
) -> None:
    done = vdbcluster(tmp_path, "sweep", "--uri", "no.db", "-c", "docs", *arguments)
    assert done.returncode == 2, done.stdout
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_one_line_for_what_cannot_be(lite_file, connect, tmp_path: Path) -> None:
    fill_labelled(connect(lite_file), "docs")
    base = settings_for(lite_file, "docs", tmp_path)
    bridge = base.model_copy(update={"cluster": base.cluster.model_copy(update={"join": "bridge"})})
    few = base.model_copy(
        update={"neighbors": base.neighbors.model_copy(update={"n_neighbors": 60})}
    )
    for settings, arguments, told in (
        (base, {"sizes": [1, 5]}, "min_cluster_size must be at least 2"),
        (base, {"min_samples": [0]}, "min_samples must be at least 1"),
        (few, {"min_samples": [5, 90]}, "n_neighbors is 60, below min_samples 90"),
        (bridge, {}, "join max or inf"),
        (base, {"truth": "knid"}, "no row has a value in the field 'knid'"),
        (with_filter(base, "id == 3"), {}, "1 rows are too few"),
    ):
        with pytest.raises(UsageError, match=told):
            sweep(settings, QUIET, **arguments)
