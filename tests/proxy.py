"""A TCP proxy on this machine that falls silent, or refuses.

In: where to send the bytes on. Out: its port, while the context is open; commands to it. Whoever
connects meanwhile is accepted, by the system, and hears nothing: so does a server that hangs.

    with Proxy(host, port) as proxy:
        proxy.fall_silent(seconds=2.0)
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread, Timer

_CHUNK = 1 << 14
_POLL = 0.05
"""Seconds."""


class Proxy:
    """See the module. Bytes that come while it is silent are sent on afterwards."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._passes, self._over, self._lock = Event(), Event(), Lock()
        self._passes.set()
        self._left: int | None = None  # bytes of answers until it falls silent
        self._seconds: float | None = None
        self._threads: list[Thread] = []
        self._timers: list[Timer] = []
        self._listener = _listening(0)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Proxy:
        self._begin(self._accept, self._listener)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for timer in self._timers:
            timer.cancel()
            timer.join()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fall_silent(self, seconds: float | None = None, after: int = 0) -> None:
        """For so long, or for good, once ``after`` more bytes of answers have passed."""
        with self._lock:
            self._seconds, self._left = seconds, after
            if not after:
                self._silent()

    def refuse(self, seconds: float) -> None:
        """Nobody listens for so long; who is connected stays so."""
        self._listener.close()
        self._later(seconds, self._listen_again)

    def _listen_again(self) -> None:
        self._listener = _listening(self.port)
        self._begin(self._accept, self._listener)

    def _silent(self) -> None:
        self._left = None
        self._passes.clear()
        if self._seconds is not None:
            self._later(self._seconds, self._passes.set)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        timer = Timer(seconds, what)
        self._timers.append(timer)
        timer.start()

    def _begin(self, what: Callable[[socket.socket], None], link: socket.socket) -> None:
        thread = Thread(target=what, args=(link,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while not self._over.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:  # closed
                return
            self._begin(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._target) as server:
            while not self._over.is_set():
                for source in select.select([client, server], [], [], _POLL)[0]:
                    if not self._pass_on(source, client, server):
                        return

    def _pass_on(self, source: socket.socket, client: socket.socket, server: socket.socket) -> bool:
        """Some bytes, once it may; whether there may be more."""
        chunk = source.recv(_CHUNK)
        while not self._passes.wait(_POLL):
            if self._over.is_set():
                return False
        (server if source is client else client).sendall(chunk)
        if source is server:
            self._count(len(chunk))
        return bool(chunk)

    def _count(self, answered: int) -> None:
        with self._lock:
            if self._left is not None:
                self._left -= answered
                if self._left <= 0:
                    self._silent()


def _listening(port: int) -> socket.socket:
    listener = socket.create_server(("127.0.0.1", port))
    listener.settimeout(_POLL)
    return listener
