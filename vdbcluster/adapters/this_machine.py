"""``Machine``: memory of this process, read from the system every twentieth of a second; disks.

In: nothing. Out: see ``ports.machine``. Promise: one light thread while a watch is open and none
else; a value is read when a watch begins and ends too, so that a short stage is seen.

Linux tells three kinds of resident pages apart in ``/proc/self/status``. ``RssAnon`` is memory that
was asked for and written to; ``RssShmem`` is a file on a tmpfs or shared memory, which is memory
too: both are ``own``. ``RssFile`` are pages of files that are mapped: the memory maps of a run, the
index and the libraries. The system drops them when it needs the room and reads them again when they
are looked at, so they are told apart as ``files`` and no limit counts them. Elsewhere than on Linux
all is ``own``: the highest that the process ever had (``getrusage``).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread

from vdbcluster.ports.machine import MemoryPeak

EVERY = 0.05
"""Seconds between two looks; one takes some 30 microseconds."""
_STATUS, _MEMORY = Path("/proc/self/status"), Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
_MOUNTS = Path("/proc/self/mountinfo")


class ThisMachine:
    """See the module."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: list[MemoryPeak] = []
        self._idle = Event()

    @contextmanager
    def watch(self) -> Iterator[MemoryPeak]:
        peak = MemoryPeak()
        with self._lock:
            self._open.append(peak)
            first = len(self._open) == 1
        self._look()
        if first:
            self._idle = Event()
            Thread(target=self._run, args=(self._idle,), name="memory", daemon=True).start()
        try:
            yield peak
        finally:
            self._look()
            with self._lock:
                self._open = [other for other in self._open if other is not peak]
                if not self._open:
                    self._idle.set()

    def own_memory(self) -> int | None:
        return resident()[0] or None

    def free_memory(self) -> int | None:
        """What Linux calls available, or less where a control group (a container) bounds us."""
        known = [_available(), _group_left()]
        return min((free for free in known if free is not None), default=None)

    def free_disk(self, folder: Path) -> int | None:
        try:
            return shutil.disk_usage(_there(folder)).free
        except OSError:
            return None

    def same_disk(self, one: Path, other: Path) -> bool:
        try:
            return _there(one).stat().st_dev == _there(other).stat().st_dev
        except OSError:
            return False

    def in_memory(self, folder: Path) -> bool:
        try:
            disk = _there(folder).stat().st_dev
            mounts = _MOUNTS.read_text(errors="replace").splitlines()
        except OSError:
            return False
        number = f"{os.major(disk)}:{os.minor(disk)}"
        kinds = [line.partition(" - ")[2] for line in mounts if line.split()[2] == number]
        return any(kind.startswith(("tmpfs ", "ramfs ")) for kind in kinds)

    def _run(self, idle: Event) -> None:
        while not idle.wait(EVERY):
            self._look()

    def _look(self) -> None:
        own, files = resident()
        with self._lock:
            for peak in self._open:
                peak.own, peak.files = max(peak.own, own), max(peak.files, files)


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that there is; ``OSError`` without any."""
    place = folder.absolute()
    for path in (place, *place.parents):
        if path.exists():
            return path
    raise FileNotFoundError(place)


def resident() -> tuple[int, int]:
    """Bytes in use now: of our own, and pages of files."""
    found = _table(_STATUS)
    if "RssAnon" in found:
        return found["RssAnon"] + found.get("RssShmem", 0), found.get("RssFile", 0)
    if "VmRSS" in found:
        return found["VmRSS"], 0
    return _ever(), 0


def _ever() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _available() -> int | None:
    return _table(_MEMORY).get("MemAvailable")


def _group_left() -> int | None:
    """What the control group leaves (version 2, as seen from inside a container)."""
    try:
        most = int((_GROUP / "memory.max").read_text())
        used = int((_GROUP / "memory.current").read_text())
        held = (_GROUP / "memory.stat").read_text().splitlines()
        files = sum(int(v) for k, v in map(str.split, held) if k == "inactive_file")
    except (OSError, ValueError):  # no such group, or its limit is "max"
        return None
    return max(0, most - used + files)


def _table(place: Path) -> dict[str, int]:
    """Lines ``Name:  123 kB`` in bytes; nothing where there is no such file."""
    try:
        lines = place.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name: int(value[:-2]) << 10 for name, _, value in pairs if value.endswith(" kB")}
