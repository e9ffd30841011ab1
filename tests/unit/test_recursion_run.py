"""Runs that go into clusters: what is written stays, is taken back, follows people and new rows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.silent import Listener
from tests.unit.assign_bench import EACH, PLAIN, AssignBench
from vdbcluster.adapters.memory import MemorySink
from vdbcluster.config.settings import load_settings
from vdbcluster.errors import BackendUnavailableError
from vdbcluster.model.labels import LabelBatch, WriteOutcome
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.edits import merge_clusters
from vdbcluster.pipeline.journal import begin
from vdbcluster.pipeline.run import run

COARSE = {"method": "kmeans", "n_clusters": 2, "resamples": 0}
INSIDE = load_settings({"cluster": COARSE | {"recurse": 2, "recurse_min_size": 150}})
"""Three groups of a hundred in two clusters: one of them holds two, and is gone into."""

NOISE = {""}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> AssignBench:
    made = AssignBench(tmp_path_factory.mktemp("ran"))
    told = made.run("run", INSIDE).facts["recursion"]
    assert {name: told[name] for name in ("entered", "split", "clusters", "rows")} == {
        "entered": 1,
        "split": 1,
        "clusters": 2,
        "rows": 2 * EACH,
    }
    return made


@pytest.fixture
def bench(ran: AssignBench, tmp_path: Path) -> AssignBench:
    return ran.copy(tmp_path / "runs")


def paths(bench: AssignBench, keys: list[int] | None = None) -> list[str]:
    held = bench.held
    at = np.arange(len(held)) if keys is None else held.positions(np.array(keys))
    assert all(
        path.split("/")[0] == str(i)
        for path, i in zip(held.path[at], held.cluster_id[at], strict=True)
        if i >= 0
    )
    return held.path[at].tolist()


def rows_of(group: int) -> list[int]:
    return list(range(group * EACH, (group + 1) * EACH))


def test_a_large_cluster_comes_apart_and_a_second_run_writes_nothing(bench: AssignBench) -> None:
    assert Counter(paths(bench)) == {"0/0": EACH, "0/1": EACH, "1": EACH}
    assert all(len(set(paths(bench, rows_of(group)))) == 1 for group in range(3))
    assert bench.run("again", INSIDE).facts["write"]["written"] == 0


def test_the_clusters_themselves_are_as_without_it(bench: AssignBench, tmp_path: Path) -> None:
    plain = AssignBench(tmp_path / "plain")
    plain.run("run", load_settings({"cluster": COARSE}))
    assert set(plain.held.path) == {""}
    there, here = plain.labels(), bench.labels()
    assert {k: row[:5] for k, row in here.items()} == {k: row[:5] for k, row in there.items()}


def test_numbers_stay_while_rows_come_and_go(bench: AssignBench) -> None:
    before = {group: set(paths(bench, rows_of(group))) for group in range(3)}
    bench.held.delete(rows_of(0)[::2] + rows_of(1)[::3])
    keys = {group: bench.add(group, 120) for group in range(3)}
    bench.run("later", INSIDE)
    for group in range(3):
        assert set(paths(bench, keys[group])) == before[group]


def test_without_it_no_path_is_left_and_rolling_back_restores_them(bench: AssignBench) -> None:
    before = bench.labels()
    bench.run("plain", load_settings({"cluster": COARSE}))
    assert set(paths_of_any(bench)) == {""}
    bench.roll_back("plain")
    assert bench.labels() == before


def test_a_number_that_was_rolled_back_is_not_given_again(bench: AssignBench) -> None:
    """Somebody may have seen it."""
    bench.run("plain", load_settings({"cluster": COARSE}))
    bench.run("inside", INSIDE)
    assert Counter(paths(bench)) == {"0/2": EACH, "0/3": EACH, "1": EACH}
    bench.roll_back("inside")
    assert set(paths_of_any(bench)) == {""}
    bench.run("again", INSIDE)
    assert Counter(paths(bench)) == {"0/4": EACH, "0/5": EACH, "1": EACH}


def paths_of_any(bench: AssignBench) -> list[str]:
    return bench.held.path.tolist()


def merge(bench: AssignBench, cluster: int, into: int) -> RunManifest:
    outlets = bench.outlets()
    journal = begin(outlets, PLAIN, "merge", {})
    return merge_clusters(outlets, Listener(), journal, cluster, into, bench.places).manifest


@pytest.mark.parametrize(("part", "into"), [(0, 1), (1, 0)])
def test_what_people_merge_is_gone_into_as_one(bench: AssignBench, part: int, into: int) -> None:
    before = bench.labels()
    merge(bench, part, into)
    at_once = {
        (0, 1): {"1/0": EACH, "1/1": EACH, "1": EACH},
        (1, 0): {"0/0": EACH, "0/1": EACH, "0": EACH},
    }
    assert Counter(paths(bench)) == at_once[part, into]
    bench.run("after", INSIDE)
    found = Counter(paths(bench))
    assert sorted(found.values()) == [EACH] * 3
    kept = {path for path in found if path in at_once[part, into]}
    assert {f"{into}/0", f"{into}/1"} <= kept
    assert found[f"{into}/2"] == EACH
    assert bench.run("again", INSIDE).facts["write"]["written"] == 0
    for run_id in ("after", "merge"):
        bench.roll_back(run_id)
    assert bench.labels() == before


def test_new_rows_go_in_where_those_around_them_are(bench: AssignBench) -> None:
    keys = {group: bench.add(group, 5) for group in range(3)}
    bench.assign("first", INSIDE)
    for group in range(3):
        assert set(paths(bench, keys[group])) - NOISE == set(paths(bench, rows_of(group)))
    merge(bench, 1, 0)
    assert set(paths(bench)) - NOISE == {"0", "0/0", "0/1"}
    later = {group: bench.add(group, 3, seed=5) for group in range(3)}
    bench.assign("second", INSIDE)
    for group in range(3):
        assert set(paths(bench, later[group])) - NOISE == set(paths(bench, rows_of(group)))


def test_a_cluster_that_forms_is_its_own_path(tmp_path: Path) -> None:
    bench, settings = AssignBench(tmp_path), load_settings({"cluster": {"recurse": 1}})
    bench.run("run", settings)
    assert set(paths(bench)) == {"0", "1", "2"}
    keys = bench.add(3, 60)
    assert bench.assign("first", settings).facts["emergence"]["clusters"] == 1
    assert Counter(paths(bench, keys)).most_common(1)[0][0] == "3"


class Failing(MemorySink):
    """The server goes away after some rows of each kind."""

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        half = np.arange(len(batch)) % 2 == 0
        super().write(batch.take(half), partition)
        raise BackendUnavailableError("gone")


def test_interrupted_it_is_finished_by_the_next_run(tmp_path: Path) -> None:
    whole, broken = AssignBench(tmp_path / "whole"), AssignBench(tmp_path / "broken")
    whole.run("run", INSIDE)
    with pytest.raises(BackendUnavailableError):
        run(
            broken.outlets(Failing(broken.held)),  # type: ignore[arg-type]
            INSIDE,
            Listener(),
            run_id="run",
            versions={},
        )
    assert 0 < np.count_nonzero(broken.held.labelled) < len(broken.held)
    broken.run("again", INSIDE)
    assert paths(broken) == paths(whole)


def test_nothing_large_enough_is_told(bench: AssignBench) -> None:
    large = load_settings({"cluster": COARSE | {"recurse": 1, "recurse_min_size": 1000}})
    told = Listener()
    made = run(bench.outlets(), large, told, run_id="large", versions={})  # type: ignore[arg-type]
    assert made.facts["recursion"]["entered"] == 0
    assert any("no cluster has 1,000 rows" in line for line in told.notes)
    assert set(paths(bench)) == {"0", "1"}
