"""``vdbcluster clusters`` on a Lite file: what is said stays, through runs and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient
from typer.testing import CliRunner, Result

from tests import backends
from tests.backends import Backend
from tests.integration.docs import ROWS, fill_docs, make_docs
from vdbcluster.cli.app import app
from vdbcluster.errors import VdbclusterError

RUN = ("run", "--min-cluster-size", "10", "--yes")


class Place:
    """A Lite file with a collection, and the commands on it, all in this process."""

    def __init__(self, folder: Path) -> None:
        self.uri = str(folder / "docs.db")
        self._runs = str(folder / "runs")
        make_docs(self.uri)

    def do(self, *arguments: str) -> Result:
        where = ["--uri", self.uri]
        if arguments[0] != "rollback":
            where += ["-c", "docs"]
        if arguments[0] in ("run", "rollback") or arguments[1] == "merge":
            where += ["--runs-dir", self._runs]
        runner = CliRunner(env={"TERM": "dumb", "COLUMNS": "160"})
        return runner.invoke(app, [*arguments, *where])

    def plain(self, *arguments: str) -> str:
        done = self.do(*arguments)
        assert done.exit_code == 0, done.exception
        return done.stdout

    def told(self, *arguments: str) -> Any:
        return json.loads(self.plain(*arguments, "--json"))

    def refused(self, *arguments: str) -> tuple[int, str]:
        error = self.do(*arguments).exception
        assert isinstance(error, VdbclusterError), error
        return error.exit_code, str(error)

    def clusters(self, *more: str) -> dict[int, dict[str, Any]]:
        found = self.told("clusters", "list", *more)["clusters"]
        return {entry["id"]: entry for entry in found}

    def labels(self) -> dict[int, int]:
        with backends.connected(Backend(backends.LITE_FILE, self.uri)) as client:
            client.load_collection("docs")
            return labels_in(client)


def labels_in(client: MilvusClient, name: str = "docs") -> dict[int, int]:
    rows = client.query(name, "id >= 0", output_fields=["id", "cluster_id"], limit=16_000)
    return {row["id"]: row["cluster_id"] for row in rows}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("clusters"))


@pytest.fixture
def labelled(place: Place) -> Place:
    """Whichever test comes first, a run has been made."""
    if place.do("clusters", "list").exit_code:
        place.plain(*RUN)
    return place


def test_without_a_run_there_is_nothing_to_edit(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for arguments in (("list",), ("show", "0"), ("merge", "1", "0")):
        code, told = place.refused("clusters", *arguments)
        assert code == 2
        assert "catalogue" in told
    code, told = place.refused("clusters", "rename", "0", "x")
    assert (code, told) == (2, "'docs' has no catalogue of clusters yet; vdbcluster run makes it")


def test_a_name_a_mark_and_a_merge_stay(place: Place) -> None:
    place.plain(*RUN)
    before, labels = place.clusters(), place.labels()
    assert len(before) >= 3
    home, part, other = list(before)[:3]

    assert "Ale and rum" in place.plain("clusters", "rename", str(home), "Ale and rum")
    place.plain("clusters", "describe", str(home), "all that\nis drunk")
    place.plain("clusters", "pin", str(home))
    assert place.told("clusters", "hide", str(other))["hidden"] is True
    merged = place.told("clusters", "merge", str(part), str(home))

    assert merged["rows"] == before[part]["size"]
    assert merged["size"] == before[home]["size"] + before[part]["size"]
    assert place.labels() == {k: home if v == part else v for k, v in labels.items()}
    assert set(place.clusters()) == set(before) - {part, other}
    for _ in range(2):
        assert set(place.clusters("--all")) == set(before)
        entry = place.clusters()[home]
        assert (entry["name"], entry["description"], entry["pinned"]) == (
            "Ale and rum",
            "all that\nis drunk",
            True,
        )
        assert place.clusters("--all")[part]["merged_into"] == home
        assert set(place.labels().values()) - {-1} == set(before) - {part}
        place.plain(*RUN)
    listed = place.plain("clusters", "list", "--all")
    assert f"merged into {home}" in listed
    assert "hidden" in listed
    shown = place.plain("clusters", "show", str(part))
    assert f"merged into {home} (100%); it had {before[part]['size']} rows (by hand)" in shown
    assert "born with" in shown

    place.plain("clusters", "unhide", str(other))
    place.plain("clusters", "unpin", str(home))
    place.plain("clusters", "unmerge", str(part))
    assert place.clusters()[part]["size"] == 0
    place.plain(*RUN)
    assert place.labels() == labels
    assert set(place.clusters()) == set(before)
    assert place.clusters()[part]["size"] == before[part]["size"]


def test_a_merge_is_rolled_back_as_a_run_is(labelled: Place) -> None:
    place = labelled
    before, labels = place.clusters(), place.labels()
    home, part = list(before)[:2]
    run_id = place.told("clusters", "merge", str(part), str(home))["run_id"]
    assert part not in place.labels().values()

    place.plain("rollback", run_id)

    assert place.labels() == labels
    after = place.clusters()
    assert {i: (e["size"], e["state"]) for i, e in after.items()} == {
        i: (e["size"], e["state"]) for i, e in before.items()
    }


@pytest.mark.slow
def test_a_merge_asks_for_no_room_for_paths_where_no_row_has_one(
    emulated: Callable[[str], Backend], collection_name: str, tmp_path: Path
) -> None:
    """A collection without dynamic fields gets the columns that a run wants, and no others."""
    backend = emulated("2.6")
    where = ("--uri", backend.uri, "-c", collection_name, "--runs-dir", str(tmp_path / "runs"))
    with backends.connected(backend) as client:
        fill_docs(client, collection_name, dynamic=False)
        for command in (RUN, ("clusters", "merge", "1", "0")):
            done = CliRunner().invoke(app, [*command, *where])
            assert done.exit_code == 0, done.exception
        client.load_collection(collection_name)
        labels = labels_in(client, collection_name)
        fields = {field["name"] for field in client.describe_collection(collection_name)["fields"]}
        client.drop_collection(collection_name)
    assert len(labels) == ROWS
    assert 1 not in labels.values()
    assert "cluster_id" in fields
    assert "cluster_path" not in fields


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("rename", "99", "x"), "there is no cluster 99; vdbcluster clusters list"),
        (("show", "99"), "there is no cluster 99"),
        (("merge", "99", "0"), "there is no cluster 99"),
        (("merge", "0", "0"), "into itself"),
        (("unmerge", "0"), "cluster 0 is live, not merged"),
        (("rename", "0", "a\nb"), "a name is one line"),
    ],
)
def test_what_cannot_be_is_one_line(labelled: Place, arguments: tuple[str, ...], told: str) -> None:
    place = labelled
    before, labels = place.clusters("--all"), place.labels()
    code, line = place.refused("clusters", *arguments)
    assert code == 2
    assert told in line
    assert "\n" not in line
    assert place.clusters("--all") == before
    assert place.labels() == labels
