"""A chat endpoint as OpenAI's, on 127.0.0.1, whose answers are scripted.

    with ChatServer(lambda request: Reply('{"name": "Boats"}')) as server:
        ...                            # a client at server.base_url
    server.requests[0]["messages"]     # what was asked, in order of arrival

In: ``script``, which is one of

    a function    request (its JSON, with "path" and "auth" beside it) -> what is said to it
    a list        what is said to the first request, the second ...; the last goes on for ever
    one of them   what is said to every request

where what is said is a ``Reply``, a text, or a dict or list that is sent as JSON text. Faults are
replies too: ``Reply(status=500)``, ``refused()``, ``empty()``, ``cut_off()``, ``limited("0.1")``,
``error(400, ...)``, ``late(seconds)``, ``reset()``, ``broken()``. ``said(request)`` is all that the
messages of a request say.
``formats``: kinds of ``response_format`` that the endpoint takes; ``unknown``: parameters that it
refuses, such as ``temperature`` or ``max_completion_tokens``; ``key``: the only key it takes.
Out: ``base_url`` and what was seen: ``requests`` (all of them), ``times``, ``most_at_once``,
``tokens`` billed.
Promise: a script that raises fails the ``with``. It is called by one thread at a time. An answer
longer than the request allows, at four bytes a token, is cut off as by a real model.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests import scripted_http

Request = dict[str, Any]
FORMATS = frozenset({"text", "json_object", "json_schema"})


@dataclass(frozen=True)
class Reply:
    """What a model says, or what goes wrong instead.

    ``content`` None: the message has none. ``refusal``: the model's own words why it will not.
    ``usage``: whether tokens are told. ``body``: sent as it is, with ``status``, instead of an
    answer; a ``status`` other than 200 without it is an error as OpenAI words it, with ``content``
    as its message. ``closed``: the connection is reset instead. ``delay`` in seconds.
    """

    content: str | None = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    refusal: str | None = None
    finish_reason: str = "stop"
    usage: bool = True
    body: bytes | None = None
    code: str | None = None
    closed: bool = False


Said = Reply | str | dict[str, Any] | list[Any]
Script = Said | Sequence[Said] | Callable[[Request], Said]


def refused(words: str = "I'm sorry, I can't help with that.") -> Reply:
    """The model will not, in the field that the schema mode has for this."""
    return Reply(content=None, refusal=words)


def filtered() -> Reply:
    """The filter of the endpoint took the answer away."""
    return Reply(content="", finish_reason="content_filter")


def empty() -> Reply:
    return Reply(content="")


def cut_off(content: str = '{"name": "Bo') -> Reply:
    """The answer ended at the limit of tokens."""
    return Reply(content=content, finish_reason="length")


def error(status: int, message: str = "", code: str | None = None, **headers: str) -> Reply:
    """An error as OpenAI words it; headers as ``retry_after="0.1"``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(message or f"status {status}", status=status, code=code, headers=named)


def limited(retry_after: str = "0.02") -> Reply:
    """Too many requests; come back after so many seconds."""
    return error(429, "Rate limit reached", "rate_limit_exceeded", retry_after=retry_after)


def late(seconds: float, reply: Said = "") -> Reply:
    """A time-out, if the client waits less."""
    return replace(as_reply(reply), delay=seconds)


def reset() -> Reply:
    """The connection is closed without a word."""
    return Reply(closed=True)


def broken() -> Reply:
    """An HTTP body that ends in the middle of its JSON."""
    return Reply(body=b'{"id": "x", "choices": [{"index": 0, "mess')


def said(request: Request) -> str:
    """All that the messages of a request say."""
    return "\n".join(str(message["content"]) for message in request["messages"])


