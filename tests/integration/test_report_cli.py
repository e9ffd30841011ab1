"""``vdbcluster report`` as a person meets it: files, and nothing written anywhere else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests import backends
from tests.backends import Backend
from tests.integration.test_explain_cli import EACH, WORDS, fill
from tests.snapshot import snapshot
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.cli.app import app
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.model.maps import MapLayout
from vdbcluster.pipeline.map_record import keep_layout

NAME = "docs"
Command = Callable[..., Any]


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Backend]:
    with backends.lite_file(tmp_path) as backend:
        with backends.connected(backend) as client:
            fill(client, NAME)
        yield backend


@pytest.fixture
def command(lite: Backend, tmp_path: Path) -> Command:
    def run(*arguments: str) -> Any:
        named = ["-c", NAME] if arguments[0] in ("run", "clusters") else []
        runs = (
            []
            if arguments[:2] == ("clusters", "rename")
            else ["--runs-dir", str(tmp_path / "runs")]
        )
        done = CliRunner().invoke(app, [*arguments, "--uri", lite.uri, *named, *runs])
        if isinstance(done.exception, VdbclusterError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    return run


def test_a_run_is_told_in_three_kinds_of_files_and_nothing_is_written_to_the_database(
    lite: Backend, command: Command, tmp_path: Path
) -> None:
    field = ("--text-field", "headline")
    command("run", "--min-cluster-size", "10", *field, "--yes")
    made = command("run", "--min-cluster-size", "12", *field, "--yes", "--json")
    command("explain", *field)
    command("clusters", "rename", "1", "named <by> hand")
    rows = EACH * len(WORDS)
    flat = np.random.default_rng(0).normal(size=(rows, 2)).astype(np.float32)
    keep_layout(RunDirectory(tmp_path / "runs"), made["run_id"], MapLayout(flat))
    with backends.connected(lite) as client:
        before = snapshot(client, NAME, exclude=())
    places = [tmp_path / f"told.{kind}" for kind in ("html", "md", "json")]
    options = [part for place in places for part in ("--output", str(place))]

    said = command("report", *options, "--map", "static")

    with backends.connected(lite) as client:
        assert snapshot(client, NAME, exclude=()) == before
    assert all(str(place) in said.replace("\n", "") for place in places)
    assert sorted(path.name for path in tmp_path.glob("*told*")) == [p.name for p in sorted(places)]
    page, text, told = (place.read_text() for place in places)
    assert "named &lt;by&gt; hand" in page
    assert 'class="chart wide still"' in page
    assert r"named \<by\> hand" in text
    found = json.loads(told)
    assert found["run_id"] == made["run_id"]
    assert {one["size"] for one in found["clusters"]} == {EACH}
    assert {one["id"]: one["name"] for one in found["clusters"]}[1] == "named <by> hand"
    assert (found["n_rows"], found["changes"]["unchanged"]) == (rows, rows)
    assert found["timeline"] is None
    assert found["map"]["drawn"] == rows
    assert lite.uri in {one["value"] for one in found["asked"]}

    printed = command("report", "last", "--json", "--map", "none", "--since", "none")
    assert printed["map"] is None
    assert printed["changes"] is None
    assert [one["id"] for one in printed["clusters"]] == [one["id"] for one in found["clusters"]]


def test_a_place_that_cannot_be_written_is_told_before_any_work(
    command: Command, tmp_path: Path
) -> None:
    for place, told in (
        ("report.pdf", "no kind of report"),
        ("none/report.html", "does not exist; make it first"),
        ("made.html", "is a directory"),
    ):
        (tmp_path / "made.html").mkdir(exist_ok=True)
        with pytest.raises(UsageError, match=told):
            command("report", "--output", str(tmp_path / place))
    with pytest.raises(UsageError, match="no run in"):
        command("report", "--output", str(tmp_path / "report.html"))
    assert not (tmp_path / "report.html").exists()
    command("run", "--min-cluster-size", "10", "--yes")
    with pytest.raises(UsageError, match="--since"):
        command("report", "--since", "last", "--output", str(tmp_path / "report.md"))
    assert not (tmp_path / "report.md").exists()
