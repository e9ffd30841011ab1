"""A graph that is carried over is the graph that a search among all rows would have found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine_graphs import from_matrix
from vdbcluster.graph.exact import exact_among, exact_neighbors
from vdbcluster.graph.incremental import SPARE, Carried, carried, spare_for
from vdbcluster.model.neighbors import PADDING, NeighborGraph


def among(points: np.ndarray, which: np.ndarray, k: int) -> NeighborGraph:
    """Of each row the k nearest of ``which``, itself left out."""
    every = np.arange(len(points))
    return NeighborGraph(*exact_among(points, every, which, k, "euclidean"), "euclidean")


def whole(points: np.ndarray, k: int) -> NeighborGraph:
    found = exact_neighbors(points, np.arange(len(points)), k, "euclidean")
    return NeighborGraph(*found, "euclidean")


def change(
    before: np.ndarray, gone: int, new: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The points of now, where those of before are, and which are new."""
    n = len(before)
    stays = np.ones(n, bool)
    stays[rng.choice(n, gone, replace=False)] = False
    n_now = int(stays.sum()) + new
    at = np.sort(rng.choice(n_now, int(stays.sum()), replace=False))
    place = np.full(n, PADDING, np.int32)
    place[stays] = at
    now = rng.integers(0, 8, (n_now, 2)).astype(np.float32)
    now[at] = before[stays]
    return now, place, np.setdiff1d(np.arange(n_now), at)


def check(found: Carried, now: np.ndarray, k: int) -> None:
    """What is certain is the beginning of the true list, ties and all."""
    width = found.indices.shape[1]
    true = whole(now, width)
    certain = found.indices != PADDING
    np.testing.assert_array_equal(found.indices[certain], true.indices[certain])
    np.testing.assert_array_equal(found.distances[certain], true.distances[certain])
    assert (certain[:, :-1] >= certain[:, 1:]).all()
    enough = certain.sum(axis=1) >= min(k, len(now) - 1)
    np.testing.assert_array_equal(found.again, ~enough)


@given(
    st.integers(2, 40),
    st.integers(0, 15),
    st.integers(0, 15),
    st.integers(1, 8),
    st.integers(0, 3),
    st.integers(0, 10_000),
)
def test_what_is_carried_over_is_what_a_search_among_all_rows_finds(
    n: int, n_gone: int, n_new: int, k: int, spare: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 8, (n, 2)).astype(np.float32)  # many ties
    graph = whole(before, k + spare)
    for gone in (min(n_gone, n - 1), 0):  # twice: what was carried over is carried over again
        now, place, new = change(before, gone, n_new, rng)
        found = carried(graph, place, among(now, new, k + spare), k)
        check(found, now, k)
        assert found.again[new].all() or len(now) == 1
        searched = whole(now, k + spare)
        found.indices[found.again] = searched.indices[found.again]
        found.distances[found.again] = searched.distances[found.again]
        before, graph = now, NeighborGraph(found.indices, found.distances, "euclidean")
        graph.validate()


def test_few_rows_are_searched_again_where_few_went() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1000, 3)).astype(np.float32)
    place = np.full(1000, PADDING, np.int32)
    place[:990] = np.arange(990)
    none = among(points[:990], np.empty(0, np.int64), 10)
    exactly = carried(whole(points, 10), place, none, 10)
    assert 0 < exactly.again.sum() < 150  # ten rows are in about a hundred lists
    spared = carried(whole(points, 12), place, none, 10)
    assert spared.again.sum() < 5


def test_nothing_is_searched_again_where_nothing_has_changed() -> None:
    points = np.random.default_rng(0).integers(0, 4, (300, 2)).astype(np.float32)
    graph = whole(points, 7)
    none = among(points, np.empty(0, np.int64), 7)
    found = carried(graph, np.arange(300, dtype=np.int32), none, 7)
    assert not found.again.any()
    np.testing.assert_array_equal(found.indices, graph.indices)


def test_the_result_lies_where_it_was_asked_to() -> None:
    points = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    none = among(points, np.empty(0, np.int64), 3)
    out = np.empty((50, 3), np.int32), np.empty((50, 3), np.float32)
    found = carried(whole(points, 7), np.arange(50, dtype=np.int32), none, 3, out)
    assert found.indices is out[0]
    check(found, points, 3)


@pytest.mark.parametrize(("k", "n", "spare"), [(50, 1000, 10), (5, 9, 1), (5, 6, 0), (5, 3, 0)])
def test_spare_neighbours_are_never_more_than_there_are_rows(k: int, n: int, spare: int) -> None:
    assert spare_for(k, n) == spare
    assert SPARE * spare <= k + SPARE


def test_graphs_that_do_not_fit_are_refused() -> None:
    line = np.arange(6.0)
    graph = from_matrix(np.abs(line[:, None] - line), 2)
    other = NeighborGraph(graph.indices, graph.distances, "chord")
    with pytest.raises(ValueError, match="one graph is by euclidean, the other by chord"):
        carried(graph, np.arange(6, dtype=np.int32), other, 2)
    with pytest.raises(ValueError, match="places up to 6; there are 6 rows"):
        carried(graph, np.arange(1, 7, dtype=np.int32), graph, 2)
