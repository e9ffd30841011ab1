"""Whether the servers of the jobs can be reached.

In: addresses as the settings have them. Out: a line for each that takes no connection.
Promise: no more is asked than a connection, and that seldom, however often a probe comes; files
of Milvus Lite are always there.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from vdbcluster.errors import UsageError

PORTS = {"https": 443}
MILVUS_PORT = 19530
PATIENCE = 2.0
FRESH = 5.0
"""Seconds that an answer holds."""


def place_of(uri: str) -> tuple[str, int] | None:
    """Host and port; None for a file. ``UsageError`` if it is an address with no such port."""
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"the address of a Milvus server is wrong: {error}") from error
    if "://" not in uri or not parts.hostname:
        return None
    return parts.hostname, port or PORTS.get(parts.scheme, MILVUS_PORT)


class Reach:
    """See the module; threads may share it."""

    def __init__(self, uris: Iterable[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._places = sorted({place for uri in uris if (place := place_of(uri))})
        self._clock = clock
        self._lock = threading.Lock()
        self._at: float | None = None
        self._wrong: list[str] = []

    def wrong(self) -> list[str]:
        """What cannot be reached, as of at most ``FRESH`` seconds ago."""
        with self._lock:
            now = self._clock()
            if self._at is None or now - self._at > FRESH:
                self._wrong = [told for place in self._places if (told := _trouble(place))]
                self._at = now
            return list(self._wrong)


def _trouble(place: tuple[str, int]) -> str:
    try:
        socket.create_connection(place, PATIENCE).close()
    except OSError as error:
        return f"{place[0]}:{place[1]} cannot be reached: {error.strerror or error}"
    return ""
