"""Run a command and kill it, as a crash would, at a chosen moment.

In: a command and a ``Point``: a share of its usual wall time, or the number of a call that it makes
through a proxy. Out: ``Ended``. Promise: the command and all its children are gone by then, and
whatever it did is what it had done at that moment: SIGKILL cannot be caught.

    usual = run_through(argv, proxy, cwd)
    ended = kill_at(argv, proxy, cwd, Point("call", 17), usual)
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from _pytest.mark.structures import ParameterSet

from tests.backends import REAL_SERVER
from tests.emulation import Proxy
from tests.emulation.faults import ANY

LONGEST = 240.0
"""Seconds after which a command counts as hung."""


@dataclass(frozen=True)
class Point:
    """``call``: just before the ``at``-th share of all calls is served; ``time``: of wall time.

    ``at`` lies in (0, 1); both are spread over the run, but a run computes for long without a call.
    """

    by: Literal["call", "time"]
    at: float

    def __str__(self) -> str:
        return f"{self.by}-{self.at:.0%}"


@dataclass(frozen=True)
class Ended:
    """How a command ended: ``code`` is negative after a signal; ``calls`` as the proxy saw them."""

    code: int
    seconds: float
    calls: int
    output: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


WANTED = int(os.environ.get("VDBCLUSTER_TEST_KILL_POINTS", "0"))
"""Points a place, in place of the few that every test run takes the time for."""


def spread(calls: int, times: int) -> list[Point]:
    """Points evenly spread over the calls and over the wall time, both ends left out.

    As many as said, or ``WANTED`` in the same proportion.
    """
    if WANTED:
        calls = round(WANTED * calls / (calls + times))
        times = WANTED - calls
    by_call = [Point("call", (i + 1) / (calls + 1)) for i in range(calls)]
    by_time = [Point("time", (i + 1) / (times + 1)) for i in range(times)]
    return by_call + by_time


def cases(places: Mapping[str, Sequence[Point]]) -> list[ParameterSet]:
    """Parameters ``name``, ``point`` of a test; all but the middle point of a place are slow."""
    return [
        pytest.param(name, point, id=f"{name}-{point}", marks=marks_of(name, i, len(points)))
        for name, points in places.items()
        for i, point in enumerate(points)
    ]


def marks_of(name: str, index: int, points: int) -> list[pytest.MarkDecorator]:
    """Of point ``index`` of ``points`` on the backend ``name``; the real server takes minutes."""
    if name == REAL_SERVER:
        return [pytest.mark.server, pytest.mark.slow]
    return [] if index == points // 2 else [pytest.mark.slow]


def run_through(argv: Sequence[str], proxy: Proxy | None, cwd: Path) -> Ended:
    """Let the command run to its end."""
    return _run(argv, proxy, cwd, None, None)


def kill_at(
    argv: Sequence[str], proxy: Proxy | None, cwd: Path, point: Point, usual: Ended
) -> Ended:
    """Kill the command at the point, measured by how it usually runs; it may end before."""
    if point.by == "time" or proxy is None:
        return _run(argv, proxy, cwd, point.at * usual.seconds, None)
    return _run(argv, proxy, cwd, None, max(1, round(point.at * usual.calls)))


def _run(
    argv: Sequence[str], proxy: Proxy | None, cwd: Path, seconds: float | None, call: int | None
) -> Ended:
    before = proxy.calls[ANY] if proxy else 0
    start = time.monotonic()
    with subprocess.Popen(
        argv,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        if proxy is not None and call is not None:
            proxy.before(ANY, lambda _: kill_group(process.pid), nth=call)
        try:
            output, _ = process.communicate(timeout=seconds or LONGEST)
        except subprocess.TimeoutExpired:
            kill_group(process.pid)
            output, _ = process.communicate()
            if seconds is None:
                raise
    if proxy is not None:
        proxy.mend()
    calls = proxy.calls[ANY] - before if proxy else 0
    return Ended(process.returncode, time.monotonic() - start, calls, output)


def kill_group(leader: int) -> None:
    """SIGKILL a process that leads a session of its own, and all its children."""
    os.killpg(leader, signal.SIGKILL)
