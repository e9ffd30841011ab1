"""UMAP's layout as a method; the contract suite runs the layout itself."""

from __future__ import annotations

import numpy as np

from tests.unit.method_data import blobs, graph_of
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.methods.interface import cluster_with
from vdbcluster.methods.layout import _neighbors, umap_hdbscan
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams, Recipe

RECIPE = Recipe(method="umap+hdbscan", hdbscan=HdbscanParams(min_cluster_size=5, min_samples=3))


def test_neighbours_in_the_layout_are_exact() -> None:
    points = blobs((60, 40), seed=5, strays=20, dimensions=5)
    found = _neighbors(points, 9)
    found.validate()
    expected = exact_neighbors(points, np.arange(120), 9, "euclidean")
    assert np.array_equal(found.indices, expected[0])
    assert np.array_equal(found.distances, expected[1])


def test_rows_without_a_place_have_no_neighbours_and_are_nobodys() -> None:
    points = blobs((30,), seed=5, dimensions=5)
    points[[4, 17]] = np.nan
    found = _neighbors(points, 29)
    found.validate()
    placed = np.delete(np.arange(30), [4, 17])
    assert (found.indices[[4, 17]] == -1).all()
    assert not np.isin(found.indices, [4, 17]).any()
    assert ((found.indices[placed] >= 0).sum(axis=1) == 27).all()


def test_more_copies_than_neighbours() -> None:
    found = _neighbors(np.ones((50, 5), np.float32), 7)
    found.validate()
    assert (found.indices >= 0).all()
    assert (found.distances == 0).all()


def test_too_few_rows_for_a_layout_are_clustered_by_the_graph() -> None:
    points = blobs((10, 9), seed=1)
    graph = graph_of(points, 8)
    plain = Recipe(method="hdbscan", hdbscan=RECIPE.hdbscan)
    found = umap_hdbscan(graph, points, RECIPE)
    assert found.labels.tolist() == cluster_with(graph, points, plain).labels.tolist()
    assert found.n_clusters == 2


def test_a_graph_with_lone_rows_is_laid_out_without_them() -> None:
    points = blobs((60, 50), seed=4)
    graph = graph_of(points, 10)
    indices, distances = graph.indices.copy(), graph.distances.copy()
    lone = np.isin(indices, [3, 77])
    indices[lone], distances[lone] = -1, np.inf
    indices[[3, 77]], distances[[3, 77]] = -1, np.inf
    order = np.argsort(distances, axis=1, kind="stable")
    cut = NeighborGraph(
        np.take_along_axis(indices, order, 1),
        np.take_along_axis(distances, order, 1),
        graph.metric,
    )
    found = umap_hdbscan(cut, points, RECIPE)
    assert found.labels[3] == found.labels[77] == -1
    groups = np.repeat([0, 1], (60, 50))
    for label in range(found.n_clusters):
        assert len(set(groups[found.labels == label].tolist())) == 1
