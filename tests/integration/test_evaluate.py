"""``evaluate``: figures of the labels that a collection carries, on every backend."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pymilvus import MilvusClient

from tests.backends import Backend
from tests.in_process import lite, vdbcluster
from tests.integration.labelled import CLASSES, DUST, EACH, ROWS, fill_labelled
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.config.milvus import MilvusSettings
from vdbcluster.config.settings import (
    ClusterSettings,
    RunSettings,
    Settings,
    WriteSettings,
)
from vdbcluster.errors import UsageError
from vdbcluster.wiring.evaluation import evaluate
from vdbcluster.wiring.main_job import run_job

QUIET = QuietObserver()


def settings_for(backend: Backend, name: str, runs: Path, **write: object) -> Settings:
    return Settings(
        milvus=MilvusSettings(uri=backend.uri, collection=name),
        cluster=ClusterSettings(method="hdbscan", min_cluster_size=10, min_samples=5),
        write=WriteSettings.model_validate(write),
        run=RunSettings(runs_dir=runs),
    )


@pytest.mark.slow_on_server
def test_every_figure_on_every_backend(
    backend: Backend, client: MilvusClient, collection_name: str, tmp_path: Path
) -> None:
    fill_labelled(client, collection_name)
    settings = settings_for(backend, collection_name, tmp_path)
    with pytest.raises(UsageError, match="carries no labels yet; run vdbcluster run first"):
        evaluate(settings, QUIET)
    manifest = run_job(settings, QUIET)
    found = evaluate(settings, QUIET, truth="kind", repeats=2)
    assert (found.rows, found.unlabelled, found.without_truth) == (ROWS, 0, DUST)
    assert found.labels_in == manifest.facts["way"]["target"]
    assert found.graph.clusters == len(CLASSES)
    assert found.graph.noise == pytest.approx(manifest.facts["clustering"]["noise"] / ROWS)
    assert found.graph.validity > 0.2
    assert found.graph.agreement > 0.9
    assert [c.size for c in found.graph.by_cluster] == [c.size for c in manifest.clusters]
    assert found.resampled is not None
    assert found.resampled.same == 1.0
    assert found.resampled.ami > 0.9
    assert found.assigned is not None
    assert found.assigned.rows == ROWS - round(0.9 * ROWS)
    assert found.assigned.same > 0.8
    persistence = [c.persistence for c in manifest.clusters]
    assert found.resampled.persistence.greatest == pytest.approx(max(persistence))
    assert found.truth is not None
    assert found.truth.all_rows.rows == ROWS - DUST
    assert found.truth.clustered.ami == 1.0
    assert {row.name for row in found.truth.classes} == set(CLASSES)
    assert all(row.rows == EACH and row.precision == 1.0 for row in found.truth.classes)


@pytest.mark.parametrize("way", ["lite-merge", "side-collection"])
def test_labels_are_found_whichever_way_they_were_written(
    lite_file: Backend, connect, tmp_path: Path, way: str
) -> None:
    fill_labelled(connect(lite_file), "docs")
    settings = settings_for(lite_file, "docs", tmp_path, way=way)
    run_job(settings, QUIET)
    usual = settings.model_copy(update={"write": WriteSettings()})
    found = evaluate(usual, QUIET, repeats=0)
    assert found.labels_in == ("docs" if way == "lite-merge" else "docs_cluster_labels")
    assert found.graph.clusters == len(CLASSES)
    assert found.resampled is None
    assert found.assigned is None
    with pytest.raises(UsageError, match="--label-prefix"):
        evaluate(settings_for(lite_file, "docs", tmp_path, label_prefix="sub_"), QUIET)


def test_labels_of_others_are_judged_and_rows_without_one_are_counted(
    lite_file: Backend, connect, tmp_path: Path
) -> None:
    client = connect(lite_file)
    fill_labelled(client, "docs")
    settings = settings_for(lite_file, "docs", tmp_path)
    run_job(settings, QUIET)
    good = evaluate(settings, QUIET, truth="kind", repeats=2)
    client.insert("docs", [{"id": ROWS + i, "vector": np.full(8, 9.0 + i)} for i in range(3)])
    label = {"cluster_probability": 1.0, "cluster_outlier_score": 0.0, "cluster_run_id": "mine"}
    rows = client.query("docs", f"id < {EACH}", output_fields=["*"])
    client.upsert("docs", [{**r, **label, "cluster_id": int(r["id"]) % 2 + 40} for r in rows])
    bad = evaluate(settings, QUIET, truth="kind", repeats=2)
    assert (bad.rows, bad.unlabelled, bad.graph.rows) == (ROWS + 3, 3, ROWS)
    assert bad.graph.clusters == len(CLASSES) + 1
    assert {c.id for c in bad.graph.by_cluster if c.validity < 0} == {40, 41}
    assert bad.graph.validity < good.graph.validity
    assert bad.graph.agreement < good.graph.agreement
    assert bad.truth is not None
    assert good.truth is not None
    assert bad.truth.clustered.ami < good.truth.clustered.ami
    assert bad.resampled is not None
    assert bad.resampled.same < 1
    chosen = with_filter(settings, f"id >= {ROWS}")
    with pytest.raises(UsageError, match="no selected row of 'docs' carries a label"):
        evaluate(chosen, QUIET)


def with_filter(settings: Settings, text: str) -> Settings:
    milvus = settings.milvus.model_copy(update={"filter": text})
    return settings.model_copy(update={"milvus": milvus})


def test_one_line_for_a_truth_that_is_none(lite_file: Backend, connect, tmp_path: Path) -> None:
    fill_labelled(connect(lite_file), "docs")
    settings = settings_for(lite_file, "docs", tmp_path)
    run_job(settings, QUIET)
    for truth, told in (
        ("knid", "no row has a value in the field 'knid'"),
        ("tags", "the field 'tags' .--truth. holds values of kind list"),
        ("vector", "the field 'vector' .--truth. holds values of kind"),
    ):
        with pytest.raises(UsageError, match=told):
            evaluate(settings, QUIET, truth=truth)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Lite file with a labelled collection, which no process has open."""
    folder = tmp_path_factory.mktemp("evaluate")
    path = folder / "docs.db"
    with lite(path) as client:
        fill_labelled(client, "docs")
        run_job(settings_for(Backend("", str(path)), "docs", folder / "runs"), QUIET)
    return path


def test_the_command_prints_tables_or_json(database: Path, tmp_path: Path) -> None:
    line = ["evaluate", "--uri", str(database), "-c", "docs", "--method", "hdbscan"]
    line += ["--min-cluster-size", "10", "--min-samples", "5"]
    done = vdbcluster(tmp_path, *line, "--truth", "kind")
    assert done.returncode == 0, done.stderr
    for words in ("validity", "stability", "4 classes, 4 clusters; 30 labelled rows", "V-measure",
                  "rows held out get what clustering them all gives them",
                  "main cluster", "in one piece"):  # fmt: skip
        assert words in done.stdout
    assert max(len(row) for row in done.stdout.splitlines() if row.startswith("rum")) <= 80
    told = json.loads(vdbcluster(tmp_path, *line, "--truth", "kind", "--json").stdout)
    assert told["truth"]["clustered"]["ami"] == 1.0
    assert told["graph"]["clusters"] == 4
    assert 0.8 < told["assigned"]["same"] <= 1
    assert list(tmp_path.iterdir()) == []
