"""Spectral smoothing: what it promises of any graph, what it equals, what it is for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from tests import data
from vdbcluster.graph.distance import prepare
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.spectral import CUT, coordinates, spectral_neighbors
from vdbcluster.hierarchy import build, extract
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.model.params import HdbscanParams


def graph_of(points: np.ndarray, k: int) -> NeighborGraph:
    vectors = np.ascontiguousarray(points, np.float32)
    which = np.arange(len(vectors))
    return NeighborGraph(*exact_neighbors(vectors, which, k, "euclidean"), "euclidean")


def blobs(n: int, centers: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    middle = rng.normal(0, 4, (centers, 8))
    truth = np.arange(n) % centers
    return middle[truth] + rng.normal(0, spread, (n, 8)), truth


graphs = st.integers(1, 40).flatmap(
    lambda n: st.lists(
        st.lists(st.integers(-1, n - 1), min_size=4, max_size=4), min_size=n, max_size=n
    )
)


def made(lists: list[list[int]]) -> NeighborGraph:
    rows = [
        sorted({j for j in row if j not in (-1, i)}) + [PADDING] * 4 for i, row in enumerate(lists)
    ]
    indices = np.array([row[:4] for row in rows], np.int32).reshape(-1, 4)
    return NeighborGraph(indices, np.where(indices >= 0, 1, np.inf).astype(np.float32), "euclidean")


@settings(deadline=None, max_examples=60)
@given(lists=graphs)
def test_any_graph_keeps_its_edges_and_gets_finite_ascending_distances(lists):
    graph = made(lists)
    smooth = spectral_neighbors(graph)
    for before, after, apart in zip(graph.indices, smooth.indices, smooth.distances, strict=True):
        assert sorted(before) == sorted(after)
        assert (np.isinf(apart) == (after == PADDING)).all()
        found = apart[after != PADDING]
        assert (np.diff(found) >= 0).all()
        assert ((found >= 0) & (found <= 2.0001)).all()


def test_it_equals_the_dense_eigenvectors():
    points, _ = blobs(150, 5, 1.6, seed=3)
    graph = graph_of(points, 10)
    one_way = np.zeros((150, 150))
    one_way[np.arange(150)[:, None], graph.indices] = 1
    weights = one_way + one_way.T
    degree = weights.sum(axis=1)
    steady = np.sqrt(degree / degree.sum())  # all rows agree along it
    adjacency = weights / np.sqrt(np.outer(degree, degree)) - np.outer(steady, steady)
    values, vectors = np.linalg.eigh(adjacency)
    slow = values > 1 - CUT
    assert np.abs(values - (1 - CUT)).min() > 1e-3, "the cut must not split a pair"
    walks = vectors[:, slow] / np.sqrt(degree)[:, None]
    walks /= np.linalg.norm(walks, axis=1, keepdims=True)
    ours = coordinates(graph)
    assert ours.shape == walks.shape
    np.testing.assert_allclose(ours @ ours.T, walks @ walks.T, atol=5e-3)


def test_rows_of_one_group_come_together_and_of_two_apart():
    points, truth = blobs(400, 4, 1.2)
    smooth = spectral_neighbors(graph_of(points, 40))
    same = truth[smooth.indices] == truth[:, None]
    assert np.median(smooth.distances[same]) < 0.2
    if (~same).any():
        assert np.median(smooth.distances[~same]) > 1


def test_the_order_of_rows_does_not_matter():
    points, _ = blobs(300, 5, 2.0, seed=1)
    order = np.random.default_rng(2).permutation(300)
    params = HdbscanParams(min_cluster_size=10)
    labels = [
        extract(build(spectral_neighbors(graph_of(p, 15)), params), params).labels
        for p in (points, points[order])
    ]
    assert adjusted_rand_score(labels[0][order], labels[1]) > 0.99


def test_the_same_seed_gives_the_same_bits():
    graph = graph_of(blobs(300, 5, 2.0)[0], 15)
    first, second = spectral_neighbors(graph, 7), spectral_neighbors(graph, 7)
    np.testing.assert_array_equal(first.distances, second.distances)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_few_rows(n):
    k = max(1, n - 1)
    indices = np.full((n, k), PADDING, np.int32)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        indices[i, : len(others)] = others
    graph = NeighborGraph(indices, np.where(indices >= 0, 1, np.inf).astype(np.float32), "chord")
    assert spectral_neighbors(graph).distances.shape == (n, k)


@pytest.mark.parametrize(
    "file",
    [
        "banking77.minilm-l6-int8.384.f16",
        "bbc2225.minilm-l6-int8.384.f16",
        "thucnews10k.e5-small-q4.384.f16",
    ],
)
def test_real_texts_cluster_better_than_by_their_raw_distances(file):
    vectors = data.embeddings(f"{file}.npy")
    truth = data.table(f"{file.partition('.')[0]}.parquet")["label"].to_numpy()
    rows = np.random.default_rng(0).permutation(len(vectors))[:4000]
    points = prepare(vectors[rows], "chord", centered=True)
    found = exact_neighbors(points, np.arange(len(points)), 50, "chord")
    graph = NeighborGraph(*found, "chord")
    params = HdbscanParams(min_cluster_size=15, min_samples=10)
    scores = []
    for used in (graph, spectral_neighbors(graph)):
        labels = extract(build(used, params), params).labels
        scores.append(adjusted_mutual_info_score(truth[rows], labels))
    assert scores[1] > scores[0] + 0.1
