"""``vdbcluster assign`` as a person meets it: run, add rows, assign, on every backend.

In one process, for the sake of time and because a Lite file is open in one only.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient
from typer.testing import CliRunner

from tests import data, zoo
from tests.backends import LITE_FILE, LITE_SERVER, Backend
from tests.contract.making import Shape, make
from tests.snapshot import Snapshot, diff, rows_of, snapshot
from vdbcluster.cli.app import app
from vdbcluster.errors import VdbclusterError

ROWS, NEW = 330, 30
RUN = ["--min-cluster-size", "10", "--min-samples", "5"]


@dataclass
class World:
    """A collection of which some rows are held back, and the commands on it."""

    client: MilvusClient
    name: str
    command: Callable[..., Any]
    inserted: zoo.Inserted
    partitions: tuple[str, ...]
    held: list[int]

    def add(self, which: Sequence[int]) -> list[Any]:
        """Let rows come that are held back; their keys."""
        for place in self.partitions:
            mine = [i for i in which if self.inserted.partition_of[i] == place]
            if mine:
                rows = [dict(self.inserted.rows[i]) for i in mine]
                self.client.insert(self.name, rows, partition_name=place)
        return [self.inserted.keys[i] for i in which]

    def everything(self) -> Snapshot:
        """All there is of every row, labels included."""
        return snapshot(self.client, self.name, exclude=())

    def labels(self, where: str) -> dict[Any, int]:
        """Cluster ids by key, of rows that have one."""
        found = {key: row.get("cluster_id") for _, key, row in rows_of(self.client, where)}
        return {key: label for key, label in found.items() if label is not None}


@pytest.fixture
def world(
    backend: Backend, client: MilvusClient, collection_name: str, tmp_path: Path
) -> Callable[..., World]:
    """Makes a collection of a kind; rows that ``back`` says are not in it yet."""

    def command(*arguments: str) -> Any:
        where = ["--uri", backend.uri, "-c", collection_name]
        runs = ["--runs-dir", str(tmp_path / "runs")] if arguments[0] != "clusters" else []
        done = CliRunner().invoke(app, [*arguments, *where, *runs])
        if isinstance(done.exception, VdbclusterError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    def made(kind: str, back: Callable[[np.ndarray], np.ndarray]) -> World:
        specimen = zoo.by_name(kind)
        inserted = zoo.build(client, collection_name, specimen, ROWS)
        held = np.flatnonzero(back(inserted.blob)).tolist()
        client.delete(collection_name, ids=[inserted.keys[i] for i in held])
        places = (zoo.DEFAULT_PARTITION, *specimen.partitions)
        return World(client, collection_name, command, inserted, places, held)

    return made


def last_rows(blob: np.ndarray) -> np.ndarray:
    return np.arange(len(blob)) >= ROWS - NEW


def usual_label(world: World, labels: dict[Any, int]) -> dict[int, int]:
    """The cluster that most rows of each blob are in."""
    votes: dict[int, Counter[int]] = {}
    for key, blob in zip(world.inserted.keys, world.inserted.blob.tolist(), strict=True):
        if key in labels and blob >= 0:
            votes.setdefault(blob, Counter())[labels[key]] += 1
    return {blob: found.most_common(1)[0][0] for blob, found in votes.items()}


@pytest.mark.slow_on_server
def test_only_new_rows_are_labelled_and_nothing_else_changes(
    world: Callable[..., World], tmp_path: Path
) -> None:
    there = world("partitions-int", last_rows)
    run = there.command("run", *RUN, "--json")
    target = run["facts"]["way"]["target"]
    keys = there.add(there.held)
    before, rows = there.labels(target), there.everything()

    dry = there.command("assign", "--dry-run", "--json")
    assert (dry["state"], dry["facts"]["assign"]["rows"]) == ("planned", NEW)
    assert there.everything() == rows

    told = there.command("assign", "--json")
    assert told["state"] == "written"
    assert told["facts"]["write"]["written"] == NEW
    assert told["facts"]["assign"]["run"] == run["run_id"]
    after = there.labels(target)
    assert {key: after[key] for key in before} == before
    assert set(after) - set(before) == set(keys)
    usual = usual_label(there, before)
    blobs = there.inserted.blob[there.held].tolist()
    right = [after[k] == usual[b] for k, b in zip(keys, blobs, strict=True) if b >= 0]
    assert np.mean(right) > 0.8
    assert {after[k] for k, b in zip(keys, blobs, strict=True) if b < 0} <= {-1, *usual.values()}
    now = there.everything()
    old = {place: row for place, row in rows.items() if place[1] not in keys}
    assert diff(old, {place: now[place] for place in old}) == []
    foreign = {p: r for p, r in snapshot(there.client, there.name).items() if p[1] in keys}
    for i, key in zip(there.held, keys, strict=True):
        assert (there.inserted.partition_of[i], key) in foreign

    records = sorted((tmp_path / "runs").iterdir())
    again = there.command("assign", "--json")
    assert (again["facts"]["assign"]["rows"], "plan" in again["facts"]) == (0, False)
    assert there.everything() == now
    assert there.labels(target) == after
    assert sorted((tmp_path / "runs").iterdir()) == records


@pytest.mark.parametrize("backend", [LITE_FILE, LITE_SERVER], indirect=True)
def test_a_blob_that_was_held_back_becomes_a_cluster(world: Callable[..., World]) -> None:
    there = world("plain-int", lambda blob: blob == 4)
    run = there.command("run", *RUN, "--json")
    target, ids = run["facts"]["way"]["target"], {row["id"] for row in run["clusters"]}
    before = there.labels(target)
    half = len(there.held) // 2
    keys = there.add(there.held[:half])
    text = there.command("assign")
    assert "1 new clusters of" in text
    after = there.labels(target)
    (new,) = {after[key] for key in keys} - {-1}
    assert new not in ids
    assert {key: after[key] for key in before} == before
    later = there.add(there.held[half:])
    there.command("assign")
    assert np.mean([there.labels(target)[key] == new for key in later]) > 0.8
    held = there.command("clusters", "list", "--json")["clusters"]
    sizes = {entry["id"]: entry["size"] for entry in held}
    counted = Counter(label for label in there.labels(target).values() if label >= 0)
    assert sizes == dict(counted)


@pytest.mark.parametrize("way", ["lite-merge", "side-collection"])
def test_every_way_on_lite(lite_file: Backend, connect, tmp_path: Path, way: str) -> None:
    client = connect(lite_file)
    vectors, _ = zoo.blobs(220)
    make(client, "docs", Shape(tuple(range(200)), vectors[:200], dynamic=True))
    common = ["--uri", lite_file.uri, "-c", "docs", "--runs-dir", str(tmp_path / "runs")]
    CliRunner().invoke(app, ["run", *common, *RUN, "--write-way", way])
    for i in range(200, 220):
        row = {"key": i, "vec": vectors[i], "n": i, "text": "new", "part": 0}
        client.insert("docs", [row])
    planned = CliRunner().invoke(app, ["assign", *common, "--json", "--dry-run"])
    assert json.loads(planned.stdout)["facts"]["plan"]["changed"] == 20
    here = ["--uri", lite_file.uri, "--runs-dir", str(tmp_path / "runs")]
    done = CliRunner().invoke(app, ["apply", "last", *here, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert "20, told by" in CliRunner().invoke(app, ["runs", "show", "last", *here[2:]]).stdout
    assert told["facts"]["way"]["name"] == way
    assert told["facts"]["write"]["written"] == 20
    assert told["facts"]["write"]["mismatched"] == 0
    by_filter = way == "lite-merge"
    assert ("the filter" in told["facts"]["assign"]["told_by"]) == by_filter


def test_what_cannot_be_judged_is_one_line(lite_file: Backend, connect, tmp_path: Path) -> None:
    client = connect(lite_file)
    vectors, _ = zoo.blobs(120)
    make(client, "docs", Shape(tuple(range(120)), vectors, dynamic=True))
    common = ["--uri", lite_file.uri, "-c", "docs", "--runs-dir", str(tmp_path / "runs")]
    done = CliRunner().invoke(app, ["assign", *common])
    assert "no run has labelled 'docs' yet" in str(done.exception)
    assert getattr(done.exception, "exit_code", 0) == 4
    CliRunner().invoke(app, ["run", *common, *RUN])
    done = CliRunner().invoke(app, ["assign", *common, "--filter", "n < 50"])
    assert "select the same" in str(done.exception)
    client.drop_collection("docs")
    make(client, "docs", Shape(tuple(range(120)), vectors, dynamic=True))
    done = CliRunner().invoke(app, ["assign", *common])
    assert "dropped and created anew" in str(done.exception)


@pytest.mark.slow
def test_a_class_of_real_texts_that_comes_later(
    lite_file: Backend, connect, tmp_path: Path
) -> None:
    """Held back, then added: a new id; every row that was labelled keeps its own."""
    vectors = data.embeddings("bbc2225.minilm-l6-int8.384.f16.npy")
    truth = data.table("bbc2225.parquet")["label"].to_numpy()
    client = connect(lite_file)
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=vectors.shape[1])
    schema.add_field("kind", DataType.VARCHAR, max_length=40)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="COSINE")
    client.create_collection("news", schema=schema, index_params=index)

    def insert(rows: np.ndarray) -> None:
        client.insert(
            "news", [{"id": int(i), "vector": vectors[i], "kind": truth[i]} for i in rows]
        )

    def command(*arguments: str) -> Any:
        common = ["--uri", lite_file.uri, "-c", "news", "--runs-dir", str(tmp_path / "runs")]
        done = CliRunner().invoke(app, [*arguments, *common, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def labels() -> dict[int, int]:
        return {key: row["cluster_id"] for _, key, row in rows_of(client, "news")}

    sport = np.flatnonzero(truth == "sport")
    others = np.flatnonzero(truth != "sport")
    insert(others[60:])
    run = command("run")
    insert(others[:60])
    first = command("assign")
    assert first["facts"]["emergence"]["clusters"] == 0
    before = labels()
    insert(sport)
    second = command("assign")
    ids = second["facts"]["emergence"]["ids"]
    assert ids
    assert min(ids) > max(row["id"] for row in run["clusters"])
    after = labels()
    moved = [key for key in before if after[key] != before[key]]
    assert all(after[key] in ids for key in moved)
    assert len(moved) == second["facts"]["assign"]["rejoined"] < 20
    inside = [key for key, label in after.items() if label in ids]
    assert np.mean([truth[key] == "sport" for key in inside]) > 0.95
    assert np.mean([after[int(key)] in ids for key in sport]) > 0.6
