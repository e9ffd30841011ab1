"""A lock on a Milvus server that a dead holder does not keep: ``RunLock`` by a tiny collection.

In: a connection, the collection and prefix that are to be locked. Out: see ``ports.lock``.
Promise: at most one holder whose ``check`` returns; a holder that gives no sign of life for its
lease loses the lock to the next one and is told so; nothing is left after a clean end.

    with MilvusLock(milvus, "docs", "cluster_").held(run_id) as lease:
        lease.check()

Milvus has no compare-and-set, so the lock is made of what every server does one after the other:

- To come in, a run makes an entry of its own, a collection under a name that nobody else has, and
  looks at all entries. If its own is the only one, it has the lock: of two that come at once, the
  one that looks last sees the other. Of several who see each other, the one with the lowest name
  stays and the others go. It looks twice, because Lite may leave out what is being renamed.
- A holder gives signs of life by renaming its entry. A name is never used again, so dropping an
  entry by the name under which it was seen dead is a compare-and-set: it does nothing if the holder
  has renewed it meanwhile, and renewing fails if it was dropped. A user who may not rename makes a
  new entry before dropping the old one, and has lost the lock unless both are there then.
- Others take an entry for dead that they have seen unchanged for its lease by their own clock, or
  whose process has ended on this very machine. So one that died elsewhere costs the next run a
  lease of waiting, however long ago that was: no clock of another machine is believed.

``check`` asks nobody while the last renewal is younger than half a lease. After that, as in a
process that was stopped, it renews first. What remains is a process that is stopped for longer than
half a lease between ``check`` and the write that follows it: Milvus could not refuse that write.

An alias as the lock would be one step too, and is no better: moving it on from a dead holder is not
a compare-and-set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from vdbcluster.adapters.lease_watch import Watch
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.errors import (
    backend_errors,
    failure_of,
    is_retriable,
    translated,
)
from vdbcluster.adapters.milvus.lease_entries import Entries, Entry, stem_of
from vdbcluster.adapters.milvus.lease_kept import MilvusLease
from vdbcluster.adapters.processes import clock, is_gone, this_process
from vdbcluster.errors import LockedError, VdbclusterError
from vdbcluster.model.holder import Holder, locked_line

LOOKS = 2
"""In a row that must show nobody else."""
QUICK = 0.02
"""Seconds between two looks while others are about to make way, and after the first look."""
SLOW = 1.0
"""Seconds between two looks at one who stays, at most."""


class NoLeaseError(VdbclusterError):
    """No lock can be had on this server: this user may not, or there is no room for it."""


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """``lease``: seconds without a sign of life; ``wait``: seconds to wait for another holder."""

    lease: float = 60.0
    wait: float = 0.0


class MilvusLock:
    """See the module."""

    def __init__(
        self,
        milvus: MilvusConnection,
        collection: str,
        prefix: str,
        terms: LeaseTerms | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``note`` gets a line for the user if there is somebody to wait for."""
        self._entries = Entries(milvus, stem_of(collection, prefix))
        self._what = f"labels {prefix}* of {collection!r}"
        self._terms = terms or LeaseTerms()
        self._note = note

    @contextmanager
    def held(self, run_id: str) -> Iterator[MilvusLease]:
        """See ``ports.lock``; ``NoLeaseError`` where no entry can be made."""
        holder = this_process(run_id, self._terms.lease)
        with translated("taking the lock on the server"):
            lease = self._take(holder)
        with lease.kept():
            yield lease

    def _take(self, holder: Holder) -> MilvusLease:
        watch, told, pause = Watch(), False, QUICK
        deadline = clock() + self._terms.wait
        while True:
            others = self._others(watch)
            if not others and (lease := self._enter(holder)):
                return lease
            if others and clock() >= deadline:
                self._refuse(others, watch)
            if others and not told:
                told = True
                self._note(self._waiting(others[0]))
            time.sleep(pause)
            pause = min(SLOW, 1.5 * pause)

    def _others(self, watch: Watch) -> list[Entry]:
        """Who has an entry, held ones first; dead ones are taken away."""
        found = self._entries.now()
        dead = {*watch.look(found, clock()), *filter(self._is_gone, found)}
        others = sorted(found - dead, key=lambda entry: (-entry.beat, entry))
        try:
            self._entries.drop(sorted(dead))
        except backend_errors() as error:
            if not others:
                raise _no_lease(error) from error
        return others

    def _is_gone(self, entry: Entry) -> bool:
        holder = self._entries.holder(entry)
        return holder is not None and is_gone(holder)

    def _refuse(self, others: list[Entry], watch: Watch) -> None:
        """Raise ``LockedError`` if one of them seems to live; else it is worth a look at them."""
        for entry in others:
            if entry.fresh(time.time()) or watch.lives(entry):
                seen = datetime.fromtimestamp(entry.beat / 1000, UTC)
                until = (
                    f"if it has died, its lock lapses {entry.seconds:g} s after its last sign of "
                    f"life at {seen:%Y-%m-%dT%H:%M:%SZ}"
                )
                raise LockedError(locked_line(self._what, self._entries.holder(entry), until))

    def _waiting(self, entry: Entry) -> str:
        return (
            f"waiting for {self._entries.holder(entry) or 'another run'}, which has the lock; if "
            f"it has died, that lapses after {entry.seconds:g} s without a sign of life"
        )

    def _enter(self, holder: Holder) -> MilvusLease | None:
        """Make an entry and see whether it is alone; None, and no entry, if it is not."""
        mine = self._create(holder)
        lease = None
        try:
            if self._alone(mine):
                lease = self._won(mine, holder)
        finally:
            if lease is None:
                with suppress(*backend_errors()):
                    self._entries.leave(mine)
        return lease

    def _create(self, holder: Holder) -> Entry:
        try:
            return self._entries.create(holder)
        except backend_errors() as error:
            raise _no_lease(error) from error

    def _alone(self, mine: Entry) -> bool:
        """Whether nobody else has an entry, once those that are to make way have done so."""
        until = clock() + mine.seconds / 2
        looks = 0
        while looks < LOOKS and clock() < until:
            found = self._entries.now()
            if mine not in found:
                if self._entries.hidden(mine):
                    raise NoLeaseError("this user does not see the collections that it makes")
                return False
            others = found - {mine}
            if any(other.beat or other < mine for other in others):
                return False
            looks = 0 if others else looks + 1
            if others:
                time.sleep(QUICK)
        return looks == LOOKS

    def _won(self, mine: Entry, holder: Holder) -> MilvusLease | None:
        now = clock()
        held = self._entries.renew(mine, holder, time.time())
        return MilvusLease(self._entries, held, holder, now, self._what) if held else None


def _no_lease(error: Exception) -> Exception:
    """What a refusal means; a failure that may mend is told as it is."""
    return error if is_retriable(error) else NoLeaseError(failure_of(error).line)
