"""Faults and races that a proxy injects, told before they happen.

In: the name of a method and what is to happen when it is called. Out: nothing until then.
Promise: every fault happens exactly as often as it was asked for, counted from the asking; ``mend``
takes back all that are left. Methods are named as in the wire protocol: ``Query``, ``Upsert``, ...
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc

ANY = "*"
"""Stands for every method in ``before`` and ``calls``; the callback then gets the method's name."""

Callback = Callable[[Any], None]
"""Gets the request, parsed; may call the server through clients of its own."""

Change = Callable[[Any, Any], None]
"""Gets a request and its answer, both parsed, and changes the answer in place."""


@dataclass
class Failure:
    """``code``: an ``int`` goes into the answer's status, a ``grpc.StatusCode`` ends the call."""

    code: int | grpc.StatusCode
    message: str
    left: int


@dataclass
class _Planned:
    callback: Callback
    calls_before: int


@dataclass
class Faults:
    """The plan. ``calls`` counts all calls by method, ``errors`` holds what callbacks raised."""

    calls: Counter[str] = field(default_factory=Counter)
    errors: list[BaseException] = field(default_factory=list)
    _failures: dict[str, Failure] = field(default_factory=dict)
    _cuts: dict[str, int] = field(default_factory=dict)
    _before: dict[str, list[_Planned]] = field(default_factory=dict)
    _changes: dict[str, Change] = field(default_factory=dict)
    _gone: bool = False
    _guard: Any = field(default_factory=threading.Lock)

    def fail_next(
        self, method: str, code: int | grpc.StatusCode, message: str = "injected", times: int = 1
    ) -> None:
        """The next ``times`` calls fail without reaching the server."""
        with self._guard:
            self._failures[method] = Failure(code, message, times)

    def cut_after(self, method: str, n: int = 1) -> None:
        """The ``n``-th call from now reaches the server, its answer is lost, and the server gone.

        Every later call, of whatever method, is UNAVAILABLE, until ``mend``.
        """
        with self._guard:
            self._cuts[method] = n

    def before(self, method: str, callback: Callback, nth: int = 1) -> None:
        """Call back once, when the ``nth`` call from now is about to reach the server.

        ``merge`` stands for the moment between read and write of an emulated partial upsert.
        """
        with self._guard:
            self._before.setdefault(method, []).append(_Planned(callback, nth))

    def when(self, method: str, due: Callable[[Any], bool], act: Callback) -> None:
        """Call back once, before the first call of the method whose request is due."""

        def look(request: Any) -> None:
            if due(request):
                act(request)
            else:
                self.before(method, look)

        self.before(method, look)

    def alter(self, method: str, change: Change) -> None:
        """Every answer to this method is changed before it is sent, until ``mend``."""
        with self._guard:
            self._changes[method] = change

    def mend(self) -> None:
        """Take back all that is planned; the server is there again."""
        with self._guard:
            self._failures.clear()
            self._cuts.clear()
            self._before.clear()
            self._changes.clear()
            self._gone = False

    @property
    def gone(self) -> bool:
        return self._gone

    def count(self, method: str) -> None:
        with self._guard:
            self.calls[method] += 1

    def due_failure(self, method: str) -> Failure | None:
        with self._guard:
            failure = self._failures.get(method)
            if failure is None or failure.left == 0:
                return None
            failure.left -= 1
            return failure

    def run_before(self, method: str, request: Any) -> None:
        """Run the callbacks that are due, outside the guard, so that they may call the server."""
        with self._guard:
            planned = self._before.get(method, [])
            for plan in planned:
                plan.calls_before -= 1
            due = [plan for plan in planned if plan.calls_before == 0]
            self._before[method] = [plan for plan in planned if plan.calls_before > 0]
        for plan in due:
            try:
                plan.callback(request)
            except BaseException as error:
                self.errors.append(error)
                raise

    def change_of(self, method: str) -> Change | None:
        with self._guard:
            return self._changes.get(method)

    def cut_now(self, method: str) -> bool:
        """Whether the answer to this call is the one to lose."""
        with self._guard:
            if method not in self._cuts:
                return False
            self._cuts[method] -= 1
            self._gone = self._gone or self._cuts[method] == 0
            return self._gone
