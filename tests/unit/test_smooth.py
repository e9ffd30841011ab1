"""Shared neighbours against sets."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data import embeddings
from vdbcluster.graph.distance import prepare
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.measure import measure
from vdbcluster.graph.smooth import SHARED, shared_neighbors
from vdbcluster.model.neighbors import NeighborGraph


def by_sets(graph: NeighborGraph) -> dict[tuple[int, int], np.float32]:
    near = [set(row[row >= 0].tolist()) for row in graph.indices]
    k = max(len(row) for row in near)
    return {
        (i, j): np.float32((k - len(near[i] & near[j])) / k)
        for i in range(len(near))
        for j in near[i]
    }


def check(graph: NeighborGraph) -> None:
    smooth = shared_neighbors(graph)
    smooth.validate()
    assert smooth.metric == SHARED
    expected = by_sets(graph)
    rows, places = np.nonzero(smooth.indices >= 0)
    found = {
        (int(i), int(smooth.indices[i, t])): smooth.distances[i, t]
        for i, t in zip(rows, places, strict=True)
    }
    assert found == expected
    keys = list(
        zip(rows, smooth.distances[rows, places], smooth.indices[rows, places], strict=True)
    )
    assert keys == sorted(keys)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(1, 12))
def test_overlap_of_neighbour_sets(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 2)).astype(np.float32)
    check(measure(rows, rng.integers(-1, n, (n, k)).astype(np.int32), "euclidean"))


def test_real_neighbours() -> None:
    rows = prepare(embeddings("bbc2225.minilm-l6-int8.384.f16.npy"), "chord")
    graph = NeighborGraph(*exact_neighbors(rows, np.arange(len(rows)), 15, "chord"), "chord")
    check(graph)


def test_rows_with_the_same_neighbours_are_at_zero_or_as_near_as_can_be() -> None:
    """In a clique of k + 1 rows every pair shares all but each other."""
    graph = measure(
        np.ones((4, 1), np.float32), np.tile(np.arange(4, dtype=np.int32), (4, 1)), "euclidean"
    )
    assert (shared_neighbors(graph).distances[:, :3] == np.float32(1 / 3)).all()


def test_without_rows_or_neighbours() -> None:
    for shape in ((0, 5), (3, 2)):
        graph = NeighborGraph(
            np.full(shape, -1, np.int32), np.full(shape, np.inf, np.float32), "chord"
        )
        np.testing.assert_array_equal(shared_neighbors(graph).indices, graph.indices)
