"""``vdbcluster runs`` and ``diff``, after real runs on a Lite file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.in_process import lite, vdbcluster
from tests.integration.docs import fill_docs
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.cli.app import app
from vdbcluster.errors import VdbclusterError

RUN = ("run", "--uri", "docs.db", "-c", "docs", "--min-cluster-size", "10", "--yes")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Lite file that was run twice; between the runs rows of two clusters were deleted."""
    folder = tmp_path_factory.mktemp("runs")
    for step in (make, lose):
        step(folder)
        done = vdbcluster(folder, *RUN)
        assert done.returncode == 0, done.stderr
    return folder


def make(folder: Path) -> None:
    with lite(folder / "docs.db") as client:
        fill_docs(client, "docs")


def lose(folder: Path) -> None:
    with lite(folder / "docs.db") as client:
        client.load_collection("docs")
        client.delete("docs", filter="id < 60 or id >= 230")


def drop(folder: Path) -> None:
    with lite(folder / "docs.db") as client:
        client.drop_collection("docs")
        fill_docs(client, "docs")


def here(folder: Path, *arguments: str) -> Result:
    """Without what makes a line of an error: for what does not open the Lite file."""
    runner = CliRunner(env={"TERM": "dumb"})
    return runner.invoke(app, [*arguments, "--runs-dir", str(folder / "vdbcluster-runs")])


def told(folder: Path, *arguments: str) -> dict:
    """What ``--json`` says."""
    if "now" in arguments:
        done = vdbcluster(folder, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    return json.loads(here(folder, *arguments, "--json").stdout)


def plain(folder: Path, *arguments: str) -> str:
    done = here(folder, *arguments)
    assert done.exit_code == 0, done.exception
    return done.stdout


def refusal(folder: Path, *arguments: str) -> VdbclusterError:
    """The error; ``cli.main`` makes a line of it."""
    error = here(folder, *arguments).exception
    assert isinstance(error, VdbclusterError), error
    assert "\n" not in str(error)
    return error


def ids(folder: Path) -> list[str]:
    return [run["run_id"] for run in told(folder, "runs", "list")["runs"]]


def test_list_and_show(workplace: Path) -> None:
    runs = told(workplace, "runs", "list")["runs"]
    assert [(run["state"], run["rows"], run["clusters"]) for run in runs] == [
        ("written", 240, 4),
        ("written", 170, 3),
    ]
    lines = plain(workplace, "runs", "list").splitlines()
    assert len(lines) == 3
    assert lines[1].startswith(runs[0]["run_id"])
    assert "240" in lines[1]
    shown = plain(workplace, "runs", "show", "last")
    for word in ("state        written", "rows         170 of 170", runs[1]["run_id"], "stability"):
        assert word in shown
    manifest = told(workplace, "runs", "show", runs[0]["run_id"])
    assert manifest["facts"]["clustering"]["rows"] == 240


def test_two_runs_are_compared(workplace: Path) -> None:
    first, second = ids(workplace)
    found = told(workplace, "diff", first, "last")
    assert (found["before"]["run_id"], found["after"]["run_id"]) == (first, second)
    assert (found["rows_before"], found["rows_after"], found["only_before"]) == (240, 170, 70)
    assert (found["unchanged"], found["only_after"], found["flows"]) == (170, 0, [])
    assert len(found["ended"]) == 1
    kinds = sorted(event["kind"] for event in found["events"])
    assert kinds == ["died", "shrunk", "unchanged", "unchanged"]
    shown = plain(workplace, "diff", first, "last")
    assert "unchanged    170 rows (100.0%)" in shown
    assert f"ended        {found['ended'][0]}" in shown


def test_a_run_is_compared_with_what_is_stored(workplace: Path, tmp_path: Path) -> None:
    first, second = ids(workplace)
    found = told(workplace, "diff", second, "now", "--uri", "docs.db")
    assert (found["after"], found["rows_after"], found["unchanged"]) == ("now", 170, 170)

    anew = Path(shutil.copytree(workplace, tmp_path / "anew"))
    drop(anew)
    refused = vdbcluster(anew, "diff", "last", "now", "--uri", "docs.db")
    assert refused.returncode == 1
    assert "created anew" in refused.stderr.splitlines()[-1]
    assert vdbcluster(anew, *RUN).returncode == 0
    assert "created anew" in str(refusal(anew, "diff", first, "last"))


def test_prune_keeps_what_is_needed(workplace: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(workplace / "vdbcluster-runs", tmp_path / "vdbcluster-runs"))
    first, second = ids(tmp_path)
    (folder / "20200101T000000-broken").mkdir()
    (folder / "20200101T000000-broken" / "manifest.json").write_text("{")

    asked = here(tmp_path, "runs", "prune", "--keep", "0")
    assert str(asked.exception).endswith("pass --yes, as nobody can be asked")
    assert first in asked.stdout
    assert ids(tmp_path) == [first, second]
    assert told(tmp_path, "runs", "prune", "--older-than", "1d", "--yes")["removed"] == []
    assert plain(tmp_path, "runs", "prune", "--keep", "0", "--yes").splitlines() == [
        "Removed 1 run; 1 run stays.",
        "Damaged ones are left alone: 20200101T000000-broken",
    ]
    assert ids(tmp_path) == [second]
    assert RunDirectory(folder).load_arrays(second)["keys"].size == 170
    assert plain(tmp_path, "runs", "list").splitlines()[-1].startswith("damaged: ")


def test_no_run_yet(tmp_path: Path) -> None:
    assert plain(tmp_path, "runs", "list").startswith("No runs in ")
    assert plain(tmp_path, "runs", "prune", "--keep", "3") == "Nothing to remove; 0 runs stay.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["runs", "show", "last"], 2, "there is no run in "),
        (["runs", "show", "x"], 2, "there is no run in "),
        (["runs", "prune"], 2, "--keep 10, --older-than 30d"),
        (["runs", "prune", "--older-than", "3x"], 2, "'3x' is no age"),
        (["diff", "last", "now"], 2, "there is no run in "),
        (["diff", "now", "last"], 2, "vdbcluster diff RUN now"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    error = refusal(tmp_path, *arguments)
    assert error.exit_code == code
    assert said in str(error)


def test_a_directory_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "vdbcluster-runs").write_text("no directory")
    assert "vdbcluster-runs cannot be read" in str(refusal(tmp_path, "runs", "list"))
