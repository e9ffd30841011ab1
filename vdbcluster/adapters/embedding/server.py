"""Any ``Embedder`` as an OpenAI-compatible endpoint, to try the real path without an API.

    serve(LocalEmbedder(), "127.0.0.1", 8000)               until it is interrupted
    with EmbeddingServer(embedder, "127.0.0.1", 0) as server:   in the background, at ``server.url``

In: ``POST /v1/embeddings`` (``input``: a text or a list; ``encoding_format`` float or base64;
``dimensions`` only as the model has them), ``GET /v1/models``, ``GET /health``. Out: what OpenAI's
API would answer, errors included. Promise: no network beyond the address it is bound to; a bad
request never ends it; with an ``api_key`` nobody else is served.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Sequence
from hmac import compare_digest
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.ports.embedder import Embedder, TextsRefusedError

MAX_TEXTS = 2048
MAX_BODY = 64 << 20
IDLE = 120.0
"""Seconds after which a connection that says nothing is closed."""


class _RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class EmbeddingServer(ThreadingHTTPServer):
    """The endpoint; as a context manager it runs in a thread of its own."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, embedder: Embedder, host: str, port: int, *, model: str = "local", api_key: str = ""
    ) -> None:
        """Bind; ``port`` 0 takes a free one. ``UsageError`` if the address cannot be had."""
        self.embedder = embedder
        self.model = model
        self.api_key = api_key
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UsageError(f"cannot listen at {host}:{port}: {error}") from error

    @property
    def url(self) -> str:
        """What ``--embed-base-url`` is set to."""
        return f"http://{self.server_address[0]!s}:{self.server_port}/v1"

    def __enter__(self) -> EmbeddingServer:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nobody's trouble."""


def serve(
    embedder: Embedder, host: str, port: int, *, model: str = "local", api_key: str = ""
) -> None:
    """Serve until ``KeyboardInterrupt``, which goes on to the caller."""
    server = EmbeddingServer(embedder, host, port, model=model, api_key=api_key)
    try:
        server.serve_forever()
    finally:
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: EmbeddingServer
    protocol_version = "HTTP/1.1"
    timeout = IDLE
    # Headers and body go out together; the client would wait for the second packet otherwise.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Models and health."""
        model = {"id": self.server.model, "object": "model", "owned_by": "vdbcluster"}
        answers: dict[str, dict[str, Any]] = {
            "/health": {"status": "ok"},
            "/v1/models": {"object": "list", "data": [model]},
            f"/v1/models/{self.server.model}": model,
        }
        found = answers.get(self.path)
        if found is None:
            self._refuse(HTTPStatus.NOT_FOUND, f"there is no {self.path}")
        else:
            self._answer(HTTPStatus.OK, found)

    def do_POST(self) -> None:
        """Embeddings."""
        try:
            request = self._request()
            self._answer(HTTPStatus.OK, self._embeddings(request))
        except _RefusedError as refusal:
            self._refuse(refusal.status, str(refusal))
        except TextsRefusedError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except VdbclusterError as error:
            self._refuse(HTTPStatus.BAD_GATEWAY, str(error))

    def log_message(self, *args: object) -> None:
        """Nothing: the caller may be at a terminal."""

    def _request(self) -> dict[str, Any]:
        length = self.headers.get("content-length", "")
        if not length.isdecimal():
            self.close_connection = True
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
        if int(length) > MAX_BODY:
            self.close_connection = True
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the request exceeds the limit of {MAX_BODY}"
            )
        body = self.rfile.read(int(length))
        if self.path != "/v1/embeddings":
            raise _RefusedError(HTTPStatus.NOT_FOUND, f"there is no {self.path}")
        key = self.server.api_key
        said = self.headers.get("authorization", "")
        if key and not compare_digest(said.encode(), f"Bearer {key}".encode()):
            raise _RefusedError(HTTPStatus.UNAUTHORIZED, "Incorrect API key provided")
        try:
            request = json.loads(body)
        except ValueError as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, f"no valid JSON: {error}") from error
        if not isinstance(request, dict):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "the request must be an object")
        return request

    def _embeddings(self, request: dict[str, Any]) -> dict[str, Any]:
        texts = _texts(request.get("input"))
        form = request.get("encoding_format", "float")
        if form not in {"float", "base64"}:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "encoding_format must be float or base64")
        embedder = self.server.embedder
        vectors = embedder.embed(texts)
        wanted = request.get("dimensions")
        if wanted is not None and wanted != vectors.shape[1]:
            raise _RefusedError(
                HTTPStatus.BAD_REQUEST,
                f"this model has {vectors.shape[1]} dimensions and no others, not {wanted!r}",
            )
        taken = sum(map(embedder.tokens, texts))
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "index": row, "embedding": _encoded(vector, form)}
                for row, vector in enumerate(vectors)
            ],
            "model": self.server.model,
            "usage": {"prompt_tokens": taken, "total_tokens": taken},
        }

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        told = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        self._answer(status, {"error": told})

    def _answer(self, status: HTTPStatus, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def _texts(given: object) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "input must be a text or a list of texts")
    if not 1 <= len(texts) <= MAX_TEXTS:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, f"input must hold 1 to {MAX_TEXTS} texts")
    return texts


def _encoded(vector: Float32Array, form: str) -> str | Sequence[float]:
    if form == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    numbers: list[float] = vector.tolist()
    return numbers
