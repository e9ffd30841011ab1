"""200,000 word vectors: the same labels from one process and from two workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.crew_runs import database_of, plan, run, same

GLOVE = "glove50_top200k.f16.npy"


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_glove_is_the_same(tmp_path: Path) -> None:
    path = database_of(tmp_path, GLOVE, 200_000)
    where = ("run", "--uri", str(path), "-c", "docs", "--dry-run", "--method", "hdbscan")
    for who, workers in (("one", "0"), ("two", "2")):
        run(tmp_path / who, *where, "--workers", workers, "--resamples", "0")
    same(plan(tmp_path / "two"), plan(tmp_path / "one"))
