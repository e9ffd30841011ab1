"""Time by a sample of the work: rows that cannot be compared are not searched for."""

from __future__ import annotations

import numpy as np
import pytest

from vdbcluster.adapters.local_neighbors import LocalNeighbors
from vdbcluster.adapters.memory import MemorySource
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.graph.distance import prepare
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.estimate import time_sample
from vdbcluster.pipeline.read import usable


def search(page: Rows) -> tuple[LocalNeighbors, np.ndarray]:
    fit, _ = usable(page, direction=True)
    points = prepare(fit.vectors, "chord")
    return LocalNeighbors(points, "chord"), points


@pytest.mark.parametrize(("gone", "sampled"), [(0, 30), (1, 30), (28, 30), (29, 0), (30, 0)])
def test_vectors_that_cannot_be_compared(gone: int, sampled: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    vectors[:gone] = 0
    source = MemorySource(MemoryCollection(vectors))
    found, seconds = time_sample(source, search, 3000, 10)
    assert found == sampled
    assert bool(seconds) == bool(sampled)
