"""A lock that is held, and renewed beside the work.

In: an entry that has just won the lock. Out: ``MilvusLease``. Promise: ``check`` returns only if
the entry was ours within the last half of the lease; the entry is gone when ``kept`` ends, however
it ends, if the server can be reached, and lapses otherwise.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from vdbcluster.adapters.milvus.errors import backend_errors, retrying, translated
from vdbcluster.adapters.milvus.lease_entries import Entries, Entry
from vdbcluster.adapters.processes import clock
from vdbcluster.errors import BackendUnavailableError, LockedError
from vdbcluster.model.holder import Holder

RENEWALS = 4
"""In one lease."""
TRIES = 10
"""Renewals in a row that may take more than half a lease each before ``check`` gives up."""


class MilvusLease:
    """See the module."""

    def __init__(
        self, entries: Entries, entry: Entry, holder: Holder, confirmed: float, what: str
    ) -> None:
        """``confirmed``: when the entry was renewed last, by ``clock()``, at the earliest."""
        self._entries = replace(entries, again=False)
        self._entry = entry
        self._holder = holder
        self._confirmed = confirmed
        self._what = what
        self._lost = ""
        self._guard = threading.Lock()
        self._ended = threading.Event()

    def check(self) -> None:
        """See ``ports.lock``."""
        for _ in range(TRIES):
            if self._lost:
                raise LockedError(self._lost)
            if clock() - self._confirmed < self._holder.lease / 2:
                return
            with translated("renewing the lock on the server"):
                retrying(self._renew)
        raise BackendUnavailableError(
            f"the server answers too slowly to keep a lock that lapses after "
            f"{self._holder.lease:g} s; nothing more was written, try a longer --lock-lease"
        )

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Give signs of life while the body runs."""
        thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
            with suppress(*backend_errors()):
                self._entries.leave(self._entry)

    def _beat(self) -> None:
        while not self._lost and not self._ended.wait(self._holder.lease / RENEWALS):
            with suppress(*backend_errors()):  # the next time may do, or ``check`` tells
                self._renew()

    def _renew(self) -> None:
        with self._guard:
            if self._lost:
                return
            start = clock()
            there = self._entries.renew(self._entry, self._holder, time.time())
            if there is None:
                self._lost = self._how_lost()
                return
            self._entry, self._confirmed = there, start

    def _how_lost(self) -> str:
        taker = None
        with suppress(*backend_errors()):
            holders = map(self._entries.holder, sorted(self._entries.now()))
            taker = next(filter(None, holders), None)
        then = (
            f"was taken by {taker}" if taker else "is gone: another run took it, or it was dropped"
        )
        return (
            f"the lock on {self._what} {then}; was this process stopped for more than "
            f"{self._holder.lease:g} s? Nothing more was written, run again"
        )
