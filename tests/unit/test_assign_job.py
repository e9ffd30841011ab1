"""Rows that come after a run get labels; nothing else changes, whatever happens meanwhile."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.assign_bench import DIM, EACH, AssignBench, group
from vdbcluster.adapters.memory import MemorySink
from vdbcluster.config.assign import AssignSettings
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import BackendError, BackendUnavailableError, RefusedError
from vdbcluster.model.catalogue import ClusterState
from vdbcluster.model.labels import LabelBatch, LabelPlan, WriteOutcome
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline import assign_plan
from vdbcluster.pipeline.assign import assign_rows
from vdbcluster.pipeline.assign_told import shared_paths
from vdbcluster.pipeline.edits import merging
from vdbcluster.pipeline.growing import grown
from vdbcluster.pipeline.record import planned

NEW = 3
"""A group that the run has not seen."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> AssignBench:
    """Run once: three clusters of a hundred rows."""
    made = AssignBench(tmp_path_factory.mktemp("ran"))
    made.run("run")
    assert made.sizes() == {0: EACH, 1: EACH, 2: EACH}
    return made


@pytest.fixture
def bench(ran: AssignBench, tmp_path: Path) -> AssignBench:
    return ran.copy(tmp_path / "runs")


def of_group(bench: AssignBench, number: int) -> int:
    """The id of the cluster that a group is."""
    (found,) = set(bench.label(list(range(number * EACH, (number + 1) * EACH))))
    return found


def test_only_rows_without_a_label_get_one(bench: AssignBench) -> None:
    before, catalogue = bench.labels(), bench.stored()
    keys = bench.add(1, 4) + bench.add(0, 1, seed=2)
    manifest = bench.assign("first")
    assert manifest.state == "written"
    assert bench.label(keys) == [of_group(bench, 1)] * 4 + [of_group(bench, 0)]
    after = bench.labels()
    assert {key: after[key] for key in before} == before
    assert {after[key][3] for key in keys} == {"first"}
    told = manifest.facts["assign"]
    assert (told["run"], told["rows"], told["noise"], told["lost"]) == ("run", 5, 0, 0)
    assert told["core"] + told["soft"] == 5
    assert manifest.facts["emergence"] == {"clusters": 0, "ids": [], "rows": 0}
    one, two = of_group(bench, 1), of_group(bench, 0)
    assert bench.sizes()[one] == EACH + 4
    assert bench.sizes()[two] == EACH + 1
    for entry in bench.stored().entries:
        was = catalogue.get(entry.id)
        assert was is not None
        assert (entry.lineage, entry.first_run) == (was.lineage, was.first_run)
        assert entry.last_run == ("first" if entry.id in (one, two) else "run")


def test_a_second_assignment_writes_and_records_nothing(bench: AssignBench) -> None:
    bench.add(1, 4)
    bench.assign("first")
    before, files = bench.labels(), sorted(bench.path.rglob("*"))
    again = bench.assign("second")
    assert again.facts["assign"]["rows"] == 0
    assert "plan" not in again.facts
    assert bench.labels() == before
    assert sorted(bench.path.rglob("*")) == files


def test_what_it_costs_depends_on_the_new_rows_alone(tmp_path: Path) -> None:
    seen = []
    for each in (100, 400):
        bench = AssignBench(tmp_path / str(each), each=each)
        bench.run("run", load_settings({"neighbors": {"n_neighbors": 15}}))
        bench.add(1, 6)
        bench.assign("first")
        assert bench.sink.read_all == 0
        assert bench.search.asked == 6
        assert bench.search.fetched <= 6 * (15 + 5)
        seen.append(bench.search.fetched)
    assert abs(seen[0] - seen[1]) <= 60


def test_a_cluster_that_forms_gets_an_id_and_the_next_rows_join_it(bench: AssignBench) -> None:
    keys = bench.add(NEW, 40)
    manifest = bench.assign("first")
    assert manifest.facts["emergence"] == {"clusters": 1, "ids": [3], "rows": 40}
    assert set(bench.label(keys)) == {3}
    (row,) = manifest.clusters
    assert (row.id, row.size) == (3, 40)
    assert row.representative in {f"row {key}" for key in keys}
    entry = bench.stored().get(3)
    assert entry is not None
    assert (entry.size, entry.first_run, entry.state) == (40, "first", ClusterState.LIVE)
    assert entry.medoid_key in keys
    np.testing.assert_allclose(entry.centroid, group(NEW, 40, 1).mean(axis=0), atol=1e-5)
    (event,) = json.loads(entry.lineage)
    assert (event["kind"], event["basis"], event["after"]) == ("born", "emerged", 40)
    later = bench.add(NEW, 3, seed=7)
    bench.assign("second")
    assert bench.label(later) == [3, 3, 3]
    assert bench.sizes()[3] == 43


