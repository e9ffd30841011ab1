"""The same labels, whoever works: one process, several, however many pieces, one of them killed.

Each run with workers in a process of its own: that is how it is used, and dask leaves sockets to
the end.
"""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
from pymilvus import MilvusClient

from tests import data, plain, zoo
from tests.backends import Backend, connected
from tests.in_process import lite, vdbcluster
from tests.integration.crew_runs import (
    begin,
    database_of,
    pieces,
    plan,
    run,
    same,
    wait_for_piece,
    workers_of,
)
from tests.integration.docs import fill_docs

CLINC = "clinc150.minilm-l6-int8.384.f16.npy"
NEWS = "20news7k.minilm-l6-int8.384.f16.npy"
BANKING = "banking77.minilm-l6-int8.384.f16.npy"
PLAIN = ("--method", "hdbscan")


def labelled(client: MilvusClient, name: str, prefix: str) -> dict[object, tuple[object, ...]]:
    """Labels by key, as a client reads them."""
    fields = [f"{prefix}{field}" for field in ("id", "probability", "outlier_score", "assignment")]
    rows = client.query(name, filter="pk >= ''", output_fields=["pk", *fields], limit=16_000)
    return {row["pk"]: tuple(row.get(field) for field in fields) for row in rows}


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_workers_read_search_cluster_and_write_the_same(
    lite_server: Backend, collection_name: str, tmp_path: Path, workers: str
) -> None:
    with connected(lite_server) as client:
        zoo.build(client, collection_name, zoo.by_name("partitions-varchar"), 400)
    where = ("--uri", lite_server.uri, "-c", collection_name, *PLAIN)
    alone = ("run", *where, "--label-prefix", "one_", "--runs-dir", str(tmp_path / "one" / "runs"))
    assert vdbcluster(tmp_path, *alone).returncode == 0
    told = run(tmp_path / "two", "run", *where, "--label-prefix", "two_", "--workers", workers)
    assert f"{workers} workers; what they do is shown at http://127.0.0.1:" in told
    same(plan(tmp_path / "two"), plan(tmp_path / "one"))
    with connected(lite_server) as client:
        one = labelled(client, collection_name, "one_")
        assert len(one) == 400
        assert len({label[0] for label in one.values()}) > 2
        assert labelled(client, collection_name, "two_") == one
    assert list((tmp_path / "two" / "runs" / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (("--workers", "2", "--neighbors", "milvus"), "leave out --neighbors milvus"),
        (("--workers", "2", "--work-dir", "nosuch://x/y"), "nosuch"),
        (("--scheduler", "tcp://127.0.0.1:9"), "--work-dir"),
        (("--scheduler", "tcp://127.0.0.1:9", "--workers", "1", "--work-dir", "w"), "workers (1)"),
    ],
)
def test_what_cannot_work_is_one_line(
    said: tuple[str, ...], told: str, database: Path, tmp_path: Path
) -> None:
    done = vdbcluster(tmp_path, "run", "--uri", str(database), "-c", "docs", "--dry-run", *said)
    assert done.returncode in (2, 4)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("vdbcluster: ")
    assert told in last


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "docs.db"
    with lite(path) as client:
        fill_docs(client, "docs")
    return path


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("name", "method", "crews"),
    [
        (CLINC, "hdbscan", [(2, "1"), (4, "32")]),
        (NEWS, "hdbscan", [(2, "1"), (2, "auto"), (4, "32")]),
        (BANKING, "hdbscan", [(2, "7"), (4, "32")]),
        (BANKING, "auto", [(4, "32")]),
    ],
)
def test_real_sets_are_the_same_however_cut(
    name: str, method: str, crews: list[tuple[int, str]], tmp_path: Path
) -> None:
    path = database_of(tmp_path, name, 30_000)
    where = ("run", "--uri", str(path), "-c", "docs", "--dry-run", "--method", method)
    run(tmp_path / "one", *where)
    whole = plan(tmp_path / "one")
    assert len(np.unique(whole["cluster_id"])) > 5
    for workers, shards in crews:
        folder = tmp_path / f"{workers}-{shards}"
        run(folder, *where, "--workers", str(workers), "--shards", shards)
        same(plan(folder), whole)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_worker_and_a_killed_run_change_nothing(tmp_path: Path) -> None:
    path = database_of(tmp_path, CLINC, 23_700)
    where = ("run", "--uri", str(path), "-c", "docs", "--dry-run", *PLAIN, "--shards", "12")
    run(tmp_path / "one", *where)
    folder = tmp_path / "killed"
    process = begin(folder, *where, "--workers", "2")
    wait_for_piece(folder, "graph-*.npz", process)
    victim = workers_of(process)[0]
    victim.kill()
    there = len(pieces(folder, "graph-*.npz"))
    while len(pieces(folder, "graph-*.npz")) <= there + 1:  # it goes on without the victim
        assert process.poll() is None
    workers = workers_of(process)
    process.kill()
    process.communicate()
    _, left = psutil.wait_procs(workers, timeout=20)
    assert left == []
    kept = {path: path.stat().st_mtime_ns for path in pieces(folder, "graph-*.npz")}
    told = begin(folder, *where, "--workers", "2")
    wait_for_piece(folder, "graph-00011.npz", told)
    for path, when in kept.items():
        assert path.stat().st_mtime_ns == when
    _, line = told.communicate(timeout=400)
    assert told.returncode == 0, line
    assert "were found by an earlier run" in line
    same(plan(folder), plan(tmp_path / "one"))


@pytest.mark.slow
def test_an_interrupt_ends_the_workers_and_keeps_what_is_finished(tmp_path: Path) -> None:
    path = database_of(tmp_path, CLINC, 23_700)
    folder = tmp_path / "stopped"
    process = begin(
        folder, "run", "--uri", str(path), "-c", "docs", "--dry-run", *PLAIN, "--shards", "12",
        "--workers", "2",
    )  # fmt: skip
    wait_for_piece(folder, "graph-*.npz", process)
    workers = workers_of(process)
    assert len(workers) == 2
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in told
    assert told.strip().splitlines()[-1].startswith("vdbcluster: interrupted")
    _, left = psutil.wait_procs(workers, timeout=20)
    assert left == []
    assert pieces(folder, "graph-*.npz")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_on_the_real_server(real_server: Backend, collection_name: str, tmp_path: Path) -> None:
    vectors = data.embeddings(NEWS)
    with connected(real_server) as client:
        # HNSW answers otherwise once the server has built or joined segments, whoever searches.
        plain.create(client, collection_name, vectors.shape[1], "FLAT")
        plain.insert(client, collection_name, vectors)
        client.load_collection(collection_name)
    where = ("run", "--uri", real_server.uri, "-c", collection_name, "--neighbors", "milvus")
    for method, workers in itertools.product(("hdbscan", "auto"), ("0", "2")):
        folder, prefix = tmp_path / (method + workers), f"{method}{workers}_"
        run(
            folder, *where, "--method", method, "--workers", workers, "--label-prefix", prefix,
            "--write-way", "side-collection",
        )  # fmt: skip
    for method in ("hdbscan", "auto"):
        same(plan(tmp_path / f"{method}2"), plan(tmp_path / f"{method}0"))
