"""What the certificate calls proven, against the tree of all pairs by scipy and hdbscan."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

from tests.data import embeddings
from tests.partitions import same_partition
from vdbcluster.graph.distance import prepare
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.measure import pair_distances
from vdbcluster.hierarchy import build, extract
from vdbcluster.hierarchy.certificate import Search, certify, neighbor_reach, refine
from vdbcluster.hierarchy.dense import dense_reference
from vdbcluster.model.hierarchy import Hierarchy
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams

FILES = ("bbc2225.minilm-l6-int8.384.f16.npy", "polis4k.e5-small-q4.384.f16.npy")
PARAMS = HdbscanParams(min_cluster_size=5, min_samples=3)


def graph_of(rows: NDArray[np.float32], k: int, metric: str = "euclidean") -> NeighborGraph:
    return NeighborGraph(*exact_neighbors(rows, np.arange(len(rows)), k, metric), metric)


def searching(rows: NDArray[np.float32], metric: str = "euclidean") -> Search:
    return lambda which, k: exact_neighbors(rows, which, k, metric)


def true_merge_heights(
    rows: NDArray[np.float32], min_samples: int, metric: str = "euclidean"
) -> NDArray[np.float64]:
    """Height at which scipy's single linkage joins each pair, on full mutual reachability."""
    n = len(rows)
    apart = pair_distances(rows, np.arange(n), np.tile(np.arange(n), (n, 1)), metric)
    core = np.sort(apart, axis=1)[:, min_samples]
    reach = np.maximum(apart, np.maximum(core[:, None], core[None])).astype(np.float64)
    np.fill_diagonal(reach, 0)
    return squareform(cophenet(linkage(squareform(reach, checks=False), "single")))


def sides(hierarchy: Hierarchy) -> list[tuple[list[int], list[int]]]:
    """The rows that each merge brings together."""
    group = {i: [i] for i in range(hierarchy.n_rows)}
    found = []
    tree = hierarchy.spanning_tree
    for i, j in zip(tree.left.tolist(), tree.right.tolist(), strict=True):
        a, b = group[i], group[j]
        found.append((a, b))
        for row in a + b:
            group[row] = a + b
    return found


