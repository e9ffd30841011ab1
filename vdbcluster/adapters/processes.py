"""This process as the holder of a lock, and whether another holder is certainly gone.

In: a run id; a ``Holder``. Out: a ``Holder``; yes or "cannot tell"; and a clock.
Promise: ``is_gone`` is never true of a process that lives: it answers only for processes of this
boot of this machine that share our process ids, as the kernel tells them. Containers on one host do
not share them. The same id counts as the same process only if the time of its start agrees.
"""

from __future__ import annotations

import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

from vdbcluster.model.holder import Holder

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_IDS = Path("/proc/self/ns/pid")
_DEAD = ("Z", "X")


def clock() -> float:
    """Seconds since some moment, those included in which the machine slept, where that is told."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


def this_process(run_id: str, lease: float = 0.0) -> Holder:
    """This process, now."""
    pid = os.getpid()
    _, started = _state(pid)
    now = datetime.now(UTC)
    return Holder(
        run_id, socket.gethostname(), pid, f"{now:%Y-%m-%dT%H:%M:%SZ}", lease, _machine(), started
    )


def is_gone(holder: Holder) -> bool:
    """Whether the process has certainly ended; False where that cannot be told from here."""
    if not holder.machine or not holder.started or holder.machine != _machine():
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # another user's
        pass
    state, started = _state(holder.pid)
    return state in _DEAD or started not in (0, holder.started)


def _machine() -> str:
    """This boot and this space of process ids; empty where the system does not say."""
    try:
        return f"{_BOOT.read_text().strip()}/{_IDS.readlink()}"
    except OSError:
        return ""


def _state(pid: int) -> tuple[str, int]:
    """The state of a process and when it started; blank and 0 where the system does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "", 0
    fields = text.rpartition(")")[2].split()  # before that stands its name, which may hold anything
    return fields[0], int(fields[19])
