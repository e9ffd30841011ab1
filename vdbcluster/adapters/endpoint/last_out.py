"""A client that several threads share is closed by the last of them.

    door = LastOut(client.close)
    with door:              in each thread, around its requests
        ...
    door.close()            closes now if nobody is inside, else as soon as the last one leaves

In: what closes. Out: that call, when nobody can be connecting. Promise: ``close`` never waits.
A client that is closed while a thread still connects forgets that connection, and nobody closes
the socket that comes of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType


class LastOut:
    """See the module; who enters after ``close`` has nothing to ask, and leaves it closed."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._lock = threading.Lock()
        self._inside = 0
        self._ended = False

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            last = self._ended and not self._inside
        if last:
            self._close()

    def close(self) -> None:
        """End it; see the module. Whoever is inside must be kept from beginning anything new."""
        with self._lock:
            self._ended = True
            empty = not self._inside
        if empty:
            self._close()
