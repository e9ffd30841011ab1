"""When the next request may be sent, for all threads that ask one endpoint.

    pace.turn()          before each request: waits while the server wants it, raises once stopped
    pace.hold(seconds)   the server wants to be left alone; the others wait as well
    pace.sleep(seconds)  a pause of one thread; ends at once when stopped
    pace.stop(error)     one request failed for good, so all others would; everybody gets ``error``

Promise: nobody who waits here outlasts ``stop``.
"""

from __future__ import annotations

import random
import threading
import time

from vdbcluster.errors import VdbclusterError


class Pace:
    """Threads that share one server. After a wait they start within ``spread`` seconds."""

    def __init__(self, spread: float = 0.0) -> None:
        self._spread = spread
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._until = 0.0
        self._error: VdbclusterError | None = None

    def turn(self) -> None:
        """Return when a request may be sent; raise what ``stop`` was given."""
        while (left := self._left()) > 0:
            self.sleep(left + random.uniform(0, self._spread))
        self._check()

    def hold(self, seconds: float) -> None:
        """No request before ``seconds`` from now."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Wait; raise what ``stop`` was given, as soon as it is."""
        self._stopped.wait(seconds)
        self._check()

    def stop(self, error: VdbclusterError) -> None:
        """End all waiting and refuse all further requests; the first error stays."""
        with self._lock:
            self._error = self._error or error
        self._stopped.set()

    def _left(self) -> float:
        with self._lock:
            return self._until - time.monotonic()

    def _check(self) -> None:
        if self._error is not None:
            raise type(self._error)(str(self._error))
