"""Places where locks are kept, behind one face, and holders that are processes of their own.

In: a place. Out: a ``World``, which makes locks and tells what they leave behind; a ``Child``,
which holds a lock in another process and does as it is told.

    child = Child(world, lease=2.0, elsewhere=True)   # holds the lock when this returns
    child.kill(), child.stop(), child.resume()
    child.check()                                      # "" or the error's line
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from vdbcluster.adapters.disk_lock import DiskLock
from vdbcluster.adapters.memory_lock import MemoryLock
from vdbcluster.adapters.milvus.client import MilvusAddress, connect
from vdbcluster.adapters.milvus.lease import LeaseTerms, MilvusLock
from vdbcluster.adapters.milvus.lease_entries import Entries, stem_of
from vdbcluster.adapters.processes import this_process
from vdbcluster.ports.lock import RunLock

DEADLINE = 60.0
"""Seconds that a test waits for what must happen; nothing depends on it happening sooner."""
PREFIX = "cluster_"


def until(happened: Callable[[], bool], what: str) -> None:
    """Poll; fails after ``DEADLINE``."""
    end = time.monotonic() + DEADLINE
    while not happened():
        assert time.monotonic() < end, f"{what} did not happen in {DEADLINE:g} s"
        time.sleep(0.02)


class World(Protocol):
    def lock(self, wait: float = 0.0, lease: float = 30.0) -> RunLock: ...

    def left(self) -> list[str]:
        """What a lock has left behind, or keeps there while it is held."""
        ...

    def close(self) -> None: ...


@dataclass
class MemoryWorld:
    name: str
    _locks: list[MemoryLock] = field(default_factory=list)

    def lock(self, wait: float = 0.0, lease: float = 30.0) -> RunLock:
        self._locks = self._locks or [MemoryLock()]
        self._locks[0]._wait = wait
        return self._locks[0]

    def left(self) -> list[str]:
        return ["held"] if self._locks and self._locks[0]._free.locked() else []

    def close(self) -> None:
        pass


@dataclass
class DiskWorld:
    place: str
    name: str

    def lock(self, wait: float = 0.0, lease: float = 30.0) -> RunLock:
        return DiskLock(Path(self.place) / f".{self.name}.lock", self.name, wait)

    def left(self) -> list[str]:
        return [path.name for path in Path(self.place).iterdir()]

    def close(self) -> None:
        pass


class MilvusWorld:
    """``place``: the address of a server."""

    def __init__(self, place: str, name: str, token: str = "") -> None:
        self.place, self.name, self.token = place, name, token
        self.milvus = connect(MilvusAddress(place, token))

    def lock(self, wait: float = 0.0, lease: float = 30.0) -> RunLock:
        return MilvusLock(self.milvus, self.name, PREFIX, LeaseTerms(lease, wait))

    def left(self) -> list[str]:
        def listed(client: Any, limit: float) -> list[str]:
            return list(client.list_collections(timeout=limit))

        names = self.milvus.ask("listing", listed)
        return [name for name in names if name.startswith(self.name)]

    def leave_dead(self, lease: float) -> None:
        """What a run leaves that had the lock and died just now on another machine."""
        entries = Entries(self.milvus, stem_of(self.name, PREFIX))
        holder = replace(this_process("dead", lease), machine="")
        assert entries.renew(entries.create(holder), holder, time.time())

    def close(self) -> None:
        self.milvus.close()


KINDS: dict[str, Callable[[str, str, str], World]] = {
    "disk": lambda place, name, _: DiskWorld(place, name),
    "milvus": MilvusWorld,
}


@dataclass
class Child:
    """A process that holds the lock of ``kind`` at ``place``; see ``lock_holder``.

    ``elsewhere``: nobody can tell from here whether the process lives, as of another machine.
    """

    kind: str
    place: str
    name: str
    token: str = ""
    lease: float = 30.0
    wait: float = 0.0
    elsewhere: bool = False
    also: tuple[str, ...] = ()
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        given = (self.kind, self.place, self.name, self.token, str(self.lease), str(self.wait))
        more = ("elsewhere" if self.elsewhere else "here", *self.also)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.lock_holder", *given, *more],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def held(self) -> Child:
        """Wait until it holds the lock."""
        assert self.line() == "held"
        return self

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def check(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("check\n")
        self.process.stdin.flush()
        return self.line()

    def signal(self, which: signal.Signals) -> None:
        self.process.send_signal(which)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def leave(self) -> int:
        """Let it end in good order, and close its pipes; the exit code."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        return self.process.wait(DEADLINE)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.leave()
