"""The protocol of the lease, on a server made of a set of names, with time and order at random.

Several runs take their steps one at a time in any order, each call of the server is a step, and
any run may be stopped for longer than its lease between any two. Their wall clocks disagree.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymilvus.exceptions import MilvusException

from vdbcluster.adapters.lease_watch import Watch
from vdbcluster.adapters.milvus import lease as entering
from vdbcluster.adapters.milvus import lease_entries as stepping
from vdbcluster.adapters.milvus import lease_kept as keeping
from vdbcluster.adapters.milvus.lease import LeaseTerms, MilvusLock, NoLeaseError
from vdbcluster.adapters.milvus.lease_entries import Entry, entry_of, stem_of
from vdbcluster.adapters.milvus.lease_kept import MilvusLease
from vdbcluster.errors import BackendUnavailableError, LockedError
from vdbcluster.model.holder import Holder

LEASE = 8.0
STEPS = 20_000


class Server:
    """What the lease asks of a server; ``raw`` is a step of whoever calls."""

    def __init__(self, play: Play, may_rename: bool) -> None:
        self.names: dict[str, Any] = {}
        self._play, self._may_rename = play, may_rename

    def raw(self, call: Callable[[Any, float], Any], *, again: bool = True) -> Any:
        self._play.step()
        return call(self, 1.0)

    def list_collections(self, timeout: float) -> list[str]:
        return list(self.names)

    def create_schema(self, **_: Any) -> SimpleNamespace:
        fields: list[dict[str, str]] = []
        add = lambda name, *_, **__: fields.append({"name": name})  # noqa: E731
        return SimpleNamespace(fields=fields, add_field=add)

    def create_collection(self, name: str, schema: Any, num_shards: int, timeout: float) -> None:
        assert name not in self.names
        self.names[name] = schema.fields

    def rename_collection(self, old: str, new: str, timeout: float) -> None:
        if not self._may_rename:
            raise MilvusException(65535, "permission denied")
        if old not in self.names:
            raise MilvusException(100, "collection not found")
        self.names[new] = self.names.pop(old)

    def drop_collection(self, name: str, timeout: float) -> None:
        self.names.pop(name, None)

    def describe_collection(self, name: str, timeout: float) -> dict[str, Any]:
        if name not in self.names:
            raise MilvusException(100, "collection not found")
        return {"fields": self.names[name]}


class Play:
    """Runs that take turns; one at a time is awake, and which one is next is drawn by lot."""

    def __init__(self, seed: int) -> None:
        self._lot = random.Random(seed)
        self._awake = threading.Condition()
        self._turn: int | None = None
        self._alive: set[int] = set()
        self._me = threading.local()
        self._steps = 0
        self.now = 1000.0
        self.skews = [self._lot.choice((0.0, -5000.0, 5000.0, 3.0)) for _ in range(8)]
        self.wrong: list[BaseException] = []

    def run(self, actors: list[Callable[[random.Random], None]]) -> None:
        self._alive = set(range(len(actors)))
        threads = [threading.Thread(target=self._act, args=(i, a)) for i, a in enumerate(actors)]
        for thread in threads:
            thread.start()
        self._next()
        for thread in threads:
            thread.join()
        if self.wrong:
            raise self.wrong[0]

    def step(self) -> None:
        """Others may come first, and time may pass."""
        self._steps += 1
        assert self._steps < STEPS, "the runs never end"
        self._next()
        self._wait()

    def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        self.step()
        while self.now < until:
            if len(self._alive) == 1:
                self.now = until
            self.step()

    def nonce(self, length: int) -> str:
        return self._lot.randbytes(length).hex()

    def wall(self) -> float:
        return self.now + 1e9 + self.skews[self._me.number]

    def _act(self, number: int, actor: Callable[[random.Random], None]) -> None:
        self._me.number = number
        try:
            self._wait()
            actor(random.Random(self._lot.random()))
        except BaseException as error:  # noqa: BLE001  raised again by ``run``
            self.wrong.append(error)
        self._alive.discard(number)
        self._next()

    def _next(self) -> None:
        with self._awake:
            passed = self._lot.choices((0, 0.01, 0.1, 0.3, 0.6, 1.2), (60, 20, 10, 5, 3, 1))[0]
            self.now += passed * LEASE
            self._turn = self._lot.choice(sorted(self._alive)) if self._alive else None
            self._awake.notify_all()

    def _wait(self) -> None:
        with self._awake:
            assert self._awake.wait_for(lambda: self._turn == self._me.number, timeout=60.0)


class Witness:
    """At a write the writer's entry is there, and nobody else could write without asking."""

    def __init__(self, play: Play, server: Server) -> None:
        self._play, self._server = play, server
        self._leases: dict[int, MilvusLease] = {}
        self.writes = self.losses = 0

    @contextmanager
    def of(self, number: int, lease: MilvusLease) -> Iterator[None]:
        self._leases[number] = lease
        try:
            yield
        finally:
            del self._leases[number]

    def write(self, number: int) -> None:
        self.writes += 1
        entries = [entry_of(name) for name in self._server.names]
        mine = self._leases[number]._entry
        assert any(entry and entry.beat and entry.nonce == mine.nonce for entry in entries)
        believing = [n for n, lease in self._leases.items() if n != number and self._valid(lease)]
        assert believing == []

    def _valid(self, lease: MilvusLease) -> bool:
        return not lease._lost and self._play.now - lease._confirmed < lease._holder.lease / 2


