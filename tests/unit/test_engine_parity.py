"""The compatible setting equals hdbscan 0.8.43 on the dense matrix, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings

from tests.data import embeddings
from tests.unit.engine_graphs import enough, exact, graphs, parameters
from tests.unit.engine_oracles import reference
from vdbcluster.hierarchy import build, extract
from vdbcluster.model.hierarchy import ExtraEdges
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams

COMPATIBLE = HdbscanParams(ties="reference", join="inf")
SETS = (
    "banking77.minilm-l6-int8.384.f16.npy",
    "bbc2225.minilm-l6-int8.384.f16.npy",
    "polis4k.e5-small-q4.384.f16.npy",
)


def assert_parity(
    graph: NeighborGraph, params: HdbscanParams, extra: ExtraEdges | None = None
) -> None:
    expected, expected_tree = reference(graph, params, extra)
    hierarchy = build(graph, params, extra=extra)
    tree = hierarchy.condensed_tree
    for name in ("parent", "child", "lambda_val", "child_size"):
        np.testing.assert_array_equal(getattr(tree, name), expected_tree[name], err_msg=name)
    found = extract(hierarchy, params)
    for name in ("labels", "probabilities", "outlier_scores", "persistence"):
        # strict in value, NaN included: hdbscan has inf / inf beside infinite densities
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


@settings(max_examples=400, deadline=None)
@given(graphs(), parameters(ties="reference", join="inf"))
def test_equals_hdbscan_on_any_graph(graph: NeighborGraph, params: HdbscanParams) -> None:
    assume(enough(graph, params))
    assert_parity(graph, params)


@cache
def real(name: str) -> NeighborGraph:
    vectors = embeddings(name)[:1200].astype(np.float64)
    vectors -= vectors.mean(0)
    return exact(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), 30)


VARIANTS = (
    {},
    {"cluster_selection_epsilon": 0.6},
    {"max_cluster_size": 60},
    {"allow_single_cluster": True},
)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("method", ["eom", "leaf"])
@pytest.mark.parametrize("name", SETS, ids=lambda name: name.split(".")[0])
def test_equals_hdbscan_on_real_texts(name: str, method: str, variant: dict) -> None:
    graph = real(name)
    for min_samples, size in product((1, 2, 5, 10), (5, 15)):
        assert_parity(
            graph,
            replace(
                COMPATIBLE,
                min_samples=min_samples,
                min_cluster_size=size,
                cluster_selection_method=method,
                **variant,
            ),
        )


@pytest.mark.parametrize("method", ["eom", "leaf"])
def test_equals_hdbscan_on_many_components(method: str) -> None:
    """300 triples: hdbscan chains them at infinity, one below the other."""
    rng = np.random.default_rng(3)
    points = np.repeat(np.arange(300.0), 3)[:, None] * 100 + rng.random((900, 1))
    params = replace(COMPATIBLE, min_samples=1, min_cluster_size=2, cluster_selection_method=method)
    assert_parity(exact(points, 2), params)


@settings(max_examples=100, deadline=None)
@given(graphs(), parameters(ties="reference", join="inf"))
def test_extra_pairs_count_as_if_the_matrix_held_them(
    graph: NeighborGraph, params: HdbscanParams
) -> None:
    assume(enough(graph, params))
    rng = np.random.default_rng(graph.n_rows)
    ends = rng.integers(0, graph.n_rows, (2, 30)).astype(np.int32)
    extra = ExtraEdges(*ends, rng.integers(0, 4, 30).astype(np.float32))
    assert_parity(graph, params, extra)
