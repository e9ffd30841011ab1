"""What every request passes before anything of ours sees it.

In: an ASGI application, ``Access``. Out: the same, guarded. Promise: a server that is called by a
foreign name answers nothing; a page of another site changes nothing and reads nothing; without the
token there are only the page and its files; a body is at most ``MAX_BODY`` bytes; every answer,
errors too, has the headers that keep scripts of others out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vdbcluster.server.access import Access

MAX_BODY = 64 * 1024
API = "/api/"
OPEN = ("/api/health", "/api/login")
"""Of the API, what needs no token."""
READS = ("GET", "HEAD", "OPTIONS")
EDIT_HEADER = "x-vdbcluster"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """See the module."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here speaks over web sockets
            return
        guarded = _with_headers(send, scope["path"])
        refused = self._refusal(scope)
        if refused is not None:
            await _answer(guarded, *refused)
            return
        body = await _body(receive)
        if body is None:
            await _answer(guarded, *_too_large())
            return
        await self._app(scope, _once(body, receive), guarded)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        if not self._access.answers_to(headers.get("host", "")):
            shown = headers.get("host", "")[:60]
            return 400, (
                f"this server is not called {shown!r}; add the name with --allow-host if it is"
            )
        if length := headers.get("content-length", ""):
            if not (length.isascii() and length.isdigit()):
                return 400, f"Content-Length is {length[:20]!r}, no number"
            if int(length) > MAX_BODY:
                return _too_large()
        if not scope["path"].startswith(API):
            return None
        return _foreign(scope, headers) or self._unknown(scope, headers)

    def _unknown(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """401 without the token, 429 where too many wrong ones came."""
        access, path = self._access, scope["path"]
        if not access.needs_token or path in OPEN:
            return None
        if access.in_session(_cookie(headers, access.cookie)):
            return None
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return 401, "this needs the access token; log in, or send Authorization: Bearer TOKEN"
        address = client_of(scope)
        if not access.may_try(address):
            return TOO_MANY
        if access.knows(token.strip()):
            return None
        access.tried_in_vain(address)
        return 401, "the access token is wrong"


TOO_MANY = (429, "too many wrong access tokens came from this address; wait a minute")


def client_of(scope: Scope) -> str:
    """The address that a request came from."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _foreign(scope: Scope, headers: Headers) -> tuple[int, str] | None:
    """What a page of another site makes a browser send."""
    site, mode = headers.get("sec-fetch-site", ""), headers.get("sec-fetch-mode", "")
    reads = scope["method"] in READS
    if site in ("cross-site", "same-site") and not (reads and mode == "navigate"):
        return 403, "pages of other sites may not use this server"
    if reads:
        return None
    origin = headers.get("origin")
    if origin is not None and not _same(origin, headers.get("host", "")):
        return 403, f"the request came from a page of {origin[:60]!r}, not from this server"
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return 415, f"send JSON (Content-Type: application/json), not {kind[:60] or 'untyped'}"
    if scope["path"] not in OPEN and headers.get(EDIT_HEADER) != "edit":
        return 403, "a change needs the header 'X-Vdbcluster: edit'"
    return None


def _same(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.strip().lower() != ""
    except ValueError:
        return False


def _cookie(headers: Headers, name: str) -> str:
    """Of all that the browser has for this name: other servers on it set theirs as they like."""
    return cookie_parser(headers.get("cookie", "")).get(name, "")


async def _body(receive: Receive) -> bytes | None:
    """All of it, before anybody looks at it; None if it is too large, whatever was said of it."""
    found = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":  # the client went away
            return found
        found += bytes(message.get("body", b""))
        if len(found) > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return found


def _once(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _too_large() -> tuple[int, str]:
    return 413, f"the body of the request is larger than {MAX_BODY // 1024} KiB"


def _with_headers(send: Send, path: str) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if path.startswith(API) or "cache-control" not in headers:
                headers["Cache-Control"] = "no-store"
        await send(message)

    return sent


async def _answer(send: Send, status: int, line: str) -> None:
    body = json.dumps({"error": line}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
