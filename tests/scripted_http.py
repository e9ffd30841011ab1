"""The HTTP half of servers on 127.0.0.1 whose answers are scripted.

    served = served_by(scripted)       # a socketserver on a free port, not yet running

In: a ``Scripted``, which is told of each POST and decides what is said. Out: the server.
Promise: one thread for each connection; what a client breaks off troubles nobody.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol


@dataclass(frozen=True)
class Reply:
    """What is said instead of an answer; ``body`` None resets the connection."""

    status: int = 200
    body: bytes | None = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    kind: str = "application/json"


class Scripted(Protocol):
    """Who decides what is said; ``latency`` in seconds goes before each answer."""

    latency: float

    def begin(self, request: dict[str, Any]) -> Reply:
        """The answer to a request: its JSON, with ``path`` and ``auth`` beside it."""
        ...

    def end(self) -> None:
        """The request is about to be answered."""
        ...


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none of the server's trouble."""


def served_by(scripted: Scripted) -> ThreadingHTTPServer:
    """A server that answers as ``scripted`` says."""
    return _Server(("127.0.0.1", 0), _handler_of(scripted))


def _handler_of(server: Scripted) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # headers and body in one packet, or the client waits for the second
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            reply = server.begin(
                {**request, "path": self.path, "auth": self.headers["authorization"]}
            )
            time.sleep(server.latency + reply.delay)
            server.end()
            self._say(reply)

        def _say(self, reply: Reply) -> None:
            if reply.body is None:
                linger = struct.pack("ii", 1, 0)  # closing sends a reset
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(len(reply.body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)
            self.wfile.flush()

        def log_message(self, *args: object) -> None:
            """Nothing."""

    return Handler
