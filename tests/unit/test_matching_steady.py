"""Hysteresis: who stays, who goes, and what is never lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_matching import rows
from vdbcluster.matching import steady
from vdbcluster.model.matching import Previous
from vdbcluster.model.neighbors import NeighborGraph


def graph_of(neighbors: list[list[int]], width: int = 4) -> NeighborGraph:
    indices = np.full((len(neighbors), width), -1, np.int32)
    distances = np.full(indices.shape, np.inf, np.float32)
    for row, near in enumerate(neighbors):
        indices[row, : len(near)] = near
        distances[row, : len(near)] = 1.0
    return NeighborGraph(indices, distances, "euclidean")


# Row 0 was in 3 and is now in 5; rows 1 to 4 are in 3, rows 5 to 9 in 5, row 10 is noise.
WAS = np.array([3, 3, 3, 3, 3, 5, 5, 5, 5, 5, -1])
NOW = np.array([5, 3, 3, 3, 3, 5, 5, 5, 5, 5, -1])
EVEN = [[1, 2, 5, 6]] + [[] for _ in range(10)]
AHEAD = [[1, 5, 6, 7]] + [[] for _ in range(10)]


def test_a_row_on_the_border_stays() -> None:
    assert steady(Previous.of(WAS), NOW, graph_of(EVEN), margin=0.1).tolist() == WAS.tolist()


def test_a_row_goes_where_the_new_cluster_is_ahead_by_more_than_the_margin() -> None:
    previous = Previous.of(WAS)
    assert steady(previous, NOW, graph_of(AHEAD), margin=0.4).tolist() == NOW.tolist()
    assert steady(previous, NOW, graph_of(AHEAD), margin=0.5).tolist() == WAS.tolist()


def test_margin_zero_switches_it_off() -> None:
    behind = [[1, 2, 3, 5]] + [[] for _ in range(10)]
    assert steady(Previous.of(WAS), NOW, graph_of(behind), margin=0).tolist() == NOW.tolist()
    assert steady(Previous.of(WAS), NOW, graph_of(behind), margin=0.01).tolist() == WAS.tolist()


def test_noise_is_held_like_a_cluster() -> None:
    near_noise = [[10, 5]] + [[] for _ in range(10)]
    was = np.where(np.arange(11) == 0, -1, WAS)
    assert steady(Previous.of(was), NOW, graph_of(near_noise), margin=0.1)[0] == -1
    now = np.where(np.arange(11) == 0, -1, WAS)
    near_three = [[1, 10]] + [[] for _ in range(10)]
    assert steady(Previous.of(WAS), now, graph_of(near_three), margin=0.1)[0] == 3


def test_all_noise_may_be_taken_back() -> None:
    was, now = rows((3, 11)), np.where(np.arange(11) == 0, -1, 3)
    near = graph_of([[1, 2]] + [[] for _ in range(10)])
    assert steady(Previous.of(was), now, near, margin=0.1).tolist() == was.tolist()


def test_a_cluster_that_is_gone_holds_nothing() -> None:
    now = np.where(NOW == 3, -1, NOW)
    previous = Previous.of(WAS)
    assert steady(previous, now, graph_of(EVEN), margin=0.3).tolist() == now.tolist()


def test_new_rows_and_rows_without_neighbours_are_left_alone() -> None:
    absent = np.arange(11) == 0
    assert steady(Previous.of(WAS, absent), NOW, graph_of(EVEN), margin=0.5)[0] == 5
    alone = graph_of([[] for _ in range(11)])
    assert steady(Previous.of(WAS), NOW, alone, margin=0.5)[0] == 5


def test_whole_clusters_are_not_held_back() -> None:
    """4 of 7 rows that split off are tied; taking back four of them is not a matter of borders."""
    was, now = rows((3, 14)), rows((3, 7), (4, 7))
    near = [[] for _ in range(7)] + [[0, 13]] * 4 + [[12, 13]] * 3
    assert steady(Previous.of(was), now, graph_of(near), margin=0.1).tolist() == now.tolist()
    near = [[] for _ in range(7)] + [[0, 13]] * 3 + [[12, 13]] * 4
    assert steady(Previous.of(was), now, graph_of(near), margin=0.1).tolist() == [3] * 10 + [4] * 4


def test_what_people_joined_is_no_move() -> None:
    was = np.where(WAS == 3, 8, WAS)
    previous = replace(Previous.of(np.append(was, 3)), aliases={8: 3})
    graph = graph_of([*EVEN, []])
    assert steady(previous, np.append(NOW, 3), graph, margin=0.1).tolist() == [*WAS, 3]


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, NeighborGraph, list[int]]:
    n = draw(st.integers(1, 16))
    row = st.lists(st.integers(-1, 4), min_size=n, max_size=n)
    was, now = np.array(draw(row)), np.array(draw(row))
    absent = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    near = [
        draw(st.lists(st.integers(0, n - 1).filter(lambda j, i=i: j != i), unique=True, max_size=4))
        if n > 1
        else []
        for i in range(n)
    ]
    return was, now, absent, graph_of(near), draw(st.permutations(range(n)))


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from([0.05, 0.25, 1.0]))
def test_promises(
    case: tuple[np.ndarray, np.ndarray, np.ndarray, NeighborGraph, list[int]], margin: float
) -> None:
    was, now, absent, graph, permutation = case
    previous = Previous.of(was, absent)
    found = steady(previous, now, graph, margin=margin)
    changed = found != now
    assert not (changed & absent).any()
    assert (found[changed] == was[changed]).all()
    assert set(found) - {-1} == set(now) - {-1}
    order = np.array(permutation)
    place = np.empty(len(order) + 1, np.int32)
    place[order], place[-1] = np.arange(len(order)), -1
    mixed = NeighborGraph(place[graph.indices[order]], graph.distances[order], graph.metric)
    again = steady(Previous.of(was[order], absent[order]), now[order], mixed, margin=margin)
    assert again.tolist() == found[order].tolist()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="margin is"):
        steady(Previous.of(WAS), NOW, graph_of(EVEN), margin=1.5)
    with pytest.raises(ValueError, match="10 rows have a new label"):
        steady(Previous.of(WAS), NOW[:10], graph_of(EVEN), margin=0.1)
