"""The HTTP server itself, until it is told to end.

In: an ASGI application, an address. Out: nothing; returns when SIGINT or SIGTERM came.
Promise: a port that cannot be had is one line before anything is served; requests under way get
``GRACE`` seconds to end; nothing is logged but what the application says.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from vdbcluster.errors import UsageError

GRACE = 5
ENDS = (signal.SIGINT, signal.SIGTERM)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; ``UsageError`` if the address is taken or none of this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Head and body of an answer are sent in two pieces: Nagle's algorithm would hold the second
        # back until the first is acknowledged, 40 ms later.
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found.bind((host, port))
        found.listen(128)
    except (OSError, OverflowError) as error:
        found.close()
        raise UsageError(
            f"nothing can listen on {host}:{port} ({error}); choose another --host or --port"
        ) from error
    return found


def address_of(sock: socket.socket) -> str:
    """``http://127.0.0.1:8080/``."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(app: ASGIApp, sock: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until told to end; ``ready`` is called once requests are answered."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
    )
    with closing(sock):
        _Server(config, ready).run(sockets=[sock])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does; that it ended as it was told is no reason to raise the signal again."""
        before: dict[int, Any] = {sig: signal.signal(sig, self.handle_exit) for sig in ENDS}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)
