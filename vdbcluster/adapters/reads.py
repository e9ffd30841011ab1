"""How long reads take while something is written.

In: a function that reads once. Out: seconds, told apart: beside a piece of writing, or between two.
Promise: a read that fails is no measurement and no error; no read goes on beyond ``going_on``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from vdbcluster.errors import VdbclusterError

EVERY = 0.1
"""Seconds from one read to the next, at least."""
IDLE = 4.0
"""Times as long as a read took there is none after it: on a server whose searches take half a
second, ten a second would be the very load that they are to detect."""
BEFORE = 20
"""Reads before the writing, by which those during it are judged."""
BEFORE_SECONDS, FEWEST_BEFORE = 3.0, 5
"""Slow ones: so many have to do once this time is up."""
LOOKS = 4
"""Reads before these that do not count: the first ones open connections and fill caches."""

Read = Callable[[], object]
"""A read as those of others; ``VdbclusterError`` if it fails."""


class Reads:
    """Reads from time to time, in a thread of its own."""

    def __init__(self, read: Read, every: float = EVERY, idle: float = IDLE) -> None:
        self._read, self._every, self._idle = read, every, idle
        self._beside: list[float] = []
        self._between: list[float] = []
        self._writing = False
        self._pieces = 0

    def before(self, times: int = BEFORE) -> list[float]:
        """Seconds of some reads now; none if they fail."""
        until = time.perf_counter() + BEFORE_SECONDS
        for turn in range(times + LOOKS):
            if self._once() is None:
                break
            if turn < LOOKS:
                self.taken()
            if turn >= LOOKS + FEWEST_BEFORE and time.perf_counter() > until:
                break
            time.sleep(self._every / 4)
        return self.taken()[1]

    @contextmanager
    def piece(self) -> Iterator[None]:
        """Around a piece of writing."""
        self._writing, self._pieces = True, self._pieces + 1
        try:
            yield
        finally:
            self._writing = False

    def taken(self) -> tuple[list[float], list[float]]:
        """Seconds of each read since the last call: beside pieces, between them."""
        taken = self._beside, self._between
        self._beside, self._between = [], []
        return taken

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Read while the body runs."""
        ended = threading.Event()

        def often() -> None:
            pause = self._every
            while not ended.wait(pause):
                pause = max(self._every, self._idle * (self._once() or 0.0))

        thread = threading.Thread(target=often, name="reads", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _once(self) -> float | None:
        """Seconds that it took, None if it failed."""
        met, pieces, began = self._writing, self._pieces, time.perf_counter()
        with suppress(VdbclusterError):
            self._read()
            took = time.perf_counter() - began
            met |= self._writing or self._pieces > pieces
            (self._beside if met else self._between).append(took)
            return took
        return None
