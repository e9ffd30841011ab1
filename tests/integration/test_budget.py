"""What a run needs, as ``inspect`` foretells it and as the run then takes it, on a Lite file."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from tests.in_process import lite
from tests.in_process import vdbcluster as here
from tests.integration.test_cli import vdbcluster
from vdbcluster.wiring import inspection, main_job
from vdbcluster.wiring.budget import job_of

ROWS, DIM = 1500, 64


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Lite file that no process has open, as Lite allows one only."""
    path = tmp_path_factory.mktemp("budget") / "rows.db"
    with lite(path) as client:
        fill(client)
    return path


def fill(client: MilvusClient) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(ROWS, DIM)) + 3 * rng.integers(0, 2, (ROWS, DIM))
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    client.create_collection("rows", schema=schema)
    numbered = enumerate(points.astype(np.float32))
    client.insert("rows", [{"id": i, "vector": point} for i, point in numbered])
    client.flush("rows")
    index = client.prepare_index_params()
    index.add_index("vector", metric_type="COSINE", index_type="FLAT")
    client.create_index("rows", index)


def told(folder: Path, database: Path, *arguments: str) -> dict[str, Any]:
    command, *options = arguments
    found = vdbcluster(folder, command, "--uri", str(database), "-c", "rows", "--json", *options)
    assert found.returncode == 0, found.stderr
    return dict(json.loads(found.stdout))


def test_a_run_takes_about_what_inspect_foretells(tmp_path: Path, database: Path) -> None:
    estimate = told(tmp_path, database, "inspect")["estimate"]
    manifest = told(tmp_path, database, "run", "--yes")
    memory = manifest["facts"]["memory"]
    assert {"read", "neighbors", "cluster", "plan", "write"} <= set(memory["stages"])
    assert memory["peak_mb"] == max(stage["own_mb"] for stage in memory["stages"].values())
    if sys.platform == "linux":
        assert 0.5 < estimate["memory_mb"] / memory["peak_mb"] < 2.0
    record = tmp_path / "vdbcluster-runs" / manifest["run_id"]
    kept = sum(file.stat().st_size for file in record.iterdir()) / 2**20
    assert 0.5 < estimate["record_mb"] / kept < 2.0


@pytest.mark.slow
def test_a_limit_gives_the_same_labels_and_leaves_no_file(tmp_path: Path, database: Path) -> None:
    free = told(tmp_path, database, "plan", "--runs-dir", "free")
    bounded = told(tmp_path, database, "plan", "--runs-dir", "bounded", "--memory-limit", "2GB")
    labels = [
        np.load(tmp_path / where / run["run_id"] / "arrays.npz")["cluster_id"]
        for where, run in (("free", free), ("bounded", bounded))
    ]
    assert np.array_equal(*labels)
    left = {path.name for path in (tmp_path / "bounded").iterdir()}
    assert not [name for name in left if name.startswith("vdbcluster-")]
    assert bounded["facts"]["memory"]["peak_mb"] << 20 < 2 * 10**9


def test_what_does_not_fit_is_refused_before_the_work(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--uri", str(database), "-c", "rows", "--runs-dir", str(tmp_path / "runs")]
    options += ["--n-neighbors", "1400", "--method", "hdbscan", "--memory-limit", "512MB"]
    monkeypatch.setattr(main_job, "job_of", lambda *a: replace(job_of(*a), n_rows=50_000_000))
    found = here(tmp_path, "run", *options)
    assert found.returncode == 4, found.stderr
    lines = [line for line in found.stderr.splitlines() if "--memory-limit allows" in line]
    assert len(lines) == 1
    assert "488 MiB" in lines[0]
    assert "Traceback" not in found.stderr
    assert not list((tmp_path / "runs").glob("*/manifest.json"))


def test_memory_that_runs_out_anywhere_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "inspect_collection", lambda *_: np.empty((1 << 40, 1 << 10)))
    found = here(tmp_path, "inspect", "--uri", str(tmp_path / "none.db"), "-c", "rows")
    assert found.returncode == 1, found.stderr
    line = found.stderr.strip().splitlines()[-1]
    assert line.startswith("vdbcluster: this machine has not enough memory: Unable to allocate")
    assert "--memory-limit" in line
    assert "Traceback" not in found.stderr
