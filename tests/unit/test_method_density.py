"""The whole method: what its steps add up to, rows that are no clusters, and real texts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score

from tests import data
from tests.unit.engine_graphs import exact, graphs, parameters
from tests.unit.test_method_soft import graph_of, labelled
from vdbcluster.graph.distance import center
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.smooth import smoothed
from vdbcluster.hierarchy import build, extract
from vdbcluster.methods.density import cluster_density, finish
from vdbcluster.methods.rule import sizes
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams, Recipe


def rule(n: int, **changes) -> Recipe:
    """The default method for n rows."""
    found = sizes(n)
    params = HdbscanParams(min_cluster_size=found.min_cluster_size, min_samples=found.min_samples)
    whole = Recipe(smooth="spectral", cut=found.cut, hdbscan=params, soft=True, merge=0.5)
    return replace(whole, **changes)


def blobs(n: int, centers: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, centers, n)
    return rng.normal(0, 4, (centers, 6))[truth] + rng.normal(0, 1.3, (n, 6)), truth


@settings(deadline=None, max_examples=25)
@given(
    graph=graphs(),
    params=parameters(min_samples=1),
    smooth=st.sampled_from(["none", "shared-neighbors", "spectral"]),
    method=st.sampled_from(["hdbscan", "leaf"]),
    soft=st.booleans(),
    merge=st.sampled_from([0.0, 0.5]),
    max_noise=st.sampled_from([0.0, 0.1]),
)
def test_any_graph_and_recipe_give_a_whole_clustering(
    graph, params, smooth, method, soft, merge, max_noise
):
    recipe = Recipe(
        method=method, smooth=smooth, hdbscan=params, soft=soft, max_noise=max_noise, merge=merge
    )
    found, hierarchy = cluster_density(graph, recipe)
    assert hierarchy.n_rows == len(found.labels) == graph.n_rows
    assert set(found.labels.tolist()) - {-1} == set(range(found.n_clusters))
    assert len(found.exemplars) == found.n_clusters
    assert ((found.probabilities >= 0) & (found.probabilities <= 1)).all()
    assert ((found.persistence >= 0) & (found.persistence <= 1)).all()
    assert (found.probabilities[found.labels < 0] == 0).all()
    assert not (found.soft & (found.labels < 0)).any()
    assert soft or not found.soft.any()


def test_each_step_can_be_left_out():
    graph = exact(blobs(400, 5)[0], 15)
    params = HdbscanParams(min_cluster_size=8)
    plain = extract(build(graph, params), params)
    found, _ = cluster_density(graph, Recipe(hdbscan=params))
    np.testing.assert_array_equal(found.labels, plain.labels)
    leaves = replace(params, cluster_selection_method="leaf")
    found, _ = cluster_density(graph, Recipe(method="leaf", hdbscan=params))
    np.testing.assert_array_equal(found.labels, extract(build(graph, leaves), leaves).labels)
    edges = smoothed(graph, "spectral", 0, 0.2)
    smooth = extract(build(edges, params), params)
    found, _ = cluster_density(graph, Recipe(smooth="spectral", cut=0.2, hdbscan=params))
    np.testing.assert_array_equal(found.labels, smooth.labels)


def test_blobs_are_found_whole():
    points, truth = blobs(800, 6, seed=2)
    found, _ = cluster_density(exact(points, sizes(800).n_neighbors), rule(800))
    assert found.n_noise == 0
    assert adjusted_mutual_info_score(truth, found.labels) > 0.9
    assert (np.diff(found.sizes()) <= 0).all()


def test_how_much_noise_is_wanted_does_not_change_the_clusters():
    rng = np.random.default_rng(0)
    points = rng.normal(0, 3, (8, 8))[rng.integers(0, 8, 900)] + rng.normal(0, 2.2, (900, 8))
    graph = exact(points, 20)
    base = rule(900, hdbscan=HdbscanParams(min_cluster_size=8, min_samples=5))
    whole, _ = cluster_density(graph, base)
    assert whole.n_clusters > 3
    assert whole.soft.mean() > 0.1, "there is noise to give away"
    for noise in (0.05, 0.1):
        some, _ = cluster_density(graph, replace(base, max_noise=noise))
        assert 0 < some.n_noise <= noise * 900
        kept = some.labels >= 0
        pairs = set(zip(some.labels[kept].tolist(), whole.labels[kept].tolist(), strict=True))
        assert len(pairs) == some.n_clusters == whole.n_clusters


def test_rows_without_structure_are_one_cluster_if_smoothed_and_noise_if_not():
    rng = np.random.default_rng(0)
    indices = np.array([rng.choice(np.delete(np.arange(300), i), 30, False) for i in range(300)])
    graph = graph_of(indices, rng.random(indices.shape), "euclidean")
    ascending = NeighborGraph(graph.indices, np.sort(graph.distances, axis=1), "euclidean")
    found, _ = cluster_density(ascending, rule(300))
    assert (found.labels == 0).all()
    assert not found.soft.any()
    assert found.persistence.tolist() == [0.0]
    assert len(found.exemplars[0]) > 0
    plain, _ = cluster_density(ascending, rule(300, smooth="none"))
    assert plain.n_clusters != 1


def test_identical_rows_are_one_cluster():
    found, _ = cluster_density(exact(np.zeros((60, 3)), 15), rule(60))
    assert found.n_clusters == 1
    assert found.n_noise == 0


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4])
def test_fewer_rows_than_a_cluster_needs_are_noise(n):
    graph = exact(np.arange(n, dtype=float)[:, None], sizes(n).n_neighbors)
    found, _ = cluster_density(graph, rule(n))
    assert found.labels.tolist() == [-1] * n


def test_rows_without_neighbours_are_noise():
    found, _ = cluster_density(graph_of(np.full((30, 5), -1)), rule(30))
    assert found.labels.tolist() == [-1] * 30


def test_hdbscans_own_numbers_are_kept_where_they_were_asked_for():
    """Cluster 1 becomes the largest by what it is given."""
    graph = graph_of([[1], [0], [3], [2], [2], [3]])
    before = labelled([0, 0, 1, -1, -1, -1])
    recipe = Recipe(soft=True, hdbscan=HdbscanParams(ties="reference"))
    assert finish(graph, before, recipe).labels.tolist() == [0, 0, 1, 1, 1, 1]
    by_size = replace(recipe, hdbscan=HdbscanParams())
    assert finish(graph, before, by_size).labels.tolist() == [1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("file", "least"),
    [
        ("banking77.minilm-l6-int8.384.f16", 0.67),
        ("bbc2225.minilm-l6-int8.384.f16", 0.68),
        ("thucnews10k.e5-small-q4.384.f16", 0.56),
    ],
)
def test_real_texts(file, least):
    """Thresholds: what the method reached when it was made, less 0.05."""
    vectors = data.embeddings(f"{file}.npy")
    truth = data.table(f"{file.partition('.')[0]}.parquet")["label"].to_numpy()
    rows = np.random.default_rng(0).permutation(len(vectors))[:4000]
    points = center(vectors[rows])
    k = sizes(len(points)).n_neighbors
    graph = NeighborGraph(*exact_neighbors(points, np.arange(len(points)), k, "chord"), "chord")
    found, _ = cluster_density(graph, rule(len(points)))
    assert found.n_noise == 0
    assert adjusted_mutual_info_score(truth[rows], found.labels) > least
    one = replace(rule(len(points)), max_noise=0.1)
    assert 0.05 < cluster_density(graph, one)[0].n_noise / len(points) <= 0.1
