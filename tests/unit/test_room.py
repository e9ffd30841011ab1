"""Large arrays in memory or in files that vanish; see ``pipeline.room``."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError
from vdbcluster.pipeline.room import SHARE, Room, room_of


@given(st.integers(0, 300), st.integers(0, 5), st.sampled_from(["float32", "int32", "int64"]))
def test_a_file_begins_exactly_where_memory_ends(rows: int, columns: int, kind: str) -> None:
    size = rows * columns * np.dtype(kind).itemsize
    inside, beyond = Room(size), Room(size - 1)
    assert not isinstance(inside.empty((rows, columns), kind), np.memmap)
    found = beyond.empty((rows, columns), kind)
    assert isinstance(found, np.memmap) is (size > 0)
    assert found.shape == (rows, columns)
    assert found.dtype == np.dtype(kind)
    found[:] = 7
    assert (found == 7).all()


def test_the_file_has_no_name_and_takes_its_space_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    before = os.statvfs(tmp_path)
    held = Room(0, folder).empty((8 << 20,), np.int8)
    assert list(folder.iterdir()) == []
    after = os.statvfs(folder)
    assert (before.f_bfree - after.f_bfree) * after.f_frsize > 4 << 20
    held[-1] = 3
    assert held[-1] == 3


def test_an_array_is_put_where_it_belongs() -> None:
    given_array = np.arange(200_000, dtype=np.int32).reshape(100_000, 2)
    assert Room(given_array.nbytes).placed(given_array) is given_array
    filed = Room(given_array.nbytes - 1).placed(given_array)
    assert isinstance(filed, np.memmap)
    assert np.array_equal(filed, given_array)
    assert Room(0).placed(filed) is filed


def test_too_little_disk_is_one_line_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"--runs-dir") as told:
        Room(0, tmp_path).empty((1 << 50,), np.int8)
    assert "\n" not in str(told.value)
    assert str(tmp_path) in str(told.value)


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RefusedError, match="cannot be put in a file of"):
        Room(0, tmp_path / "file" / "runs").empty((4,), np.int8)


def test_what_the_settings_allow(tmp_path: Path) -> None:
    runs = {"runs_dir": str(tmp_path)}
    free = Settings.model_validate({"run": runs, "neighbors": {"memory_mb": 64}})
    assert room_of(free) == Room(64 << 20, tmp_path)
    bounded = Settings.model_validate({"run": runs, "scale": {"memory_limit": "8GB"}})
    assert room_of(bounded) == Room(8 * 10**9 // SHARE, tmp_path)
