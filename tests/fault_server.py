"""An OpenAI-like server on 127.0.0.1 whose answers are scripted.

    with FaultServer() as server:
        server.script = [error(429, retry_after="0.1"), truncated(), wrong_count()]
        server.client(batch=2).embed(["a", "b"])

In: ``script`` (one step per request, then ``faults``), ``faults`` (a step or None for each further
request, see ``random_faults``), ``latency`` in seconds, limits of a text and of a request in
tokens. Out: ``url``, and what was seen: ``requests``, ``times``, ``tokens`` billed,
``most_at_once``.
A step is a ``Reply``, or a function from the right answer to a wrong one.
Promise: ``vector_of(text)`` is the vector of a text, always; right answers are base64 if asked so.
"""

from __future__ import annotations

import base64
import json
import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from hashlib import blake2b
from typing import Any

import numpy as np

from tests.scripted_http import Reply, served_by
from vdbcluster.adapters.embedding.openai_api import OpenAIEmbedder
from vdbcluster.adapters.endpoint.calls import Patience
from vdbcluster.config.ingest import EmbedSettings
from vdbcluster.model.arrays import Float32Array

DIM = 8
Answer = dict[str, Any]
KEY = "sk-a-very-secret-key"
PATIENCE = Patience(first_wait=0.01, longest_wait=0.05, longest_asked=5.0)


Step = Reply | Callable[[Answer], Answer | bytes]


def vector_of(text: str) -> Float32Array:
    """A unit vector that no other text has."""
    seed = int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
    vector = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


def vectors_of(texts: list[str]) -> Float32Array:
    return np.stack([vector_of(text) for text in texts])


def tokens_of(text: str) -> int:
    """What this server bills for a text."""
    return max(1, (len(text.encode()) + 3) // 4)


def error(
    status: int, code: str | None = None, message: str = "", delay: float = 0.0, **headers: str
) -> Reply:
    """An error as OpenAI words it. It repeats the key, as some servers do."""
    told = {"error": {"message": message or f"no, {KEY} does not do", "type": "x", "code": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(told).encode(), named, delay)


def reset() -> Reply:
    return Reply(body=None)


def html(status: int = 200) -> Reply:
    page = b"<html><body>Bad gateway\n of a proxy</body></html>"
    return Reply(status, page, kind="text/html")


def truncated() -> Step:
    return lambda answer: json.dumps(answer).encode()[:-20]


def late(seconds: float) -> Reply:
    """A time-out, if the client waits less."""
    return Reply(delay=seconds, body=b"{}")


def edited(change: Callable[[list[dict[str, Any]]], Any]) -> Step:
    """The right answer, but for its ``data``; embeddings are lists of numbers."""

    def step(answer: Answer) -> Answer:
        for item in answer["data"]:
            item["embedding"] = _numbers(item["embedding"])
        change(answer["data"])
        return answer

    return step


def wrong_count() -> Step:
    return edited(lambda data: data.pop())


def wrong_dimension() -> Step:
    return edited(lambda data: [item["embedding"].pop() for item in data])


def not_a_number(row: int = -1) -> Step:
    return edited(lambda data: data[row]["embedding"].__setitem__(0, float("nan")))


def zero_vector(row: int = -1) -> Step:
    return edited(lambda data: data[row].update(embedding=[0.0] * DIM))


def backwards() -> Step:
    """Right, but in another order; ``index`` says so."""
    return edited(lambda data: data.reverse())


FAULTS: dict[str, Callable[[], Step]] = {
    "429": lambda: error(429),
    "429 with Retry-After": lambda: error(429, retry_after="0.02"),
    "500": lambda: error(500),
    "503": lambda: error(503),
    "reset": reset,
    "truncated": truncated,
    "wrong count": wrong_count,
    "NaN": not_a_number,
    "zero": zero_vector,
    "swapped": backwards,
    "html": html,
}
"""What goes wrong now and then on a server that is well otherwise."""


def random_faults(seed: int, share: float = 0.1) -> Callable[[], Step | None]:
    """One of ``FAULTS`` for this share of the requests."""
    draw = random.Random(seed)
    kinds = list(FAULTS.values())
    return lambda: draw.choice(kinds)() if draw.random() < share else None


class FaultServer:
    """See the module."""

    def __init__(
        self,
        *,
        latency: float = 0.0,
        max_text_tokens: int = 10**9,
        max_request_tokens: int = 10**9,
        told_usage: bool = True,
    ) -> None:
        self.latency = latency
        self.max_text_tokens = max_text_tokens
        self.max_request_tokens = max_request_tokens
        self.told_usage = told_usage
        self.headers: dict[str, str] = {}
        self.script: list[Step] = []
        self.faults: Callable[[], Step | None] = lambda: None
        self.requests: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.tokens = 0
        self.most_at_once = 0
        self._now = 0
        self._clients = ExitStack()
        self._lock = threading.Lock()
        self._server = served_by(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> FaultServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._clients.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def client(self, patience: Patience = PATIENCE, **settings: Any) -> OpenAIEmbedder:
        """An impatient embedder at this server, closed with it."""
        wanted = {"model": "m", "base_url": self.url, "batch": 4, "max_attempts": 4, **settings}
        embedder = OpenAIEmbedder(EmbedSettings(**wanted), KEY, patience)
        self._clients.callback(embedder.close)
        return embedder

    def begin(self, request: dict[str, Any]) -> Reply:
        """Count the request and decide what is said."""
        with self._lock:
            self.requests.append(request)
            self.times.append(time.monotonic())
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            step = self.script.pop(0) if self.script else self.faults()
        reply = step if isinstance(step, Reply) else self._refusal(request["input"])
        if reply is not None:
            return reply
        answer: Answer | bytes = self._answer(request)
        if callable(step):
            answer = step(answer)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return Reply(200, body, self.headers)

    def end(self) -> None:
        with self._lock:
            self._now -= 1

    def _refusal(self, texts: list[str]) -> Reply | None:
        """What OpenAI says to a text, or a request, of too many tokens."""
        counts = [tokens_of(text) for text in texts]
        if (longest := max(counts)) > self.max_text_tokens:
            return error(
                400,
                message=f"This model's maximum context length is {self.max_text_tokens} tokens, "
                f"however you requested {longest} tokens.",
            )
        if sum(counts) > self.max_request_tokens:
            return error(400, "max_tokens_per_request", f"Requested {sum(counts)} tokens")
        return None

    def _answer(self, request: dict[str, Any]) -> Answer:
        texts = request["input"]
        as_text = request.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": i, "embedding": _encoded(vector_of(t), as_text)}
            for i, t in enumerate(texts)
        ]
        answer = {"object": "list", "data": data, "model": request["model"]}
        taken = sum(map(tokens_of, texts))
        with self._lock:
            self.tokens += taken
        if self.told_usage:
            answer["usage"] = {"prompt_tokens": taken, "total_tokens": taken}
        return answer


def _encoded(vector: Float32Array, as_text: bool) -> str | list[float]:
    if as_text:
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return [float(number) for number in vector]


def _numbers(embedding: str | list[float]) -> list[float]:
    if isinstance(embedding, list):
        return embedding
    return [float(number) for number in np.frombuffer(base64.b64decode(embedding), "<f4")]
