"""``/healthz``, ``/readyz`` and ``/metrics`` of a worker.

    with serving("127.0.0.1", 9464, pages) as port:
        ...

In: an address, a page for each path. Out: an HTTP server in threads of its own.
Promise: only these paths, only GET and HEAD; a port that is taken is ``UsageError``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from vdbcluster.errors import UsageError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Check = Callable[[], list[str]]
"""What is wrong now, a line each; nothing if all is well."""
IDLE = 10.0
"""Seconds after which a client that says nothing is hung up on."""


def application(
    registry: CollectorRegistry, checks: Mapping[str, Check]
) -> Callable[..., Iterable[bytes]]:
    """The pages: ``/metrics``, and for each path of ``checks`` 200 ``ok`` or 503 and why."""
    metrics: Callable[..., Iterable[bytes]] = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _plain(start, "405 Method Not Allowed", ["GET alone"])
        if path == "/metrics":
            return metrics(environ, start)
        if path not in checks:
            return _plain(start, "404 Not Found", ["/metrics", *checks])
        wrong = checks[path]()
        return _plain(start, "503 Service Unavailable" if wrong else "200 OK", wrong or ["ok"])

    return answer


def _plain(start: StartResponse, status: str, lines: list[str]) -> Iterable[bytes]:
    body = "".join(f"{line}\n" for line in lines).encode()
    start(
        status,
        [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))],
    )
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none of the server's trouble."""


class _Handler(WSGIRequestHandler):
    timeout = IDLE

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Probes come every few seconds: nothing."""


@contextmanager
def serving(host: str, port: int, app: WSGIApplication) -> Iterator[int]:
    """Serve inside the context; gives the port, which is a free one where 0 was asked for."""
    try:
        server = make_server(host, port, app, _Server, _Handler)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"nothing can listen on {host}:{port} ({error}); choose another --host or --port"
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.2,), name="http", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
