"""One piece of work after the other handed to Dask workers, until all are done.

In: an open ``distributed.Client``, work, numbers of shards. Out: the work done.
Promise: what is under way at once follows the number of workers, so that an error, Ctrl-C or a lost
lock calls nearly everything off; the work of a lost worker is done by another; an error of ours is
raised as it is and not tried again, any other work is tried ``RETRIES`` times more. No setting is
shown by what Dask logs of the work.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any
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

GONE = (
    "the Dask scheduler is gone, or has called the work off; what was finished is kept, run again"
)


@dataclass(frozen=True, slots=True)
class _Guarded:
    """The work as a worker does it: an error of ours is its result, which Dask does not retry."""

    work: Work = field(repr=False)
    version: str = OURS

    def __call__(self, number: int) -> VdbclusterError | None:
        if self.version != OURS:
            return UsageError(
                f"a worker has vdbcluster {OURS}, and this is {self.version}; give all of "
                "them the same version"
            )
        try:
            self.work(number)
        except VdbclusterError as error:
            return _plain(error)
        return None


def _plain(error: VdbclusterError) -> VdbclusterError:
    """The error as it can be sent; the general kind where its own cannot be made again."""
    try:
        pickle.loads(pickle.dumps(error))
    except (TypeError, AttributeError, pickle.PicklingError):
        return VdbclusterError(str(error))
    return error


@dataclass
class Handing:
    """The state of one ``each``; ``begun``: by future, the number of its piece."""

    client: Any
    work: Work
    waiting: Iterator[int]
    begun: dict[Any, int] = field(default_factory=dict)
    last_seen: float = field(default_factory=time.monotonic)

    def run(self, done: Callable[[int], None]) -> None:
        """Until all is done; raises what the work raises, and what ``done`` raises."""
        try:
            while self._fill() or self.begun:
                ended = self._ended()
                for future in ended:
                    done(self._settle(future))
                if not ended:
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
        room = 2 * self._hands() - len(self.begun)
        numbers = [number for _, number in zip(range(room), self.waiting, strict=False)]
        for number in numbers:
            self._hand(number)
        return bool(numbers)

    def _hands(self) -> int:
        """Pieces that can be worked on at once now; at least one, so that something waits."""
        try:
            hands = int(sum(self.client.nthreads().values()))
        except OSError as error:
            raise VdbclusterError(GONE) from error
        now = time.monotonic()
        if hands:
            self.last_seen = now
        elif now - self.last_seen > ALONE_SECONDS:
            raise VdbclusterError(
                f"no Dask worker is left since {ALONE_SECONDS:.0f} seconds; what was finished is "
                "kept, start workers and run again"
            )
        return max(1, hands)

    def _hand(self, number: int) -> None:
        future = self.client.submit(
            _Guarded(self.work),
            number,
            key=f"{type(self.work).__name__}-{number}-{uuid4().hex}",  # else made of the settings
            pure=False,
            retries=RETRIES,
        )
        self.begun[future] = number

    def _settle(self, future: Any) -> int:
        """How many pieces are done by it: one. Raises what its work raised."""
        if (error := _result(future, self.begun.pop(future))) is not None:
            raise error
        return 1


def _result(future: Any, number: int) -> Exception | None:
    """None if the work was done; else what is to be raised."""
    from distributed import KilledWorker

    try:
        error: VdbclusterError | None = future.result()
    except KilledWorker:
        return VdbclusterError(
            f"several workers died of piece {number}, one after the other, most likely for want of "
            "memory; cut more pieces (--shards), or take fewer workers"
        )
    except CancelledError:
        return VdbclusterError(GONE)
    return error


def each(client: Any, work: Work, shards: Sequence[int], done: Callable[[int], None]) -> None:
    """See ``ports.shards.Workers``."""
    Handing(client, work, iter(shards)).run(done)
