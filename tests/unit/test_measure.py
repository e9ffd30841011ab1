"""Measured candidates and exact search against brute force on every pair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.data import embeddings
from vdbcluster.graph import exact
from vdbcluster.graph.distance import METRICS, ON_BITS, prepare
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.measure import measure, pair_distances


def some_points(rng: np.random.Generator, metric: str, n: int, d: int) -> NDArray[np.float32]:
    """Points on a small grid, so that ties and copies abound."""
    high = 2 if metric in ON_BITS else 4
    rows = rng.integers(0, high, (n, d)).astype(np.float32)
    return prepare(rows + (metric not in ON_BITS), metric)


def brute(
    rows: NDArray[np.float32], which: NDArray[np.int64], k: int, metric: str
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Every pair by the kernel, sorted in Python's way by (distance, position)."""
    n = len(rows)
    apart = pair_distances(rows, which, np.tile(np.arange(n), (len(which), 1)), metric)
    indices = np.full((len(which), k), -1, np.int32)
    distances = np.full((len(which), k), np.inf, np.float32)
    for a, i in enumerate(which):
        order = sorted((apart[a, j], j) for j in range(n) if j != i)[:k]
        indices[a, : len(order)] = [j for _, j in order]
        distances[a, : len(order)] = [value for value, _ in order]
    return indices, distances


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 40), k=st.integers(1, 45))
def test_exact_search_is_brute_force_with_ties_by_position(
    metric: str, seed: int, n: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = some_points(rng, metric, n, 3)
    which = rng.permutation(n)
    found, expected = exact_neighbors(rows, which, k, metric), brute(rows, which, k, metric)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("metric", METRICS)
def test_exact_search_over_several_blocks(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "_BASE_ROWS", 97)
    monkeypatch.setattr(exact, "_QUERY_ROWS", 41)
    monkeypatch.setattr(exact, "_MARGIN", 2)
    rows = some_points(np.random.default_rng(0), metric, 500, 4)
    which = np.arange(0, 500, 3)
    found, expected = exact_neighbors(rows, which, 20, metric), brute(rows, which, 20, metric)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("metric", ["euclidean", "chord", "angular"])
@pytest.mark.parametrize(
    "name", ["polis4k.e5-small-q4.384.f16.npy", "bbc2225.minilm-l6-int8.384.f16.npy"]
)
def test_exact_search_on_real_vectors_with_duplicates(name: str, metric: str) -> None:
    rows = prepare(embeddings(name), metric)
    which = np.random.default_rng(0).choice(len(rows), 200, replace=False)
    found, expected = exact_neighbors(rows, which, 50, metric), brute(rows, which, 50, metric)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_exact_search_far_from_the_origin() -> None:
    """Where the naive expansion of the square would lose every digit."""
    rng = np.random.default_rng(0)
    rows = (1e4 + rng.normal(size=(3000, 8))).astype(np.float32)
    which = np.arange(100)
    found, expected = (
        exact_neighbors(rows, which, 10, "euclidean"),
        brute(rows, which, 10, "euclidean"),
    )
    np.testing.assert_array_equal(found[0], expected[0])


def test_exact_search_among_identical_rows() -> None:
    rows = np.ones((300, 5), np.float32)
    indices, distances = exact_neighbors(rows, np.array([0, 1, 299]), 4, "euclidean")
    np.testing.assert_array_equal(indices, [[1, 2, 3, 4], [0, 2, 3, 4], [0, 1, 2, 3]])
    assert (distances == 0).all()


def test_exact_search_may_keep_self_and_may_have_nothing_to_do() -> None:
    rows = prepare(np.eye(4, dtype=np.float32), "chord")
    indices, _ = exact_neighbors(rows, np.arange(4), 2, "chord", exclude_self=False)
    np.testing.assert_array_equal(indices[:, 0], np.arange(4))
    for which, k in ((np.arange(0), 3), (np.arange(4), 0)):
        indices, distances = exact_neighbors(rows, which, k, "chord")
        assert indices.shape == distances.shape == (len(which), k)


def test_exact_search_on_a_memory_map(tmp_path: Path) -> None:
    rows = some_points(np.random.default_rng(1), "euclidean", 60, 3)
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for a, b in zip(
        exact_neighbors(mapped, np.arange(60), 7, "euclidean"),
        exact_neighbors(rows, np.arange(60), 7, "euclidean"),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 30), k=st.integers(1, 12))
def test_measured_graph_keeps_its_promises(metric: str, seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    rows = some_points(rng, metric, n, 3)
    proposed = rng.integers(-1, n, (n, k)).astype(np.int32)
    graph = measure(rows, proposed, metric)
    graph.validate()
    assert graph.metric == metric
    for i in range(n):
        listed = graph.indices[i][graph.indices[i] >= 0]
        assert set(listed) == set(proposed[i]) - {-1, i}
        assert len(set(listed)) == len(listed)
        apart = pair_distances(rows, np.array([i]), listed[None], metric)[0]
        np.testing.assert_array_equal(apart, graph.distances[i, : len(listed)])
        assert list(zip(apart, listed, strict=True)) == sorted(zip(apart, listed, strict=True))


def test_measured_and_exact_agree_in_both_directions_on_real_vectors() -> None:
    rows = prepare(embeddings("polis4k.e5-small-q4.384.f16.npy"), "chord")
    indices, distances = exact_neighbors(rows, np.arange(len(rows)), 15, "chord")
    shuffled = np.random.default_rng(0).permuted(indices, axis=1)
    graph = measure(rows, shuffled, "chord")
    np.testing.assert_array_equal(graph.indices, indices)
    np.testing.assert_array_equal(graph.distances, distances)
    back = np.arange(len(rows))[:, None]
    mirrored = pair_distances(
        rows,
        indices.ravel().astype(np.int64),
        np.broadcast_to(back, indices.shape).reshape(-1, 1),
        "chord",
    )
    np.testing.assert_array_equal(mirrored.reshape(indices.shape), distances)


def test_measure_refuses_positions_out_of_range() -> None:
    rows = np.ones((3, 2), np.float32)
    for bad in (np.full((3, 1), 3, np.int32), np.full((3, 1), -2, np.int32)):
        with pytest.raises(ValueError, match=r"-1 \.\. 2"):
            measure(rows, bad, "euclidean")
    with pytest.raises(ValueError, match=r"must be \(3, k\)"):
        measure(rows, np.zeros((2, 1), np.int32), "euclidean")
