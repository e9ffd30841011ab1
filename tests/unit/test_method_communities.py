"""Leiden as a method: its weights, what it makes of known graphs, and life without the library."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tests.unit.method_data import blobs, graph_of
from vdbcluster.graph.smooth import shared_neighbors
from vdbcluster.methods.communities import _weights, leiden
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams, Recipe

RECIPE = Recipe(method="leiden", hdbscan=HdbscanParams(min_cluster_size=3, min_samples=1))


def ring_of_cliques(cliques: int, size: int) -> NeighborGraph:
    """Cliques, the last row of each also listing the first of the next: modularity's text case."""
    n = cliques * size
    indices = np.full((n, size), -1, np.int32)
    for row in range(n):
        clique = row // size
        others = [clique * size + i for i in range(size) if clique * size + i != row]
        if row % size == size - 1:
            others.append((row + 1) % n)
        indices[row, : len(others)] = others
    distances = np.where(indices < 0, np.inf, 1).astype(np.float32)
    return NeighborGraph(indices, distances, "euclidean")


class TestWithTheLibrary:
    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("graspologic_native", reason="needs the extra communities")

    def test_cliques_in_a_ring_are_the_communities(self) -> None:
        found = leiden(ring_of_cliques(6, 8), np.empty((48, 0), np.float32), RECIPE)
        assert found.labels.tolist() == np.repeat(np.arange(6), 8).tolist()
        # a clique: 8 * 7 pairs of weight 2, and one edge of weight 1 at each end
        assert found.persistence == pytest.approx([112 / 114] * 6)
        assert found.probabilities[1] == 1
        assert found.probabilities[0] == pytest.approx(14 / 15)
        assert found.outlier_scores[7] == pytest.approx(1 / 15)
        assert [rows.tolist() for rows in found.exemplars] == [
            list(range(start, start + 8)) for start in range(0, 48, 8)
        ]

    def test_communities_smaller_than_a_cluster_are_noise(self) -> None:
        points = blobs((30, 20, 4), seed=1)
        graph = graph_of(points, 3)
        sizes = {m: self._found(graph, points, m).labels[-4:].tolist() for m in (4, 5)}
        assert len(set(sizes[4])) == 1
        assert sizes[4][0] >= 0
        assert sizes[5] == [-1] * 4

    @staticmethod
    def _found(graph, points, least):  # type: ignore[no-untyped-def]
        recipe = Recipe(method="leiden", hdbscan=HdbscanParams(least, 1))
        return leiden(graph, points, recipe)

    def test_modularity_is_about_the_best_known(self) -> None:
        """Against the planted partition: Leiden may do better, never worse."""
        lots = np.random.default_rng(2)
        points = (2 * np.eye(6)[np.repeat(np.arange(6), 50)] + lots.normal(size=(300, 6))).astype(
            np.float32
        )
        graph = graph_of(points, 10)
        weights = _weights(graph)
        found = leiden(graph, points, RECIPE).labels
        planted = np.repeat(np.arange(6), 50)
        assert _modularity(weights, found) >= _modularity(weights, planted)

    def test_merging_is_done_where_it_is_asked_for(self) -> None:
        graph = ring_of_cliques(6, 8)
        recipe = Recipe(method="leiden", hdbscan=RECIPE.hdbscan, merge=1.0)
        assert leiden(graph, np.empty((48, 0), np.float32), recipe).n_clusters < 6


def test_an_edge_weighs_one_or_two() -> None:
    graph = NeighborGraph(
        np.array([[1], [0], [1], [-1]], np.int32),
        np.array([[1], [1], [2], [np.inf]], np.float32),
        "euclidean",
    )
    expected = [[0, 2, 0, 0], [2, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert _weights(graph).toarray().tolist() == expected


def test_shared_neighbours_weigh_their_share() -> None:
    points = blobs((12,), seed=3)
    graph = graph_of(points, 4)
    weights = _weights(shared_neighbors(graph)).toarray()
    listed = [set(row.tolist()) for row in graph.indices]
    for i in range(12):
        for j in range(12):
            edge = i != j and (j in listed[i] or i in listed[j])
            share = len(listed[i] & listed[j]) / 4
            assert weights[i, j] == pytest.approx(max(share, 1e-6) if edge else 0)


def test_without_the_library_one_line_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "graspologic_native", None)
    with pytest.raises(ValueError, match=r"pip install 'vdbcluster\[communities\]'$"):
        leiden(ring_of_cliques(3, 4), np.empty((12, 0), np.float32), RECIPE)


def _modularity(weights, labels) -> float:  # type: ignore[no-untyped-def]
    degree = np.asarray(weights.sum(axis=1)).ravel()
    total = degree.sum()
    same = labels[:, None] == labels
    return float((((weights.toarray() - np.outer(degree, degree) / total) * same) / total).sum())
