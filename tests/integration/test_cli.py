"""The command line as a person meets it: one line for what is wrong, an exit code, results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pymilvus import DataType, MilvusClient

from tests.integration.test_readme import make_docs

TIMEOUT = 120


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Lite file that is not open in this process, as Lite allows one only."""
    folder = tmp_path_factory.mktemp("cli")
    code = "import sys; from tests.integration.test_cli import fill; fill(sys.argv[1])"
    path = folder / "docs.db"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=TIMEOUT)
    return path


def fill(path: str) -> None:
    make_docs(path)
    client = MilvusClient(path)
    schema = client.create_schema(enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=20)
    schema.add_field("a", DataType.FLOAT_VECTOR, dim=4)
    schema.add_field("b", DataType.FLOAT_VECTOR, dim=4)
    client.create_collection("two", schema=schema)
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection("empty", schema=schema, index_params=index)
    client.close()


def vdbcluster(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vdbcluster.cli.main", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        timeout=TIMEOUT,
        check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith("VDBCLUSTER__")},
    )


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["run"], 2, "no collection was named; pass --collection"),
        (["run", "--uri", "no.db", "-c", "docs"], 2, "no.db"),
        (["inspect", "--uri", "no.db", "-c", "docs"], 2, "no.db"),
        (["run", "--uri", "{db}", "-c", "dcos"], 2, "did you mean 'docs'"),
        (["run", "--uri", "{db}", "-c", "two"], 2, "several vector fields; choose one: a"),
        (["run", "--uri", "{db}", "-c", "docs", "--vector-field", "x"], 2, "'x'"),
        (["run", "--uri", "{db}", "-c", "docs", "--partition", "p"], 2, "'p'"),
        (["run", "--uri", "{db}", "-c", "docs", "--filter", "id >>> 3"], 2, "id >>> 3"),
        (["run", "--uri", "{db}", "-c", "docs", "--min-cluster-size", "1"], 2, "min_cluster_size"),
        (["run", "--uri", "{db}", "-c", "docs", "--min-samples", "99"], 0, ""),
        (["run", "--uri", "{db}", "-c", "docs", "--metric", "hamming"], 2, "does not fit vector"),
        (["run", "--uri", "{db}", "-c", "docs", "--write-way", "add-field"], 4, "add-field"),
        (["run", "--uri", "{db}", "-c", "docs", "--config", "no.toml"], 2, "no.toml"),
        (["run", "--uri", "{db}", "-c", "docs", "--runs-dir", "/dev/null/x"], 2, "--runs-dir"),
        (["run", "--uri", "http://127.0.0.1:9", "-c", "docs"], 1, "http://127.0.0.1:9"),
        (["run", "--uri", "ftp://somewhere", "-c", "docs"], 2, "ftp://somewhere"),
        (["run", "--uri", "http://127.0.0.1:abc", "-c", "docs"], 2, "abc"),
        (["inspect", "--uri", "user:sekrit@host:1", "-c", "docs"], 2, "'host:1' is neither"),
        (["run", "--uri", "{db}", "-c", "docs", "--filter", "cluster_id > 1"], 2, "--label-prefix"),
    ],
)
def test_what_is_wrong_is_one_line(
    database: Path, tmp_path: Path, arguments: list[str], code: int, told: str
) -> None:
    done = vdbcluster(tmp_path, *(a.format(db=database) for a in arguments))
    assert done.returncode == code, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert told in last
    if code:
        assert last.startswith("vdbcluster: ")
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_inspect_changes_nothing(database: Path, tmp_path: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in database.rglob("*.parquet")}
    plain = vdbcluster(tmp_path, "inspect", "--uri", str(database), "-c", "docs")
    assert plain.returncode == 0, plain.stderr
    for word in ("lite", "240 rows", "id INT64", "vector FLOAT_VECTOR(16)", "lite-merge"):
        assert word in plain.stdout
    told = json.loads(
        vdbcluster(tmp_path, "inspect", "--uri", str(database), "-c", "docs", "--json").stdout
    )
    assert told["profile"]["key"] == {
        "name": "id",
        "type": "INT64",
        "auto_id": False,
        "max_length": None,
    }
    assert told["problems"] == []
    assert told["estimate"]["memory_mb"] > 0
    assert {p: p.stat().st_mtime_ns for p in database.rglob("*.parquet")} == before
    assert list(tmp_path.iterdir()) == []


def test_inspect_tells_what_stands_in_the_way(database: Path, tmp_path: Path) -> None:
    done = vdbcluster(tmp_path, "inspect", "--uri", str(database), "-c", "two")
    assert done.returncode == 0
    assert "several vector fields" in done.stdout


def test_run_then_run_again(database: Path, tmp_path: Path) -> None:
    def run(*more: str) -> dict[str, object]:
        done = vdbcluster(tmp_path, "run", "--uri", str(database), "-c", "docs", "--json", *more)
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout)
        return found

    dry = run("--dry-run", "--min-cluster-size", "7")
    assert dry["state"] == "dry-run"
    first, second = run("--min-cluster-size", "8"), run("--min-cluster-size", "8")
    assert [c["size"] for c in first["clusters"]] == [c["size"] for c in second["clusters"]]  # type: ignore[index]
    assert second["facts"]["write"]["written"] == 0  # type: ignore[index]
    assert second["facts"]["write"]["unchanged"] == 240  # type: ignore[index]
    record = tmp_path / "vdbcluster-runs" / str(first["run_id"]) / "manifest.json"
    assert json.loads(record.read_text()) == json.loads(json.dumps(first))


def test_an_empty_collection_is_no_error(database: Path, tmp_path: Path) -> None:
    done = vdbcluster(tmp_path, "run", "--uri", str(database), "-c", "empty")
    assert done.returncode == 0, done.stderr
    assert "0 of 0 counted" in done.stdout


@pytest.mark.parametrize("engine", ["compatible", "dense"])
def test_other_engines(database: Path, tmp_path: Path, engine: str) -> None:
    arguments = ["--uri", str(database), "-c", "docs", "--engine", engine, "--dry-run", "--json"]
    done = vdbcluster(tmp_path, "run", *arguments)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["clusters"]) == 4


def test_an_interrupted_run_says_so(database: Path, tmp_path: Path) -> None:
    arguments = ["run", "--uri", str(database), "-c", "docs"]
    process = subprocess.Popen(
        [sys.executable, "-m", "vdbcluster.cli.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stderr is not None
    process.stderr.readline()  # "Clustering docs ..."
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert told.strip().splitlines()[-1].startswith("vdbcluster: interrupted; no row was harmed")


def test_version() -> None:
    assert vdbcluster(Path.cwd(), "--version").stdout.strip() == "0.1.0"
