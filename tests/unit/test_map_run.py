"""Runs that write a map: places are kept, taken back, carried and given to rows that come later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.silent import Listener
from tests.unit.assign_bench import EACH, AssignBench
from vdbcluster.adapters.memory import MemorySink
from vdbcluster.config.settings import load_settings
from vdbcluster.errors import BackendUnavailableError
from vdbcluster.layout import coordinates, placed, radius
from vdbcluster.layout.judged import movement
from vdbcluster.model.labels import LabelBatch, WriteOutcome
from vdbcluster.pipeline.edits import merge_clusters
from vdbcluster.pipeline.journal import begin
from vdbcluster.pipeline.layout import last_map, layout_params, placed_since, run_layout
from vdbcluster.pipeline.map_record import MAP, has_written_map, keep_layout, recorded_layout
from vdbcluster.pipeline.map_steady import TOLERANCE, steady, stored_places
from vdbcluster.pipeline.members import run_members
from vdbcluster.pipeline.room import Room
from vdbcluster.pipeline.run import run

OPEN = {"max_moved": 1.0, "max_died": 1.0, "max_noise_share": 1.0}
MAPPED = load_settings({"cluster": {"resamples": 0}, "map": {"write": True}, "gate": OPEN})
PLAIN = load_settings({"cluster": {"resamples": 0}})


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> AssignBench:
    made = AssignBench(tmp_path_factory.mktemp("ran"))
    told = made.run("run", MAPPED).facts["map"]
    assert (told["rows"], told["known"], told["moved"], told["begun"]) == (3 * EACH, 0, 0, "")
    return made


@pytest.fixture
def bench(ran: AssignBench, tmp_path: Path) -> AssignBench:
    return ran.copy(tmp_path / "runs")


def places(bench: AssignBench, keys: list[int] | None = None) -> Any:
    """As they are stored, ``(n, 2)``; 0 for none."""
    held = bench.held
    at = np.arange(len(held)) if keys is None else held.positions(np.array(keys))
    return np.stack((held.map_x[at], held.map_y[at]), axis=1)


def rows_of(group: int) -> list[int]:
    return list(range(group * EACH, (group + 1) * EACH))


def everything(bench: AssignBench) -> tuple[Any, ...]:
    return bench.labels(), places(bench).tolist()


def test_what_is_written_is_what_is_recorded_and_groups_lie_apart(bench: AssignBench) -> None:
    layout = recorded_layout(bench.runs, "run")
    assert layout is not None
    assert layout.space is None
    assert np.array_equal(np.stack(coordinates(layout.flat), axis=1), places(bench))
    assert (places(bench) != 0).all()
    middles = [places(bench, rows_of(group)).mean(axis=0) for group in range(3)]
    for group in range(3):
        own = np.linalg.norm(places(bench, rows_of(group)) - middles[group], axis=1).max()
        assert own < min(np.linalg.norm(middles[group] - middles[o]) for o in {0, 1, 2} - {group})


def test_the_same_rows_again_write_nothing(bench: AssignBench) -> None:
    made = bench.run("again", MAPPED)
    assert made.facts["write"]["written"] == 0
    assert made.facts["map"]["moved"] == 0
    assert made.facts["map"]["begun"] == "stored"
    assert recorded_layout(bench.runs, "again") is not None


def test_a_map_keeps_its_shape_while_rows_come_and_go(bench: AssignBench) -> None:
    bench.held.delete(rows_of(0)[::20])
    new = {group: bench.add(group, 5) for group in range(3)}
    left = [key for key in range(3 * EACH) if key not in rows_of(0)[::20]]
    before = places(bench, left)
    told = bench.run("later", MAPPED).facts["map"]
    assert told["known"] == len(left) > told["moved"]
    after = places(bench, left)
    stay = (before == after).all(axis=1)
    assert int((~stay).sum()) == told["moved"]
    apart = np.linalg.norm(before - after, axis=1)
    assert (apart[~stay] > 0.9 * TOLERANCE * radius(before)).all()
    assert movement(before, after).median < 0.2
    for group in range(3):
        near = np.linalg.norm(places(bench, new[group])[:, None] - after[None], axis=2)
        assert {left[i] // EACH for i in near.argmin(axis=1)} == {group}


def test_a_run_without_a_map_leaves_places_and_it_can_be_rolled_back(bench: AssignBench) -> None:
    before = everything(bench)
    new = bench.add(1, 20)
    bench.run("plain", PLAIN)
    assert places(bench, list(range(3 * EACH))).tolist() == before[1]
    assert (places(bench, new) == 0).all()
    bench.roll_back("plain")
    bench.held.delete(new)
    assert everything(bench) == before
    assert bench.run("again", MAPPED).facts["write"]["written"] == 0


def test_a_rollback_takes_the_map_back(tmp_path: Path) -> None:
    bench = AssignBench(tmp_path)
    bench.run("plain", PLAIN)
    before = everything(bench)
    assert bench.run("mapped", MAPPED).facts["write"]["written"] == 3 * EACH
    assert (places(bench) != 0).all()
    bench.roll_back("mapped")
    assert everything(bench) == before
    assert (places(bench) == 0).all()


def test_new_rows_get_a_place_beside_their_neighbours(bench: AssignBench) -> None:
    before = places(bench)
    new = {group: bench.add(group, 4) for group in range(3)}
    bench.assign("first", MAPPED)
    assert np.array_equal(places(bench, list(range(3 * EACH))), before)
    for group in range(3):
        near = np.linalg.norm(places(bench, new[group])[:, None] - before[None], axis=2)
        assert set((near.argmin(axis=1) // EACH).tolist()) == {group}
        assert near.min(axis=1).max() < radius(before) / 5
    keys, flat = placed_since(bench.runs, bench.runs.load("run"))
    assert keys.tolist() == sorted(key for each in new.values() for key in each)
    assert np.array_equal(flat, places(bench, keys.tolist()))

    more = bench.add(1, 3, seed=7)
    bench.assign("second", MAPPED)
    keys, _ = placed_since(bench.runs, bench.runs.load("run"))
    assert set(more) < set(keys.tolist())
    bench.roll_back("second")
    bench.roll_back("first")
    assert (places(bench, list(keys)) == 0).all()
    assert len(placed_since(bench.runs, bench.runs.load("run"))[0]) == 0


def test_where_the_run_wrote_no_map_places_are_recorded_alone(bench: AssignBench) -> None:
    """Somebody has looked at the map of a run that wrote none."""
    bench.run("plain", PLAIN)
    layout_of(bench, "plain")
    new = bench.add(2, 4)
    bench.assign("first", PLAIN)
    assert (places(bench, new) == 0).all()
    keys, flat = placed_since(bench.runs, bench.runs.load("plain"))
    assert keys.tolist() == new
    assert placed(flat).all()
    bench.runs.drop_arrays("plain", MAP)
    more = bench.add(2, 4, seed=9)
    bench.assign("second", PLAIN)
    assert bench.label(more) != [-9] * 4
    assert placed_since(bench.runs, bench.runs.load("plain"))[0].tolist() == new


def test_rows_that_are_near_each_other_alone_wait_for_the_next_map(bench: AssignBench) -> None:
    """All neighbours of a large new group are new as well: nothing says where it lies."""
    new = bench.add(3, 60) + bench.add(1, 2)
    told = bench.assign("first", MAPPED).facts
    assert (told["emergence"]["clusters"], told["assign"]["placed"]) == (1, 2)
    assert ((places(bench, new) != 0).all(axis=1)).tolist() == [False] * 60 + [True] * 2
    assert bench.run("later", MAPPED).facts["map"]["rows"] == 3 * EACH + 62
    assert (places(bench, new) != 0).all()


def test_merging_clusters_moves_nothing(bench: AssignBench) -> None:
    before = places(bench)
    outlets = bench.outlets()
    journal = begin(outlets, MAPPED, "merge", {})
    merge_clusters(outlets, Listener(), journal, 0, 1, bench.places)
    assert np.array_equal(places(bench), before)
    bench.roll_back("merge")
    assert np.array_equal(places(bench), before)


class Failing(MemorySink):
    """The server goes away after half of the rows."""

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        super().write(batch.take(np.arange(len(batch)) % 2 == 0), partition)
        raise BackendUnavailableError("gone")


def test_interrupted_it_is_finished_by_the_next_run_or_by_apply(tmp_path: Path) -> None:
    broken = AssignBench(tmp_path / "broken")
    with pytest.raises(BackendUnavailableError):
        run(
            broken.outlets(Failing(broken.held)),  # type: ignore[arg-type]
            MAPPED,
            Listener(),
            run_id="run",
            versions={},
        )
    assert 0 < np.count_nonzero(places(broken)[:, 0]) < len(broken.held)
    applied = broken.copy(tmp_path / "applied")
    applied.apply("run")
    layout = recorded_layout(applied.runs, "run")
    assert layout is not None
    assert np.array_equal(places(applied), np.stack(coordinates(layout.flat), axis=1))
    broken.run("again", MAPPED)
    assert (places(broken) != 0).all()
    assert broken.run("third", MAPPED).facts["write"]["written"] == 0


def layout_of(bench: AssignBench, run_id: str, **settings: Any) -> Any:
    opened, manifest = bench.outlets(), bench.runs.load(run_id)
    chosen = load_settings({"map": settings})
    members = run_members(opened, manifest, Listener(), Room(1 << 30))  # type: ignore[arg-type]
    return run_layout(opened, manifest, members, chosen, Listener())  # type: ignore[arg-type]


def test_a_layout_is_made_once_and_laid_beside_the_rows_that_are_left(bench: AssignBench) -> None:
    bench.run("plain", PLAIN)
    first = layout_of(bench, "plain")
    assert movement(places(bench), first.flat).median < 0.2  # begun from the last map
    assert layout_of(bench, "plain").flat.tobytes() == first.flat.tobytes()
    space = layout_of(bench, "plain", dimensions=3)
    assert space.flat.tobytes() == first.flat.tobytes()
    assert space.space.shape == (3 * EACH, 3)
    bench.held.delete(rows_of(0)[:10])
    assert layout_of(bench, "plain").flat.tobytes() == first.flat[10:].tobytes()
    anew = layout_of(bench, "plain", afresh=True)
    assert anew.space is None
    kept = recorded_layout(bench.runs, "plain")
    assert len(kept.flat) == 3 * EACH
    assert np.isnan(kept.flat[:10]).all()
    assert kept.flat[10:].tobytes() == anew.flat.tobytes()


def test_the_last_map_is_the_newest_of_the_same_rows(bench: AssignBench) -> None:
    bench.run("later", MAPPED)
    later = bench.runs.load("later")
    found = last_map(bench.runs, later)
    assert found is not None
    assert found.run_id == "run"
    other = begin(bench.outlets(), load_settings({"write": {"label_prefix": "b_"}}), "x", {}).begun
    assert last_map(bench.runs, other) is None
    bench.runs.drop_arrays("run", MAP)
    assert last_map(bench.runs, later) is None
    layout = recorded_layout(bench.runs, "later")
    bench.runs.remove("later")
    keep_layout(bench.runs, "half", layout)
    assert last_map(bench.runs, bench.runs.load("run")) is None


@pytest.mark.parametrize(
    "each",
    [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(7, marks=pytest.mark.slow)],
)
def test_few_rows_have_a_map_too(tmp_path: Path, each: int) -> None:
    bench = AssignBench(tmp_path, each=each)
    assert bench.run("run", MAPPED).facts["map"]["rows"] == 3 * each
    assert len(np.unique(places(bench), axis=0)) == 3 * each
    assert bench.run("again", MAPPED).facts["write"]["written"] == 0
    bench.held.delete(list(range(1, 3 * each)))
    alone = bench.run("alone", MAPPED)
    assert (alone.facts["map"]["rows"], places(bench).tolist()) == (0, [[0, 0]])


def test_whose_places_are_ours(bench: AssignBench) -> None:
    every, identity = bench.runs.every(), bench.held.identity
    assert has_written_map(every, identity, "cluster_")
    assert not has_written_map(every, identity, "b_")
    assert not has_written_map(every, "another", "cluster_")
    bench.roll_back("run")
    assert has_written_map(bench.runs.every(), identity, "cluster_")
    plain = begin(bench.outlets(), PLAIN, "p", {})
    assert not has_written_map([plain.manifest("written")], identity, "cluster_")
    planned = begin(bench.outlets(), MAPPED, "p", {})
    assert not has_written_map([planned.manifest("planned")], identity, "cluster_")


def test_values_that_no_map_of_ours_has_are_no_places() -> None:
    keys = np.arange(4)
    batch = replace(
        LabelBatch.blank(keys),
        map_x=np.array([1, 3e38, 0, -2], np.float32),
        map_y=np.array([1, 1, 1, -2], np.float32),
    )
    assert placed(stored_places(keys, [batch])).tolist() == [True, False, False, True]


def test_nothing_adds_up() -> None:
    """However many maps each move a little, a stored place stays near the newest of them."""
    rng = np.random.default_rng(0)
    true = rng.normal(0, 7, (200, 2)).astype(np.float32)
    stored = true.copy()
    for _ in range(30):
        true = (true + rng.normal(0, 0.1, true.shape)).astype(np.float32)
        stored = steady(true, stored)
        apart = np.linalg.norm(stored - true, axis=1)
        assert apart.max() <= TOLERANCE * radius(true) * 1.1
    assert (apart > 0).any()


def test_large_maps_are_made_in_parallel_unless_said_otherwise() -> None:
    def seed(rows: int, **given: str) -> int | None:
        return layout_params(load_settings({"map": given, "run": {"seed": 5}}), rows, 2).seed

    assert (seed(100_000), seed(100_001)) == (5, None)
    assert (seed(100_001, layout_seed="fixed"), seed(10, layout_seed="none")) == (5, None)
