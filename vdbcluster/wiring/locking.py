"""One run at a time writes labels of one collection under one prefix.

In: settings, an open connection, the profile of the collection. Out: a ``Lease`` for the writer.
Promise: on this machine a file in the runs directory, which the kernel frees with its process; on
a server a lease besides, for all machines. A Lite file is open in one process only, so it needs no
lease. Where this user may make no collection on the server, a warning says so and the file has to
do.

    with opened(address, settings) as connection:
        with locked_run(settings, connection, found, run_id, observer) as lease:
            ...; lease.check(); write
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from vdbcluster.adapters.disk_lock import DiskLock, holder_of
from vdbcluster.adapters.milvus.client import MilvusAddress, MilvusConnection, connect
from vdbcluster.adapters.milvus.lease import LeaseTerms, MilvusLock, NoLeaseError
from vdbcluster.adapters.processes import clock
from vdbcluster.config.settings import Settings
from vdbcluster.errors import BackendUnavailableError, LockedError
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.holder import locked_line
from vdbcluster.ports import Observer
from vdbcluster.ports.lock import Lease

POLL = 0.5
"""Seconds between two attempts to open a Lite file."""


@contextmanager
def locked_run(
    settings: Settings,
    connection: MilvusConnection,
    found: CollectionProfile,
    run_id: str,
    observer: Observer,
) -> Iterator[Lease]:
    """Hold the lock; ``LockedError`` (exit code 5) if another run has it. See the module."""
    prefix, address = settings.write.label_prefix, connection.address
    deadline = clock() + settings.lock.wait
    path = lock_path(settings.run.runs_dir, address, found.name, prefix)
    what = f"labels {prefix}* of {found.name!r}"
    with ExitStack() as stack:
        disk = DiskLock(path, what, settings.lock.wait, observer.note)
        leases: list[Lease] = [stack.enter_context(disk.held(run_id))]
        if not address.is_file:
            terms = LeaseTerms(settings.lock.lease, max(0.0, deadline - clock()))
            server = MilvusLock(connection, found.name, prefix, terms, observer.note)
            try:
                leases.append(stack.enter_context(server.held(run_id)))
            except NoLeaseError as error:
                observer.warn(
                    f"no lock could be made on the server ({error}); only runs that share "
                    f"{settings.run.runs_dir} keep out of each other's way"
                )
        yield _All(tuple(leases))


@dataclass(frozen=True, slots=True)
class _All:
    leases: tuple[Lease, ...]

    def check(self) -> None:
        for lease in self.leases:
            lease.check()


def opened(address: MilvusAddress, settings: Settings) -> MilvusConnection:
    """As ``connect``, but ``LockedError`` where another run of ours has the Lite file.

    Waits for that run as for the lock.
    """
    deadline, waited = clock() + settings.lock.wait, False
    while True:
        try:
            return connect(address)
        except BackendUnavailableError as error:
            if not address.is_file:
                raise
            held = (holder_of(path) for path in settings.run.runs_dir.glob(_files(address)))
            holder = next((h for h in held if h is not None), None)
            if holder is None and not waited:
                raise
            if holder is not None and clock() >= deadline:
                until = "the file is free when that process ends"
                line = locked_line(f"labels in {address.shown!r}", holder, until)
                raise LockedError(line) from error
            waited = holder is not None  # else it ended just now, and left the file to us
        time.sleep(POLL)


def lock_path(runs_dir: Path, address: MilvusAddress, collection: str, prefix: str) -> Path:
    """The file that stands for the labels of this prefix of this collection on this machine."""
    return runs_dir / _files(address).replace("*", _digest(collection, prefix))


def _files(address: MilvusAddress) -> str:
    """A pattern of all lock files of this database."""
    where = str(address.path.resolve()) if address.is_file else address.shown
    return f".{_digest(where, address.database or 'default')}-*.lock"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
