"""``run --mark-duplicates`` and ``dense`` as a person meets them, on articles of the BBC."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient
from typer.testing import CliRunner

from tests.backends import Backend
from tests.integration.bbc import fill
from tests.snapshot import diff, labels, snapshot
from vdbcluster.cli.app import app
from vdbcluster.errors import VdbclusterError

Command = Callable[..., Any]
PLANNED = ("--method", "hdbscan", "--resamples", "0", "--allow-full-upsert")
QUICK = (*PLANNED, "--yes")
TEXT = ("--text-field", "text")
MARKED, KEPT = 'cluster_duplicate_of != ""', 'cluster_duplicate_of == ""'


@pytest.fixture
def command(backend: Backend, collection_name: str, tmp_path: Path) -> Command:
    def run(name: str, *arguments: str) -> Any:
        where = ["--uri", backend.uri]
        where += ["-c", collection_name] if name not in ("apply", "rollback") else []
        where += ["--runs-dir", str(tmp_path / "runs")] if name != "dense" else []
        done = CliRunner().invoke(app, [name, *arguments, *where])
        if isinstance(done.exception, VdbclusterError):
            raise done.exception
        assert done.exit_code in (0, 3), done.output
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    return run


def keys(client: MilvusClient, name: str, where: str) -> dict[str, str]:
    """What a plain client finds: key and mark of each row."""
    found = client.query(
        name,
        where,
        output_fields=["id", "cluster_duplicate_of"],
        limit=16_384,
        consistency_level="Strong",
    )
    return {row["id"]: row.get("cluster_duplicate_of") for row in found}


@pytest.mark.slow
def test_marks_come_settle_go_and_are_taken_back(
    client: MilvusClient, collection_name: str, command: Command
) -> None:
    rows = fill(client, collection_name)
    before = snapshot(client, collection_name)
    plain = command("run", *QUICK, "--json")
    assert "duplicates" not in plain["facts"]
    labelled = labels(client, collection_name)
    client.load_collection(collection_name)

    planned = command("plan", *PLANNED, "--mark-duplicates", "--json")
    assert keys(client, collection_name, "cluster_id >= -1").keys() == rows.keys()
    assert planned["facts"]["plan"]["changed"] == len(rows)
    written = command("apply", planned["run_id"], "--yes", "--json")

    client.load_collection(collection_name)
    marked = keys(client, collection_name, MARKED)
    surplus = planned["facts"]["duplicates"]["surplus"]
    assert written["facts"]["write"]["written"] == len(rows)
    assert 80 < len(marked) == surplus
    assert set(keys(client, collection_name, KEPT)) == rows.keys() - marked.keys()
    assert not set(marked.values()) & marked.keys()
    same = [rows[key]["text"] == rows[kept]["text"] for key, kept in marked.items()]
    assert sum(same) > 80
    twice = len(rows) - len({row["text"] for row in rows.values()})
    assert sum(same) >= 0.95 * twice
    assert diff(before, snapshot(client, collection_name)) == []

    told = command("run", *QUICK, "--mark-duplicates")
    assert f"duplicates   {surplus:,} rows could go" in told
    assert "outliers     " in told
    assert f"0 written, {len(rows):,} unchanged" in told

    command("rollback", written["run_id"], "--yes")
    client.load_collection(collection_name)
    assert labels(client, collection_name) == labelled
    assert not any(keys(client, collection_name, "cluster_id >= -1").values())


@pytest.mark.slow_on_server
def test_groups_are_listed_and_nothing_changes(
    client: MilvusClient, collection_name: str, command: Command, tmp_path: Path
) -> None:
    rows = fill(client, collection_name)
    before, names = snapshot(client, collection_name, exclude=()), sorted(client.list_collections())
    folder = tmp_path / "new" / "groups"

    found = command("dense", *TEXT, "--output", str(folder), "--name", "bbc", "--json")

    client.load_collection(collection_name)
    assert snapshot(client, collection_name, exclude=()) == before
    assert sorted(client.list_collections()) == names
    assert (found["rows"], found["text_field"]) == (len(rows), "text")
    groups = found["groups"]
    assert 5 < len(groups) < 60
    assert found["copies"] > 80
    said = 0
    for group in groups:
        assert 5 <= group["size"] == len(group["members"]) <= 30
        assert len({one["text"] for one in group["members"]}) == group["size"]
        for member in group["members"]:
            assert rows[member["key"]]["text"] == member["text"]
        words = [one["term"] for one in group["keywords"]]
        assert group["name"] == ", ".join(words[:3])
        said += sum(words[0] in one["text"].lower() for one in group["members"])
    assert said >= 0.5 * sum(group["size"] for group in groups)
    assert [one["density"] for one in groups] == sorted(
        (one["density"] for one in groups), reverse=True
    )
    assert sorted(path.name for path in folder.iterdir()) == ["bbc.csv", "bbc.json", "bbc.md"]
    with (folder / "bbc.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == sum(group["size"] for group in groups)

    more = ("--n-groups", "2", "--background", "0", "--top", "1")
    told = command("dense", *TEXT, "--no-distinct", *more)
    assert "copies" not in told
    assert " more; --top and --n-groups show them" in told


@pytest.mark.parametrize("backend", ["lite-file"], indirect=True)
def test_what_cannot_be_is_one_line(
    client: MilvusClient, collection_name: str, command: Command, tmp_path: Path
) -> None:
    fill(client, collection_name)
    taken = tmp_path / "taken"
    taken.touch()
    for arguments, told in (
        (("dense", "--max-cluster-size", "4"), "max_cluster_size is 4, below min_cluster_size 5"),
        (("dense", "--min-cluster-size", "1"), "dense.min_cluster_size"),
        (("dense", "--min-cluster-size", "9000", "--max-cluster-size", "0"), "are too few for a"),
        (("dense", "--n-neighbors", "3", "--min-samples", "4"), "n_neighbors is 3, below min_sam"),
        (("dense", "--output", str(taken)), "is no folder"),
        (("dense", "--output", str(tmp_path), "--name", "../x"), "is no name of a file"),
        (("dense", "--text-field", "nothing"), "no row has a text in the field 'nothing'"),
        (("dense", "--duplicate-most", "1"), "duplicates.most"),
        (("run", "--mark-duplicates", "--duplicate-chance", "0"), "duplicates.chance"),
    ):
        with pytest.raises(VdbclusterError) as error:
            command(*arguments)
        assert told in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("backend", ["lite-file"], indirect=True)
def test_marks_under_another_prefix_and_equal_texts(
    client: MilvusClient, collection_name: str, command: Command
) -> None:
    rows = fill(client, collection_name)
    vector = rows[min(rows)]["vec"]
    again = {"id": "again", "text": rows[max(rows)]["text"], "vec": [-x for x in vector]}
    client.insert(collection_name, [again])
    more = ("--label-prefix", "topic_", "--mark-duplicates", "--duplicate-texts")
    more += TEXT
    told = command("run", *QUICK, *more, "--json")["facts"]["duplicates"]
    client.load_collection(collection_name)
    found = client.query(
        collection_name, 'topic_duplicate_of != ""', output_fields=["*"], limit=16_384
    )
    assert len(found) == told["surplus"]
    assert all("cluster_duplicate_of" not in row for row in found)
    assert {row["id"]: row["topic_duplicate_of"] for row in found}["again"] in rows
