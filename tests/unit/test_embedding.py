"""Embedders: the local model offline, and the API client over real HTTP against a fake server."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from vdbcluster.adapters.embedding.local import DIM, LocalEmbedder
from vdbcluster.adapters.embedding.openai_api import OpenAIEmbedder, OpenAISettings
from vdbcluster.errors import BackendError, BackendUnavailableError, UsageError

KEY = "sk-a-very-secret-key"


def vector_of(text: str) -> list[float]:
    return [float(len(text)), float(sum(text.encode()) % 97), 1.0]


@dataclass
class Reply:
    """What the server says to one request; ``body`` None cuts the connection."""

    status: int = 200
    body: bytes | None = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """A right answer, base64 as it was asked for."""
    assert request["encoding_format"] == "base64"
    data = [
        {
            "object": "embedding",
            "index": i,
            "embedding": base64.b64encode(np.array(vector_of(t), "<f4").tobytes()).decode(),
        }
        for i, t in enumerate(request["input"])
    ]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "data": data, "model": request["model"], "usage": usage}


class FakeServer:
    """An OpenAI-compatible server on 127.0.0.1 that follows a script, then answers rightly."""

    def __init__(self) -> None:
        self.script: list[Reply | Callable[[dict[str, Any]], dict[str, Any]]] = []
        self.requests: list[dict[str, Any]] = []
        self.times: list[float] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                fake.requests.append(
                    {**request, "path": self.path, "auth": self.headers["authorization"]}
                )
                fake.times.append(time.monotonic())
                fake.reply(self, request)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def reply(self, handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        step = self.script.pop(0) if self.script else answer
        reply = step if isinstance(step, Reply) else Reply(body=json.dumps(step(request)).encode())
        time.sleep(reply.delay)
        if reply.body is None:
            handler.connection.close()
            handler.close_connection = True
            return
        try:
            handler.send_response(reply.status)
            length = {"Content-Length": str(len(reply.body))}
            for name, value in {
                "Content-Type": "application/json",
                **length,
                **reply.headers,
            }.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(reply.body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client did not want to wait

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.close()


def embedder(server: FakeServer, **changes: Any) -> OpenAIEmbedder:
    wanted = {"model": "m", "base_url": server.url, "api_key": KEY, "batch_size": 4}
    return OpenAIEmbedder(
        OpenAISettings(**{**wanted, "first_wait": 0.01, "max_attempts": 4, **changes})
    )


def error(status: int, code: str | None = None, **headers: str) -> Reply:
    told = {"error": {"message": f"no, {KEY} does not do", "code": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(told).encode(), named)


TEXTS = ["one", "three", "seventeen", "a", "bb", "日本語", "x y z", "", "nine"]


def test_texts_go_in_batches_and_come_back_in_order(server):
    vectors = embedder(server).embed(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, np.array([vector_of(t) for t in TEXTS], np.float32))
    assert [len(r["input"]) for r in server.requests] == [4, 4, 1]
    assert {r["path"] for r in server.requests} == {"/v1/embeddings"}
    assert {r["auth"] for r in server.requests} == {f"Bearer {KEY}"}
    assert "dimensions" not in server.requests[0]


def test_dimensions_are_asked_for_and_checked(server):
    assert embedder(server, dimensions=3).embed(["a"]).shape == (1, 3)
    assert server.requests[0]["dimensions"] == 3
    with pytest.raises(BackendError, match="dimension 3, not 2"):
        embedder(server, dimensions=2).embed(["a"])


def test_lists_of_floats_and_swapped_order_are_read_by_index(server):
    def floats_backwards(request):
        good = answer(request)
        for item, text in zip(good["data"], request["input"], strict=True):
            item["embedding"] = vector_of(text)
        good["data"].reverse()
        return good

    server.script = [floats_backwards]
    np.testing.assert_array_equal(embedder(server).embed(TEXTS[:4])[2], vector_of(TEXTS[2]))


def test_retry_after_in_seconds_is_waited_for(server):
    server.script = [error(429, retry_after="0.4"), error(429, retry_after="0.3")]
    assert len(embedder(server).embed(["a"])) == 1
    first, second, third = server.times
    assert second - first >= 0.4
    assert third - second >= 0.3


def test_retry_after_as_a_date_is_waited_for(server):
    when = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    server.script = [error(429, retry_after=format_datetime(when, usegmt=True))]
    assert len(embedder(server).embed(["a"])) == 1
    assert datetime.now(UTC) >= when


def test_a_pause_that_is_too_long_is_told_at_once(server):
    server.script = [error(429, retry_after="3600")]
    with pytest.raises(BackendError):
        embedder(server).embed(["a"])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        error(429),
        error(500),
        error(503),
        Reply(body=None),
        Reply(body=b'{"object": "list", "da'),
        Reply(body=b"{}", delay=1.0),
    ],
    ids=["429", "500", "503", "reset", "truncated", "time-out"],
)
def test_what_mends_itself_is_tried_again(server, trouble):
    server.script = [trouble, trouble]
    vectors = embedder(server, timeout=0.5).embed(["a", "bb"])
    np.testing.assert_array_equal(vectors, np.array([vector_of("a"), vector_of("bb")], np.float32))
    assert len(server.requests) == 3


def test_after_all_attempts_it_gives_up_with_a_clear_line(server):
    server.script = [error(500)] * 9
    with pytest.raises(BackendUnavailableError, match="gave up after 4 attempts") as told:
        embedder(server).embed(["a"])
    assert len(server.requests) == 4
    assert KEY not in str(told.value)


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (error(400), BackendError),
        (error(401), UsageError),
        (error(403), UsageError),
        (error(404), UsageError),
        (error(422), BackendError),
        (error(429, code="insufficient_quota"), BackendError),
    ],
)
def test_what_does_not_mend_stops_at_once_and_shows_no_key(server, trouble, kind):
    server.script = [trouble]
    with pytest.raises(kind) as told:
        embedder(server).embed(["a"])
    assert len(server.requests) == 1
    assert KEY not in str(told.value)
    assert "\n" not in str(told.value)
    assert KEY not in repr(OpenAISettings("m", api_key=KEY))


def edited(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[..., dict[str, Any]]:
    def script(request: dict[str, Any]) -> dict[str, Any]:
        good = answer(request)
        change(good["data"])
        return good

    return script


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop(), "1 vectors for 2 texts"),
        (lambda data: data.append(data[0]), "3 vectors for 2 texts"),
        (lambda data: data[1].update(index=0), "not one for each"),
        (lambda data: data[1].update(embedding=[1.0, float("nan"), 2.0]), r"text 2 of 2 .*NaN.*bb"),
        (lambda data: data[0].update(embedding=[0.0, 0.0, 0.0]), "text 1 of 2 is zero"),
        (lambda data: data[0].update(embedding=[1.0, 2.0]), "cannot be read"),
        (lambda data: data[0].update(embedding="not base64!"), "cannot be read"),
        (lambda data: data[0].update(embedding="AAA="), "cannot be read"),
    ],
)
def test_a_wrong_answer_is_refused(server, change, message):
    server.script = [edited(change)]
    with pytest.raises(BackendError, match=message):
        embedder(server).embed(["a", "bb"])


def test_an_answer_that_is_no_list_of_embeddings_is_refused(server):
    server.script = [
        Reply(body=b'{"hello": 1}'),
        Reply(body=b"<html>", headers={"Content-Type": "text/html"}),
    ]
    api = embedder(server)
    for _ in range(2):
        with pytest.raises(BackendError):
            api.embed(["a"])


def test_settings_are_checked():
    with pytest.raises(UsageError, match="batch_size is 0"):
        OpenAISettings("m", batch_size=0)
    with pytest.raises(UsageError, match="max_attempts is 0"):
        OpenAISettings("m", max_attempts=0)


@pytest.fixture(scope="module")
def local() -> LocalEmbedder:
    pytest.importorskip("wordllama", reason="the extra 'local' is not installed")
    return LocalEmbedder()


def test_the_local_model_knows_likeness_and_needs_no_network(local, monkeypatch):
    def refuse(*_: Any) -> None:
        raise AssertionError("the local embedder opened a connection")

    monkeypatch.setattr("socket.socket.connect", refuse)
    fresh = LocalEmbedder()
    cat, kitten, socket_ = fresh.embed(["a cat", "a small kitten", "open a TCP socket"])
    assert fresh.embed(["a cat"]).shape == (1, DIM)
    assert cat @ kitten > cat @ socket_
    np.testing.assert_allclose(np.linalg.norm(cat), 1, rtol=1e-5)


def test_the_local_model_does_not_depend_on_the_batch(local):
    texts = ["read a file", "write bytes to a stream", "parse XML", "x"]
    together = local.embed(texts)
    np.testing.assert_allclose(together, [local.embed([t])[0] for t in texts], atol=1e-6)
    np.testing.assert_array_equal(together, local.embed(texts))


def test_a_text_without_words_is_refused_by_the_local_model(local):
    with pytest.raises(BackendError, match="text 2 of 2"):
        local.embed(["fine", ""])
