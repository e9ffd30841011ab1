"""What the user is told of a file that cannot be taken: each case of the table, word for word."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.bad_inputs import CASES, BadInput, first_trouble
from tests.contract.test_sources import ROWS, WRITERS
from vdbcluster.adapters.sources import open_source
from vdbcluster.config.ingest import SourceSettings
from vdbcluster.errors import SourceRowError, UsageError


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_user_sees_one_clear_line(case: BadInput, tmp_path: Path) -> None:
    found = first_trouble(case, tmp_path)
    assert found is not None
    kind, row, line = found
    assert (kind, row) == (case.kind, case.row)
    assert case.is_told(line), line
    assert "\n" not in line


def test_every_case_is_another_one() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 40


def _npy(path: Path, _: object) -> None:
    np.save(path, np.eye(4))


def _npz(path: Path, _: object) -> None:
    np.savez_compressed(path, v=np.eye(4), text=np.array(list("abcd")))


DAMAGED: dict[str, Callable[..., None]] = {**WRITERS, "a.npy": _npy, "a.npz": _npz}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    """Cut off anywhere, bytes changed anywhere: rows, faults or one line, never a traceback."""
    DAMAGED[name](tmp_path / name, ROWS)
    whole = (tmp_path / name).read_bytes()
    draw = random.Random(name)
    lines = []
    for _ in range(150):
        data = bytearray(whole)
        if draw.random() < 0.3:
            del data[draw.randrange(len(data)) :]
        else:
            for _ in range(draw.choice([1, 3, 20])):
                data[draw.randrange(len(data))] = draw.randrange(256)
        (tmp_path / name).write_bytes(data)
        field = "" if name == "a.npy" else "v"
        try:
            list(open_source(tmp_path / name, SourceSettings(vector_field=field)).batches())
        except (UsageError, SourceRowError) as error:
            lines.append(str(error))
    assert lines
    assert not [line for line in lines if "\n" in line]
