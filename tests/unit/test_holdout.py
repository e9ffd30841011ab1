"""Agreement of assigned rows with clustering all of them."""

from __future__ import annotations

import numpy as np
import pytest

from tests import data
from tests.unit.method_data import blobs, graph_of
from vdbcluster.config.settings import load_settings
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.pipeline.cluster import cluster_graph
from vdbcluster.pipeline.holdout import hold_out
from vdbcluster.pipeline.recipe import wanted_neighbors

SETTINGS = load_settings({})


def clustered(points: np.ndarray) -> tuple[NeighborGraph, np.ndarray]:
    n = len(points)
    k = wanted_neighbors(SETTINGS, n)
    graph = NeighborGraph(*exact_neighbors(points, np.arange(n), k, "euclidean"), "euclidean")
    return graph, cluster_graph(graph, points, SETTINGS, exact=False).clustering.labels


def test_clear_groups_agree_and_the_seed_decides() -> None:
    points = blobs((120, 90, 60), seed=3).astype(np.float32)
    graph, labels = clustered(points)
    found = hold_out(graph, points, SETTINGS, labels)
    assert found is not None
    assert found.rows == 27
    assert found.same > 0.85
    assert found.both > 0.9
    assert found.same_others > 0.95
    assert found.noise_whole <= found.noise < 0.15
    assert hold_out(graph, points, SETTINGS, labels) == found
    other = load_settings({"run": {"seed": 5}})
    assert hold_out(graph, points, other, labels) is not None


def test_labels_that_have_nothing_to_do_with_it_do_not_agree() -> None:
    points = blobs((120, 90, 60), seed=3).astype(np.float32)
    graph, labels = clustered(points)
    found = hold_out(graph, points, SETTINGS, np.random.default_rng(0).permutation(labels))
    assert found is not None
    assert found.same < 0.6
    assert found.same_others < 0.6
    assert found.ami < 0.2


def test_too_few_rows_or_neighbours_give_no_figure() -> None:
    points = blobs((30, 30), seed=3).astype(np.float32)
    graph, labels = clustered(points)
    assert hold_out(graph, points, SETTINGS, labels) is None
    few = graph_of(blobs((120, 90), seed=3).astype(np.float32), 3)
    settings = load_settings({"cluster": {"min_samples": 3}, "neighbors": {"n_neighbors": 3}})
    assert hold_out(few, blobs((120, 90), seed=3), settings, np.zeros(210, np.int64)) is not None


@pytest.mark.slow
def test_real_texts() -> None:
    vectors = data.embeddings("bbc2225.minilm-l6-int8.384.f16.npy")
    points = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    graph, labels = clustered(points.astype(np.float32))
    found = hold_out(graph, points.astype(np.float32), SETTINGS, labels)
    assert found is not None
    assert found.rows == 223
    assert found.ami > 0.8
    assert found.both > 0.85
    assert found.same > found.same_others - 0.15
