"""``vdbcluster run --recurse`` on a Lite file: paths that any client can filter by."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import MilvusClient
from typer.testing import CliRunner, Result

from tests import backends
from tests.backends import Backend
from tests.integration.docs import CLUSTERS, ROWS, make_docs
from vdbcluster.cli.app import app
from vdbcluster.errors import UsageError

EACH = ROWS // CLUSTERS
RUN = ("--method", "kmeans", "--n-clusters", "2", "--resamples", "0")
INSIDE = (*RUN, "--recurse", "2", "--recurse-min-size", "70")
"""Four groups of sixty in two clusters; of those, what holds two groups is large."""


class Place:
    """A Lite file with a collection, and the commands on it, all in this process."""

    def __init__(self, folder: Path) -> None:
        self.uri = str(folder / "docs.db")
        self.runs = str(folder / "runs")
        make_docs(self.uri)

    def do(self, command: str, *arguments: str) -> Result:
        where = [] if command in ("apply", "rollback") else ["-c", "docs"]
        every = [command, *arguments, "--uri", self.uri, *where, "--runs-dir", self.runs]
        return CliRunner(env={"TERM": "dumb", "COLUMNS": "200"}).invoke(app, every)

    def told(self, command: str, *arguments: str) -> Any:
        done = self.do(command, *arguments, "--json")
        assert done.exit_code == 0, done.exception
        return json.loads(done.stdout)

    def query(self, filter_: str) -> list[dict[str, Any]]:
        with self.client() as client:
            client.load_collection("docs")
            fields = ["id", "cluster_id", "cluster_path"]
            return list(client.query("docs", filter_, output_fields=fields, limit=1000))

    def client(self) -> Any:
        return backends.connected(Backend(backends.LITE_FILE, self.uri))

    def paths(self) -> dict[int, str | None]:
        return {row["id"]: row.get("cluster_path") for row in self.query("id >= 0")}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def add(client: MilvusClient, near: list[int]) -> list[int]:
    """Rows beside others; their keys."""
    found = client.query("docs", f"id in {near}", output_fields=["vector"])
    rows = [{"id": 1000 + r["id"], "vector": np.float32(r["vector"]) + 0.01} for r in found]
    client.insert("docs", rows)
    return [row["id"] for row in rows]


def test_paths_are_written_stay_and_are_taken_back(place: Place) -> None:
    run = place.told("run", *INSIDE)
    told = run["facts"]["recursion"]
    assert (told["depth"], told["min_size"], told["by"]) == (2, 70, "graph")
    assert told["split"] >= 1
    found = place.query("id >= 0")
    assert all(row["cluster_path"].split("/")[0] == str(row["cluster_id"]) for row in found)
    inner = Counter(row["cluster_path"] for row in found if "/" in row["cluster_path"])
    assert set(inner.values()) == {EACH}
    assert sum(inner.values()) == told["rows"]
    for path in inner:
        parent = path.split("/")[0]
        assert len(place.query(f'cluster_path == "{path}"')) == EACH
        large = place.query(f"cluster_id == {parent}")
        assert len(place.query(f'cluster_path like "{parent}/%"')) == len(large)

    before = place.paths()
    assert place.told("run", *INSIDE)["facts"]["write"]["written"] == 0
    shown = place.do("run", *INSIDE).stdout
    assert f"{told['entered']} clusters of 70 rows or more were gone into, by graph" in shown

    plain = place.told("run", *RUN)
    assert set(place.paths().values()) == {""}
    place.do("rollback", plain["run_id"], "--yes")
    assert place.paths() == before
    place.do("rollback", run["run_id"], "--yes")
    assert set(place.paths().values()) == {None}


def test_new_rows_get_the_path_of_their_neighbours(place: Place) -> None:
    place.told("run", *INSIDE)
    before = place.paths()
    with place.client() as client:
        client.load_collection("docs")
        add(client, [5, 65, 125, 185])
    assert place.told("assign")["facts"]["write"]["written"] == 4
    now = place.paths()
    assert {key: now[key] for key in before} == before
    assert all(now[1000 + key] == before[key] for key in (5, 65, 125, 185))


def test_what_is_planned_is_what_apply_writes(place: Place) -> None:
    planned = place.do("plan", *INSIDE)
    assert planned.exit_code == 3
    assert "gone into" in planned.stdout
    assert set(place.paths().values()) == {None}
    place.told("apply", "last", "--yes")
    assert place.told("run", *INSIDE)["facts"]["write"]["written"] == 0


def test_layers_and_recursion_are_refused_together(place: Place) -> None:
    done = place.do("run", "--method", "layers", "--recurse", "1")
    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == (
        "recurse and method layers both say what cluster_path is; leave one of them out"
    )
