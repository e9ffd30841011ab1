"""A graph in pieces gives what the whole graph gives, to the last bit, however it is cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine_graphs import enough, exact, graphs, parameters
from vdbcluster.hierarchy import build, extract
from vdbcluster.hierarchy.shards import (
    GraphShard,
    forest,
    hierarchy_of,
    merge,
    outgoing,
    settle,
    shard_forest,
)
from vdbcluster.model.hierarchy import Hierarchy
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams


def in_pieces(graph: NeighborGraph, bounds: np.ndarray, params: HdbscanParams) -> Hierarchy:
    """By the steps that the module shows; forests are merged in a tree, two by two."""
    ends = list(itertools.pairwise(bounds))
    shards = [GraphShard(int(a), graph.indices[a:b], graph.distances[a:b]) for a, b in ends]
    mail = [outgoing(shard, bounds) for shard in shards]
    min_samples = min(params.min_samples, graph.n_rows - 1)
    settled = [
        settle(shard, [sent[place] for sent in mail], min_samples)
        for place, shard in enumerate(shards)
    ]
    core = np.concatenate([part.core for part in settled])
    forests = [shard_forest(part.pairs, core) for part in settled]
    while len(forests) > 1:
        forests = [merge(*forests[i : i + 2]) for i in range(0, len(forests), 2)]
    return hierarchy_of(forests[0], core, params)


def same(one: Hierarchy, other: Hierarchy, params: HdbscanParams) -> None:
    np.testing.assert_array_equal(one.core_distances, other.core_distances)
    np.testing.assert_array_equal(one.spanning_tree.weights, other.spanning_tree.weights)
    np.testing.assert_array_equal(one.spanning_tree.joined, other.spanning_tree.joined)
    assert one.n_components == other.n_components
    a, b = extract(one, params), extract(other, params)
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(a.probabilities, b.probabilities)
    np.testing.assert_array_equal(a.outlier_scores, b.outlier_scores)
    np.testing.assert_array_equal(a.persistence, b.persistence)


@given(st.data(), graphs(), parameters(ties="together"))
def test_any_cut_gives_the_hierarchy_of_the_whole(
    data: st.DataObject, graph: NeighborGraph, params: HdbscanParams
) -> None:
    if not enough(graph, params) or graph.n_rows < 2:
        return
    cuts = data.draw(st.lists(st.integers(0, graph.n_rows), max_size=8))
    bounds = np.array([0, *sorted(cuts), graph.n_rows], np.int64)  # shards may be empty
    same(build(graph, params), in_pieces(graph, bounds, params), params)


@pytest.mark.parametrize("n_shards", [1, 2, 7, 32])
def test_more_rows_in_many_shards(n_shards: int) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(3000, 3)) + 6.0 * rng.integers(0, 4, (3000, 1))
    points[:200] = points[200:400]  # exact duplicates, in another shard
    graph = exact(points, 15)
    params = HdbscanParams(min_cluster_size=20, min_samples=5)
    bounds = np.linspace(0, 3000, n_shards + 1).astype(np.int64)
    found = in_pieces(graph, bounds, params)
    assert extract(found, params).n_clusters > 2
    same(build(graph, params), found, params)


def test_a_forest_of_a_forest_is_itself() -> None:
    graph = exact(np.random.default_rng(1).normal(size=(300, 2)), 5)
    bounds = np.array([0, 300])
    part = settle(
        GraphShard(0, graph.indices, graph.distances),
        outgoing(GraphShard(0, graph.indices, graph.distances), bounds),
        3,
    )
    once = shard_forest(part.pairs, part.core)
    again = forest(once)
    assert 0 < len(once) < 300
    np.testing.assert_array_equal(once.left, again.left)
    np.testing.assert_array_equal(once.weights, again.weights)
