"""The command line as a person meets it: one line for what is wrong, an exit code, results.

Most of it in this process (``here``), which is quicker; a process of its own (``vdbcluster``) where
that makes a difference.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pymilvus import DataType, MilvusClient

from tests.in_process import lite
from tests.in_process import vdbcluster as here
from tests.integration.docs import fill_docs, make_empty

TIMEOUT = 120
Command = Callable[..., "subprocess.CompletedProcess[str]"]
SCRATCH = "vdbcluster_probe_9999999999_0123abcd"  # too young to be dropped by a run


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Lite file that no process has open, as Lite allows one only."""
    path = tmp_path_factory.mktemp("cli") / "docs.db"
    with lite(path) as client:
        fill(client)
    return path


def fill(client: MilvusClient) -> None:
    fill_docs(client, "docs")
    schema = client.create_schema(enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=20)
    schema.add_field("a", DataType.FLOAT_VECTOR, dim=4)
    schema.add_field("b", DataType.FLOAT_VECTOR, dim=4)
    client.create_collection("two", schema=schema)
    for name in ("empty", SCRATCH):
        make_empty(client, name, 4, "L2")


def vdbcluster(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vdbcluster.cli.main", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        timeout=TIMEOUT,
        check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith("VDBCLUSTER__")}
        | (environment or {}),
    )


ONE_LINE = [
    (["run"], 2, "no collection was named; pass --collection"),
    (["run", "--uri", "no.db", "-c", "docs"], 2, "no.db"),
    (["run", "--uri", "{db}", "-c", "dcos"], 2, "did you mean 'docs'"),
    (["run", "--uri", "{db}", "-c", "docs", "--filter", "id >>> 3"], 2, "id >>> 3"),
    (["run", "--uri", "{db}", "-c", "docs", "--min-cluster-size", "1"], 2, "min_cluster_size"),
    (["run", "--uri", "{db}", "-c", "docs", "--config", "no.toml"], 2, "no.toml"),
    (["run", "--uri", "{db}", "-c", "docs", "--runs-dir", "/dev/null/x"], 2, "--runs-dir"),
    (["run", "--uri", "http://127.0.0.1:9", "-c", "docs"], 1, "http://127.0.0.1:9"),
    (["inspect", "--uri", "user:sekrit@host:1", "-c", "docs"], 2, "'host:1' is neither"),
    (["run", "--uri", "{db}", "-c", "docs", "--filter", "cluster_id > 1"], 2, "--label-prefix"),
]
MORE = [
    (["inspect", "--uri", "no.db", "-c", "docs"], 2, "no.db"),
    (["run", "--uri", "{db}", "-c", "two"], 2, "several vector fields; choose one: a"),
    (["run", "--uri", "{db}", "-c", "docs", "--vector-field", "x"], 2, "'x'"),
    (["run", "--uri", "{db}", "-c", "docs", "--partition", "p"], 2, "'p'"),
    (["run", "--uri", "{db}", "-c", "docs", "--min-samples", "99"], 0, ""),
    (["run", "--uri", "{db}", "-c", "docs", "--metric", "hamming"], 2, "does not fit vector"),
    (["run", "--uri", "{db}", "-c", "docs", "--write-way", "add-field"], 4, "add-field"),
    (["run", "--uri", "ftp://somewhere", "-c", "docs"], 2, "ftp://somewhere"),
    (["run", "--uri", "http://127.0.0.1:abc", "-c", "docs"], 2, "abc"),
    (["run", "--uri", "{db}", "-c", "docs", "--filter", "id > 500"], 4, "filter 'id > 500'"),
    (
        ["run", "--uri", "{db}", "-c", "docs", "--filter", "yaer > 3 and id > 5", "--dry-run"],
        4,
        "no row has a field 'yaer'",
    ),
    (["run", "--uri", "{db}", "-c", SCRATCH], 2, "scratch collection"),
]
"""What adapters and settings refuse in tests of their own."""


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [*ONE_LINE, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE)],
)
def test_what_is_wrong_is_one_line(
    database: Path, tmp_path: Path, arguments: list[str], code: int, told: str
) -> None:
    done = here(tmp_path, *(a.format(db=database) for a in arguments))
    assert done.returncode == code, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert told in last
    if code:
        assert last.startswith("vdbcluster: ")
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


