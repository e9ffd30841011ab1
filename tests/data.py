"""Real data that lies next to the repository.

In: the name of a file. Out: its arrays; a test that needs a file which is not there is skipped.
The directory is ``shared/data`` beside the repository, or ``VDBCLUSTER_TEST_DATA``.

    vectors = embeddings("banking77.minilm-l6-int8.384.f16.npy")[:2000]
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

VARIABLE = "VDBCLUSTER_TEST_DATA"


def directory() -> Path | None:
    """Where the data is, or None."""
    named = os.environ.get(VARIABLE)
    root = Path(__file__).resolve().parent.parent
    found = Path(named) if named else root.parent / "shared" / "data"
    return found if found.is_dir() else None


def file(name: str) -> Path:
    """The path of a data file; skips the test where it is absent."""
    home = directory()
    path = home / name if home else None
    if path is None or not path.exists():
        pytest.skip(f"data file {name} is absent ({VARIABLE} can name its directory)")
    return path


def embeddings(name: str) -> NDArray[np.float32]:
    """The vectors of a file, ``(n, d) float32``."""
    vectors: NDArray[np.float32] = np.load(file(name)).astype(np.float32)
    return vectors


def table(name: str) -> Any:
    """The table that belongs to the embeddings, as a pandas frame; row i is vector i."""
    pandas = pytest.importorskip("pandas")
    return pandas.read_parquet(file(name))
