"""Pictures fetched over HTTP, for rows whose field holds a URL, when somebody asks for that.

In: URLs. Out: the bytes of each, or why there are none. Promise: bounded in everything: bytes of a
picture, seconds of a request and of all of them, pictures, requests at once; answers are not
unpacked, as a few bytes of gzip can stand for gigabytes; redirects are followed a few times and to
http and https alone; cookies are neither kept nor sent. Texts of rows may come from strangers, and
this machine reaches what they do not: nothing is asked of link-local addresses, where clouds keep
credentials, and no address outside may redirect to one of a private network, as far as their names
resolve when they are looked up. A row may name a server of a private network itself.

    with PictureFetcher() as fetch:
        fetch(["https://pictures.example/1.jpg"])
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType

import httpx2

from vdbcluster.adapters.pictures import MAX_BYTES

AT_ONCE = 8
TIMEOUT = 10.0
REDIRECTS = 3
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(slots=True)
class PictureFetcher:
    """``most`` pictures in ``seconds`` together, each at most ``max_bytes`` and ``timeout`` s."""

    most: int = 2_000
    seconds: float = 300.0
    max_bytes: int = MAX_BYTES
    timeout: float = TIMEOUT
    _client: httpx2.Client = field(init=False)
    _pool: ThreadPoolExecutor = field(init=False)
    _ends: float = field(init=False)
    _left: int = field(init=False)

    def __post_init__(self) -> None:
        self._client = httpx2.Client(
            timeout=self.timeout,
            headers={"Accept-Encoding": "identity"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._ends = time.monotonic() + self.seconds
        self._left = self.most

    def __enter__(self) -> PictureFetcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def __call__(self, urls: Sequence[str]) -> Mapping[str, bytes | str]:
        """Bytes of each URL, or a reason in a few words."""
        allowed, beyond = urls[: self._left], urls[self._left :]
        self._left -= len(allowed)
        found: dict[str, bytes | str] = dict(
            zip(allowed, self._pool.map(self._one, allowed), strict=True)
        )
        return found | dict.fromkeys(beyond, f"a URL beyond the first {self.most:,}")

    def _one(self, url: str) -> bytes | str:
        if time.monotonic() > self._ends:
            return f"a URL, after {self.seconds:.0f} seconds of fetching"
        try:
            return self._body(url)
        except httpx2.HTTPError as error:
            return f"a URL that is not answered ({type(error).__name__})"
        except (httpx2.InvalidURL, ValueError, UnicodeError):
            return "a URL that is none"

    def _body(self, text: str) -> bytes | str:
        ends, url, before = time.monotonic() + self.timeout, httpx2.URL(text), ""
        for _ in range(1 + REDIRECTS):
            if refused := _refusal(before, url.host):
                return refused
            with self._client.stream("GET", url) as answer:
                if answer.next_request is None:
                    return self._read(answer, ends)
                before, url = url.host, answer.next_request.url
        return f"a URL that redirects more than {REDIRECTS} times"

    def _read(self, answer: httpx2.Response, ends: float) -> bytes | str:
        if answer.status_code != 200:
            return f"a URL that answers {answer.status_code}"
        parts, size = [], 0
        for part in answer.iter_raw():
            parts.append(part)
            size += len(part)
            if size > self.max_bytes:
                return f"larger than {self.max_bytes // 1_000_000} MB"
            if time.monotonic() > ends:
                return "a URL that takes too long"
        return b"".join(parts)


def _refusal(before: str, host: str) -> str:
    """Why ``host`` may not be asked, empty if it may; ``before``: who redirected to it."""
    found = addresses(host)
    if any(one.is_link_local for one in found):
        return "a URL of a link-local address"
    if before and not _is_inside(addresses(before)) and _is_inside(found):
        return "a URL that redirects into a private network"
    return ""


def _is_inside(found: Sequence[Address]) -> bool:
    return any(not one.is_global for one in found)


def addresses(host: str) -> list[Address]:
    """What a name resolves to; nothing where it does not, which asking it will tell."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    plain = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    return [getattr(one, "ipv4_mapped", None) or one for one in plain]