def check_proven(hierarchy: Hierarchy, graph: NeighborGraph, heights: NDArray[np.float64]) -> None:
    certificate = certify(hierarchy, graph)
    tree, reach = hierarchy.spanning_tree, neighbor_reach(graph)
    outside = np.ones(graph.n_rows, np.bool_)
    for e, (a, b) in enumerate(sides(hierarchy)):
        if not certificate.proven[e]:
            blocked = set(certificate.blocking.tolist())
            assert blocked & set(a) or blocked & set(b)
            continue
        weight = tree.weights[e]
        assert heights[tree.left[e], tree.right[e]] == weight
        closed = [side for side in (a, b) if reach[side].min() >= weight]
        assert closed
        for side in closed:  # is a cluster of the true tree: whole below, alone up to this height
            outside[side] = False
            assert heights[np.ix_(side, side)].max() <= weight
            assert heights[np.ix_(side, outside)].min() == weight
            outside[side] = True


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 40),
    k=st.integers(3, 12),
    grid=st.booleans(),
)
def test_proven_merges_are_those_of_the_full_tree(seed: int, n: int, k: int, grid: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = (rng.integers(0, 6, (n, 2)) if grid else rng.normal(size=(n, 2))).astype(np.float32)
    graph = graph_of(rows, min(k, n - 1))
    check_proven(
        build(graph, PARAMS), graph, true_merge_heights(rows, min(PARAMS.min_samples, n - 1))
    )


@pytest.mark.parametrize("name", FILES)
def test_proven_merges_on_real_vectors(name: str) -> None:
    rows = prepare(embeddings(name), "chord")[:1200]
    graph = graph_of(rows, 8, "chord")
    hierarchy = build(graph, PARAMS)
    assert 0.5 < certify(hierarchy, graph).share < 1
    check_proven(hierarchy, graph, true_merge_heights(rows, PARAMS.min_samples, "chord"))


def test_unproven_merges_exist_that_are_wrong() -> None:
    """Two rows that ignore each other because their own groups are denser."""
    rows = np.concatenate(
        (np.linspace(0, 1, 30), np.linspace(2.5, 3.5, 30), np.linspace(4.9, 5.9, 30))
    ).astype(np.float32)[:, None]
    graph = graph_of(rows, 5)
    hierarchy = build(graph, PARAMS)
    certificate = certify(hierarchy, graph)
    assert hierarchy.n_components == 3
    assert not certificate.proven[hierarchy.spanning_tree.joined].any()
    assert certificate.proven[~hierarchy.spanning_tree.joined].all()
    assert 0 < len(certificate.blocking) < 90


@pytest.mark.parametrize("k", [3, 5, 20])
@pytest.mark.parametrize("name", FILES)
def test_refined_to_the_end_it_is_hdbscan_on_all_pairs(name: str, k: int) -> None:
    rows = prepare(embeddings(name), "chord")[:1200]
    full = graph_of(rows, len(rows) - 1, "chord")
    graph = graph_of(rows, k, "chord")
    extra, reach, hierarchy, certificate = refine(graph, PARAMS, searching(rows, "chord"), 20)
    assert certificate.share == 1.0
    assert not len(certificate.blocking)
    assert (reach >= neighbor_reach(graph)).all()
    assert len(extra) < len(rows) ** 2 / 2
    whole = build(full, PARAMS)
    np.testing.assert_array_equal(hierarchy.spanning_tree.weights, whole.spanning_tree.weights)
    np.testing.assert_array_equal(extract(hierarchy, PARAMS).labels, extract(whole, PARAMS).labels)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 60), k=st.integers(3, 8))
def test_refined_labels_are_those_of_dense_hdbscan(seed: int, n: int, k: int) -> None:
    """On points in general position, where the order of ties cannot matter to hdbscan."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 4, (4, 2))
    rows = (centers[rng.integers(0, 4, n)] + rng.normal(size=(n, 2))).astype(np.float32)
    params = HdbscanParams(min_cluster_size=4, min_samples=1)
    graph = graph_of(rows, min(k, n - 1))
    _, _, hierarchy, certificate = refine(graph, params, searching(rows), 10)
    assert certificate.share == 1.0
    full = graph_of(rows, n - 1)
    oracle = dense_reference(full, HdbscanParams(min_cluster_size=4, min_samples=1, join="inf"))
    found = extract(hierarchy, params).labels
    assert same_partition(found.tolist(), oracle.labels.tolist())


def test_rounds_bound_the_searches() -> None:
    rows = prepare(embeddings(FILES[0]), "chord")[:600]
    graph = graph_of(rows, 4, "chord")
    asked: list[tuple[int, int]] = []

    def search(which: NDArray[np.int64], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        asked.append((len(which), k))
        return exact_neighbors(rows, which, k, "chord")

    none = refine(graph, PARAMS, search, 0)
    assert not asked
    assert len(none[0]) == 0
    shares = [refine(graph, PARAMS, search, rounds)[3].share for rounds in (0, 1, 2, 20)]
    assert shares[0] < shares[1] < shares[3] == 1.0
    assert {k for _, k in asked} >= {8, 16}
    assert all(m < 600 for m, _ in asked)


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_few_rows_have_nothing_to_prove(n: int) -> None:
    rows = np.arange(n, dtype=np.float32)[:, None]
    graph = graph_of(rows, max(1, n - 1))
    search: Callable[..., object] = searching(rows)
    _, _, _, certificate = refine(graph, PARAMS, search, 3)  # type: ignore[arg-type]
    assert certificate.share == 1.0
    assert not len(certificate.blocking)
