"""A lock on this machine: ``RunLock`` by a file that the kernel locks.

In: a path, what is locked (for the message), seconds to wait. Out: see ``ports.lock``.
Promise: the lock goes with the process, however that ends, so it never has to be renewed and is
never lost; who holds it is written into the file. Where the system or the file system has no such
locks, everybody has it.

    with DiskLock(runs / ".3f2a.lock", "labels cluster_* of 'docs'").held(run_id) as lease: ...
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from vdbcluster.adapters.lock import locked
from vdbcluster.adapters.processes import clock, this_process
from vdbcluster.errors import LockedError, UsageError, VdbclusterError
from vdbcluster.model.holder import Holder, locked_line

POLL = 0.2
"""Seconds between two attempts."""
UNTIL = "the lock goes when that process ends"


class DiskLock:
    """See the module."""

    def __init__(
        self,
        path: Path,
        what: str,
        wait: float = 0.0,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``note`` gets a line for the user if there is somebody to wait for."""
        self._path = path
        self._what = what
        self._wait = wait
        self._note = note

    @contextmanager
    def held(self, run_id: str) -> Iterator[DiskLease]:
        """See ``ports.lock``; ``UsageError`` if the file cannot be made."""
        deadline, told = clock() + self._wait, False
        while True:
            with self._locked() as ours:
                if ours:
                    self._sign(run_id)
                    yield DiskLease()
                    return
            holder = _read(self._path)
            if clock() >= deadline:
                raise LockedError(locked_line(self._what, holder, UNTIL))
            if not told:
                told = True
                self._note(f"waiting for {holder or 'another run'}, which has the lock")
            time.sleep(POLL)

    def _sign(self, run_id: str) -> None:
        """Write who has the lock, for others to read."""
        try:
            self._path.write_text(this_process(run_id).to_json())
        except OSError as error:
            raise VdbclusterError(
                f"the lock {self._path} cannot be written ({error.strerror}); free some space, or "
                "name another directory with --runs-dir"
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        with ExitStack() as stack:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                ours = stack.enter_context(locked(self._path))
            except OSError as error:
                raise UsageError(
                    f"the lock {self._path} cannot be had ({error.strerror}); name a writable "
                    "directory with --runs-dir"
                ) from error
            yield ours


class DiskLease:
    """Ours while the process lives."""

    def check(self) -> None:
        """Never raises."""


def holder_of(path: Path) -> Holder | None:
    """Who holds the lock of this file now; None if nobody does, or nobody can be named."""
    holder = _read(path)
    try:
        with locked(path) as ours:
            return None if ours else holder
    except OSError:
        return None


def _read(path: Path) -> Holder | None:
    try:
        return Holder.from_json(path.read_text())
    except (OSError, ValueError):
        return None
