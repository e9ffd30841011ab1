"""Who may ask: names the server answers to, the token, sessions, wrong tries.

In: settings of serving. Out: ``Access``: yes or no. Promise: tokens are compared in constant time;
an address tries wrong tokens ``TRIES`` times in ``WINDOW`` seconds, then it has to wait; a session
is a signed date and dies with the token that it was opened by.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

TRIES = 10
WINDOW = 60.0
ADDRESSES = 1_000
"""Whose wrong tries are remembered."""
SESSION = 7 * 24 * 3600
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(header: str) -> str:
    """The name in a ``Host`` header, without its port and in lower case."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0] if text.count(":") == 1 else text


@dataclass(slots=True)
class _Tries:
    """Of one address; when each of the last wrong ones was."""

    at: deque[float] = field(default_factory=lambda: deque(maxlen=TRIES))


class Access:
    """See the module; threads may share it."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        token: str = "",
        names: tuple[str, ...] = (),
        port: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``names``: others that the server may be called by; ``port``: tells cookies apart."""
        self._token = token.encode()
        self._local = is_loopback(host)
        self._names = {*LOOPBACK, *(name.lower() for name in (host, *names) if name)}
        self._clock, self._lock = clock, threading.Lock()
        self._wrong: OrderedDict[str, _Tries] = OrderedDict()
        self.cookie = f"vdbcluster_session_{port}"

    @property
    def needs_token(self) -> bool:
        return bool(self._token)

    def answers_to(self, header: str) -> bool:
        """Whether a ``Host`` header names this server.

        A page of another site whose name was made to point here (DNS rebinding) says that name. On
        an address that others reach, any number of an address will do: no name was rebound then.
        """
        name = host_of(header)
        if name in self._names:
            return True
        if self._local:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def knows(self, token: str) -> bool:
        """Whether this is the token; compared in constant time, whatever its length."""
        return hmac.compare_digest(_digest(token.encode()), _digest(self._token))

    def may_try(self, address: str) -> bool:
        """Whether an address has wrong tries left."""
        with self._lock:
            tries = self._wrong.get(address)
            return tries is None or len(tries.at) < TRIES or self._clock() - tries.at[0] > WINDOW

    def tried_in_vain(self, address: str) -> None:
        """Count a wrong try."""
        with self._lock:
            self._wrong.setdefault(address, _Tries()).at.append(self._clock())
            self._wrong.move_to_end(address)
            while len(self._wrong) > ADDRESSES:
                self._wrong.popitem(last=False)

    def session(self) -> str:
        """A new session, for a cookie."""
        until = str(int(self._clock()) + SESSION)
        return f"{until}.{self._signed(until)}"

    def in_session(self, cookie: str) -> bool:
        """Whether a cookie is a session that goes on."""
        until, _, signature = cookie.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signed(until).encode()):
            return False
        return until.isascii() and until.isdigit() and int(until) > self._clock()

    def _signed(self, text: str) -> str:
        key = _digest(b"vdbcluster session " + self._token)
        return hmac.new(key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()
