"""One measured process with bounded time.

In: a command. Out: ``Outcome``: seconds from start to exit, CPU seconds, peak memory, output.
Peak memory is VmHWM of the process, looked up every 20 ms: unlike ``ru_maxrss`` it does not begin
with the size of the process that started it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent.parent / "bench"
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Outcome:
    """``code`` is None if the time limit ended it."""

    code: int | None
    wall: float
    cpu: float
    peak_mb: float
    out: str
    err: str
    load: float

    def last_line(self) -> dict[str, Any]:
        """The last line of JSON that it printed; empty if there is none."""
        lines = [line for line in self.out.splitlines() if line.startswith("{")]
        return dict(json.loads(lines[-1])) if lines else {}


def run(argv: list[str], limit: float, cwd: Path) -> Outcome:
    """Run to the end or to the limit."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen(
            argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err, text=True
        )
        code, cpu, peak = _watch(process, start + limit)
        wall = time.perf_counter() - start
        out.seek(0)
        err.seek(0)
        return Outcome(code, round(wall, 3), round(cpu, 3), peak, out.read(), err.read(), load)


def child(job: dict[str, Any], limit: float, cwd: Path) -> Outcome:
    """Run one job of ``scripts/_bench`` in a process of its own."""
    return run([sys.executable, str(BENCH), "--child", json.dumps(job)], limit, cwd)


def _watch(process: subprocess.Popen[str], deadline: float) -> tuple[int | None, float, float]:
    peak, ended = 0.0, False
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            cpu = used.ru_utime + used.ru_stime
            return None if ended else process.returncode, cpu, round(peak, 1)
        peak = max(peak, _high_water(process.pid))
        if not ended and time.perf_counter() > deadline:
            process.kill()
            ended = True
        time.sleep(LOOK_SECONDS)


def _high_water(pid: int) -> float:
    """MB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0
