"""``RunLock`` in memory: for runs of one process on a ``MemoryCollection``.

In: a run id. Out: see ``ports.lock``. Promise: one lock object, one holder.

    with MemoryLock().held("run-1") as lease: ...
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vdbcluster.adapters.processes import this_process
from vdbcluster.errors import LockedError
from vdbcluster.model.holder import Holder, locked_line


class MemoryLock:
    """One for all runs that are to keep out of each other's way."""

    def __init__(self, what: str = "labels", wait: float = 0.0) -> None:
        self._what = what
        self._wait = wait
        self._free = threading.Lock()
        self._holder: Holder | None = None

    @contextmanager
    def held(self, run_id: str) -> Iterator[MemoryLease]:
        """See ``ports.lock``."""
        if not self._free.acquire(timeout=self._wait):
            raise LockedError(locked_line(self._what, self._holder, "it ends with that run"))
        self._holder = this_process(run_id)
        try:
            yield MemoryLease()
        finally:
            self._free.release()


class MemoryLease:
    """Ours until it is let go."""

    def check(self) -> None:
        """Never raises."""