def test_nothing_forms_where_rows_come_to_clusters_that_are_there(bench: AssignBench) -> None:
    for number in range(4):
        for known in range(3):
            bench.add(known, 8, seed=number + 2)
        assert bench.assign(f"a{number}").facts["emergence"]["clusters"] == 0
    assert set(bench.sizes()) == {0, 1, 2}


def test_rows_of_noise_join_what_forms_around_them(bench: AssignBench) -> None:
    first = bench.add(NEW, 3, partition="p1")
    bench.assign("first")
    assert bench.label(first) == [-1, -1, -1]
    more = bench.add(NEW, 40, seed=2)
    manifest = bench.assign("second")
    assert manifest.facts["assign"]["rejoined"] == 3
    assert manifest.facts["assign"]["rows"] == 40
    assert set(bench.label(first + more)) == {3}
    assert bench.sizes()[3] == 43


def test_without_emergence_they_stay_noise(bench: AssignBench) -> None:
    keys = bench.add(NEW, 40)
    quiet = Settings(assign=AssignSettings(emerge=False))
    manifest = bench.assign("first", quiet)
    assert manifest.facts["assign"]["noise"] == 40
    assert set(bench.label(keys)) == {-1}
    assert bench.stored().run_id == "run"  # no cluster has changed
    assert "it is time for vdbcluster run" in bench.told.warnings[0]