def tokens_of(text: str) -> int:
    """What this server bills for a text."""
    return max(1, (len(text.encode()) + 3) // 4)


def as_reply(said: Said) -> Reply:
    """A text or JSON value as the reply that says it."""
    if isinstance(said, Reply):
        return said
    return Reply(said if isinstance(said, str) else json.dumps(said, ensure_ascii=False))


def _within(request: Request, reply: Reply) -> Reply:
    """The reply, cut off where it is longer than the request allows."""
    limit = request.get("max_completion_tokens", request.get("max_tokens"))
    if limit is None or reply.content is None or tokens_of(reply.content) <= limit:
        return reply
    start = reply.content.encode()[: 4 * limit].decode("utf-8", "ignore")
    return replace(reply, content=start, finish_reason="length")


class ChatServer:
    """See the module."""

    def __init__(
        self,
        script: Script = "",
        *,
        formats: Collection[str] = FORMATS,
        unknown: Collection[str] = (),
        key: str | None = None,
        latency: float = 0.0,
    ) -> None:
        self.script = script
        self.formats = formats
        self.unknown = unknown
        self.key = key
        self.latency = latency
        self.requests: list[Request] = []
        self.times: list[float] = []
        self.tokens = 0
        self.most_at_once = 0
        self._now = 0
        self._said = 0
        self._errors: list[Exception] = []
        self._lock = threading.Lock()
        self._server = scripted_http.served_by(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> ChatServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if self._errors:
            raise AssertionError(f"the script failed: {self._errors[0]!r}") from self._errors[0]

    def begin(self, request: Request) -> scripted_http.Reply:
        """See ``scripted_http.Scripted``."""
        with self._lock:
            self.requests.append(request)
            self.times.append(time.monotonic())
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            try:
                reply = self._refusal(request) or as_reply(self._next(request))
            except Exception as problem:
                self._errors.append(problem)
                raise
            return self._http(request, reply)

    def end(self) -> None:
        """See ``scripted_http.Scripted``."""
        with self._lock:
            self._now -= 1

    def _next(self, request: Request) -> Said:
        if callable(self.script):
            return self.script(request)
        if not isinstance(self.script, list):
            return self.script  # type: ignore[return-value]
        at, self._said = min(self._said, len(self.script) - 1), self._said + 1
        found: Said = self.script[at]
        return found

    def _refusal(self, request: Request) -> Reply | None:
        """What OpenAI says to a wrong address, key or parameter."""
        if not request["path"].endswith("/v1/chat/completions"):
            return error(404, "Not found")
        if self.key is not None and request["auth"] != f"Bearer {self.key}":
            return error(401, f"Incorrect API key provided: {request['auth']}", "invalid_api_key")
        for name in self.unknown:
            if name in request:
                return error(
                    400,
                    f"Unsupported parameter: '{name}' is not supported with this model.",
                    "unsupported_parameter",
                )
        kind = request.get("response_format", {"type": "text"})["type"]
        if kind not in self.formats:
            return error(
                400,
                "Invalid parameter: 'response_format' of type "
                f"'{kind}' is not supported with this model.",
            )
        return None

    def _http(self, request: Request, reply: Reply) -> scripted_http.Reply:
        if reply.closed:
            return scripted_http.Reply(body=None, delay=reply.delay)
        if reply.body is not None:
            body = reply.body
        elif reply.status != 200:
            told = {"message": reply.content, "type": "x", "code": reply.code}
            body = json.dumps({"error": told}).encode()
        else:
            body = json.dumps(self._completion(request, _within(request, reply))).encode()
        return scripted_http.Reply(reply.status, body, reply.headers, reply.delay)

    def _completion(self, request: Request, reply: Reply) -> dict[str, Any]:
        message = {"role": "assistant", "content": reply.content, "refusal": reply.refusal}
        choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason}
        answer = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": request["model"],
            "choices": [choice],
        }
        asked, made = tokens_of(said(request)), tokens_of(reply.content or reply.refusal or "")
        self.tokens += asked + made
        if reply.usage:
            answer["usage"] = {
                "prompt_tokens": asked,
                "completion_tokens": made,
                "total_tokens": asked + made,
            }
        return answer
