"""One run at a time writes the labels of one collection under one prefix.

In: a run id. Out: a ``Lease``, to be checked before every write. Promise: of all who ask for the
same lock, one has it; one that died does not keep it.

    with lock.held(run_id) as lease:
        for batch in batches:
            lease.check()
            write(batch)
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Lease(Protocol):
    def check(self) -> None:
        """Return at once while the lock is ours; to be called before every write.

        Raises ``LockedError`` if it was lost: this process gave no sign of life for so long that
        others had to take it for dead. Raises ``BackendError`` if the place that keeps the lock
        cannot be asked and the time is up.
        """
        ...


class RunLock(Protocol):
    def held(self, run_id: str) -> AbstractContextManager[Lease]:
        """Hold the lock inside the context, renewed beside the work; let go of it however it ends.

        Raises ``LockedError``, which says who has it, if it is not to be had in the time that the
        lock was told to wait. A holder that died does not keep it.
        """
        ...
