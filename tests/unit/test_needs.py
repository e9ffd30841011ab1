"""What a run takes of memory and disk, and what is refused for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.silent import Listener
from vdbcluster.adapters.gpu_graph import graph_bytes
from vdbcluster.config.scale import ScaleSettings
from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError
from vdbcluster.pipeline.budget import check_budget
from vdbcluster.pipeline.needs import (
    GPU_STAGED,
    MIB,
    Job,
    disk_bytes,
    memory_bytes,
    peak_bytes,
    worker_bytes,
)
from vdbcluster.pipeline.room import SHARE, Room, room_of
from vdbcluster.ports.machine import UnknownMachine
from vdbcluster.wiring.budget import with_graph

PLENTY = Room(1 << 60)
MEASURED = {
    "870 x 384, a Lite file, auto": (
        Job(n_rows=870, dim=384, n_neighbors=29, walks=24, soft=True, local=True, embedded=True),
        253,
    ),
    "870 x 768, a Lite file, hdbscan": (
        Job(n_rows=870, dim=768, n_neighbors=50, local=True, embedded=True),
        326,
    ),
    "3,684 x 384, a Lite file, auto": (
        Job(n_rows=3684, dim=384, n_neighbors=50, walks=31, soft=True, local=True, embedded=True),
        381,
    ),
    "20,000 x 384, a Lite file, auto": (
        Job(n_rows=20_000, dim=384, n_neighbors=50, walks=64, soft=True, local=True, embedded=True),
        799,
    ),
    "20,000 x 384, a server of Lite, hdbscan": (
        Job(n_rows=20_000, dim=384, n_neighbors=50, local=True),
        385,
    ),
    "20,000 x 384, a server, auto": (
        Job(n_rows=20_000, dim=384, n_neighbors=50, walks=64, soft=True, local=True),
        385,
    ),
    "70,000 x 50, a server of Lite, auto": (
        Job(n_rows=70_000, dim=50, n_neighbors=50, walks=164, soft=True, local=True, index=3 << 20),
        383,
    ),
    "200,000 x 50, a server of Lite, hdbscan": (
        Job(n_rows=200_000, dim=50, n_neighbors=50, local=True, index=9 << 20),
        471,
    ),
    "870 x 384, a server of Lite, auto": (
        Job(n_rows=870, dim=384, n_neighbors=29, walks=24, soft=True, local=True),
        165,
    ),
}
"""MiB of our own at the peak, by ``scripts/bench_estimate``."""
BY_STAGE = {
    "20,000 x 384, auto": (
        Job(n_rows=20_000, dim=384, n_neighbors=50, walks=64, soft=True, local=True),
        {"read": 214, "neighbors": 370, "audit": 245, "cluster": 258, "stability": 258},
        {"plan": 260, "write": 291},
    ),
    "70,000 x 50, auto": (
        Job(n_rows=70_000, dim=50, n_neighbors=50, walks=164, soft=True, local=True, index=3 << 20),
        {"read": 159, "neighbors": 246, "audit": 246, "cluster": 383, "stability": 330},
        {"plan": 336, "write": 245},
    ),
    "70,000 x 50, hdbscan": (
        Job(n_rows=70_000, dim=50, n_neighbors=50, local=True, index=3 << 20),
        {"read": 159, "neighbors": 259, "audit": 259, "cluster": 272, "stability": 291},
        {"plan": 301, "write": 267},
    ),
}
"""MiB of our own by stage, on a server of Milvus Lite, likewise."""

jobs = st.builds(
    Job,
    n_rows=st.integers(1, 10**8),
    dim=st.integers(1, 2048),
    n_neighbors=st.integers(1, 100),
    walks=st.integers(0, 256),
    samples=st.integers(0, 100),
    soft=st.booleans(),
    local=st.booleans(),
    index=st.integers(0, 10**9),
    gpu=st.booleans(),
    building=st.integers(0, 10**9),
    centered=st.booleans(),
    embedded=st.booleans(),
    text_keys=st.booleans(),
)


@pytest.mark.parametrize("name", MEASURED)
def test_the_rule_is_within_a_quarter_of_what_was_measured(name: str) -> None:
    job, measured = MEASURED[name]
    assert abs(peak_bytes(job, Room(512 << 20)) / MIB / measured - 1) < 0.25


@pytest.mark.parametrize("name", BY_STAGE)
def test_every_stage_is_within_a_quarter_of_what_was_measured(name: str) -> None:
    job, *measured = BY_STAGE[name]
    foretold = memory_bytes(job, Room(512 << 20))
    for stage, taken in (measured[0] | measured[1]).items():
        assert abs(foretold[stage] / MIB / taken - 1) < 0.25, stage


@given(jobs, st.integers(0, 10**10))
def test_more_rows_never_take_less_and_files_never_take_memory(job: Job, bound: int) -> None:
    more = replace(job, n_rows=job.n_rows + 1000)
    at_once, spilled = memory_bytes(job, PLENTY), memory_bytes(job, Room(bound))
    assert all(spilled[stage] <= at_once[stage] for stage in at_once)
    assert all(memory_bytes(more, PLENTY)[stage] >= at_once[stage] for stage in at_once)
    assert disk_bytes(job, Room(bound))["meanwhile"] >= disk_bytes(job, PLENTY)["meanwhile"]
    assert disk_bytes(more, PLENTY)["record"] > disk_bytes(job, PLENTY)["record"]


def test_a_million_rows_fit_in_8_gb_and_200_000_in_2() -> None:
    million = Job(n_rows=10**6, dim=384, n_neighbors=50, walks=32, soft=True)
    assert peak_bytes(million, Room(8 * 10**9 // SHARE)) < 4 * 10**9
    some = replace(million, n_rows=200_000, walks=83)
    assert peak_bytes(some, Room(2 * 10**9 // SHARE)) < 1.5 * 10**9


def test_the_nearest_of_min_samples_are_counted_in_memory_or_on_disk() -> None:
    few = Job(n_rows=10**6, dim=8, n_neighbors=400, samples=10, resamples=0)
    many = replace(few, samples=200)
    nearest = 4 * 200 * few.n_rows
    all_of_it, mapped = Room(nearest), Room(nearest - 1)
    taken = [memory_bytes(job, all_of_it)["cluster"] for job in (few, many)]
    assert 0.8 * nearest < taken[1] - taken[0] <= nearest
    assert disk_bytes(few, all_of_it) == disk_bytes(many, all_of_it)
    assert memory_bytes(few, mapped) == memory_bytes(many, mapped)
    filed = [disk_bytes(job, mapped)["meanwhile"] for job in (few, many)]
    assert filed[1] - filed[0] == nearest


def test_edges_of_noise_lie_where_the_room_says() -> None:
    noisy = Job(n_rows=10**6, dim=8, n_neighbors=50, soft=True, resamples=0)
    edges = 4 * noisy.edges
    weights, none = (
        memory_bytes(noisy, Room(bound))["cluster"]
        - memory_bytes(replace(noisy, soft=False), Room(bound))["cluster"]
        for bound in (edges - 1, edges // 2 - 1)
    )
    assert 0 <= none < 40 * MIB
    assert 0 <= weights - 40 * MIB - none < edges // 2


def test_a_gpu_takes_its_share_of_the_host() -> None:
    """Blocks of rows, and what cuVS builds; its graph lies where the room says."""
    pairs = Job(n_rows=4 * 10**6, dim=384, n_neighbors=50, gpu=True)
    graph, building = graph_bytes(pairs.n_rows, 50)
    assert (graph, building) == (4 * 96 * pairs.n_rows, (1024 + 384 + 896 + 16) * pairs.n_rows)
    built = replace(pairs, index=graph, building=building)

    def taken(job: Job, room: Room) -> int:
        return memory_bytes(job, room)["neighbors"]

    small, asked = Room(graph - 1), 4096 * (20 * 384 + 60 * 107)
    every_pair = 4096 * (20 * 384 + 60 * 67) + GPU_STAGED
    assert taken(built, small) - taken(pairs, small) == building - every_pair
    assert taken(built, PLENTY) - taken(pairs, PLENTY) == graph + building - every_pair
    once_built = replace(built, building=0)
    assert taken(once_built, small) - taken(pairs, small) == asked + GPU_STAGED - every_pair
    assert disk_bytes(built, small)["meanwhile"] == disk_bytes(pairs, small)["meanwhile"] + graph
    assert disk_bytes(built, PLENTY) == disk_bytes(pairs, PLENTY)


class Small(UnknownMachine):
    """A machine with this much of everything."""

    def __init__(
        self, disk: int | None = None, memory: int | None = None, work: int | None = None
    ) -> None:
        self.disk, self.memory, self.work = disk, memory, work

    def free_disk(self, folder: Path) -> int | None:
        return self.work if folder.name == "work" else self.disk

    def same_disk(self, one: Path, other: Path) -> bool:
        return one == other or self.work is None

    def free_memory(self) -> int | None:
        return self.memory


JOB = Job(n_rows=5_000_000, dim=768, n_neighbors=50, walks=32, soft=True)


def settings(folder: Path, limit: str = "auto", work: str = "") -> Settings:
    scale = {"memory_limit": limit, "work_dir": work}
    return Settings.model_validate({"run": {"runs_dir": str(folder)}, "scale": scale})


def test_a_graph_is_reckoned_with_where_cuvs_may_build_it(tmp_path: Path) -> None:
    job = Job(n_rows=4 * 10**6, dim=384, n_neighbors=50, gpu=True)
    graph, building = graph_bytes(job.n_rows, 50)
    with_it = replace(job, index=graph, building=building)
    assert with_graph(job, settings(tmp_path, "64GB"), Small()) == with_it
    assert with_graph(job, settings(tmp_path, "16GB"), Small()) == job
    free = settings(tmp_path)
    enough = memory_bytes(job, room_of(free))["neighbors"] + 2 * building
    assert with_graph(job, free, Small(memory=enough)) == with_it
    assert with_graph(job, free, Small(memory=enough - 2)) == job


def test_too_little_memory_is_one_line_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as told:
        check_budget(JOB, settings(tmp_path, "2GB"), Small(), Listener())
    line = str(told.value)
    assert "\n" not in line
    assert "1,907 MiB" in line
    need = peak_bytes(JOB, Room(2 * 10**9 // SHARE)) // MIB
    assert f"about {need:,} MiB" in line
    assert "--method hdbscan" in line
    check_budget(JOB, settings(tmp_path, "64GB"), Small(), Listener())


def test_too_little_disk_is_one_line_with_both_numbers(tmp_path: Path) -> None:
    need = sum(disk_bytes(JOB, Room(512 << 20)).values())
    with pytest.raises(RefusedError) as told:
        check_budget(JOB, settings(tmp_path), Small(disk=need - 1), Listener())
    assert f"{need // MIB:,} MiB" in str(told.value)
    assert f"{(need - 1) // MIB:,} MiB are free" in str(told.value)
    check_budget(JOB, settings(tmp_path), Small(disk=need), Listener())


def test_pieces_are_counted_where_they_lie(tmp_path: Path) -> None:
    """In a folder of another disk, of the same disk, in an object store."""
    need = disk_bytes(JOB, Room(512 << 20))
    own, work = need["meanwhile"] + need["record"], str(tmp_path / "work")
    elsewhere = settings(tmp_path, work=work)
    check_budget(JOB, elsewhere, Small(disk=own, work=need["pieces"]), Listener())
    with pytest.raises(RefusedError, match=r"/work, and .* with --work-dir"):
        check_budget(JOB, elsewhere, Small(disk=own, work=need["pieces"] - 1), Listener())
    with pytest.raises(RefusedError, match="with --runs-dir"):
        check_budget(JOB, elsewhere, Small(disk=own - 1, work=need["pieces"]), Listener())
    with pytest.raises(RefusedError, match="with --runs-dir"):
        check_budget(JOB, elsewhere, Small(disk=own), Listener())
    far = settings(tmp_path, work="s3://bucket/work")
    check_budget(JOB, far, Small(disk=own, work=0), Listener())


def test_workers_take_memory_and_room_for_pieces(tmp_path: Path) -> None:
    alone, shared = disk_bytes(JOB, PLENTY), disk_bytes(replace(JOB, workers=4), PLENTY)
    assert shared["pieces"] > alone["pieces"] + JOB.vectors
    assert shared["record"] == alone["record"]
    assert worker_bytes(JOB, PLENTY) == 0
    four = settings(tmp_path).model_copy(update={"scale": ScaleSettings(workers=4)})
    job, room = replace(JOB, workers=4), Room(512 << 20)
    own, theirs = peak_bytes(job, room), 4 * worker_bytes(job, room)
    heard = Listener()
    check_budget(job, four, Small(memory=own + theirs), heard)
    assert heard.warnings == []
    check_budget(job, four, Small(memory=own + theirs - 1), heard)
    assert f"{theirs // MIB:,} MiB of it for 4 workers" in heard.warnings[0]


class OnTmpfs(Small):
    """The same machine, where files take memory."""

    def in_memory(self, folder: Path) -> bool:
        return folder.name == "runs"


def test_files_on_a_tmpfs_count_as_memory(tmp_path: Path) -> None:
    on_disk, there = settings(tmp_path, "20GB"), settings(tmp_path / "runs", "20GB")
    check_budget(JOB, on_disk, OnTmpfs(), Listener())
    files = disk_bytes(JOB, Room(20 * 10**9 // SHARE))["meanwhile"]
    with pytest.raises(RefusedError, match=r"lie in memory \(a tmpfs\): name a directory") as told:
        check_budget(JOB, there, OnTmpfs(), Listener())
    assert f"{files // MIB:,} MiB of it are files in {tmp_path / 'runs'}" in str(told.value)
    assert "\n" not in str(told.value)
    check_budget(JOB, settings(tmp_path / "runs", "200GB"), OnTmpfs(), Listener())


def test_without_a_limit_files_on_a_tmpfs_are_warned_of(tmp_path: Path) -> None:
    room = Room(512 << 20)
    enough = peak_bytes(JOB, room) + disk_bytes(JOB, room)["meanwhile"]
    heard = Listener()
    check_budget(JOB, settings(tmp_path / "runs"), OnTmpfs(memory=enough), heard)
    check_budget(JOB, settings(tmp_path), OnTmpfs(memory=enough - 1), heard)
    assert heard.warnings == []
    check_budget(JOB, settings(tmp_path / "runs"), OnTmpfs(memory=enough - 1), heard)
    assert "name a directory of a disk with --runs-dir" in heard.warnings[0]


def test_without_a_limit_a_small_machine_is_warned_of(tmp_path: Path) -> None:
    heard = Listener()
    check_budget(JOB, settings(tmp_path), Small(memory=1 << 30), heard)
    assert ["--memory-limit" in line for line in heard.warnings] == [True]
    check_budget(JOB, settings(tmp_path), Small(memory=1 << 40), heard)
    assert len(heard.warnings) == 1