def _actor(
    number: int, server: Server, witness: Witness, play: Play
) -> Callable[[random.Random], None]:
    def act(lot: random.Random) -> None:
        for turn in range(3):
            terms = LeaseTerms(LEASE, wait=lot.choice((0.0, 3 * LEASE)))
            lock = MilvusLock(server, "docs", "cluster_", terms)  # type: ignore[arg-type]
            try:
                lease = lock._take(Holder(f"run-{number}-{turn}", "h", 1, "now", LEASE))
            except LockedError:
                continue
            with witness.of(number, lease):
                work(lot, lease)
            if lot.random() < 0.7:  # else it died
                lease._entries.leave(lease._entry)

    def work(lot: random.Random, lease: MilvusLease) -> None:
        for _ in range(lot.randrange(12)):
            try:
                lease.check()
            except LockedError:
                witness.losses += 1
                return
            except BackendUnavailableError:  # every renewal took too long
                return
            witness.write(number)
            play.step()
            if lot.random() < 0.5:
                lease._renew()

    return act


@pytest.mark.parametrize("may_rename", [True, False])
def test_never_do_two_hold_it(monkeypatch: pytest.MonkeyPatch, may_rename: bool) -> None:
    writes = losses = 0
    for seed in range(200):
        play = Play(seed)
        server = Server(play, may_rename)
        witness = Witness(play, server)
        for module in (entering, keeping):
            monkeypatch.setattr(module, "clock", lambda play=play: play.now)
            told = SimpleNamespace(time=play.wall, sleep=play.sleep)
            monkeypatch.setattr(module, "time", told)
        monkeypatch.setattr(stepping, "secrets", SimpleNamespace(token_hex=play.nonce))
        play.run([_actor(number, server, witness, play) for number in range(4)])
        writes += witness.writes
        losses += witness.losses
    assert writes > 200
    assert losses > 2, "nobody was ever late: the play is too easy"


def _entry(nonce: str, beat: int, lease: int = 1000) -> Entry:
    return Entry(nonce, beat, lease, stem_of("docs", "cluster_"))


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 0.7)), min_size=1, max_size=30))
def test_an_entry_lapses_only_unchanged(looks: list[tuple[int, float]]) -> None:
    watch, now, since, last = Watch(), 0.0, 0.0, -1
    for beat, passed in looks:
        now += passed
        if beat != last:
            since, last = now, beat
        assert watch.look([_entry("a" * 8, beat)], now) == (
            [_entry("a" * 8, beat)] if now - since > 1.0 else []
        )


def test_a_life_is_seen_once_it_changes_and_forgotten_once_it_is_gone() -> None:
    watch, first, second = Watch(), _entry("a" * 8, 1), _entry("a" * 8, 2)
    watch.look([first], 0.0)
    assert not watch.lives(first)
    watch.look([second], 0.5)
    assert watch.lives(second)
    watch.look([], 0.6)
    watch.look([second], 0.7)
    assert not watch.lives(second)


def test_both_entries_of_one_who_died_between_them_lapse() -> None:
    watch, both = Watch(), [_entry("a" * 8, 2), _entry("a" * 8, 1)]
    watch.look(both, 0.0)
    assert watch.look(both, 0.9) == []
    assert sorted(watch.look(both, 1.1)) == sorted(both)


def test_each_lease_counts_for_itself() -> None:
    watch, quick, slow = Watch(), _entry("a" * 8, 1), _entry("b" * 8, 1, 9000)
    watch.look([quick, slow], 0.0)
    assert watch.look([quick, slow], 5.0) == [quick]
    assert watch.look([slow], 9.5) == [slow]


@given(st.text("abz_09", min_size=1, max_size=255), st.integers(0, 2**50), st.floats(-1e9, 1e10))
def test_names_come_back(collection: str, beat: int, wall: float) -> None:
    entry = Entry("0123abcd", beat, 60_000, stem_of(collection, "cluster_"))
    assert entry_of(entry.name) == entry
    assert len(entry.name) <= 255
    assert entry.beating(wall).beat > beat


def test_one_who_does_not_see_what_he_makes_gets_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(Play(0), may_rename=True)
    monkeypatch.setattr(server, "raw", lambda call, again: call(server, 1.0))
    monkeypatch.setattr(server, "list_collections", lambda timeout: [])
    with pytest.raises(NoLeaseError, match="does not see"):
        MilvusLock(server, "docs", "cluster_").held("run-1").__enter__()  # type: ignore[arg-type]


def test_collection_and_prefix_are_told_apart() -> None:
    assert stem_of("a_b", "c_") != stem_of("a", "b_c_")
    assert entry_of("docs_clusters_vdbcluster_0123456789abcdef_run_abcdef") is None
