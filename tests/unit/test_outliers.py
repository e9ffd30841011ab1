"""Rows that belong nowhere: what the scores promise, on drawn points and on real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor

from tests.data import embeddings, table
from tests.unit.method_data import blobs, graph_of
from vdbcluster.duplicates import Outliers, find_duplicates, find_outliers
from vdbcluster.duplicates.belonging import around, reach
from vdbcluster.graph.distance import prepare
from vdbcluster.model.neighbors import NeighborGraph


def found_in(points: np.ndarray, k: int = 15, **more: Any) -> Outliers:
    return find_outliers(graph_of(points, k), points, **more)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(1, 12), st.integers(0, 2**16))
def test_every_answer_keeps_its_promises(n: int, k: int, seed: int) -> None:
    lots = np.random.default_rng(seed)
    points = lots.integers(0, 4, (n, 3)).astype(np.float32)  # many ties and equal rows
    found = found_in(points, k, labels=lots.integers(-1, 3, n))
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert not (found.outlier & found.potential).any()
    assert set(found.rows) == set(np.flatnonzero(found.outlier | found.potential))
    assert (np.diff(found.scores[found.rows]) <= 0).all()
    assert len(found.reasons) == len(found.rows)
    assert sum(found.counts().values()) == len(found.rows)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16))
def test_neither_order_nor_unit_decide(seed: int) -> None:
    points = blobs([60, 40], seed=seed, strays=3)
    order = np.random.default_rng(seed).permutation(len(points))
    first = found_in(points)
    assert found_in(points[order]).scores == pytest.approx(first.scores[order], abs=1e-3)
    assert found_in(points * np.float32(64)).scores == pytest.approx(first.scores, abs=1e-3)


def test_strays_are_found_and_told_why() -> None:
    points = blobs([200, 200], seed=1, strays=4)
    keys = np.array([f"key{row}" for row in range(len(points))], object)
    labels = np.repeat([0, 1, -1], [200, 200, 4])
    found = found_in(points, labels=labels, keys=keys)
    assert set(range(400, 404)) <= set(np.flatnonzero(found.outlier))
    assert found.scores[:400].mean() < 0.1
    for row, reason in zip(found.rows, found.reasons, strict=True):
        if row >= 400:
            assert reason.startswith("far from")
            assert "in no cluster" in reason
            assert "nearest: key" in reason


def test_a_row_between_two_clusters_is_told_so() -> None:
    points = blobs([150, 150], seed=1)
    middle = points[:300].mean(axis=0, keepdims=True)
    points = np.concatenate((points, middle))
    found = found_in(points, k=60, labels=np.repeat([0, 1], [150, 151]))
    reason = found.reasons[found.rows.tolist().index(300)]
    assert "between clusters 0, 1" in reason


def test_low_membership_is_told() -> None:
    points = blobs([150], seed=1, strays=1)
    probabilities = np.r_[np.ones(150), 0.02]
    found = found_in(points, labels=np.zeros(151, np.int64), probabilities=probabilities)
    assert "membership 0.02 in cluster 0" in found.reasons[found.rows.tolist().index(150)]


def test_a_row_can_be_alone_beside_a_dense_group() -> None:
    """Near in the unit of the whole, far in that of its region."""
    lots = np.random.default_rng(0)
    dense = 0.05 * lots.normal(size=(100, 3))
    sparse = lots.normal(size=(100, 3)) + 10
    points = np.concatenate((dense, sparse, [[0.9, 0, 0]])).astype(np.float32)
    found = found_in(points, k=20)
    assert found.parts[200].argmax() == 1
    assert found.parts[200, 1] > 5 * np.abs(found.parts[:200, 1]).mean()


def test_copies_of_a_stranger_do_not_vouch_for_each_other() -> None:
    points = blobs([300], seed=1, strays=1)
    points = np.concatenate((points, np.repeat(points[-1:], 9, axis=0)))
    graph = graph_of(points, 8)
    alone = find_outliers(graph, points)
    together = find_outliers(graph, points, duplicates=find_duplicates(graph, points))
    assert (alone.parts[300:, 0] < 0).all(), "each has eight others at distance 0"
    # Their lists hold nothing else: no neighbour is as far as the farthest.
    assert (together.parts[300:, 0] == together.parts[:, 0].max()).all()
    assert (together.outlier | together.potential)[300:].all()


def test_a_row_beside_many_copies_is_not_odd_for_that() -> None:
    points = blobs([300], seed=1)
    copies = np.repeat(points[:1], 12, axis=0)
    points = np.concatenate((points, copies))
    graph = graph_of(points, 15)
    found = find_duplicates(graph, points)
    before = find_outliers(graph_of(points[:300], 15), points[:300]).scores
    after = find_outliers(graph, points, duplicates=found).scores[:300]
    assert np.abs(after - before).max() < 0.3
    assert np.corrcoef(after, before)[0, 1] > 0.95


def test_reach_and_factor_are_those_of_lof() -> None:
    """scikit-learn's has the log of a mean where ours has the mean of logs."""
    points = blobs([150, 100], seed=2, strays=5)
    graph = graph_of(points, 12)
    far = reach(graph, np.arange(len(points)))
    model = LocalOutlierFactor(n_neighbors=12).fit(points)
    assert 1 / far == pytest.approx(model._lrd, rel=1e-4)
    ours = np.log(far) - around(graph, np.arange(len(points)), np.log(far))
    theirs = np.log(-model.negative_outlier_factor_)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.97


