"""What hangs at one worker is done by another, once, and holds nobody up."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from vdbcluster.adapters import dask_loop
from vdbcluster.adapters.dask_loop import Handing
from vdbcluster.errors import UsageError

_keys = itertools.count()


@dataclass(eq=False)
class Future:
    """A piece, or that a worker is free (``number`` is None), at a worker."""

    key: str
    number: int | None
    worker: str
    said: Any = True
    ended: bool = False

    @property
    def type(self) -> type:
        return type(self.said)

    def done(self) -> bool:
        return self.ended

    def result(self) -> Any:
        return self.said


@dataclass
class Dask:
    """A client of workers with one thread each; those that hang end nothing.

    ``asked``: the workers that each piece was restricted to.
    """

    workers: list[str]
    hanging: set[str] = field(default_factory=set)
    held: list[Future] = field(default_factory=list)
    asked: list[tuple[int | None, list[str]]] = field(default_factory=list)
    cancelled: list[Future] = field(default_factory=list)
    most: int = 0

    def nthreads(self) -> dict[str, int]:
        return dict.fromkeys(self.workers, 1)

    def processing(self) -> dict[str, tuple[str, ...]]:
        return {name: tuple(f.key for f in self.held if f.worker == name) for name in self.workers}

    def submit(
        self,
        _: Any,
        number: int | None = None,
        *,
        key: str,
        pure: bool,
        retries: int = 0,
        workers: list[str] | None = None,
        allow_other_workers: bool = False,
    ) -> Future:
        assert not pure
        assert key not in {future.key for future in self.held}
        self.asked.append((number, list(workers or ())))
        held = self.processing()
        worker = min(workers or self.workers, key=lambda name: len(held[name]))
        self.held.append(Future(key, number, worker))
        self.most = max(self.most, sum(future.number is not None for future in self.held))
        return self.held[-1]

    def cancel(self, futures: list[Future]) -> None:
        self.cancelled += futures
        self.held = [future for future in self.held if future not in futures]

    def turn(self) -> list[Future]:
        """The first that each worker holds, if it does not hang, is done."""
        at = {future.worker: future for future in reversed(self.held)}
        ended = [future for name, future in at.items() if name not in self.hanging]
        self.held = [future for future in self.held if future not in ended]
        for future in ended:
            future.ended = True
        return [future for future in ended if future.number is not None]


def handing(client: Dask, pieces: int, **settings: Any) -> Handing:
    return Handing(client, lambda _: None, iter(range(pieces)), **settings)


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handing, "_ended", lambda self: self.client.turn())
    monkeypatch.setattr(dask_loop, "SLOW_SECONDS", 0.0)
    monkeypatch.setattr(dask_loop, "SLOWER", 0.0)


def run(of: Handing, meanwhile: Callable[[], None] = lambda: None) -> int:
    """To its end; how many pieces it has told."""
    told: list[int] = []

    def done(count: int) -> None:
        told.append(count)
        assert len(told) < 1000
        meanwhile()

    of.run(done)
    assert of.client.held == [f for f in of.client.held if f.number is None]
    return sum(told)


@pytest.mark.parametrize("workers", ["ab", "abc", "abcdefgh"])
@pytest.mark.parametrize("pieces", [3, 10, 40])
def test_what_hangs_at_one_worker_is_done_by_another(workers: str, pieces: int) -> None:
    client = Dask(list(workers), {"b"})
    of = handing(client, pieces)
    assert run(of) == pieces
    stuck = {future.number for future in client.cancelled}
    assert 0 < len(stuck) <= 2
    assert {future.worker for future in client.cancelled} == {"b"}
    numbers = [number for number, _ in client.asked if number is not None]
    assert sorted(numbers) == sorted([*range(pieces), *stuck])  # a second time at most
    assert list(of.hung) == ["b"]


def test_a_worker_that_hung_gets_nothing_until_it_is_free() -> None:
    client, hung = Dask(list("abc"), {"b"}), dict[str, Any]()
    run(handing(client, 9, hung=hung))
    client.asked.clear()
    assert run(handing(client, 9, hung=hung)) == 9
    assert [workers for _, workers in client.asked] == [["a", "c"]] * 9
    client.hanging.clear()
    client.turn()
    client.asked.clear()
    assert run(handing(client, 9, hung=hung)) == 9
    assert [workers for _, workers in client.asked] == [[]] * 9
    assert not hung


def test_where_all_have_hung_all_are_asked() -> None:
    client = Dask(list("ab"))
    hung = {name: Future(name, None, name) for name in "ab"}
    assert run(handing(client, 5, hung=hung)) == 5


def test_the_first_may_be_the_first_after_all() -> None:
    client = Dask(list("ab"), {"b"})
    of = handing(client, 3)

    def wakes() -> None:
        if len(client.asked) > 3:
            client.hanging = {"a"}

    assert run(of, wakes) == 3
    assert [future.worker for future in client.cancelled] == ["a"]
    assert not of.hung


def test_both_may_end_at_once() -> None:
    client = Dask(list("ab"), {"b"})
    of = handing(client, 3)

    def wakes() -> None:
        if len(client.asked) > 3:
            client.hanging = set()

    assert run(of, wakes) == 3


def test_what_must_not_be_done_by_two_is_waited_for() -> None:
    client = Dask(list("ab"), {"b"})
    turns = itertools.count()

    def wakes() -> None:
        if next(turns) > 20:
            client.hanging.clear()

    assert run(handing(client, 6, twice=False), wakes) == 6
    assert [number for number, _ in client.asked] == list(range(6))


def test_nothing_is_begun_again_while_all_have_work(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Dask(list("ab"))
    assert run(handing(client, 20)) == 20
    assert len(client.asked) == 20
    assert client.most == 4


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_no_more_at_once_than_is_allowed_whoever_joins(at_once: int) -> None:
    client = Dask(list("abc"))
    assert run(handing(client, 20, at_once=at_once), lambda: client.workers.append("d")) == 20
    assert client.most == at_once


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_what_hangs_is_begun_again_within_what_is_allowed_at_once(at_once: int) -> None:
    client = Dask(list("abcd"), {"b"})
    of = handing(client, 20, at_once=at_once)

    def meanwhile() -> None:
        assert len(of.begun) <= at_once

    assert run(of, meanwhile) == 20
    assert client.most <= at_once
    assert [future.worker for future in client.cancelled] == ["b"] * (at_once > 1)


def test_a_piece_without_fellows_is_given_long(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Dask(list("ab"), {"a"})
    of = handing(client, 1)
    of._fill()
    of._back_up()
    assert len(client.asked) == 1
    monkeypatch.setattr(dask_loop, "LONE_SECONDS", 0.0)
    assert run(of) == 1
    assert client.asked == [(0, []), (0, ["b"]), (None, ["a"])]


def test_what_the_second_raises_is_raised_and_all_is_called_off() -> None:
    client = Dask(list("ab"), {"b"})
    of = handing(client, 3)

    def fails() -> None:
        for future in client.held:
            if len(client.asked) > 3 and future.worker == "a":
                future.said = UsageError("said once")

    with pytest.raises(UsageError, match="said once"):
        run(of, fails)
    assert client.held == []
