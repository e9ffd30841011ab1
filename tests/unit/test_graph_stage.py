"""The neighbour graph of a run: kept where nothing has changed, else searched, killed or not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.graph_worlds import World, blobs, copy_of, settings
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.adapters.work_folders import WorkFolders
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import NotEnoughMemoryError, VdbclusterError
from vdbcluster.model.collection import VectorField
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.pipeline import cluster
from vdbcluster.pipeline.graph_record import GRAPH, recorded_graph
from vdbcluster.pipeline.graph_stage import Found, GraphStage
from vdbcluster.pipeline.room import Room
from vdbcluster.pipeline.smooth_stage import SMOOTHED
from vdbcluster.ports.runs import LARGE_PARTS

PLAIN = settings()


def having(section: str, **values: object) -> Settings:
    return load_settings({"cluster": {"resamples": 0}, section: {**values}})


def made(folder: Path) -> World:
    world = World(MemoryCollection(blobs()), folder)
    first = world.run("first", PLAIN)
    assert first.facts["neighbors"]["from"] == "searched"
    assert first.facts["neighbors"]["searched"] == sum(world.asked) == 300
    assert world.work() == []
    return world


def test_another_min_cluster_size_takes_the_neighbours_as_they_are(tmp_path: Path) -> None:
    world = made(tmp_path / "kept")
    beside = World(copy_of(world.held), tmp_path / "anew")
    sizes = load_settings({"cluster": {"min_cluster_size": 40, "resamples": 0}})
    second = world.run("second", sizes)
    assert world.asked == []
    told = second.facts["neighbors"]
    assert (told["from"], told["run"], told["searched"]) == ("kept", "first", 0)
    assert second.facts["audit"]["run"] == "first"
    assert "audit" not in second.seconds
    assert any("those of run first" in note for note in world.notes)
    beside.run("second", sizes)
    assert sum(beside.asked) == 300
    assert world.labels() == beside.labels()
    runs = RunDirectory(world.folder)
    assert runs.having(GRAPH) == ("second",)
    assert recorded_graph(runs, "first") is not None  # it went on, and is the same
    third = world.run("third", sizes)
    assert third.facts["neighbors"]["run"] == "second"
    assert third.facts["write"]["written"] == 0


def test_the_smoothed_graph_is_taken_where_it_was_smoothed_in_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoothed: list[int] = []
    real = cluster.smoothed

    def counted(graph: NeighborGraph, *how: object, **more: object) -> NeighborGraph:
        smoothed.append(graph.n_rows)
        return real(graph, *how, **more)

    monkeypatch.setattr(cluster, "smoothed", counted)
    world = made(tmp_path)
    runs = RunDirectory(tmp_path)
    sizes = load_settings({"cluster": {"min_cluster_size": 40, "resamples": 0}})
    world.run("second", sizes)
    assert smoothed == [300]
    assert runs.having(SMOOTHED) == ("second",)
    world.run("third", having("scale", reuse=False))
    assert smoothed == [300, 300]
    assert runs.having(SMOOTHED) == ("third",)
    world.run("fourth", having("neighbors", smooth="none"))
    assert smoothed == [300, 300, 300]  # does nothing, and is not kept
    assert runs.having(SMOOTHED) == ("third",)
    change_a_vector(world)
    world.run("fifth", PLAIN)
    assert len(smoothed) == 4
    damaged = tmp_path / "fifth" / "smoothed.npz"
    damaged.write_bytes(damaged.read_bytes()[:-300])
    world.run("sixth", PLAIN)
    assert len(smoothed) == 5


def test_what_was_smoothed_of_another_search_with_the_same_key_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = made(tmp_path)
    runs = RunDirectory(tmp_path)

    def dies(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(cluster, "smoothed", dies)
        with pytest.raises(Killed):
            world.run("killed", settings(reuse=False))
    assert (runs.having(GRAPH), runs.having(SMOOTHED)) == (("killed",), ("first",))
    second = world.run("second", PLAIN)
    assert second.facts["neighbors"]["run"] == "killed"
    assert second.facts["smoothed"] != runs.load("first").facts["smoothed"]
    assert runs.having(SMOOTHED) == ("second",)


def test_what_is_kept_lies_where_large_arrays_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[NeighborGraph] = []
    real = cluster.extracted

    def looked(graph: NeighborGraph, *rest: Any, **more: Any) -> object:
        seen.append(graph)
        return real(graph, *rest, **more)

    world = made(tmp_path)
    for module in ("graph_stage", "planning"):
        monkeypatch.setattr(f"vdbcluster.pipeline.{module}.room_of", lambda _: Room(8, tmp_path))
    monkeypatch.setattr(cluster, "extracted", looked)
    find = GraphStage.find

    def found(stage: GraphStage, *rest: object) -> Found:
        of = find(stage, *rest)
        seen.append(of.graph)
        return of

    monkeypatch.setattr(GraphStage, "find", found)
    assert world.run("second", PLAIN).facts["neighbors"]["from"] == "kept"
    assert len(seen) == 2
    for graph in seen:
        assert isinstance(graph.indices, np.memmap)
        assert isinstance(graph.distances, np.memmap)


def test_a_search_that_fails_is_not_hidden_where_nothing_is_to_be_reused(tmp_path: Path) -> None:
    world = made(tmp_path)

    def fails() -> None:
        raise VdbclusterError("the server is gone")

    world.before = fails
    with pytest.raises(VdbclusterError, match="the server is gone"):
        world.run("second", settings(reuse=False))


def test_pieces_that_cannot_be_dropped_do_not_end_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise VdbclusterError("read only")

    monkeypatch.setattr(WorkFolders, "clear", refused)
    world = World(MemoryCollection(blobs()), tmp_path)
    assert world.run("first", PLAIN).state == "written"
    assert any("left behind: read only" in told for told in world.warnings)


def test_an_audit_of_more_rows_is_made(tmp_path: Path) -> None:
    world = made(tmp_path)
    more = world.run("second", having("neighbors", audit=250))
    assert world.asked == []
    assert more.facts["audit"]["sample"] == 250
    assert "run" not in more.facts["audit"]


def change_a_vector(world: World) -> None:
    world.held.vectors[7, 2] = np.nextafter(world.held.vectors[7, 2], 9)


def insert(world: World) -> None:
    world.held.insert([9000], blobs(1, seed=3))


def delete(world: World) -> None:
    world.held.delete([5])


def another_key(world: World) -> None:
    world.held.keys[299] = 9000


def recreate(world: World) -> None:
    vectors, keys = world.held.vectors, world.held.keys
    world.held.recreate()
    world.held.insert(keys, vectors)


def part(world: World) -> None:
    world.where = lambda keys: keys < 280


def other_metric(world: World) -> None:
    world.metric = "angular"


def other_index(world: World) -> None:
    world.searching = {"index": "HNSW"}


def damage(world: World) -> None:
    place = world.folder / "first" / "graph.npz"
    place.write_bytes(place.read_bytes()[:-500])


def lose(world: World) -> None:
    (world.folder / "first" / "graph.npz").unlink()


@pytest.mark.parametrize(
    "happens",
    [
        change_a_vector,
        insert,
        delete,
        another_key,
        recreate,
        part,
        other_metric,
        other_index,
        damage,
        lose,
    ],
)
def test_nothing_is_taken_that_was_found_among_others(
    tmp_path: Path, happens: Callable[[World], None]
) -> None:
    world = made(tmp_path)
    happens(world)
    second = world.run("second", PLAIN)
    assert second.facts["neighbors"]["from"] == "searched"
    assert sum(world.asked) == len(world.held.keys) - (20 if happens is part else 0)


@pytest.mark.parametrize(
    "how",
    [
        having("neighbors", n_neighbors=20),
        having("neighbors", center="mean"),
        having("run", seed=1),
        having("scale", reuse=False),
        having("milvus", filter="year > 2000"),
        having("milvus", partitions=("_default",)),
    ],
)
def test_nothing_is_taken_that_was_found_in_another_way(tmp_path: Path, how: Settings) -> None:
    world = made(tmp_path)
    second = world.run("second", how)
    assert second.facts["neighbors"]["from"] == "searched"
    assert sum(world.asked) == 300


def test_what_an_unfinished_index_has_found_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(MemoryCollection(blobs()), tmp_path)
    field = VectorField("vector", "FLOAT_VECTOR", 6, "COSINE", "HNSW", unindexed_rows=9)
    source = world.adapters().source
    monkeypatch.setattr(type(source), "vector", property(lambda _: field))
    world.run("first", PLAIN, local=False)
    world.run("second", PLAIN, local=False)
    assert world.asked == []
    field = VectorField("vector", "FLOAT_VECTOR", 6, "COSINE", "HNSW")
    third = world.run("third", PLAIN, local=False)
    assert third.facts["neighbors"]["from"] == "searched"


def test_labels_under_another_prefix_share_the_neighbours_and_both_keep_them(
    tmp_path: Path,
) -> None:
    world = made(tmp_path)
    second = world.run("second", having("write", label_prefix="sub_"))
    assert second.facts["neighbors"]["from"] == "kept"
    assert sorted(RunDirectory(tmp_path).having(GRAPH)) == ["first", "second"]


def test_without_keep_graph_nothing_stays(tmp_path: Path) -> None:
    world = World(MemoryCollection(blobs()), tmp_path)
    how = having("run", keep_graph=False)
    world.run("first", how)
    assert world.work() == []
    assert RunDirectory(tmp_path).having(GRAPH) == ()
    assert world.run("second", how).facts["neighbors"]["from"] == "searched"


class Full(RunDirectory):
    """The disk has no room for graphs; what else there is fits."""

    def save_arrays(self, run_id: str, arrays: Any, part: str = "plan") -> None:
        if part in LARGE_PARTS:
            raise VdbclusterError(f"the {part} cannot be written (No space left on device)")
        super().save_arrays(run_id, arrays, part)


def test_a_disk_that_is_full_costs_the_graph_and_not_the_run(tmp_path: Path) -> None:
    world = World(MemoryCollection(blobs()), tmp_path)
    first = world.run("first", PLAIN, runs=Full(tmp_path))
    assert first.state == "written"
    lost = [line for line in world.warnings if "No space left" in line]
    assert [line.split(",")[0] for line in lost] == [
        "the next run searches again",
        "the next run smooths again",
    ]
    runs = RunDirectory(tmp_path)
    assert runs.having(GRAPH) == runs.having(SMOOTHED) == ()
    assert world.run("second", PLAIN).facts["neighbors"]["from"] == "searched"


def test_a_plan_that_cannot_be_kept_ends_the_run(tmp_path: Path) -> None:
    class NoPlan(RunDirectory):
        def save_arrays(self, run_id: str, arrays: Any, part: str = "plan") -> None:
            if part == "plan":
                raise VdbclusterError("the plan cannot be written (No space left on device)")
            super().save_arrays(run_id, arrays, part)

    world = World(MemoryCollection(blobs()), tmp_path)
    with pytest.raises(VdbclusterError, match="the plan cannot be written"):
        world.run("first", PLAIN, runs=NoPlan(tmp_path))
    assert not world.held.labelled.any()


def test_memory_that_runs_out_is_one_line(tmp_path: Path) -> None:
    world = World(MemoryCollection(blobs()), tmp_path)

    def before() -> None:
        np.empty((1 << 40, 1 << 10), np.float32)

    world.before = before
    with pytest.raises(NotEnoughMemoryError) as told:
        world.run("first", PLAIN)
    line = str(told.value)
    assert "(stage neighbors)" in line
    assert "PiB" in line
    assert "--memory-limit" in line
    assert "\n" not in line


class Killed(BaseException):
    """What nobody catches."""


def killed(world: World, calls: int, how: Settings = PLAIN) -> None:
    """A run that ends in the midst of its search."""
    left = iter(range(calls))

    def before() -> None:
        if next(left, None) is None:
            raise Killed

    world.before = before
    with pytest.raises(Killed):
        world.run("killed", how)
    world.before = lambda: None


def test_a_killed_search_goes_on_after_the_last_piece(tmp_path: Path) -> None:
    world = World(MemoryCollection(blobs()), tmp_path / "killed")
    beside = World(copy_of(world.held), tmp_path / "whole")
    killed(world, 3)
    assert len([name for name in world.work() if name.startswith("graph-")]) == 3
    world.pieces = 7  # who goes on may have other workers; the pieces are those of before
    second = world.run("second", PLAIN)
    assert world.asked == [60, 60]
    assert any("60% of them were found by an earlier run" in note for note in world.notes)
    assert second.facts["neighbors"]["from"] == "searched"
    beside.run("whole", PLAIN)
    assert world.labels() == beside.labels()
    assert world.work() == []


def test_killed_after_the_search_the_graph_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(MemoryCollection(blobs()), tmp_path)

    def dies(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("vdbcluster.pipeline.cluster.cluster_graph", dies)
        with pytest.raises(Killed):
            world.run("killed", PLAIN)
    second = world.run("second", PLAIN)
    assert (world.asked, second.facts["neighbors"]["run"]) == ([], "killed")
    assert second.facts["audit"]["sample"] == 200
    assert world.work() == []


def test_pieces_of_another_search_are_not_taken(tmp_path: Path) -> None:
    world = World(MemoryCollection(blobs()), tmp_path)
    killed(world, 3)
    change_a_vector(world)
    world.run("second", PLAIN)
    assert sum(world.asked) == 300


def test_no_reuse_searches_all_pieces_again(tmp_path: Path) -> None:
    world = World(MemoryCollection(blobs()), tmp_path)
    killed(world, 3)
    world.run("second", settings(reuse=False))
    assert sum(world.asked) == 300
    assert world.work() == []


def test_what_nobody_will_finish_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    world = World(MemoryCollection(blobs()), tmp_path)
    killed(world, 3, having("run", seed=3))
    abandoned = next((tmp_path / "work").iterdir())
    foreign = tmp_path / "work" / "mine"
    foreign.mkdir()
    (foreign / "graph-00000.npz").write_bytes(b"x")
    other = tmp_path / "work" / f"{'0' * 12}-{'0' * 32}"  # of another selection
    other.mkdir()
    (other / "graph-00000.npz").write_bytes(b"x")
    note = abandoned / "my notes.txt"
    note.write_text("do not touch")
    world.run("young", PLAIN)
    assert len(list(abandoned.iterdir())) > 1  # somebody may be at it
    old = time.time() - 90_000
    for path in [*abandoned.iterdir(), *foreign.iterdir(), *other.iterdir()]:
        os.utime(path, (old, old))
    world.run("later", PLAIN)
    assert list(abandoned.iterdir()) == [note]
    assert list(foreign.iterdir()) != []
    assert list(other.iterdir()) != []


def test_two_runs_with_one_key_do_no_harm_to_each_other(tmp_path: Path) -> None:
    world = World(MemoryCollection(blobs()), tmp_path)
    rival = World(copy_of(world.held), tmp_path)
    calls = []

    def before() -> None:
        calls.append(0)
        if len(calls) == 4:  # the rival comes, takes what there is, finishes, removes the pieces
            rival.run("rival", having("write", label_prefix="sub_"))

    world.before = before
    first = world.run("first", PLAIN)
    assert sum(rival.asked) == 120
    assert first.state == "written"
    alone = World(copy_of(world.held), tmp_path / "alone")
    alone.run("alone", PLAIN)
    assert world.labels() == alone.labels()
    assert world.work() == []


def test_names_of_folders_are_not_guessed(tmp_path: Path) -> None:
    place = WorkFolders(str(tmp_path))
    place.clear("ab", "", 0.0)  # there is nothing
    name = f"{'a' * 12}-{'b' * 32}"
    place.store(name).save("graph-00000", {"x": np.zeros(1)})
    place.clear("a", name, 0.0)
    assert place.store(name).has("graph-00000")
    place.clear("b", "", 0.0)
    assert place.store(name).has("graph-00000")
    place.clear("a", "", 1000.0)
    assert place.store(name).has("graph-00000")
    place.clear("a", "", -1.0)
    assert not (tmp_path / name).exists()
