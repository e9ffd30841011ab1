"""A TCP proxy that cuts, resets, delays, slows down, refuses and swallows, at chosen bytes.

In: the port that a server listens on at 127.0.0.1, and a plan of ``Fault``. Out: ``Wire.port``, for
clients to use instead. Promise: without a plan every byte goes through; a fault strikes once, when
so many bytes of its direction have passed, all connections added up; what passes before that byte
arrives, what comes after a cut does not.

    with wire(server.port, [Fault("cut", "down", 20_000)]) as proxy:
        client = MilvusClient(f"http://127.0.0.1:{proxy.port}")
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

Kind = Literal["cut", "reset", "delay", "slow", "refuse", "hole"]
Direction = Literal["up", "down"]
KINDS: tuple[Kind, ...] = ("cut", "reset", "delay", "slow", "refuse", "hole")

CHUNK = 16_384
SLOW_BYTES = 8_192
"""What passes of a slow connection in ``TICK`` seconds."""
TICK = 0.05
_NOW = struct.pack("ii", 1, 0)  # close without a farewell: the other side sees a reset


@dataclass(frozen=True, order=True)
class Fault:
    """``at``: bytes in this direction until it strikes; ``seconds``: for how long.

    ``cut``: all connections end, with what was passed; ``reset``: the same, rudely; ``delay``:
    nothing moves; ``slow``: little moves; ``refuse``: all end and no new one is taken; ``hole``:
    connections stay and new ones are taken, but what is sent on them goes nowhere, ever.
    """

    kind: Kind
    direction: Direction
    at: int
    seconds: float = 0.0

    def __str__(self) -> str:
        lasts = f" {self.seconds:.1f}s" if self.seconds else ""
        return f"{self.kind}{lasts} at {self.at:,} {self.direction}"


class _Pair:
    """A client's connection and ours to the server."""

    def __init__(self, client: socket.socket, server: socket.socket | None) -> None:
        self.client, self.server = client, server
        self.lost = False

    def end(self, rudely: bool = False) -> None:
        for side in (self.client, self.server):
            if side is not None:
                with suppress(OSError):
                    if rudely:
                        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
                    # Whoever waits for this socket wakes up: until then it would not be closed.
                    side.shutdown(socket.SHUT_RD if rudely else socket.SHUT_RDWR)
                with suppress(OSError):
                    side.close()


class Wire:
    """See the module.

    ``passed``: bytes by direction; ``struck``: the faults that came; ``taken``: connections.
    """

    def __init__(self, target: int, plan: Iterable[Fault] = ()) -> None:
        self._target = target
        self._plan = sorted(plan, key=lambda fault: fault.at)
        self._lock = threading.RLock()
        self._pairs: set[_Pair] = set()
        self._until = dict.fromkeys(KINDS, 0.0)
        self._over = False
        self.passed: dict[Direction, int] = {"up": 0, "down": 0}
        self.struck: list[Fault] = []
        self.taken = 0
        self._listener = _listener(0)
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def start(self) -> None:
        self._threads[0].start()

    def stop(self) -> None:
        self._over = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            self._end_all()
        for thread in list(self._threads):
            thread.join(10)

    def plan(self, *faults: Fault) -> None:
        """More faults; ``at`` counts from now."""
        with self._lock:
            later = [Fault(f.kind, f.direction, self.passed[f.direction] + f.at, f.seconds)
                     for f in faults]  # fmt: skip
            self._plan = sorted([*self._plan, *later], key=lambda fault: fault.at)

    def mend(self) -> None:
        """Nothing more happens; connections that were swallowed end."""
        with self._lock:
            self._plan.clear()
            self._until = dict.fromkeys(KINDS, 0.0)
            for pair in [pair for pair in self._pairs if pair.lost]:
                self._end(pair)

    def _accept(self) -> None:
        while not self._over:
            try:
                client, _ = self._listener.accept()
            except OSError:
                continue  # closed, for a while or for good
            with self._lock:
                if self._during("refuse"):
                    _Pair(client, None).end(rudely=True)
                    continue
            self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target), 5)
        except OSError:
            _Pair(client, None).end(rudely=True)
            return
        server.settimeout(None)
        pair = _Pair(client, server)
        with self._lock:
            if self._over:  # it was stopped while this one was being connected
                pair.end()
                return
            self.taken += 1
            pair.lost = self._during("hole")
            self._pairs.add(pair)
        self._spawn(pair, client, server, "up")
        self._spawn(pair, server, client, "down")

    def _spawn(
        self, pair: _Pair, source: socket.socket, sink: socket.socket, way: Direction
    ) -> None:
        thread = threading.Thread(target=self._pump, args=(pair, source, sink, way), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _pump(
        self, pair: _Pair, source: socket.socket, sink: socket.socket, way: Direction
    ) -> None:
        with suppress(OSError):
            while data := source.recv(SLOW_BYTES if self._during("slow") else CHUNK):
                while data and not pair.lost:
                    data = self._pass(sink, data, way)
        with self._lock:
            self._end(pair)

    def _pass(self, sink: socket.socket, data: bytes, way: Direction) -> bytes:
        """Send up to the byte where a fault strikes, and let it; what is left to send."""
        self._wait()
        with self._lock:
            fault = next((f for f in self._plan if f.direction == way), None)
            room = len(data) if fault is None else max(0, fault.at - self.passed[way])
            now, rest = data[:room], data[room:]
            self.passed[way] += len(now)
            due = fault is not None and len(now) < len(data)
            if due and fault is not None:
                self._plan.remove(fault)
        sink.sendall(now)
        if due and fault is not None:
            self._strike(fault)
        return rest

    def _wait(self) -> None:
        while self._during("delay") and not self._over:
            time.sleep(TICK)
        if self._during("slow"):
            time.sleep(TICK)

    def _strike(self, fault: Fault) -> None:
        with self._lock:
            self.struck.append(fault)
            self._until[fault.kind] = time.monotonic() + fault.seconds
            if fault.kind == "hole":
                for pair in self._pairs:
                    pair.lost = True
            elif fault.kind in ("cut", "reset", "refuse"):
                self._end_all(rudely=fault.kind != "cut")

    def _during(self, kind: Kind) -> bool:
        return time.monotonic() < self._until[kind]

    def _end_all(self, rudely: bool = False) -> None:
        for pair in list(self._pairs):
            self._end(pair, rudely)

    def _end(self, pair: _Pair, rudely: bool = False) -> None:
        self._pairs.discard(pair)
        pair.end(rudely)


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    return listener


@contextmanager
def wire(target: int, plan: Iterable[Fault] = ()) -> Iterator[Wire]:
    """A running proxy before a port of 127.0.0.1."""
    proxy = Wire(target, plan)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
