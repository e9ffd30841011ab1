"""Where rows lie: true to the neighbours, the same each time, and where they lay before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness as reference

from tests.unit.method_data import graph_of as exact_neighbors
from vdbcluster.layout import (
    RADIUS,
    LayoutParams,
    aligned,
    beside_zero,
    coordinates,
    lay_out,
    place,
    placed,
    placed_new,
    posed,
    radius,
)
from vdbcluster.layout.begin import beginning, squared
from vdbcluster.layout.judged import movement, trustworthiness
from vdbcluster.model.neighbors import PADDING, NeighborGraph

QUICK = LayoutParams(seed=0, epochs=60)
ROWS = 700


@pytest.fixture(scope="module")
def digits() -> Any:
    return load_digits().data.astype(np.float32)[: ROWS + 50]


@pytest.fixture(scope="module")
def first(digits: Any) -> Any:
    return lay_out(exact_neighbors(digits[:ROWS], 20), digits[:ROWS], QUICK)


def test_it_is_true_to_the_vectors_and_in_its_usual_pose(digits: Any, first: Any) -> None:
    assert first.shape == (ROWS, 2)
    assert first.dtype == np.float32
    assert trustworthiness(digits[:ROWS], first) > 0.95
    assert radius(first) == pytest.approx(RADIUS, rel=1e-4)
    assert np.abs(first.mean(axis=0)).max() < 1e-3
    assert np.std(first[:, 0]) > np.std(first[:, 1])


def test_the_same_seed_gives_the_same_map_and_another_one_another(digits: Any, first: Any) -> None:
    graph = exact_neighbors(digits[:ROWS], 20)
    assert lay_out(graph, digits[:ROWS], QUICK).tobytes() == first.tobytes()
    other = lay_out(graph, digits[:ROWS], LayoutParams(seed=1, epochs=60))
    assert movement(first, other, turned=True).median > 0.05


def test_a_map_that_begins_from_the_last_one_keeps_its_shape(digits: Any, first: Any) -> None:
    """Fifty rows are gone, fifty are new."""
    rows = digits[50:]
    last = np.full((ROWS, 2), np.nan, np.float32)
    last[:-50] = first[50:]
    graph = exact_neighbors(rows, 20)
    again = lay_out(graph, rows, QUICK, last)
    anew = lay_out(graph, rows, QUICK)
    assert 2 * movement(last, again).median < movement(last, anew, turned=True).median
    assert trustworthiness(rows, again) > trustworthiness(rows, anew) - 0.02
    near = exact_neighbors(again, 5).indices[-50:]
    true = load_digits().target[50 : ROWS + 50]
    assert np.mean(true[near] == true[-50:, None]) > 0.8


def test_in_space(digits: Any) -> None:
    graph = exact_neighbors(digits[:ROWS], 20)
    found = lay_out(graph, digits[:ROWS], LayoutParams(3, 0, epochs=60))
    assert found.shape == (ROWS, 3)
    assert trustworthiness(digits[:ROWS], found) > 0.95


@pytest.mark.slow
def test_without_a_seed_it_is_as_true(digits: Any) -> None:
    graph = exact_neighbors(digits[:ROWS], 20)
    found = lay_out(graph, digits[:ROWS], LayoutParams(seed=None, epochs=60))
    assert trustworthiness(digits[:ROWS], found) > 0.95


def test_rows_that_the_graph_leaves_alone_have_no_place(digits: Any) -> None:
    graph = exact_neighbors(digits[:100], 10)
    indices, distances = graph.indices.copy(), graph.distances.copy()
    indices[indices == 7] = PADDING
    indices[7], distances[7] = PADDING, np.inf
    distances[indices == PADDING] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")
    alone = NeighborGraph(
        np.take_along_axis(indices, order, axis=1),
        np.take_along_axis(distances, order, axis=1),
        graph.metric,
    )
    found = lay_out(alone, digits[:100], QUICK)
    assert np.flatnonzero(~placed(found)).tolist() == [7]
    again = lay_out(alone, digits[:100], QUICK, found)
    assert np.flatnonzero(~placed(again)).tolist() == [7]
    assert [column[7] for column in coordinates(found)] == [0, 0]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 19, 20, 21])
def test_few_rows(digits: Any, n: int, dimensions: Any) -> None:
    rows = digits[:n]
    graph = exact_neighbors(rows, min(5, n - 1)) if n > 1 else _none(1)
    found = lay_out(graph, rows, LayoutParams(dimensions, 0, epochs=20))
    assert found.shape == (n, dimensions)
    assert placed(found).all() == (n > 1)
    assert len(np.unique(found, axis=0)) == n
    assert not n > 1 or 0 < np.abs(found).max() < 10 * RADIUS


@pytest.mark.parametrize("n", [2, 5, 60])
def test_rows_that_are_all_one(n: int) -> None:
    rows = np.ones((n, 8), np.float32)
    found = lay_out(exact_neighbors(rows, min(5, n - 1)), rows, QUICK)
    assert placed(found).all()
    assert len(np.unique(found, axis=0)) == n
    assert np.abs(found).max() < 10 * RADIUS


def test_a_map_without_any_neighbour_is_empty() -> None:
    assert not placed(lay_out(_none(30), np.ones((30, 3), np.float32), QUICK)).any()


def _none(n: int) -> NeighborGraph:
    return NeighborGraph(
        np.full((n, 1), PADDING, np.int32), np.full((n, 1), np.inf, np.float32), "euclidean"
    )


def test_a_new_row_goes_to_one_of_two_groups_and_not_between() -> None:
    places = np.array([[-10, 0], [-10, 0.1], [-10.1, 0], [10, 0], [10, 0.1], [np.nan] * 2])
    indices = np.full((6, 5), PADDING, np.int32)
    distances = np.full((6, 5), np.inf, np.float32)
    indices[5], distances[5] = [3, 0, 1, 2, 4], [1, 1.02, 1.02, 1.02, 1.2]
    found = place(indices, distances, places.astype(np.float32))
    assert found[:5] == pytest.approx(places[:5])
    assert found[5] == pytest.approx([-10.03, 0.03], abs=0.1)
    indices[5, 2:], distances[5, 2:] = PADDING, np.inf
    distances[5, :2] = [0.1, 5]
    assert place(indices, distances, places.astype(np.float32))[5] == pytest.approx([10, 0])


def test_rows_are_placed_by_new_ones_that_have_a_place_by_then() -> None:
    """0 and 1 are known; 2 is near 0, 3 near 2, 4 near a stranger, 5 near nobody."""
    places = np.array([[1, 1], [5, 5]], np.float32)
    indices = np.array([[0, PADDING], [2, PADDING], [9, PADDING], [PADDING] * 2], np.int32)
    distances = np.where(indices == PADDING, np.inf, 1).astype(np.float32)
    found = placed_new(indices, distances, places, 2)
    assert found[:2].tolist() == [[1, 1], [1, 1]]
    assert np.isnan(found[2:]).all()
    assert placed_new(indices[:0], distances[:0], places, 2).shape == (0, 2)
    none = np.full((2, 2), np.nan, np.float32)
    assert np.isnan(placed_new(indices, distances, none, 2)).all()


coordinate = st.floats(-100, 100, width=32)
maps = st.integers(5, 12).flatmap(lambda n: arrays(np.float32, (n, 2), elements=coordinate))


def turned(points: np.ndarray, angle: float, mirror: bool) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points @ turn * (np.array([-1, 1]) if mirror else 1)


@given(maps, st.floats(0, 7), st.booleans(), st.floats(0.1, 10), st.floats(-50, 50))
@settings(max_examples=60, deadline=None)
def test_what_was_turned_and_scaled_is_turned_back(
    points: np.ndarray, angle: float, mirror: bool, scale: float, shift: float
) -> None:
    if radius(points) < 1:
        return
    moved = (turned(points, angle, mirror) * scale + shift).astype(np.float32)
    moved[0] = np.nan
    found = aligned(moved, points)
    assert np.isnan(found[0]).all()
    if radius(points[1:]) > 1:
        assert found[1:] == pytest.approx(points[1:], abs=0.05)


@given(maps)
@settings(max_examples=60, deadline=None)
def test_no_coordinate_is_zero_and_none_moves(points: np.ndarray) -> None:
    points[0] = np.nan
    told = np.stack(coordinates(points), axis=1)
    assert (told[0] == 0).all()
    assert (told[1:] != 0).all()
    assert told[1:] == pytest.approx(points[1:], abs=1e-5)
    assert not (beside_zero(points) == 0).any()
    assert np.isfinite(posed(points)[1:]).all()


@given(maps)
@settings(max_examples=30, deadline=None)
def test_turning_it_square_changes_no_distance(points: np.ndarray) -> None:
    if radius(points) < 1:
        return
    found = squared(points, np.random.default_rng(0))
    assert np.linalg.norm(found[1:] - found[:-1], axis=1) == pytest.approx(
        np.linalg.norm(np.diff(points.astype(float), axis=0), axis=1), abs=1e-3
    )
    high, wide = np.ptp(found, axis=0)
    assert min(high, wide) >= 0.97 * max(high, wide)


@pytest.mark.parametrize("along", [0.0, 1.0])
def test_it_may_begin_from_a_spot_or_a_line(digits: Any, along: float) -> None:
    last = np.full((100, 2), 5.0, np.float32)
    last[:, 0] += along * np.arange(100)
    found = lay_out(exact_neighbors(digits[:100], 10), digits[:100], QUICK, last)
    assert placed(found).all()
    assert len(np.unique(found, axis=0)) == 100


def test_every_row_has_somewhere_to_begin(digits: Any) -> None:
    graph = exact_neighbors(digits[:100], 10)
    last = np.full((100, 2), np.nan, np.float32)
    last[:10] = np.random.default_rng(0).normal(size=(10, 2))
    found = beginning(graph, last, 0)
    assert np.isfinite(found).all()
    assert len(np.unique(found, axis=0)) == 100
    assert found.tobytes() == beginning(graph, last, 0).tobytes()
    assert np.isfinite(beginning(_none(100), last, 0)).all()


def test_trustworthiness_is_that_of_scikit_learn(digits: Any, first: Any) -> None:
    rows, points = digits[:300].astype(np.float64), first[:300]
    told = trustworthiness(digits[:300], points, 10, sample=300)
    assert told == pytest.approx(reference(rows, points, n_neighbors=10), abs=1e-3)
    lot = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    assert trustworthiness(digits[:300], lot, 10, sample=300) < 0.6
    with pytest.raises(ValueError, match="too few"):
        trustworthiness(digits[:20], points[:20], 10)


def test_movement() -> None:
    before = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [np.nan] * 2], np.float32)
    after = before.copy()
    after[0] = [1.5, 0]
    told = movement(before, after)
    assert (told.rows, told.median, told.mean, told.still) == (4, 0, 0.125, 0.75)
    assert movement(before, 3 * before + 2, turned=True).mean == pytest.approx(0, abs=1e-6)
    assert movement(before[4:], after[4:]).rows == 0
