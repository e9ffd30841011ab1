"""Bridges against the tree of all pairs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.data import embeddings
from vdbcluster.graph import exact
from vdbcluster.graph.distance import METRICS, ON_BITS, prepare
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.measure import pair_distances
from vdbcluster.hierarchy import build, extract
from vdbcluster.hierarchy.bridge import bridges
from vdbcluster.hierarchy.certificate import certify
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams

PARAMS = HdbscanParams(min_cluster_size=5, min_samples=2, join="bridge")


def graph_of(rows: NDArray[np.float32], k: int, metric: str) -> NeighborGraph:
    return NeighborGraph(*exact_neighbors(rows, np.arange(len(rows)), k, metric), metric)


def islands(rng: np.random.Generator, metric: str, n: int) -> NDArray[np.float32]:
    """Tight groups far apart; few neighbours leave them unconnected."""
    if metric in ON_BITS:
        rows = rng.integers(0, 2, (5, 24))[rng.integers(0, 5, n)] ^ (rng.random((n, 24)) < 0.05)
    else:
        rows = rng.normal(0, 9, (5, 3))[rng.integers(0, 5, n)] + rng.normal(0, 0.1, (n, 3))
    return prepare(rows.astype(np.float32), metric)


def check(rows: NDArray[np.float32], k: int, metric: str, params: HdbscanParams = PARAMS) -> bool:
    """Every bridge is an edge of the tree of all pairs; whether all else was proven before."""
    graph = graph_of(rows, k, metric)
    apart = build(graph, params)
    found = bridges(apart, rows, metric, params.min_samples)
    joined = build(graph, params, extra=found)
    whole = build(graph_of(rows, len(rows) - 1, metric), params)
    assert len(found) == apart.n_components - 1
    assert joined.n_components == 1
    np.testing.assert_array_equal(joined.core_distances, apart.core_distances)
    pairs = pair_distances(rows, found.left.astype(np.int64), found.right[:, None], metric)[:, 0]
    np.testing.assert_array_equal(found.distances, pairs)
    core = apart.core_distances
    weights = np.maximum(found.distances, np.maximum(core[found.left], core[found.right]))
    true = Counter(whole.spanning_tree.weights.tolist())
    assert not Counter(weights.tolist()) - true
    if not certify(apart, graph).proven[~apart.spanning_tree.joined].all():
        return False
    np.testing.assert_array_equal(joined.spanning_tree.weights, whole.spanning_tree.weights)
    np.testing.assert_array_equal(extract(joined, params).labels, extract(whole, params).labels)
    return True


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(8, 90), k=st.integers(2, 9))
def test_bridges_are_edges_of_the_full_tree(metric: str, seed: int, n: int, k: int) -> None:
    check(islands(np.random.default_rng(seed), metric, n), min(k, n - 1), metric)


@pytest.mark.parametrize("metric", METRICS)
def test_with_bridges_proven_parts_become_the_full_tree(metric: str) -> None:
    rows = islands(np.random.default_rng(1), metric, 60)
    k = next(k for k in range(2, 30) if proves_parts(rows, k, metric))
    graph = graph_of(rows, k, metric)
    assert build(graph, PARAMS).n_components > 1
    assert check(rows, k, metric)


def proves_parts(rows: NDArray[np.float32], k: int, metric: str) -> bool:
    graph = graph_of(rows, k, metric)
    hierarchy = build(graph, PARAMS)
    return bool(certify(hierarchy, graph).proven[~hierarchy.spanning_tree.joined].all())


def test_bridges_over_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "_BASE_ROWS", 53)
    monkeypatch.setattr(exact, "_QUERY_ROWS", 29)
    check(islands(np.random.default_rng(5), "euclidean", 400), 5, "euclidean")


@pytest.mark.parametrize("seed", range(5))
def test_bridges_between_near_parts_far_from_the_rest(seed: int) -> None:
    """Where the matrix product's rounding is as large as what it is to tell apart."""
    rng = np.random.default_rng(seed)
    centers = np.zeros((400, 3))
    centers[200:, 0] = 4000
    centers[300:, 1] = 1
    rows = (centers + rng.normal(0, 0.01, (400, 3))).astype(np.float32)
    check(rows, 6, "euclidean")


@pytest.mark.parametrize(
    ("name", "k"),
    [
        ("bbc2225.minilm-l6-int8.384.f16.npy", 2),
        ("polis4k.e5-small-q4.384.f16.npy", 2),
        ("banking77.minilm-l6-int8.384.f16.npy", 3),
    ],
)
def test_bridges_on_real_vectors_with_duplicates(name: str, k: int) -> None:
    rows = prepare(embeddings(name), "chord")[:1500]
    assert build(graph_of(rows, k, "chord"), PARAMS).n_components > 1
    check(rows, k, "chord")


def test_rows_without_neighbours_get_some() -> None:
    rows = islands(np.random.default_rng(2), "euclidean", 50)
    graph = graph_of(rows, 6, "euclidean")
    lost = [0, 17, 30]
    graph.indices[lost], graph.distances[lost] = -1, np.inf
    there = np.isin(graph.indices, lost)
    graph.indices[there], graph.distances[there] = -1, np.inf
    apart = build(graph, PARAMS)
    assert np.isinf(apart.core_distances[lost]).all()
    found = bridges(apart, rows, "euclidean", PARAMS.min_samples)
    joined = build(graph, PARAMS, extra=found)
    assert joined.n_components == 1
    assert np.isfinite(joined.core_distances).all()


@pytest.mark.parametrize("n", [0, 1, 3])
def test_nothing_to_bridge(n: int) -> None:
    rows = np.arange(n, dtype=np.float32)[:, None]
    hierarchy = build(graph_of(rows, max(1, n - 1), "euclidean"), PARAMS)
    found = bridges(hierarchy, rows, "euclidean", PARAMS.min_samples)
    assert len(found) == max(0, hierarchy.n_components - 1) == 0
