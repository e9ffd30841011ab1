"""One process at a time.

    with locked(folder / ".name.lock") as ours:
        if not ours: ...            somebody else is at it

In: a path in a folder that can be written. Out: whether this process has the lock now.
Promise: nobody waits; the lock goes with the process, however that ends; the file goes with the
lock. Where the system or the file system has no such locks, everybody has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock of this name; False where another holds it. Raises ``OSError``."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        ours = _taken(handle) and _is(handle, path)
        try:
            yield ours
        finally:
            if ours:
                path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _is(handle: int, path: Path) -> bool:
    """False if the file was taken away by its last holder just before."""
    try:
        return os.fstat(handle).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
