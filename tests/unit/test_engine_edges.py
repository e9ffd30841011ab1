"""What is extreme: no row, one row, nothing but duplicates, no neighbours, 20,000 components."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.engine_graphs import exact
from tests.unit.engine_oracles import reference
from vdbcluster.hierarchy import build, connected_components, extract
from vdbcluster.model.hierarchy import Clustering, ExtraEdges
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams

DEFAULT = HdbscanParams(min_cluster_size=2, min_samples=1)
COMPATIBLE = replace(DEFAULT, ties="reference", join="inf")
BOTH = pytest.mark.parametrize("params", [DEFAULT, COMPATIBLE], ids=["default", "compatible"])
METHODS = pytest.mark.parametrize("method", ["eom", "leaf"])


def empty(n: int, k: int) -> NeighborGraph:
    return NeighborGraph(
        np.full((n, k), -1, np.int32), np.full((n, k), np.inf, np.float32), "euclidean"
    )


def triples(count: int) -> NeighborGraph:
    """Components of three rows each, which know one another and nobody else."""
    rng = np.random.default_rng(0)
    first = np.arange(0, 3 * count, 3)[:, None, None]
    near = rng.uniform(0.5, 1.0, count).astype(np.float32)
    far = near + rng.uniform(0.1, 1.0, count).astype(np.float32)
    indices = (first + np.array([[1, 2], [0, 2], [0, 1]])).reshape(-1, 2)
    pairs = np.stack((near, far), 1)
    distances = np.stack((pairs, pairs, np.stack((far, far), 1)), 1).reshape(-1, 2)
    return NeighborGraph(indices.astype(np.int32), distances, "euclidean")


def cluster(graph: NeighborGraph, params: HdbscanParams) -> Clustering:
    found = extract(build(graph, params), params)
    assert found.labels.shape == found.probabilities.shape == (graph.n_rows,)
    assert len(found.exemplars) == found.n_clusters
    return found


@BOTH
@METHODS
@pytest.mark.parametrize("k", [0, 3])
@pytest.mark.parametrize("n", [0, 1])
def test_no_row_and_one_row(n: int, k: int, method: str, params: HdbscanParams) -> None:
    params = replace(params, cluster_selection_method=method)
    hierarchy = build(empty(n, k), params)
    assert hierarchy.n_components == n
    assert hierarchy.spanning_tree.left.size == hierarchy.condensed_tree.child.size == 0
    np.testing.assert_array_equal(connected_components(hierarchy), np.arange(n))
    found = cluster(empty(n, k), params)
    np.testing.assert_array_equal(found.labels, np.full(n, -1))
    assert found.n_clusters == 0


@BOTH
def test_two_rows(params: HdbscanParams) -> None:
    graph = exact(np.array([[0.0], [2.0]]), 1)
    assert cluster(graph, params).n_noise == 2
    single = cluster(graph, replace(params, allow_single_cluster=True))
    np.testing.assert_array_equal(single.labels, [0, 0])
    np.testing.assert_array_equal(single.probabilities, [1.0, 1.0])
    np.testing.assert_array_equal(build(graph, params).spanning_tree.weights, [2.0])


@BOTH
def test_more_neighbors_than_rows(params: HdbscanParams) -> None:
    points = np.array([0.0, 1.0, 2.5, 50.0, 51.0, 52.5])[:, None]
    narrow, wide = exact(points, 5), exact(points, 40)
    assert wide.indices.shape == (6, 40)
    params = replace(params, min_samples=20)  # means n - 1 here
    for graph in (narrow, wide):
        expected, _ = reference(graph, replace(params, ties="reference"))
        np.testing.assert_array_equal(cluster(graph, params).labels, expected.labels)


@BOTH
@METHODS
@pytest.mark.parametrize("single", [False, True])
def test_all_rows_identical(single: bool, method: str, params: HdbscanParams) -> None:
    graph = exact(np.zeros((60, 3)), 10)
    params = replace(
        params, min_cluster_size=5, allow_single_cluster=single, cluster_selection_method=method
    )
    found = cluster(graph, params)
    assert not np.isnan(found.probabilities).any()
    assert not np.isnan(found.outlier_scores).any()
    if params.ties == "together":  # hdbscan splits them by the order of rows
        one = single and method == "eom"
        np.testing.assert_array_equal(found.labels, np.full(60, 0 if one else -1))
        np.testing.assert_array_equal(found.persistence, [1.0] if one else [])
    else:
        expected, _ = reference(graph, params)
        np.testing.assert_array_equal(found.labels, expected.labels)


@METHODS
def test_groups_of_identical_rows_are_clusters(method: str) -> None:
    """No finite weight above 0 to join at, and 0 would make one heap of them."""
    indices = np.array([[j for j in range(6) if j != i] for i in range(6)])
    indices = np.concatenate((indices, indices + 6)).astype(np.int32)
    graph = NeighborGraph(indices, np.zeros((12, 5), np.float32), "euclidean")
    found = cluster(graph, replace(DEFAULT, cluster_selection_method=method))
    np.testing.assert_array_equal(found.labels, [0] * 6 + [1] * 6)
    np.testing.assert_array_equal(found.probabilities, np.ones(12))
    np.testing.assert_array_equal(found.outlier_scores, np.zeros(12))


def test_a_row_near_duplicates_gets_limits_instead_of_nan() -> None:
    points = np.array([0.0] * 6 + [1.0, 2.0] + [50.0] * 6)[:, None]
    graph = exact(points, 6)
    params = replace(DEFAULT, min_samples=2, min_cluster_size=3)
    found = cluster(graph, params)
    np.testing.assert_array_equal(found.labels, [0] * 8 + [1] * 6)
    np.testing.assert_array_equal(found.probabilities[6:8], [0.0, 0.0])
    np.testing.assert_array_equal(found.outlier_scores[6:8], [1.0, 1.0])
    strict = cluster(graph, replace(params, ties="reference", join="inf"))
    assert np.isnan(strict.outlier_scores[6:8]).all()  # as hdbscan has it


@BOTH
@METHODS
def test_rows_without_any_neighbor(method: str, params: HdbscanParams) -> None:
    params = replace(params, cluster_selection_method=method)
    hierarchy = build(empty(40, 4), params)
    assert hierarchy.n_components == 40
    assert hierarchy.spanning_tree.joined.all()
    found = cluster(empty(40, 4), params)
    if params.ties == "together":
        assert found.n_noise == 40
    else:
        expected, _ = reference(empty(40, 4), params)
        np.testing.assert_array_equal(found.labels, expected.labels)


@METHODS
def test_20000_components(method: str) -> None:
    graph = triples(20_000)
    params = replace(DEFAULT, cluster_selection_method=method)
    hierarchy = build(graph, params)
    assert hierarchy.n_components == 20_000
    components = connected_components(hierarchy)
    np.testing.assert_array_equal(components, np.arange(60_000) // 3)
    found = extract(hierarchy, params)
    assert found.n_clusters == 20_000
    clusters = found.labels.reshape(-1, 3)
    # the triple whose third row is farthest away sets the weight of the joins, and loses that row
    whole = (clusters == clusters[:, :1]).all(1)
    assert np.count_nonzero(~whole) == 1
    assert np.argmin(whole) == np.argmax(graph.distances[2::3, 0])


@METHODS
@pytest.mark.parametrize("epsilon", [0.0, 0.7])
def test_20000_components_compatible(epsilon: float, method: str) -> None:
    """A chain of 20,000 joins, each a level of the tree: nothing may recurse."""
    params = replace(COMPATIBLE, cluster_selection_method=method, cluster_selection_epsilon=epsilon)
    hierarchy = build(triples(20_000), params)
    assert hierarchy.n_components == 20_000
    assert extract(hierarchy, params).n_clusters == 20_000


@BOTH
def test_too_few_neighbors_for_min_samples(params: HdbscanParams) -> None:
    graph = exact(np.arange(20.0)[:, None], 4)
    with pytest.raises(ValueError, match=r"min_samples is 7.* only 4 neighbours.* at least 7"):
        build(graph, replace(params, min_samples=7))


@pytest.mark.parametrize(("row", "distance"), [(9, 1.0), (-2, 1.0), (1, np.nan), (1, -1.0)])
def test_nonsense_is_refused(row: int, distance: float) -> None:
    graph = exact(np.arange(4.0)[:, None], 2)
    graph.indices[2, 0], graph.distances[2, 0] = row, distance
    with pytest.raises(ValueError, match="row 2 of the neighbour graph"):
        build(graph, DEFAULT)
    pair = np.array([3], np.int32), np.array([row], np.int32), np.array([distance], np.float32)
    with pytest.raises(ValueError, match="extra pairs"):
        build(exact(np.arange(4.0)[:, None], 2), DEFAULT, extra=ExtraEdges(*pair))


@BOTH
def test_min_cluster_size_beyond_all_rows(params: HdbscanParams) -> None:
    graph = exact(np.arange(20.0)[:, None], 4)
    found = cluster(graph, replace(params, min_cluster_size=21))
    assert found.n_noise == 20
    assert found.n_clusters == 0


@BOTH
def test_the_lesser_of_two_distances_counts(params: HdbscanParams) -> None:
    low = np.float32(0.1)
    high = np.nextafter(low, np.float32(1))
    for pair in ((low, high), (high, low)):
        graph = NeighborGraph(
            np.array([[1], [0]], np.int32), np.array(pair, np.float32)[:, None], "euclidean"
        )
        hierarchy = build(graph, params)
        np.testing.assert_array_equal(hierarchy.core_distances, [low, low])
        np.testing.assert_array_equal(hierarchy.spanning_tree.weights, [np.float64(low)])


@BOTH
def test_a_neighbor_that_only_the_other_row_knows_counts_for_the_core(params) -> None:
    graph = NeighborGraph(
        np.array([[1, 2], [2, -1], [1, -1]], np.int32),
        np.array([[1, 2], [5, np.inf], [5, np.inf]], np.float32),
        "euclidean",
    )
    hierarchy = build(graph, replace(params, min_samples=2))
    np.testing.assert_array_equal(hierarchy.core_distances, [2, 5, 5])


@BOTH
def test_the_arrays_of_the_caller_stay_as_they_are(params: HdbscanParams) -> None:
    graph = exact(np.random.default_rng(0).normal(size=(80, 2)), 6)
    graph.indices.flags.writeable = graph.distances.flags.writeable = False
    indices, distances = graph.indices.copy(), graph.distances.copy()
    extra = ExtraEdges(
        np.array([0, 5], np.int32), np.array([70, 5], np.int32), np.zeros(2, np.float32)
    )
    hierarchy = build(graph, params, extra=extra)
    before = [a.copy() for a in (hierarchy.condensed_tree.parent, hierarchy.core_distances)]
    extract(hierarchy, params)
    np.testing.assert_array_equal(graph.indices, indices)
    np.testing.assert_array_equal(graph.distances, distances)
    np.testing.assert_array_equal(hierarchy.condensed_tree.parent, before[0])
    np.testing.assert_array_equal(hierarchy.core_distances, before[1])


@BOTH
def test_bridges_replace_joins(params: HdbscanParams) -> None:
    points = np.concatenate((np.arange(5.0), 100 + np.arange(5.0)))[:, None]
    graph = exact(points, 2)
    apart = build(graph, replace(params, join="bridge"))
    assert apart.n_components == 2
    assert apart.spanning_tree.joined.sum() == 1
    assert apart.spanning_tree.weights.max() == 1.0
    bridge = ExtraEdges(
        np.array([4], np.int32), np.array([5], np.int32), np.array([96], np.float32)
    )
    bridged = build(graph, replace(params, join="bridge"), extra=bridge)
    assert bridged.n_components == 1
    assert not bridged.spanning_tree.joined.any()
    assert bridged.spanning_tree.weights.max() == 96.0


CHILD = """
import numpy as np
from vdbcluster.hierarchy import build, extract, is_compiled
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams
print(is_compiled())
indices = np.array([[1], [2], [1]], np.int32)
graph = NeighborGraph(indices, np.ones((3, 1), np.float32), "euclidean")
params = HdbscanParams(min_samples=1)
extract(build(graph, params), params)
print(is_compiled())
"""


@pytest.mark.slow
def test_knows_whether_it_is_compiled(tmp_path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    for expected in ("False True", "True True"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", CHILD],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=200,
        )
        assert done.stdout.split() == expected.split()
