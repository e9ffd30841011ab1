"""The default setting: what it means, and that the order of rows does not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.unit.engine_graphs import enough, exact, graphs, parameters, permuted
from tests.unit.engine_oracles import definition
from tests.unit.test_engine_parity import SETS, real
from vdbcluster.hierarchy import build, connected_components, extract
from vdbcluster.hierarchy.selection import _ascending_sum
from vdbcluster.model.hierarchy import Clustering, ExtraEdges
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.model.params import HdbscanParams

TOGETHER = parameters() | parameters(join="inf")
SCORES = ("labels", "probabilities", "outlier_scores", "persistence")


def cluster(
    graph: NeighborGraph, params: HdbscanParams, extra: ExtraEdges | None = None
) -> Clustering:
    return extract(build(graph, params, extra=extra), params)


def assert_same(found: Clustering, expected: Clustering) -> None:
    for name in SCORES:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert len(found.exemplars) == len(expected.exemplars)
    for ours, theirs in zip(found.exemplars, expected.exemplars, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def assert_invariant(graph: NeighborGraph, params: HdbscanParams, order: np.ndarray) -> None:
    """Equal scores row by row, and equal labels up to the numbers of clusters of equal size."""
    before, after = cluster(graph, params), cluster(permuted(graph, order), params)
    np.testing.assert_array_equal(after.probabilities, before.probabilities[order])
    np.testing.assert_array_equal(after.outlier_scores, before.outlier_scores[order])
    np.testing.assert_array_equal(after.sizes(), before.sizes())
    pairs = np.unique(np.stack((after.labels, before.labels[order])), axis=1)
    number = dict(pairs.T.tolist())
    assert len(number) == pairs.shape[1] == len(set(number.values()))  # one to one
    assert number.get(-1, -1) == -1
    clusters = [number[c] for c in range(after.n_clusters)]
    np.testing.assert_array_equal(after.persistence, before.persistence[clusters])
    for ours, theirs in zip(after.exemplars, (before.exemplars[c] for c in clusters), strict=True):
        np.testing.assert_array_equal(np.sort(order[ours]), theirs)


@settings(max_examples=400, deadline=None)
@given(graphs(), TOGETHER)
def test_equals_its_definition(graph: NeighborGraph, params: HdbscanParams) -> None:
    assume(enough(graph, params))
    assert_same(cluster(graph, params), definition(graph, params))


@settings(max_examples=400, deadline=None)
@given(graphs(max_rows=120), TOGETHER, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(graph, params, random) -> None:
    assume(enough(graph, params))
    order = list(range(graph.n_rows))
    random.shuffle(order)
    assert_invariant(graph, params, np.array(order))


@pytest.mark.parametrize("method", ["eom", "leaf"])
@pytest.mark.parametrize("name", SETS, ids=lambda name: name.split(".")[0])
def test_order_of_real_texts_does_not_matter(name: str, method: str) -> None:
    graph = real(name)
    rng = np.random.default_rng(0)
    for min_samples in (1, 2, 5, 10):
        params = HdbscanParams(
            min_cluster_size=5, min_samples=min_samples, cluster_selection_method=method
        )
        for _ in range(3):
            assert_invariant(graph, params, rng.permutation(graph.n_rows))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1e6), max_size=40), st.randoms(use_true_random=False))
def test_sums_of_siblings_do_not_depend_on_their_order(values, random) -> None:
    total = _ascending_sum(np.array(values))
    assert total == np.cumsum([0.0, *sorted(values)])[-1]
    random.shuffle(values)
    assert _ascending_sum(np.array(values)) == total


def test_a_split_at_epsilon_itself_stays() -> None:
    """Three groups 1.0 apart; two of them split again, nearer, which epsilon undoes."""
    deep = np.array([0.0, 0.125, 0.625, 0.75])
    points = np.concatenate(([-1.25, -1.0], deep, 1.75 + deep, [100.0, 100.25]))[:, None]
    params = HdbscanParams(
        min_cluster_size=2,
        min_samples=1,
        cluster_selection_method="leaf",
        cluster_selection_epsilon=1.0,
    )
    found = cluster(exact(points, 11), params)
    np.testing.assert_array_equal(found.labels, [2] * 2 + [0] * 4 + [1] * 4 + [3] * 2)
    assert_same(found, definition(exact(points, 11), params))


@settings(max_examples=100, deadline=None)
@given(graphs(), TOGETHER)
def test_scores_keep_their_promises(graph: NeighborGraph, params: HdbscanParams) -> None:
    assume(enough(graph, params))
    found = cluster(graph, params)
    assert found.labels.min() >= -1
    assert set(found.labels) - {-1} == set(range(found.n_clusters))
    sizes = found.sizes()
    firsts = [int(np.argmax(found.labels == c)) for c in range(found.n_clusters)]
    ranked = sorted(range(found.n_clusters), key=lambda c: (-sizes[c], firsts[c]))
    assert ranked == list(range(found.n_clusters))
    for scores in (found.probabilities, found.outlier_scores):
        assert ((scores >= 0) & (scores <= 1)).all()
    assert not found.probabilities[found.labels == -1].any()
    for number, rows in enumerate(found.exemplars):
        assert rows.size
        assert (found.labels[rows] == number).all()


@settings(max_examples=100, deadline=None)
@given(graphs(), TOGETHER, st.integers(0, 2**32 - 1))
def test_extra_pairs_count_as_if_the_graph_held_them(graph, params, seed) -> None:
    assume(enough(graph, params))
    rng = np.random.default_rng(seed)
    rows, places = np.nonzero(graph.indices >= 0)
    taken = rng.random(rows.shape[0]) < 0.3
    rows, places = rows[taken], places[taken]
    indices, distances = graph.indices.copy(), graph.distances.copy()
    extra = ExtraEdges(
        np.concatenate((indices[rows, places], rows.astype(np.int32))),
        np.concatenate((rows.astype(np.int32), indices[rows, places])),
        np.concatenate((distances[rows, places], distances[rows, places] + np.float32(1))),
    )
    indices[rows, places], distances[rows, places] = PADDING, np.inf
    order = np.argsort(distances, axis=1, kind="stable")
    rest = NeighborGraph(
        np.take_along_axis(indices, order, 1), np.take_along_axis(distances, order, 1), "euclidean"
    )
    rest.validate()
    assert_same(cluster(rest, params, extra), cluster(graph, params))


@settings(max_examples=100, deadline=None)
@given(graphs(), parameters(join="inf"))
def test_both_settings_span_the_graph_at_the_same_weights(graph, params) -> None:
    assume(enough(graph, params))
    ours, theirs = build(graph, params), build(graph, replace(params, ties="reference"))
    np.testing.assert_array_equal(ours.spanning_tree.weights, theirs.spanning_tree.weights)
    np.testing.assert_array_equal(ours.core_distances, theirs.core_distances)
    np.testing.assert_array_equal(ours.spanning_tree.joined, theirs.spanning_tree.joined)
    assert ours.n_components == theirs.n_components
    components = connected_components(ours)
    assert components.max() + 1 == ours.n_components
    np.testing.assert_array_equal(components, connected_components(theirs))
