"""The dense recipe: the matrix, the limits, and agreement with the compatible setting."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.data import embeddings
from vdbcluster.graph.distance import prepare
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.hierarchy import build, extract
from vdbcluster.hierarchy.dense import dense_matrix, dense_reference
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams

PARAMS = HdbscanParams(min_cluster_size=8, min_samples=3, join="inf", ties="reference")


def graph_of(rows: NDArray[np.float32], k: int) -> NeighborGraph:
    prepared = prepare(rows, "chord")
    return NeighborGraph(*exact_neighbors(prepared, np.arange(len(rows)), k, "chord"), "chord")


def test_matrix_is_symmetric_with_the_lesser_distance_and_infinity_elsewhere() -> None:
    graph = NeighborGraph(
        np.array([[1, 2], [0, -1], [-1, -1], [-1, -1]], np.int32),
        np.array([[2, 3], [1, np.inf], [np.inf] * 2, [np.inf] * 2], np.float32),
        "euclidean",
    )
    inf = np.inf
    expected = [[0, 1, 3, inf], [1, 0, inf, inf], [3, inf, 0, inf], [inf, inf, inf, 0]]
    np.testing.assert_array_equal(dense_matrix(graph), expected)


@pytest.mark.parametrize(
    "name", ["bbc2225.minilm-l6-int8.384.f16.npy", "polis4k.e5-small-q4.384.f16.npy"]
)
@pytest.mark.parametrize("method", ["eom", "leaf"])
def test_equal_to_the_compatible_setting_exemplars_too(name: str, method: str) -> None:
    graph = graph_of(embeddings(name)[:1500], 5)
    params = HdbscanParams(8, 3, method, join="inf", ties="reference")  # type: ignore[arg-type]
    dense, ours = dense_reference(graph, params), extract(build(graph, params), params)
    assert dense.n_clusters > 1
    np.testing.assert_array_equal(dense.labels, ours.labels)
    np.testing.assert_array_equal(dense.probabilities, ours.probabilities)
    assert len(dense.exemplars) == len(ours.exemplars) == dense.n_clusters
    for label, (a, b) in enumerate(zip(dense.exemplars, ours.exemplars, strict=True)):
        np.testing.assert_array_equal(a, b)
        assert len(a)
        assert (dense.labels[a] == label).all()


def test_only_the_warning_of_infinite_edges_is_held_back() -> None:
    rows = np.concatenate((np.eye(40)[:20] + 5, np.eye(40)[20:] - 5)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = dense_reference(graph_of(rows, 5), PARAMS)
    assert len(found.labels) == 40


def test_duplicates_do_not_crash_it() -> None:
    rows = np.repeat(np.eye(4, dtype=np.float32), 12, axis=0)
    found = dense_reference(graph_of(rows, 11), PARAMS)
    np.testing.assert_array_equal(np.unique(found.labels), [0, 1, 2, 3])
    assert (np.diff(found.labels.reshape(4, 12), axis=1) == 0).all()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_rows_are_noise(n: int) -> None:
    rows = np.eye(2, dtype=np.float32)[:n]
    found = dense_reference(graph_of(rows, 1), PARAMS)
    np.testing.assert_array_equal(found.labels, np.full(n, NOISE))
    assert found.n_clusters == len(found.exemplars) == 0


def test_refusals_say_why() -> None:
    graph = graph_of(np.eye(50, dtype=np.float32), 5)
    with pytest.raises(ValueError, match=r"GB for 50 rows \(5 matrices"):
        dense_reference(graph, PARAMS, max_bytes=50 * 50 * 8 * 5 - 1)
    assert dense_reference(graph, PARAMS, max_bytes=50 * 50 * 8 * 5).labels.shape == (50,)
    with pytest.raises(ValueError, match='"inf"'):
        dense_reference(graph, HdbscanParams(join="max"))
