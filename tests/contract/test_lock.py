"""Every ``RunLock``: one holder at a time, nothing left behind, no dead man keeps it."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backends import Backend
from tests.contract.lock_worlds import (
    DEADLINE,
    Child,
    DiskWorld,
    MemoryWorld,
    MilvusWorld,
    World,
    until,
)
from vdbcluster.errors import LockedError

SERVERS = ("lite_server", pytest.param("real_server", marks=pytest.mark.server))
SLOWLY = (
    pytest.param("lite_server", marks=pytest.mark.slow),
    pytest.param("real_server", marks=[pytest.mark.server, pytest.mark.slow]),
)
PROCESSES = ("disk", *SERVERS)
LEASE = 1.0


@dataclass
class Place:
    """A world, and how other processes get there."""

    world: World
    kind: str
    place: str
    name: str
    token: str = ""

    def child(self, **more: object) -> Child:
        return Child(self.kind, self.place, self.name, self.token, **more)  # type: ignore[arg-type]


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, collection_name: str) -> Iterator[Place]:
    found = _place(request, tmp_path, collection_name)
    try:
        yield found
        assert found.world.left() == []
    finally:
        found.world.close()


def _place(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> Place:
    kind = request.param
    if kind == "memory":
        return Place(MemoryWorld(name), kind, "", name)
    if kind == "disk":
        runs = tmp_path / "runs"
        runs.mkdir()
        return Place(DiskWorld(str(runs), name), kind, str(runs), name)
    backend: Backend = request.getfixturevalue(kind)
    world = MilvusWorld(backend.uri, name, backend.token)
    return Place(world, "milvus", backend.uri, name, backend.token)


everywhere = pytest.mark.parametrize("place", ["memory", *PROCESSES], indirect=True)
between_processes = pytest.mark.parametrize("place", PROCESSES, indirect=True)
on_servers = pytest.mark.parametrize("place", SERVERS, indirect=True)


@everywhere
def test_one_has_it_and_another_is_told_who(place: Place) -> None:
    with place.world.lock().held("run-1") as lease:
        lease.check()
        assert len(place.world.left()) == 1
        with pytest.raises(LockedError) as told, place.world.lock().held("run-2"):
            pass
        lease.check()

    line = str(told.value)
    assert told.value.exit_code == 5
    assert re.search(rf"run run-1 on host \S+ \(pid {os.getpid()}\) since 20\d\d-", line)
    assert "--lock-wait" in line
    assert "\n" not in line
    with place.world.lock().held("run-3") as lease:
        lease.check()


@everywhere
def test_one_that_waits_gets_it_next(place: Place) -> None:
    order: list[str] = []

    def second() -> None:
        with place.world.lock(wait=60.0).held("run-2") as lease:
            lease.check()
            order.append("second")

    thread = threading.Thread(target=second)
    with place.world.lock().held("run-1") as lease:
        thread.start()
        time.sleep(0.3)
        lease.check()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


@everywhere
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_nothing_is_left_however_it_ends(place: Place, error: type[BaseException]) -> None:
    with pytest.raises(error), place.world.lock().held("run-1"):
        raise error
    assert place.world.left() == []


@between_processes
def test_an_interrupted_process_leaves_nothing(place: Place) -> None:
    with place.child() as child:
        child.held().signal(signal.SIGTERM)  # which the command line takes as Ctrl-C
        assert child.leave() == 130
    assert place.world.left() == []


@between_processes
def test_a_process_killed_on_this_machine_is_followed_at_once(place: Place) -> None:
    with place.child(lease=3600.0) as child:
        child.held()
        with pytest.raises(LockedError, match=rf"pid {child.process.pid}"):
            place.world.lock().held("early").__enter__()
        child.kill()
        with place.world.lock().held("next") as lease:
            lease.check()


@on_servers
def test_a_process_killed_elsewhere_is_followed_after_its_lease(place: Place) -> None:
    """Its lease counts, not that of the one who waits."""
    with place.child(lease=6.0, elsewhere=True) as child:
        child.held().kill()
        start = time.monotonic()
        with pytest.raises(LockedError, match="lapses 6 s after its last sign of life"):
            place.world.lock(lease=1.0).held("early").__enter__()
        with place.world.lock(wait=60.0, lease=1.0).held("next") as lease:
            lease.check()
        assert time.monotonic() - start >= 6.0


@on_servers
def test_one_that_died_long_ago_is_watched_even_by_those_who_do_not_wait(place: Place) -> None:
    assert isinstance(place.world, MilvusWorld)
    place.world.leave_dead(LEASE)
    time.sleep(1.5 * LEASE)
    with place.world.lock(wait=0.0).held("next") as lease:
        lease.check()


@on_servers
def test_one_that_wakes_up_late_is_told_before_it_writes(place: Place) -> None:
    with place.child(lease=LEASE, elsewhere=True) as child:
        assert child.held().check() == "ok"
        child.signal(signal.SIGSTOP)
        with place.world.lock(wait=60.0).held("taker") as lease:
            child.signal(signal.SIGCONT)
            line = child.check()
            assert "was taken by run taker" in line
            assert child.leave() == LockedError.exit_code
            lease.check()
            assert len(place.world.left()) == 1


@pytest.mark.slow
@on_servers
def test_one_that_wakes_up_late_goes_on_if_nobody_came(place: Place) -> None:
    with place.child(lease=LEASE, elsewhere=True) as child:
        child.held().signal(signal.SIGSTOP)
        time.sleep(2 * LEASE)
        child.signal(signal.SIGCONT)
        assert child.check() == "ok"
        assert child.leave() == 0


@on_servers
def test_a_living_holder_gives_signs_of_life(place: Place) -> None:
    with place.world.lock(lease=12.0).held("run-1") as lease:
        before = place.world.left()
        until(lambda: place.world.left() != before, "a renewal")
        with pytest.raises(LockedError):
            place.world.lock().held("impatient").__enter__()
        lease.check()


@on_servers
def test_of_many_at_once_on_a_dead_lock_one_at_a_time_has_it(place: Place, tmp_path: Path) -> None:
    assert isinstance(place.world, MilvusWorld)
    place.world.leave_dead(LEASE)
    witness, met, done = tmp_path / "witness", [], []

    def run(number: int) -> None:
        try:
            with place.world.lock(wait=200.0).held(f"run-{number}") as lease:
                os.close(os.open(witness, os.O_CREAT | os.O_EXCL))
                time.sleep(0.02)
                lease.check()
                witness.unlink()
                done.append(number)
        except BaseException as error:  # noqa: BLE001  told below
            met.append(repr(error))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (met, sorted(done)) == ([], list(range(8)))


@pytest.mark.parametrize("place", ["disk", *SLOWLY], indirect=True)
def test_of_two_processes_one_at_a_time_has_it(place: Place, tmp_path: Path) -> None:
    more = ("witness", str(tmp_path / "witness"), "5")
    children = [place.child(elsewhere=True, also=more) for _ in range(2)]
    try:
        assert [child.process.wait(240) for child in children] == [0, 0]
    finally:
        for child in children:
            child.__exit__()


@on_servers
def test_of_some_who_do_not_wait_one_has_it(place: Place) -> None:
    for _ in range(5):
        assert _winners(place.world, 3) == 1


def _winners(world: World, contenders: int) -> int:
    """How many get the lock if all come at once; those who do keep it until the rest is told."""
    had: list[int] = []
    gate, over = threading.Barrier(contenders), threading.Event()

    def run(number: int) -> None:
        gate.wait()
        with suppress(LockedError), world.lock().held(f"run-{number}"):
            had.append(number)
            over.wait(DEADLINE)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(contenders)]
    for thread in threads:
        thread.start()
    until(lambda: sum(map(threading.Thread.is_alive, threads)) <= 1, "all but one are refused")
    over.set()
    for thread in threads:
        thread.join()
    return len(had)
