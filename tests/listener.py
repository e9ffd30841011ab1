"""An HTTP server on 127.0.0.1 that takes whatever it is sent.

    with Listener(answers=[503, 200]) as listener:
        ...
        listener.bodies

In: the status of each answer in turn, 200 afterwards; 0 hangs up without one. Out: ``url`` and what
came: ``paths``, ``bodies``, ``headers``. Promise: a request is listed before it is answered.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Listener:
    """See the module."""

    def __init__(self, answers: Iterable[int] = ()) -> None:
        self.answers = list(answers)
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler_of(listener: Listener) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            listener.paths.append(f"{self.command} {self.path}")
            listener.headers.append({k.lower(): v for k, v in self.headers.items()})
            listener.bodies.append(body)
            if status := listener.answers.pop(0) if listener.answers else 200:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing."""

    return Handler