@pytest.mark.parametrize("arguments", [["-c", "dcos"], ["-c", "docs", "--min-cluster-size", "1"]])
def test_a_process_of_its_own_ends_in_the_same_way(
    database: Path, tmp_path: Path, arguments: list[str]
) -> None:
    line = ["run", "--uri", str(database), *arguments]
    near, far = here(tmp_path, *line), vdbcluster(tmp_path, *line)
    assert far.returncode == near.returncode == 2
    assert (far.stdout, far.stderr) == (near.stdout, near.stderr)


def test_inspect_changes_nothing(database: Path, tmp_path: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in database.rglob("*.parquet")}
    plain = here(tmp_path, "inspect", "--uri", str(database), "-c", "docs")
    assert plain.returncode == 0, plain.stderr
    for word in ("lite", "240 rows", "id INT64", "vector FLOAT_VECTOR(16)", "lite-merge"):
        assert word in plain.stdout
    told = json.loads(
        here(tmp_path, "inspect", "--uri", str(database), "-c", "docs", "--json").stdout
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


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["-c", "two", "--text-field", "title", "--runs-dir", "/dev/null/x"],
            [
                "several vector fields",
                "/dev/null is no writable directory",
                "no field 'title' (--text-field)",
            ],
        ),
        (["-c", "docs", "--filter", "id > 500"], ["no row of 'docs' matches the filter 'id > "]),
    ],
)
def test_inspect_tells_what_stands_in_the_way(
    database: Path, tmp_path: Path, arguments: list[str], told: list[str]
) -> None:
    done = here(tmp_path, "inspect", "--uri", str(database), *arguments)
    assert done.returncode == 0
    problems = [line for line in done.stdout.splitlines() if line.startswith("problem ")]
    assert len(problems) == len(told), done.stdout
    for line, words in zip(problems, told, strict=True):
        assert words in line
    assert list(tmp_path.iterdir()) == []


def test_a_variable_that_is_no_setting_is_one_line(tmp_path: Path) -> None:
    done = here(tmp_path, "run", "-c", "docs", environment={"VDBCLUSTER__FOO": "1"})
    assert done.returncode == 2
    assert done.stderr.startswith("vdbcluster: the environment variable VDBCLUSTER__FOO is no")
    assert done.stderr.count("\n") == 1


def test_verbose_shows_where_an_error_came_from_and_no_chatter_of_libraries(
    database: Path, tmp_path: Path
) -> None:
    plain = here(tmp_path, "inspect", "--uri", str(database), "-c", "docs")
    more = vdbcluster(tmp_path, "inspect", "--uri", str(database), "-c", "docs", "-v")
    assert more.stderr == plain.stderr
    wrong = vdbcluster(tmp_path, "run", "--uri", str(database), "-c", "dcos", "-v")
    assert "Traceback" in wrong.stderr
    assert "did you mean 'docs'" in wrong.stderr.splitlines()[-1]


def test_run_then_run_again(database: Path, tmp_path: Path) -> None:
    def run(*more: str, command: Command = here) -> dict[str, object]:
        done = command(tmp_path, "run", "--uri", str(database), "-c", "docs", "--json", *more)
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout)
        return found

    dry = run("--dry-run", "--min-cluster-size", "7")
    assert dry["state"] == "planned"
    # Whatever earlier tests have left there
    first = run("--min-cluster-size", "8", "--yes", command=vdbcluster)
    second = run("--min-cluster-size", "8")
    assert [c["size"] for c in first["clusters"]] == [c["size"] for c in second["clusters"]]  # type: ignore[index]
    assert second["facts"]["write"]["written"] == 0  # type: ignore[index]
    assert second["facts"]["write"]["unchanged"] == 240  # type: ignore[index]
    record = tmp_path / "vdbcluster-runs" / str(first["run_id"]) / "manifest.json"
    assert json.loads(record.read_text()) == json.loads(json.dumps(first))


def test_an_empty_collection_is_no_error(database: Path, tmp_path: Path) -> None:
    done = here(tmp_path, "run", "--uri", str(database), "-c", "empty")
    assert done.returncode == 0, done.stderr
    assert "0 of 0 counted" in done.stdout


@pytest.mark.parametrize("engine", ["dense", pytest.param("compatible", marks=pytest.mark.slow)])
def test_other_engines(database: Path, tmp_path: Path, engine: str) -> None:
    arguments = ["--uri", str(database), "-c", "docs", "--engine", engine, "--dry-run", "--json"]
    done = here(tmp_path, "run", *arguments)
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
