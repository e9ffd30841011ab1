"""Memory of this process and space on disk, as the system tells them."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from vdbcluster.adapters.this_machine import EVERY, ThisMachine, resident
from vdbcluster.pipeline.room import Room

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells kinds of pages apart")


@linux
def test_the_peak_of_a_stage_is_seen_after_it_is_freed() -> None:
    machine = ThisMachine()
    with machine.watch() as before:
        pass
    with machine.watch() as peak:
        held = np.ones(100 << 20, np.int8)
        time.sleep(3 * EVERY)
        del held
    with machine.watch() as after:
        pass
    assert peak.own - before.own > 90 << 20
    assert after.own < peak.own


@linux
def test_a_map_of_a_file_is_told_apart(tmp_path: Path) -> None:
    own, files = resident()
    held = Room(0, tmp_path).empty((100 << 20,), np.int8)
    held[:] = 1
    own_then, files_then = resident()
    assert own_then + files_then - own - files > 90 << 20
    if files_then - files < 90 << 20:
        pytest.skip("temporary files lie in memory here")
    assert own_then - own < 20 << 20


def test_watches_may_overlap_and_leave_no_thread() -> None:
    machine = ThisMachine()
    with machine.watch() as whole:
        with machine.watch() as inner:
            assert "memory" in {thread.name for thread in threading.enumerate()}
        with machine.watch():
            pass
    assert whole.own >= inner.own > 0
    deadline = time.monotonic() + 5
    while "memory" in {t.name for t in threading.enumerate()} and time.monotonic() < deadline:
        time.sleep(EVERY)
    assert "memory" not in {thread.name for thread in threading.enumerate()}


def test_space_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    machine = ThisMachine()
    free = machine.free_disk(tmp_path / "runs" / "work")
    assert free is not None
    assert free > 0
    assert (machine.own_memory() or 1) > 0
    assert (machine.free_memory() or 1) > 0


def test_a_tmpfs_is_told_from_other_places() -> None:
    machine, shared = ThisMachine(), Path("/dev/shm")
    assert not machine.in_memory(Path("/proc/none"))
    if f" {shared} tmpfs " not in _text(Path("/proc/mounts")):
        pytest.skip("no tmpfs is mounted where one usually is")
    assert machine.in_memory(shared / "not" / "there")


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def test_one_disk_is_told_from_another(tmp_path: Path) -> None:
    machine = ThisMachine()
    assert machine.same_disk(tmp_path / "not" / "there", tmp_path)
    if Path("/proc").is_dir():
        assert not machine.same_disk(tmp_path, Path("/proc/none"))