def test_how_much_support_a_row_needs_can_be_said(
    bench: AssignBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.add(1, 1)
    seen = []

    def watched(*arguments: Any) -> Any:
        seen.append(arguments[-1])
        return assign_rows(*arguments)

    monkeypatch.setattr(assign_plan, "assign_rows", watched)
    chosen = AssignSettings(min_support=0.15, min_emergence_stability=0.7)
    bench.assign("first", Settings(assign=chosen))
    assert (seen[0].min_support, seen[0].min_stability) == (0.15, 0.7)


def test_a_dry_run_writes_nothing_and_can_be_applied(bench: AssignBench) -> None:
    keys, before = bench.add(NEW, 40) + bench.add(1, 2), bench.labels()
    manifest = bench.assign("first", dry_run=True)
    assert manifest.state == "planned"
    assert bench.labels() == before
    assert bench.stored().run_id == "run"
    assert bench.apply("first").facts["write"]["written"] == 42
    assert bench.label(keys) == [3] * 40 + [of_group(bench, 1)] * 2
    assert bench.sizes()[3] == 40


def test_a_no_writes_nothing(bench: AssignBench) -> None:
    keys = bench.add(1, 2)
    with pytest.raises(RefusedError, match="not confirmed"):
        bench.assign("first", confirm=lambda plan: len(plan.new) > 2)
    assert bench.label(keys) == [-9, -9]
    assert bench.runs.load("first").state == "refused"


class Breaking(MemorySink):
    """The server goes away in the middle of a batch."""

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        super().write(batch.take(np.arange(len(batch) // 2)), partition)
        raise BackendUnavailableError("the server went away")


def test_killed_half_way_the_next_one_finishes(
    ran: AssignBench, bench: AssignBench, tmp_path: Path
) -> None:
    other = ran.copy(tmp_path / "other")
    for each in (other, bench):
        each.add(NEW, 40)
        each.add(1, 3)
    other.assign("first")
    with pytest.raises(BackendUnavailableError):
        bench.assign("first", sink=Breaking(bench.held))
    assert bench.runs.load("first").state == "writing"
    assert -9 in bench.label(list(range(10_000, 10_043)))
    more = bench.add(NEW, 2, seed=9), other.add(NEW, 2, seed=9)
    for each in (other, bench):
        assert each.assign("second").facts["assign"]["rows"] == 2
    assert "was interrupted; it is finished now" in bench.told.notes[0]
    assert bench.runs.load("first").state == "written"
    assert bench.labels() == other.labels()
    assert bench.label(more[0]) == [3, 3]
    assert bench.sizes() == other.sizes() == {0: 100, 1: 103, 2: 100, 3: 42}


def test_interrupted_and_written_over_by_others_it_is_left_so(bench: AssignBench) -> None:
    """What it has not written is judged anew; what it has written keeps its id, which is taken."""
    keys = bench.add(NEW, 60)
    with pytest.raises(BackendUnavailableError):
        bench.assign("first", sink=Breaking(bench.held))
    written = [key for key in keys if bench.label([key]) == [3]]
    assert len(written) == 30
    bench.held.cluster_id[bench.held.positions(np.array(written[:1]))] = 1
    second = bench.assign("second")
    assert "assignment first was interrupted and is left so" in bench.told.warnings[0]
    assert bench.runs.load("first").state == "writing"
    assert second.facts["assign"]["rows"] == 30
    assert second.facts["identity"]["next_id"] == 4
    assert Counter(bench.label(keys)) == {3: 29, 1: 1, -1: 30}


def test_killed_before_the_catalogue_the_next_one_stores_it(
    bench: AssignBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise BackendError("the server went away")

    bench.add(NEW, 40)
    with monkeypatch.context() as patch:
        patch.setattr(bench.catalogue, "replace", away)
        bench.assign("first")
    assert 3 not in bench.sizes()
    bench.assign("second")
    assert bench.sizes()[3] == 40


def test_rolled_back_it_is_as_before_and_no_id_is_given_twice(bench: AssignBench) -> None:
    before, sizes = bench.labels(), bench.sizes()
    keys = bench.add(NEW, 40) + bench.add(1, 3)
    bench.assign("first")
    assert bench.roll_back("first").state == "rolled-back"
    assert bench.labels() == before
    assert bench.sizes() == sizes
    assert bench.assign("second").facts["emergence"]["ids"] == [4]
    assert bench.label(keys) == [4] * 40 + [of_group(bench, 1)] * 3
    plan = planned(bench.runs.load_arrays("second"))
    assert not plan.had_label.any()


def test_ids_are_not_given_twice_where_no_catalogue_is_kept(bench: AssignBench) -> None:
    bench.add(NEW, 40)
    bench.assign("first")
    bench.catalogue.remove()
    bench.held.delete(list(range(10_000, 10_040)))
    bench.add(4, 40)
    assert bench.assign("second").facts["emergence"]["ids"] == [4]


def test_a_later_run_begins_anew(bench: AssignBench) -> None:
    keys = bench.add(NEW, 40)
    bench.assign("first")
    bench.run("again")
    assert set(bench.label(keys)) == {3}
    bench.add(NEW, 2, seed=3)
    manifest = bench.assign("second")
    assert manifest.facts["assign"]["run"] == "again"
    assert bench.sizes()[3] == 42


def test_rows_that_lost_their_label_are_judged_anew(bench: AssignBench) -> None:
    held = bench.held
    held.labelled[:5] = False
    held.vectors[:5] = group(2, 5, 8)
    manifest = bench.assign("first")
    assert manifest.facts["assign"]["lost"] == 5
    assert "5 rows of run run have lost their label" in bench.told.notes[0]
    assert bench.label([0, 1, 2, 3, 4]) == [bench.label([250])[0]] * 5
    held.labelled[:200] = False
    with pytest.raises(RefusedError, match="200 of the 300 rows of run run carry no label"):
        bench.assign("second")


def test_what_people_merged_is_one_cluster(bench: AssignBench) -> None:
    gone, into = of_group(bench, 1), of_group(bench, 2)
    bench.catalogue.edit(merging(gone, into))
    keys = bench.add(1, 3)
    bench.assign("first")
    assert bench.label(keys) == [into] * 3
    assert bench.sizes()[into] == 2 * EACH + 3


def test_rows_without_a_vector_and_of_no_use_are_left_out(bench: AssignBench) -> None:
    odd = np.full((2, DIM), np.nan, np.float32)
    odd[1] = np.inf
    keys = bench.add(1, 1)
    bench.held.insert([501, 502], odd)
    manifest = bench.assign("first")
    assert manifest.facts["read"]["without_vector"] == 1
    assert manifest.facts["read"]["unusable"] == 1
    assert bench.label([*keys, 501, 502]) == [of_group(bench, 1), -9, -9]
    assert bench.assign("second").facts["assign"]["rows"] == 0


def test_half_as_many_rows_again_ask_for_a_run(bench: AssignBench) -> None:
    for number in range(4):
        bench.add(1, 40, seed=number + 3)
        bench.assign(f"a{number}")
        assert bool(bench.told.warnings) == (number == 3)
    assert "160 rows have come since run run, which had 300" in bench.told.warnings[0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: replace(m, state="planned"), "no run has labelled 'memory' yet"),
        (lambda m: replace(m, state="rolled-back"), "no run has labelled 'memory' yet"),
        (lambda m: replace(m, state="writing"), "interrupted while it wrote .* apply run"),
        (lambda m: replace(m, identity="0"), "was dropped and created anew since run run"),
        (lambda m: replace(m, collection="else"), "no run has labelled 'memory' yet"),
        (
            lambda m: replace(m, selection={**m.selection, "filter": "n > 3"}),
            "had filter 'n > 3'; select the same",
        ),
        (
            lambda m: replace(m, selection={**m.selection, "partitions": ["p"]}),
            "had no filter, partitions p",
        ),
        (
            lambda m: replace(m, selection={**m.selection, "vector_field": "b"}),
            "by the field 'b', not by 'vector'; pass --vector-field",
        ),
        (lambda m: replace(m, facts={"clustering": {}}), "kept nothing that later rows"),
        (
            lambda m: replace(
                m,
                facts={"clustering": {}},
                settings={**m.settings, "neighbors": {"center": "language"}},
            ),
            "center language",
        ),
        (
            lambda m: replace(m, settings={**m.settings, "write": {"label_prefix": "x_"}}),
            "no run has labelled 'memory' yet",
        ),
    ],
)  # fmt: skip
def test_what_no_run_can_judge_is_refused(bench: AssignBench, change, told: str) -> None:
    found: RunManifest = bench.runs.load("run")
    bench.runs.save(change(found))
    keys = bench.add(1, 2)
    with pytest.raises(RefusedError, match=told):
        bench.assign("first")
    assert bench.label(keys) == [-9, -9]
    assert bench.runs.ids() == ("run",)


def test_new_rows_get_the_layers_that_all_rows_of_their_cluster_share(tmp_path: Path) -> None:
    bench = AssignBench(tmp_path)
    settings = load_settings({"cluster": {"method": "layers"}})
    bench.run("run", settings)
    keys = bench.add(1, 2)
    bench.assign("first", settings)
    rows = bench.labels()
    for key in keys:
        alike = [
            row[5] for other, row in rows.items() if row[0] == rows[key][0] and other < EACH * 3
        ]
        assert rows[key][5]
        assert all(path.startswith(rows[key][5]) for path in alike)


def test_sizes_follow_the_rows_that_go_and_come(bench: AssignBench) -> None:
    """A row that was assigned to a cluster may go to one that forms."""
    held, now = bench.stored(), datetime.now(UTC)
    new, old = LabelBatch.blank(np.arange(5)), LabelBatch.blank(np.arange(5))
    plan = LabelPlan(
        new=replace(new, cluster_id=np.array([0, 0, 2, -1, 2])),
        partition_of=np.zeros(5, np.int32),
        partitions=("_default",),
        had_label=np.array([False, False, True, False, True]),
        old=replace(old, cluster_id=np.array([-1, -1, 1, -1, -1])),
        changed=np.ones(5, np.bool_),
    )
    after = grown(held, plan, None, "euclidean", run_id="first", now=now)
    assert {entry.id: entry.size for entry in after.live} == {0: 102, 1: 99, 2: 102}
    assert after.run_id == "first"


def test_shared_paths() -> None:
    paths = ["3/1/4", "3/1", "3/1/5", "2", "12/7", "", None]
    batch = LabelBatch.blank(np.arange(7))
    labels = np.array([1, 1, 1, 2, 2, 3, -1])
    found = shared_paths(replace(batch, cluster_id=labels, path=np.array(paths, object)))
    assert found == {1: "3/1", 2: "", 3: ""}
    assert shared_paths(replace(batch, cluster_id=labels)) == {}
