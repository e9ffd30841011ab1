"""``--incremental``: new and changed rows are searched, and the labels are those of a run anew."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.unit.graph_worlds import World, blobs, copy_of, settings
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.pipeline.graph_carry import MOST_TOUCHED, drifted

INCREMENTAL = settings(incremental=True)
ANEW = settings(reuse=False)
UNCENTRED = load_settings(
    {
        "scale": {"incremental": True},
        "neighbors": {"center": "none"},
        "cluster": {"resamples": 0, "method": "hdbscan", "min_samples": 3},
    }
)


def change(world: World, new: int, gone: int, changed: int, seed: int) -> None:
    """Insert, delete and change rows, some to be copies of others: ties."""
    rng, held = np.random.default_rng(seed), world.held
    held.delete(rng.choice(held.keys, gone, replace=False))
    at = rng.choice(len(held.keys), changed, replace=False)
    held.vectors[at] = held.vectors[rng.choice(len(held.keys), changed)] + rng.integers(0, 2) * 0.01
    first = int(rng.integers(-50, 2000))
    free = [key for key in range(first, first + 5000) if key not in set(held.keys.tolist())]
    rows = held.vectors[rng.choice(len(held.keys), new)]
    held.insert(free[:new], rows + (rng.random((new, 1)) < 0.5) * np.float32(0.05))


def anew(world: World, folder: Path, how: Settings) -> World:
    """A run of the same rows in a folder without earlier runs."""
    found = World(copy_of(world.held), folder, metric=world.metric, where=world.where)
    found.run("anew", how)
    return found


@hypothesis_settings(deadline=None, max_examples=12)
@given(
    n=st.integers(80, 160),  # fewer have no more neighbours than are wanted
    new=st.integers(0, 12),
    gone=st.integers(0, 8),
    changed=st.integers(0, 8),
    seed=st.integers(0, 999),
    metric=st.sampled_from(["chord", "euclidean"]),
)
def test_the_labels_are_those_of_a_run_anew(
    n: int, new: int, gone: int, changed: int, seed: int, metric: str
) -> None:
    with TemporaryDirectory() as folder:
        held = MemoryCollection(np.round(blobs(n, 3, seed), 1))  # ties everywhere
        world = World(held, Path(folder) / "carried", metric=metric)
        world.run("0", UNCENTRED)
        for time in ("1", "2"):  # what was carried over is carried over again
            change(world, new, gone, changed, seed)
            beside = anew(world, Path(folder) / time, UNCENTRED)
            found = world.run(time, UNCENTRED).facts["neighbors"]
            assert world.labels() == beside.labels()
            touched = (new + changed + gone) / len(world.held)
            few = touched <= MOST_TOUCHED - 0.02
            assert not few or found["from"] in ("carried", "kept")
            assert found["searched"] == sum(world.asked)


def test_few_rows_are_searched_and_it_is_told(tmp_path: Path) -> None:
    world = World(MemoryCollection(blobs(2000)), tmp_path)
    world.run("first", INCREMENTAL)
    world.held.delete(np.arange(60))
    world.held.vectors[100:140] = blobs(40, seed=1)
    world.held.insert(np.arange(9000, 9100), blobs(100, seed=2))
    second = world.run("second", INCREMENTAL)
    told = second.facts["neighbors"]
    assert (told["from"], told["run"]) == ("carried", "first")
    assert (told["new"], told["changed"], told["gone"]) == (100, 40, 60)
    assert told["searched"] == sum(world.asked)
    assert 140 <= told["searched"] < 300
    assert second.facts["audit"]["recall"] == 1.0
    assert any("carried over from run first" in note for note in world.notes)
    third = world.run("third", INCREMENTAL)
    assert third.facts["neighbors"]["from"] == "kept"
    assert world.asked == []


def test_nothing_is_carried_over_where_it_is_not_asked_for(tmp_path: Path) -> None:
    world = World(MemoryCollection(blobs()), tmp_path)
    world.run("first", INCREMENTAL)
    change(world, 1, 0, 0, 0)
    assert world.run("second", settings()).facts["neighbors"]["from"] == "searched"
    assert sum(world.asked) == 301


@pytest.mark.parametrize(
    ("new", "gone", "why"),
    [(150, 0, "150 new, 0 changed, 0 gone are 33% of the rows"), (0, 90, "90 gone are 43%")],
)
def test_too_much_has_changed(tmp_path: Path, new: int, gone: int, why: str) -> None:
    world = World(MemoryCollection(blobs()), tmp_path)
    world.run("first", INCREMENTAL)
    change(world, new, gone, 0, 0)
    second = world.run("second", INCREMENTAL)
    assert second.facts["neighbors"]["from"] == "searched"
    assert any(why in note for note in world.notes), world.notes


def test_the_first_run_says_that_there_is_nothing_to_carry_over(tmp_path: Path) -> None:
    world = World(MemoryCollection(blobs()), tmp_path)
    world.run("first", INCREMENTAL)
    assert any("no earlier run of this selection" in note for note in world.notes)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"run": {"seed": 1}}, "searched in another way"),
        ({"neighbors": {"center": "mean"}}, "searched in another way"),
        ({"neighbors": {"n_neighbors": 60}}, "60 neighbours are wanted now, and 21 were found"),
    ],
)
def test_what_was_found_in_another_way_is_not_carried_over(
    tmp_path: Path, how: dict[str, dict[str, object]], why: str
) -> None:
    world = World(MemoryCollection(blobs()), tmp_path)
    world.run("first", INCREMENTAL)
    change(world, 1, 0, 0, 0)
    second = world.run("second", load_settings({"scale": {"incremental": True}, **how}))
    assert second.facts["neighbors"]["from"] == "searched"
    assert any(why in note for note in world.notes), world.notes


def test_what_was_found_approximately_is_not_called_exact(tmp_path: Path) -> None:
    world = World(MemoryCollection(blobs(3000)), tmp_path, exact_rows=1000)
    world.run("first", INCREMENTAL)
    change(world, 20, 0, 0, 0)
    second = world.run("second", INCREMENTAL)
    assert second.facts["neighbors"]["from"] == "carried"
    assert second.facts["neighbors"]["exact"] is False
    assert second.facts["audit"]["recall"] > 0.9
    change(world, 20, 0, 0, 1)
    world.exact_rows = 30_000
    third = world.run("third", INCREMENTAL)
    assert third.facts["neighbors"]["from"] == "searched"
    assert any("found approximately" in note for note in world.notes)


def test_the_mean_of_the_earlier_run_is_kept_until_it_has_drifted(tmp_path: Path) -> None:
    narrow = blobs(600) + np.float32(12)
    world = World(MemoryCollection(narrow), tmp_path)
    world.run("first", INCREMENTAL)
    change(world, 20, 10, 5, 0)
    second = world.run("second", INCREMENTAL)
    assert second.facts["neighbors"]["from"] == "carried"
    assert any("the mean of that run is subtracted" in note for note in world.notes)
    runs = world.adapters().runs
    mean = runs.load_arrays("second", "graph")["mean"]
    assert 140 > second.facts["neighbors"]["searched"] >= 25
    assert runs.load_arrays("second", "kept")["mean"] == pytest.approx(mean)
    other = blobs(120, seed=1) * np.float32(3) - np.float32(40)
    world.held.insert(np.arange(5000, 5120), other)
    third = world.run("third", INCREMENTAL)
    assert third.facts["neighbors"]["from"] == "searched"
    assert any("mean" in note and "moved" in note for note in world.notes), world.notes


def test_a_mean_is_not_taken_for_none() -> None:
    mean = np.array([0.9, 0.0])
    assert drifted(None, None) == ""
    assert drifted(mean, mean) == ""
    assert "centred now" in drifted(None, mean)
    assert "centred now" in drifted(mean, None)
    assert drifted(mean, mean + 0.04) != ""
    assert drifted(mean, mean + 0.01) == ""


def test_it_contradicts_no_reuse() -> None:
    with pytest.raises(Exception, match="incremental"):
        settings(incremental=True, reuse=False)