@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_little_and_all_equal(n: int) -> None:
    points = np.ones((n, 3), np.float32)
    found = found_in(points)
    assert not len(found.rows)
    assert len(found.scores) == n


def test_lists_that_hold_nothing_but_copies_tell_nothing() -> None:
    points = np.repeat(blobs([40], seed=1, strays=1), 9, axis=0)
    graph = graph_of(points, 8)
    found = find_outliers(graph, points, duplicates=find_duplicates(graph, points))
    assert set(found.rows) == set(range(360, 369)), "far from the centre all the same"
    assert all(reason.startswith("no neighbour was found") for reason in found.reasons)


def test_a_row_without_neighbours_is_as_far_as_the_farthest() -> None:
    points = blobs([100], seed=3)
    graph = graph_of(points, 10)
    indices, distances = graph.indices.copy(), graph.distances.copy()
    indices[5], distances[5] = -1, np.inf
    found = find_outliers(NeighborGraph(indices, distances, graph.metric), points)
    assert np.isfinite(found.scores).all()
    assert found.parts[5, 0] == found.parts[:, 0].max()


def test_what_does_not_fit_is_refused() -> None:
    points = blobs([20], seed=1)
    with pytest.raises(ValueError, match="20 rows, but there are 19 labels"):
        found_in(points, labels=np.zeros(19, np.int64))


def test_strangers_among_real_texts_score_higher() -> None:
    """Questions that belong to none of clinc150's intents among those that do."""
    labels = table("clinc150.parquet").label.to_numpy()
    rows = np.sort(np.random.default_rng(0).choice(len(labels), 3000, replace=False))
    points = prepare(embeddings("clinc150.minilm-l6-int8.384.f16.npy")[rows], "chord")
    found = find_outliers(graph_of(points, 50, "chord"), points)
    assert roc_auc_score(labels[rows] == "oos", found.scores) > 0.85
    assert (labels[rows][found.rows] == "oos").mean() > 5 * (labels[rows] == "oos").mean()


def test_the_centre_is_that_of_directions_where_the_metric_compares_these() -> None:
    lots = np.random.default_rng(0)
    vectors = (lots.normal(size=(200, 6)) + 5).astype(np.float32)
    longer = vectors * lots.uniform(0.1, 10, (200, 1)).astype(np.float32)
    graph = graph_of(prepare(vectors, "chord"), 15, "chord")
    first = find_outliers(graph, vectors).parts
    assert find_outliers(graph, longer).parts == pytest.approx(first, abs=1e-3)
