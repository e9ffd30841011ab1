"""Runs found by name, and those that may be removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.contract.test_runs import MANIFEST
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.model.manifest import RunManifest, RunState
from vdbcluster.pipeline.paths import free_numbers
from vdbcluster.wiring.history import age, found_run, history, listed, removable, started

NOW = datetime(2026, 3, 31, tzinfo=UTC)


def made(day: int, state: RunState = "written", **changes: object) -> RunManifest:
    moment = datetime(2026, 3, day, 3, tzinfo=UTC)
    run_id = f"202603{day:02}T030000-{day:06x}"
    return replace(MANIFEST, run_id=run_id, state=state, started=moment.isoformat(), **changes)  # type: ignore[arg-type]


def days(runs: Sequence[RunManifest]) -> list[int]:
    return [int(manifest.run_id[6:8]) for manifest in runs]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    runs = RunDirectory(tmp_path / "runs")
    for day in (1, 2, 12):
        runs.save(made(day))
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("name", "day"), [("last", 12), ("20260302", 2), ("20260302T03", 2), (made(1).run_id, 1)]
)
def test_a_run_is_found_by_the_beginning_of_its_id(folder: Path, name: str, day: int) -> None:
    assert found_run(folder, name) == made(day)


def test_a_whole_id_is_no_beginning_of_another(folder: Path) -> None:
    RunDirectory(folder).save(replace(made(2), run_id="2"))
    assert found_run(folder, "2").run_id == "2"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("2026030", "2 runs in .* begin with '2026030': 20260301T.*, 20260302T.*; type more"),
        ("x", "there is no run 'x' in .*runs; there are 20260301T"),
        ("", "there is no run '' in "),
        ("../runs", "there is no run '../runs'"),
    ],
)
def test_what_is_no_run_is_told(folder: Path, name: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        found_run(folder, name)


def test_no_run_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run in .*nowhere"):
        found_run(tmp_path / "nowhere", "last")
    assert history(tmp_path / "nowhere").runs == ()


def test_a_damaged_newest_run_is_not_passed_over(folder: Path) -> None:
    """Else ``apply last`` would write an older plan."""
    place = RunDirectory(folder).path(made(12).run_id) / "manifest.json"
    place.write_text("{")
    with pytest.raises(VdbclusterError, match=r"20260312T.*cannot be read"):
        found_run(folder, "last")
    found = history(folder)
    assert days(found.runs) == [1, 2]
    assert list(found.damaged) == [made(12).run_id]
    RunDirectory(folder).save(made(13))
    assert found_run(folder, "last") == made(13)


@pytest.mark.parametrize(
    ("text", "hours"), [("12h", 12), ("30d", 720), (" 2w ", 336), ("0d", 0), ("007d", 168)]
)
def test_ages_are_understood(text: str, hours: int) -> None:
    assert age(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "30", "d", "1.5d", "-1d", "3 d", "999999d", "30m", "٣d"])
def test_what_is_no_age_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="12h, 30d or 2w"):
        age(text)


def test_the_newest_stay() -> None:
    runs = [made(day) for day in range(1, 8)]
    assert days(removable(runs, keep=3, now=NOW)) == [1, 2, 3, 4]
    assert days(removable(runs, keep=0, now=NOW)) == [1, 2, 3, 4, 5, 6]
    assert days(removable(runs, keep=99, now=NOW)) == []
    assert days(removable(runs, older=timedelta(days=25), now=NOW)) == [1, 2, 3, 4, 5]
    assert days(removable(runs, keep=5, older=timedelta(days=29), now=NOW)) == [1]


def test_what_was_assigned_by_the_newest_run_stays() -> None:
    first, second = (made(day, facts={"clustering": {}, "kept": {}}) for day in (1, 3))
    runs = [
        first,
        made(2, facts={"kept": {}, "assign": {"run": first.run_id}}),
        second,
        made(4, facts={"kept": {}, "assign": {"run": second.run_id}}),
        made(5, facts={"kept": {}, "assign": {"run": second.run_id}}),
        made(6, "rolled-back", facts={"assign": {"run": second.run_id}}),
    ]
    assert days(removable(runs, keep=0, now=NOW)) == [1, 2, 6]


def test_what_is_needed_stays() -> None:
    """The labels that are written, what assign goes by, and what was interrupted."""
    runs = [
        made(1, "writing"),
        made(2, facts={"clustering": {}, "kept": {}}),
        made(3, facts={"merge": {}}),
        made(4, "dry-run"),
        made(5, "rolled-back"),
        made(6, "refused"),
        made(7, "rolled-back", facts={"clustering": {}, "kept": {}}),
    ]
    assert days(removable(runs, keep=0, now=NOW)) == [4, 5, 6, 7]
    assert days(removable([*runs, made(8, "planned")], keep=0, now=NOW)) == [1, 4, 5, 6, 7]


@pytest.mark.parametrize("state", ["written", "writing", "rolled-back"])
def test_the_numbers_within_clusters_that_were_given_stay_known(state: RunState) -> None:
    def numbered(day: int, free: int, state: RunState = "written") -> RunManifest:
        facts = {"clustering": {}, "kept": {}, "recursion": {"free": {"3": free}}}
        return made(day, state, facts=facts)

    plain = {"clustering": {}, "kept": {}}
    runs = [
        numbered(1, 2),
        numbered(2, 5, state),
        numbered(3, 9, "dry-run"),
        *(made(day, facts=plain) for day in (4, 5)),
        made(6, "planned"),
    ]
    gone = removable(runs, keep=0, now=NOW)
    assert days(gone) == [1, 3, 4]
    left = [one for one in runs if one not in gone]
    assert free_numbers(left, runs[0]) == free_numbers(runs, runs[0]) == {"3": 5}


def test_each_selection_counts_for_itself() -> None:
    mine, other = made(1), made(2, collection="other")
    part = made(3, selection={"filter": "a > 1"})
    named = made(4, settings={"write": {"label_prefix": "sub_"}})
    assert removable([mine, other, part, named], keep=0, now=NOW) == ()
    assert days(removable([mine, other, part, named, made(5)], keep=1, now=NOW)) == [1]


def test_a_run_of_before_has_the_time_of_its_id() -> None:
    old = replace(made(3), started="")
    assert started(old) == datetime(2026, 3, 3, 3, tzinfo=UTC)
    assert started(replace(old, run_id="first")) is None
    assert listed(replace(old, run_id="first"))["started"] is None
    unknown = replace(old, run_id="first")
    assert removable([unknown, made(9)], older=timedelta(), now=NOW) == ()
