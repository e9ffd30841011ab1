"""A gRPC proxy that forwards Milvus calls, and can change, fail, delay or lose them.

In: a ``Backend`` that is served at an address, and optionally a ``Release`` to emulate. Out:
``Proxy.backend``, which clients use in place of the target. Promise: without release and faults
every byte goes through unchanged.

    with emulation("2.6") as proxy: ...
    with in_front_of(server.backend) as proxy:
        proxy.fail_next("Upsert", 8, "rate limit", times=2)
        proxy.before("Upsert", lambda request: other_client.delete(name, ids=[7]))
        proxy.cut_after("Insert", 3)
        proxy.alter("Query", lambda request, answer: answer.fields_data.pop())
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlparse

import grpc

from tests.backends import Backend, lite_server
from tests.emulation import wire
from tests.emulation.faults import ANY, Faults
from tests.emulation.releases import RELEASES, Release
from tests.emulation.servers import Emulation

_SIZES = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_CALM = [
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
]


class Proxy(Faults, grpc.GenericRpcHandler):
    """A server of its own on a free port of 127.0.0.1; see ``Faults`` for what it can be told."""

    def __init__(
        self,
        target: Backend,
        release: Release | None = None,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        Faults.__init__(self)
        self._emulation = Emulation(release, self._pause) if release else None
        self._channel = grpc.insecure_channel(
            urlparse(target.uri).netloc,
            options=[*_SIZES, ("grpc.use_local_subchannel_pool", 1)],
        )
        self._server = grpc.server(
            futures.ThreadPoolExecutor(max_workers=16), options=[*_SIZES, *_CALM]
        )
        self._server.add_generic_rpc_handlers((self,))
        if credentials is None:
            port, scheme = self._server.add_insecure_port("127.0.0.1:0"), "http"
        else:
            port, scheme = self._server.add_secure_port("127.0.0.1:0", credentials), "https"
        name = f"emulated-{release.name}" if release else target.name
        self.backend = Backend(name, f"{scheme}://127.0.0.1:{port}", target.token)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop(grace=None).wait()
        self._channel.close()

    def service(self, call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        path = call_details.method
        return grpc.unary_unary_rpc_method_handler(
            lambda raw, context: self._serve(path, raw, context)
        )

    def _serve(self, path: str, raw: bytes, context: grpc.ServicerContext) -> bytes:
        method = path.rpartition("/")[2]
        self.count(ANY)
        self.count(method)
        if self.gone:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the server is gone (injected)")
        failure = self.due_failure(method)
        if failure is not None:
            return self._fail(method, failure.code, failure.message, context)
        self.run_before(ANY, method)
        self.run_before(method, wire.request_of(method, raw) if wire.known(method) else raw)
        try:
            answer = self._answer(path, method, raw, context)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        if self.cut_now(method):
            context.abort(grpc.StatusCode.UNAVAILABLE, "the answer is lost (injected)")
        return self._altered(method, raw, answer)

    def _altered(self, method: str, raw: bytes, answer: bytes) -> bytes:
        change = self.change_of(method)
        if change is None:
            return answer
        parsed = wire.response_of(method, answer)
        change(wire.request_of(method, raw), parsed)
        sent: bytes = parsed.SerializeToString()
        return sent

    def _answer(self, path: str, method: str, raw: bytes, context: grpc.ServicerContext) -> bytes:
        forward = self._forwarder(context)
        if self._emulation is None or not wire.known(method):
            return forward(path, raw)

        def call(name: str, request: Any) -> Any:
            return wire.response_of(name, forward(wire.PREFIX + name, request.SerializeToString()))

        answer = self._emulation.answer(method, wire.request_of(method, raw), call)
        sent: bytes = answer.SerializeToString()
        return sent

    def _forwarder(self, context: grpc.ServicerContext) -> Callable[[str, bytes], bytes]:
        metadata = [
            (key, value)
            for key, value in context.invocation_metadata()
            if not key.startswith("grpc-") and key not in ("user-agent", "content-type")
        ]
        left = context.time_remaining()
        timeout = left if left is not None and left < 1e6 else None  # no deadline reads as 1e18
        return lambda path, raw: self._channel.unary_unary(path)(
            raw, metadata=metadata, timeout=timeout
        )

    def _pause(self, point: str) -> None:
        self.count(point)
        self.run_before(point, None)

    def _fail(
        self, method: str, code: int | grpc.StatusCode, message: str, context: grpc.ServicerContext
    ) -> bytes:
        if isinstance(code, grpc.StatusCode):
            context.abort(code, message)
        sent: bytes = wire.refusal(method, int(code), message).SerializeToString()
        return sent


@contextmanager
def in_front_of(
    target: Backend,
    release: Release | None = None,
    credentials: grpc.ServerCredentials | None = None,
) -> Iterator[Proxy]:
    """A running proxy before a server that runs already; with ``credentials`` it speaks TLS."""
    proxy = Proxy(target, release, credentials)
    try:
        proxy.start()
        yield proxy
    finally:
        proxy.stop()


@contextmanager
def emulation(release: str) -> Iterator[Proxy]:
    """The emulation of a release, before a Milvus Lite server process of its own."""
    with lite_server() as server, in_front_of(server.backend, RELEASES[release]) as proxy:
        yield proxy
