"""Random walks on the graph: their matrix, what its products are, who computes them."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from tests.unit.engine_graphs import graphs
from vdbcluster.graph.by_rows import row_blocks
from vdbcluster.graph.chebyshev import COLUMNS
from vdbcluster.graph.walks import ends_of, walks_on
from vdbcluster.model.neighbors import PADDING, NeighborGraph


def both_ways(graph: NeighborGraph) -> np.ndarray:
    """How often two rows found each other, by the definition."""
    counted = np.zeros((graph.n_rows, graph.n_rows))
    for i, t in np.argwhere(graph.indices != PADDING):
        counted[i, graph.indices[i, t]] += 1
        counted[graph.indices[i, t], i] += 1
    return counted


def normalised(graph: NeighborGraph) -> np.ndarray:
    weights = both_ways(graph)
    degree = np.maximum(weights.sum(axis=1), 1e-12)
    return weights / np.sqrt(np.outer(degree, degree))


@settings(deadline=None, max_examples=50)
@given(graphs(), st.integers(0, 9))
def test_a_product_is_that_of_the_dense_matrix(graph: NeighborGraph, seed: int) -> None:
    lots = np.random.default_rng(seed)
    dense = normalised(graph)
    x, before = lots.standard_normal((2, graph.n_rows, COLUMNS), dtype=np.float32)
    with row_blocks(graph.n_rows) as blocks:
        walks = walks_on(graph, blocks)
        np.testing.assert_allclose(walks.step(x), dense @ x, atol=1e-5)
        wanted = 2 * dense @ x + 0.5 * x - before
        found = walks.step(x, 2, 0.5, before)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        assert found is before


@settings(deadline=None, max_examples=50)
@given(graphs(), st.integers(0, 9))
def test_the_order_of_rows_is_all_that_an_order_changes(graph: NeighborGraph, seed: int) -> None:
    lots = np.random.default_rng(seed)
    order = lots.permutation(graph.n_rows)
    x = lots.standard_normal((graph.n_rows, COLUMNS), dtype=np.float32)
    with row_blocks(graph.n_rows) as blocks:
        walks = walks_on(graph, blocks)
        moved = walks.in_order(order)
        np.testing.assert_array_equal(moved.step(x[order]), walks.step(x)[order])
        cleared = x.copy(), x[order]
        walks.clear(cleared[0])
        moved.clear(cleared[1])
        np.testing.assert_allclose(cleared[1], cleared[0][order], atol=1e-5)


@settings(deadline=None, max_examples=50)
@given(graphs(), st.integers(0, 9))
def test_what_is_cleared_is_where_walks_come_to_rest(graph: NeighborGraph, seed: int) -> None:
    """All eigenvectors of eigenvalue 1, one for each component, and nothing else."""
    dense = normalised(graph)
    values, vectors = np.linalg.eigh(dense)
    alone = both_ways(graph).sum(axis=1) == 0  # a component, too
    rest = np.hstack((vectors[:, values > 1 - 1e-6], np.eye(graph.n_rows)[:, alone]))
    x = np.random.default_rng(seed).standard_normal((graph.n_rows, 4), dtype=np.float32)
    with row_blocks(graph.n_rows) as blocks:
        walks = walks_on(graph, blocks)
    assert walks.component.max() + 1 == rest.shape[1]
    found = x.copy()
    walks.clear(found)
    np.testing.assert_allclose(found, x - rest @ (rest.T @ x), atol=1e-4)


def test_more_edges_than_int32_can_count() -> None:
    few = ends_of(np.array([2, 0, 2**31 - 3]))
    assert (few.dtype, few.tolist()) == (np.int32, [0, 2, 2, 2**31 - 1])
    many = ends_of(np.array([2, 0, 2**31 - 2]))
    assert (many.dtype, many.tolist()) == (np.int64, [0, 2, 2, 2**31])
    assert ends_of(np.array([], np.int64)).tolist() == [0]


@pytest.mark.parametrize("n", [0, 1, 1024, 1025, 5000, 2_000_000])
def test_every_row_is_in_one_block_and_blocks_come_in_order(n: int) -> None:
    with row_blocks(n) as blocks:
        found = blocks.each(lambda rows: (rows.start, rows.stop))
    assert [start for start, _ in found] == [0, *(stop for _, stop in found)][: len(found)]
    assert sum(stop - start for start, stop in found) == n
    assert max((stop - start for start, stop in found), default=0) <= 16384


def test_as_many_threads_as_are_allowed_and_the_sum_is_the_same() -> None:
    numbers = np.random.default_rng(0).standard_normal(50_000).astype(np.float32)
    sums, names = [], []
    for threads in (1, 3):
        meet = threading.Barrier(threads)

        def work(rows: slice, meet: threading.Barrier = meet) -> np.ndarray:
            if rows.start < 3 * (rows.stop - rows.start):
                meet.wait(30)  # blocks 0 to 2 are worked on at the same time
            names.append(threading.current_thread().name)
            return numbers[rows].sum(keepdims=True)

        names.clear()
        with threadpool_limits(limits=threads), row_blocks(len(numbers)) as blocks:
            sums.append(blocks.summed(work))
        assert len(set(names)) == threads
    np.testing.assert_array_equal(*sums)


def test_what_a_block_raises_is_raised() -> None:
    def work(rows: slice) -> None:
        raise ValueError(f"of row {rows.start}")

    with threadpool_limits(limits=2), row_blocks(5000) as blocks, pytest.raises(ValueError):
        blocks.each(work)
