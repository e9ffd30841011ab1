"""One piece of work after the other handed to Dask workers, until all are done.

In: an open ``distributed.Client``, work, numbers of shards. Out: the work done.
Promise: what is under way at once follows the number of workers, so that an error, Ctrl-C or a lost
lock calls nearly everything off; the work of a lost worker is done by another; an error of ours is
raised as it is and not tried again, any other work is tried ``RETRIES`` times more. No setting is
shown by what Dask logs of the work.

A worker that hangs is not lost: the scheduler waits minutes for one that was suspended, and for
ever for one whose file system or server never answers. So what takes much longer than its fellows
is begun a second time where a worker has nothing else to do, and whichever ends first counts
(backup tasks: Dean and Ghemawat, MapReduce, OSDI 2004). That is safe where a piece is decided by
what it is made from and put in its place as a whole. The worker that hung gets no more work until
it has done a piece that says no more than that.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from importlib.metadata import version
from statistics import median
from typing import Any, TypeVar
from uuid import uuid4

from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.ports.shards import Work

OURS = version("vdbcluster")
RETRIES = 3
"""Of work that failed; a worker that died does not count."""
POLL = 1.0
"""Seconds after which somebody looks whether workers are left, and ``done`` whether to go on."""
ALONE_SECONDS = 300.0
"""For so long new workers are waited for where none is left."""
SLOWER, SLOW_SECONDS = 3.0, 10.0
"""Begun a second time is what takes so many times as long as the median of its fellows that are
done, and at least so long: both from when it was handed out, so with its wait for a worker."""
LONE_SECONDS = 300.0
"""The same where none of its fellows is done, or it has none."""

T = TypeVar("T")
GONE = (
    "the Dask scheduler is gone, or has called the work off; what was finished is kept, run again"
)


@dataclass(frozen=True, slots=True)
class _Guarded:
    """The work as a worker does it: True, or an error of ours, which Dask then does not retry.

    True has a type of its own, which the scheduler tells: a result is fetched from the worker that
    has it, and that one may hang by then.
    """

    work: Work = field(repr=False)
    version: str = OURS

    def __call__(self, number: int) -> VdbclusterError | bool:
        if self.version != OURS:
            return UsageError(
                f"a worker has vdbcluster {OURS}, and this is {self.version}; give all of "
                "them the same version"
            )
        try:
            self.work(number)
        except VdbclusterError as error:
            return _plain(error)
        return True


def _plain(error: VdbclusterError) -> VdbclusterError:
    """The error as it can be sent; the general kind where its own cannot be made again."""
    try:
        pickle.loads(pickle.dumps(error))
    except (TypeError, AttributeError, pickle.PicklingError):
        return VdbclusterError(str(error))
    return error


@dataclass(slots=True)
class _Attempt:
    """A piece under way; ``other``: the future of another attempt at it.

    ``instead_of``: the worker that has the first one, where this is the second.
    """

    number: int
    other: Any = None
    instead_of: str = ""
    since: float = field(default_factory=time.monotonic)


@dataclass
class Handing:
    """The state of one ``each``; see ``DaskWorkers`` for the settings.

    ``begun``: what is under way, by future; ``took``: seconds of the pieces that are done.
    """

    client: Any
    work: Work
    waiting: Iterator[int]
    at_once: int | None = None
    twice: bool = True
    hung: dict[str, Any] = field(default_factory=dict)
    begun: dict[Any, _Attempt] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    last_seen: float = field(default_factory=time.monotonic)

    def run(self, done: Callable[[int], None]) -> None:
        """Until all is done; raises what the work raises, and what ``done`` raises."""
        try:
            while self._fill() or self.begun:
                ended = self._ended()
                for future in ended:
                    if future in self.begun:  # else the other attempt has ended as well
                        done(self._settle(future))
                if not ended:
                    self._back_up()
                    done(0)
        finally:
            self.client.cancel(list(self.begun))

    def _ended(self) -> Collection[Any]:
        from distributed import wait

        try:
            ended: Collection[Any] = wait(
                list(self.begun), timeout=POLL, return_when="FIRST_COMPLETED"
            ).done
        except TimeoutError:
            return ()
        except CancelledError as error:
            raise VdbclusterError(GONE) from error
        return ended

    def _fill(self) -> bool:
        """Hand out so much that no worker has to wait; whether anything was."""
        threads = self._threads()
        room = 2 * max(1, sum(threads.values()))  # at least one, so that something waits
        numbers = range(min(room - len(self.begun), self._room()))
        fresh = [number for _, number in zip(numbers, self.waiting, strict=False)]
        # What others may do as well they also steal; but what is begun once must not wait in vain.
        others = {"workers": list(threads), "allow_other_workers": not self.twice}
        for number in fresh:
            self.begun[self._handed(number, **(others if self.hung else {}))] = _Attempt(number)
        return bool(fresh)

    def _room(self) -> int:
        """How many more may be under way, whoever has nothing to do."""
        return sys.maxsize if self.at_once is None else max(0, self.at_once - len(self.begun))

    def _threads(self) -> dict[str, int]:
        """Of each worker; those that hang are left out, unless all do."""
        every: dict[str, int] = _answered(self.client.nthreads)
        now = time.monotonic()
        if every:
            self.last_seen = now
        elif now - self.last_seen > ALONE_SECONDS:
            raise VdbclusterError(
                f"no Dask worker is left since {ALONE_SECONDS:.0f} seconds; what was finished is "
                "kept, start workers and run again"
            )
        for worker in [worker for worker, free in list(self.hung.items()) if free.done()]:
            self.hung.pop(worker, None)
        return {name: held for name, held in every.items() if name not in self.hung} or every

    def _back_up(self) -> None:
        """Begin once more what hangs, as far as there are workers that have nothing to do."""
        slow = self._slow()[: self._room()]
        if not slow:
            return
        held: dict[str, Collection[str]] = _answered(self.client.processing)
        idle = [worker for worker, keys in held.items() if not keys]
        for first, _ in zip(slow, idle, strict=False):
            attempt = self.begun[first]
            has_it = next((worker for worker, keys in held.items() if first.key in keys), "")
            # By any worker if there is none of these any more: it is not tried a third time.
            second = self._handed(attempt.number, workers=idle, allow_other_workers=True)
            attempt.other = second
            self.begun[second] = _Attempt(attempt.number, first, has_it)

    def _slow(self) -> list[Any]:
        """Pieces that take much longer than their fellows and were begun once, longest first."""
        if not self.twice:
            return []
        usual = max(SLOW_SECONDS, SLOWER * median(self.took)) if self.took else LONE_SECONDS
        before = time.monotonic() - usual
        return [
            future
            for future, attempt in self.begun.items()
            if attempt.other is None and attempt.since < before
        ]

    def _handed(self, number: int, **where: Any) -> Any:
        """``where``: which workers may do it, as Dask says that."""
        return self.client.submit(
            _Guarded(self.work),
            number,
            key=f"{type(self.work).__name__}-{number}-{uuid4().hex}",  # else made of the settings
            pure=False,
            retries=RETRIES,
            **where,
        )

    def _settle(self, future: Any) -> int:
        """How many pieces are done by it: one. Raises what its work raised."""
        attempt = self.begun.pop(future)
        if (error := _result(future, attempt.number)) is not None:
            raise error
        self.took.append(time.monotonic() - attempt.since)
        if attempt.other is not None:
            del self.begun[attempt.other]
            self.client.cancel([attempt.other])
            self._avoid(attempt.instead_of)
        return 1

    def _avoid(self, worker: str) -> None:
        """Give it nothing more until it is free."""
        if worker and worker not in self.hung:
            key = f"free-{uuid4().hex}"
            self.hung[worker] = self.client.submit(_nothing, key=key, pure=False, workers=[worker])


def _nothing() -> None:
    """What a worker does as soon as it is free."""


def _answered(question: Callable[[], T]) -> T:
    """What the scheduler answers."""
    try:
        return question()
    except OSError as error:
        raise VdbclusterError(GONE) from error


def _result(future: Any, number: int) -> Exception | None:
    """None if the work was done; else what is to be raised."""
    from distributed import KilledWorker

    if future.type is bool:
        return None
    try:
        found: VdbclusterError | bool = future.result()
    except KilledWorker:
        return VdbclusterError(
            f"several workers died of piece {number}, one after the other, most likely for want of "
            "memory; cut more pieces (--shards), or take fewer workers"
        )
    except CancelledError:
        return VdbclusterError(GONE)
    return found if isinstance(found, VdbclusterError) else None
