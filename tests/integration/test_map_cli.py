"""``run --write-map`` as a person meets it: plan and apply, environment, fields of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient
from typer.testing import CliRunner

from tests import backends, zoo
from tests.backends import Backend
from tests.snapshot import OURS, diff, labels, snapshot
from vdbcluster.cli.app import app
from vdbcluster.errors import RefusedError, UsageError, VdbclusterError
from vdbcluster.model.labels import MAP_FIELDS

Command = Callable[..., Any]
ROWS = 90
QUICK = ("--resamples", "0", "--audit", "0")
SET = "map_x > -1000"


@pytest.fixture
def command(lite_file: Backend, collection_name: str, tmp_path: Path) -> Command:
    def run(name: str, *arguments: str) -> Any:
        where = ["--uri", lite_file.uri, "--runs-dir", str(tmp_path / "runs"), "--json"]
        where += ["-c", collection_name] if name not in ("apply", "rollback") else []
        done = CliRunner().invoke(app, [name, *arguments, *where])
        if isinstance(done.exception, VdbclusterError):
            raise done.exception
        assert done.exit_code in (0, 3), done.output
        return json.loads(done.stdout)

    return run


def query(client: MilvusClient, name: str, where: str) -> dict[int, tuple[Any, Any]]:
    client.load_collection(name)
    found = client.query(name, where, output_fields=[zoo.KEY, *MAP_FIELDS], limit=16_384)
    return {row[zoo.KEY]: (row.get("map_x"), row.get("map_y")) for row in found}


def test_a_map_is_planned_applied_followed_and_taken_back(
    lite_file: Backend, collection_name: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = collection_name
    with backends.connected(lite_file) as client:
        zoo.build(client, name, zoo.by_name("plain-int"), rows=ROWS)
        before = snapshot(client, name, exclude=(*OURS, *MAP_FIELDS))
        command("run", *QUICK, "--yes")
        client.load_collection(name)
        labelled = labels(client, name)

        planned = command("plan", *QUICK, "--write-map")
        assert planned["facts"]["map"]["rows"] == ROWS
        assert not query(client, name, SET)
        applied = command("apply", planned["run_id"], "--yes")
        assert applied["facts"]["write"]["written"] == ROWS
        places = query(client, name, SET)
        assert len(set(places.values())) == ROWS

        monkeypatch.setenv("VDBCLUSTER__MAP__WRITE", "true")
        again = command("run", *QUICK, "--yes")
        assert (again["facts"]["write"]["written"], again["facts"]["map"]["moved"]) == (0, 0)
        with pytest.raises(UsageError, match="selects by map_x, which this run rewrites"):
            command("run", *QUICK, "--filter", "map_x > 1")
        monkeypatch.delenv("VDBCLUSTER__MAP__WRITE")

        keys = sorted(places)[:5]
        rows = client.query(name, f"{zoo.KEY} in {keys}", output_fields=["*"], limit=9)
        client.delete(name, ids=keys)
        fresh = {*OURS, *MAP_FIELDS}
        client.insert(name, [{k: v for k, v in row.items() if k not in fresh} for row in rows])
        command("assign")
        assert query(client, name, SET).keys() == places.keys()

        command("rollback", "last", "--yes")
        command("rollback", applied["run_id"], "--yes")
        assert not query(client, name, SET)
        client.load_collection(name)
        now = labels(client, name)
        assert {k: v for k, v in labelled.items() if k in now and k[1] not in keys} == {
            k: v for k, v in now.items() if k[1] not in keys
        }
        assert diff(before, snapshot(client, name, exclude=(*OURS, *MAP_FIELDS))) == []


@pytest.mark.slow
def test_a_map_of_ones_own_is_not_touched(
    lite_file: Backend, collection_name: str, command: Command
) -> None:
    """Labels of ours beside it do not make it ours."""
    name = collection_name
    with backends.connected(lite_file) as client:
        zoo.build(client, name, zoo.by_name("plain-int"), rows=ROWS)
        client.load_collection(name)
        (row,) = client.query(name, "", output_fields=["*"], limit=1)
        client.upsert(name, [{**row, "map_x": 3.25, "map_y": "here"}])
        client.flush(name)
        command("run", *QUICK, "--yes")
        assert list(query(client, name, SET).values()) == [(3.25, "here")]
        command("run", *QUICK, "--yes", "--filter", "map_x > 3", "--label-prefix", "part_")
        with pytest.raises(RefusedError, match=r"already holds map_. = .*no run of vdbcluster"):
            command("run", *QUICK, "--yes", "--write-map")
        assert list(query(client, name, SET).values()) == [(3.25, "here")]
        command("run", *QUICK, "--yes", "--write-map", "--label-prefix", "topic_")
        assert list(query(client, name, SET).values()) == [(3.25, "here")]
        assert len(query(client, name, "topic_map_x > -1000")) == ROWS

        adopted = command("run", *QUICK, "--yes", "--write-map", "--adopt")
        assert adopted["facts"]["write"]["written"] == ROWS
        assert command("run", *QUICK, "--yes", "--write-map")["facts"]["write"]["written"] == 0
