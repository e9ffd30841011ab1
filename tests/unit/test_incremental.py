"""A graph that is carried over is the graph that a search among all rows would have found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine_graphs import from_matrix
from vdbcluster.graph.incremental import carried
from vdbcluster.model.neighbors import PADDING, NeighborGraph


def table(points: np.ndarray) -> np.ndarray:
    return np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1)).astype(np.float32)


def nearest_among(points: np.ndarray, which: np.ndarray, k: int) -> NeighborGraph:
    """Of each row the k nearest of ``which``, itself left out."""
    far = table(points)
    apart = np.full_like(far, np.inf)
    apart[:, which] = far[:, which]
    return from_matrix(apart, k)


@given(
    st.integers(2, 40),
    st.integers(0, 15),
    st.integers(0, 15),
    st.integers(1, 8),
    st.integers(0, 10_000),
)
def test_distances_are_those_of_a_search_among_all_rows(
    n: int, n_gone: int, n_new: int, k: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    n_gone = min(n_gone, n - 1)
    before = rng.integers(0, 8, (n, 2)).astype(float)  # many ties
    stays = np.ones(n, bool)
    stays[rng.choice(n, n_gone, replace=False)] = False
    n_now = int(stays.sum()) + n_new
    at = np.sort(rng.choice(n_now, int(stays.sum()), replace=False))
    place = np.full(n, PADDING, np.int32)
    place[stays] = at
    now = rng.integers(0, 8, (n_now, 2)).astype(float)
    now[at] = before[stays]
    new = np.setdiff1d(np.arange(n_now), at)

    found = carried(from_matrix(table(before), k), place, nearest_among(now, new, k))

    found.graph.validate()
    whole = from_matrix(table(now), k)
    known = ~found.again
    np.testing.assert_array_equal(found.graph.distances[known], whole.distances[known])
    assert found.again[new].all() or not len(new)


def test_few_rows_are_searched_again_where_few_went() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1000, 3))
    place = np.full(1000, PADDING, np.int32)
    place[:990] = np.arange(990)
    found = carried(
        from_matrix(table(points), 10), place, nearest_among(points[:990], np.empty(0, int), 10)
    )
    assert 0 < found.again.sum() < 150  # ten rows are in about a hundred lists


def test_graphs_that_do_not_fit_are_refused() -> None:
    graph = from_matrix(table(np.arange(6.0).reshape(-1, 1)), 2)
    other = NeighborGraph(graph.indices, graph.distances, "chord")
    with pytest.raises(ValueError, match="one graph is by euclidean, the other by chord"):
        carried(graph, np.arange(6, dtype=np.int32), other)
    with pytest.raises(ValueError, match="places up to 6; there are 6 rows"):
        carried(graph, np.arange(1, 7, dtype=np.int32), graph)
