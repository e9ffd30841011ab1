"""The engine by several threads: what they find does not depend on how many there are."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from numpy.typing import DTypeLike, NDArray
from threadpoolctl import threadpool_limits

from tests.unit.engine_graphs import enough, exact, graphs, parameters
from tests.unit.engine_oracles import definition
from tests.unit.test_engine_together import assert_same, cluster
from vdbcluster.graph import by_rows
from vdbcluster.hierarchy import build
from vdbcluster.model.hierarchy import Hierarchy
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.model.params import HdbscanParams

KEPT = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_rows, "_FEWEST", 3)
    monkeypatch.setattr(by_rows, "_MOST", 3)


@KEPT
@given(graphs(), parameters() | parameters(join="inf"))
def test_blocks_of_three_rows_equal_the_definition(
    tiny_blocks: None, graph: NeighborGraph, params: HdbscanParams
) -> None:
    assume(enough(graph, params))
    with threadpool_limits(limits=3):
        assert_same(cluster(graph, params), definition(graph, params))


@KEPT
@given(graphs(), parameters())
def test_every_edge_is_that_of_one_thread(
    tiny_blocks: None, graph: NeighborGraph, params: HdbscanParams
) -> None:
    assume(enough(graph, params))
    assert_equal(graph, params)


@pytest.mark.parametrize("kind", ["ties", "as they come"])
def test_many_rows(kind: str) -> None:
    """Of an approximate search, whose pairs are of one side or of both, near one another or not."""
    n, k = 30_000, 12
    lots = np.random.default_rng(0)
    near = np.arange(n)[:, None] + lots.integers(1, 40, (n, k)) * lots.choice([-1, 1], (n, k))
    far = lots.integers(0, n, (n, k))
    indices = np.where(lots.random((n, k)) < 0.9, near % n, far).astype(np.int32)
    distances = lots.integers(1, 9, (n, k)) if kind == "ties" else lots.random((n, k))
    indices[(indices == np.arange(n)[:, None]) | (lots.random((n, k)) < 0.02)] = PADDING
    distances = np.where(indices == PADDING, np.inf, distances).astype(np.float32)
    order = np.argsort(distances, axis=1, kind="stable")
    lists = (np.take_along_axis(array, order, axis=1) for array in (indices, distances))
    assert_equal(NeighborGraph(*lists, "euclidean"), HdbscanParams())


def test_what_grows_with_min_samples_lies_where_it_is_told() -> None:
    """In memory the limit of a run would not hold; what the room held before does not matter."""
    asked: list[tuple[int, ...]] = []

    def empty(shape: tuple[int, ...], kind: DTypeLike) -> NDArray[Any]:
        asked.append(shape)
        return np.full(shape, 0, kind)

    graph = exact(np.random.default_rng(0).normal(size=(5_000, 2)), 20)
    params = HdbscanParams(min_samples=17)
    found = build(graph, params, empty=empty)
    assert (5_000, 17) in asked
    np.testing.assert_array_equal(found.core_distances, build(graph, params).core_distances)


def test_an_error_in_one_block_is_raised_and_the_threads_go_on_with_the_next_work() -> None:
    with threadpool_limits(limits=3), by_rows.row_blocks(9_000) as blocks:
        for _ in range(3):
            with pytest.raises(MemoryError, match="no room for rows from 3072 on"):
                blocks.each(_without_room)
            assert blocks.summed(lambda rows: np.ones(1) * (rows.stop - rows.start)) == 9_000


def _without_room(rows: slice) -> None:
    if rows.start > 3000:
        raise MemoryError(f"no room for rows from {rows.start} on")


def assert_equal(graph: NeighborGraph, params: HdbscanParams) -> None:
    alone, together = built(graph, params, 1), built(graph, params, 3)
    np.testing.assert_array_equal(alone.core_distances, together.core_distances)
    for part in ("spanning_tree", "condensed_tree"):
        pairs = zip(astuple(getattr(alone, part)), astuple(getattr(together, part)), strict=True)
        for one, other in pairs:
            np.testing.assert_array_equal(one, other)


def built(graph: NeighborGraph, params: HdbscanParams, threads: int) -> Hierarchy:
    with threadpool_limits(limits=threads):
        return build(graph, params)
