"""kill -9 in the neighbour stage of a real run: the next run goes on after the last piece."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient

from tests import backends, plain
from tests.backends import Backend
from tests.data import embeddings
from tests.safety.kill_points import LONGEST
from tests.safety.worlds import client_of

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]
NAME = "killed_graph"
SHARDS = 8
HOME = Path(__file__).parents[2]
Labels = dict[int, int]


def fill(client: MilvusClient) -> int:
    """The 2,225 articles of a real set; the index is exact, so that a search can be repeated."""
    vectors = embeddings("bbc2225.wordllama.256.f16.npy")
    if client.has_collection(NAME):
        client.drop_collection(NAME)
    plain.create(client, NAME, vectors.shape[1])
    plain.insert(client, NAME, vectors)
    return len(vectors)


def command(backend: Backend, runs: Path) -> list[str]:
    argv = [sys.executable, "-m", "tests.safety.slow_search", "run", "--uri", backend.uri]
    argv += ["-c", NAME, "--yes", "--write-way", "side-collection", "--json"]
    if backend.name == backends.REAL_SERVER:
        argv += ["--neighbors", "milvus"]
    return [*argv, "--shards", str(SHARDS), "--runs-dir", str(runs), "--resamples", "0"]


def pieces(runs: Path) -> int:
    return len(list((runs / "work").glob("*/graph-*.npz")))


def labels(backend: Backend) -> Labels:
    with client_of(backend) as client:
        found = f"{NAME}_cluster_labels"
        client.load_collection(found)
        rows = client.query(found, "cluster_id >= -1", output_fields=["*"], limit=16_384)
    key = next(name for name in rows[0] if name in ("id", "key"))
    return {int(row[key]): int(row["cluster_id"]) for row in rows}


def begin(argv: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        argv,
        cwd=HOME,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(HOME)},
    )


def killed(argv: list[str], runs: Path, at: int) -> None:
    """Begin, and kill with ``at`` pieces on the disk."""
    with begin(argv) as process:
        end = time.monotonic() + LONGEST
        while pieces(runs) < at and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert at <= pieces(runs) < SHARDS


def finished(argv: list[str]) -> tuple[dict[str, Any], str]:
    """The manifest that a run gives, and what it told."""
    with begin(argv) as process:
        out, told = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, out + told
    return json.loads(out), told


@pytest.mark.parametrize(
    "name",
    [
        backends.LITE_FILE,
        backends.LITE_SERVER,
        pytest.param(backends.REAL_SERVER, marks=pytest.mark.server),
    ],
)
def test_a_killed_search_goes_on_and_the_labels_are_those_of_an_unbroken_run(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    backend = (
        Backend(name, str(tmp_path / "lite.db"))
        if name == backends.LITE_FILE
        else request.getfixturevalue(backends.FIXTURES[name])
    )
    with client_of(backend) as client:
        n = fill(client)
    try:
        finished(command(backend, tmp_path / "whole"))
        unbroken = labels(backend)
        runs = tmp_path / "runs"
        killed(command(backend, runs), runs, 3)
        before = pieces(runs)
        manifest, told = finished(command(backend, runs))
        share = re.search(r"(\d+)% of them were found by an earlier run", " ".join(told.split()))
        assert share is not None, told
        assert abs(int(share[1]) - 100 * before / SHARDS) < 2
        assert manifest["facts"]["neighbors"]["from"] == "searched"
        assert labels(backend) == unbroken
        assert len(unbroken) == n
        assert list((runs / "work").iterdir()) == []
        again, _ = finished(command(backend, runs))
        assert again["facts"]["neighbors"]["from"] == "kept"
        assert labels(backend) == unbroken
    finally:
        with client_of(backend) as client:
            for found in client.list_collections():
                if found.startswith(NAME):
                    client.drop_collection(found)
