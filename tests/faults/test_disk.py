"""The disk of the runs directory fills up: before a run, before it writes, and while it writes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.world import ROWS, World
from vdbcluster.errors import RefusedError, VdbclusterError

SIZE = 256 << 10
PAGE = 4096


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, as small as ``SIZE``."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(place)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """A file that takes all the room there is but so many bytes."""
    file = disk / "full"
    with file.open("wb", buffering=0) as full:
        try:
            while full.write(bytes(PAGE)) == PAGE:
                pass
        except OSError:
            pass
        full.truncate(max(0, full.tell() - leave))
    return file


def run_states(disk: Path) -> list[str]:
    return [json.loads(path.read_text())["state"] for path in disk.rglob("manifest.json")]


@pytest.mark.parametrize("room", [0, 4 * PAGE])
def test_full_before_anything_is_read(world: Callable[..., World], disk: Path, room: int) -> None:
    """What the record needs is foretold, so nothing is begun."""
    there = world()
    there.runs_dir = disk
    full = fill(disk, room)

    told = there.refused(RefusedError)

    assert "of disk in" in told
    assert "free some, or name another directory with --runs-dir" in told
    assert there.labelled() == 0
    assert there.unharmed()
    assert there.collections() == [there.name]
    full.unlink()
    assert there.run()["written"] == ROWS


def test_full_while_labels_are_written(world: Callable[..., World], disk: Path) -> None:
    """The labels are whole; the record of the run stays one of a run that writes."""
    there = world()
    there.runs_dir = disk
    there.at_first("Upsert", lambda _: fill(disk))

    told = there.refused(VdbclusterError)

    assert "cannot be written (No space left on device); free some space" in told
    assert run_states(disk) == ["writing"]
    assert there.labelled() == ROWS
    assert there.unharmed()
    (disk / "full").unlink()
    assert there.run()["unchanged"] == ROWS
    assert sorted(run_states(disk)) == ["writing", "written"]
