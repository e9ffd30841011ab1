"""Layers: nested whatever the graph, and the leaves of HDBSCAN at each size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.method_data import blobs, graph_of
from vdbcluster.hierarchy import build, extract
from vdbcluster.hierarchy.selection import cluster_tree
from vdbcluster.methods.layers import layers, lifetimes
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.params import HdbscanParams, Recipe

PARAMS = HdbscanParams(min_cluster_size=4, min_samples=2)
RECIPE = Recipe(method="layers", hdbscan=PARAMS)
POINTS = st.builds(
    lambda seed, sizes, strays: blobs(sizes, seed=seed, strays=strays, dimensions=2),
    st.integers(0, 2**16),
    st.lists(st.integers(1, 25), min_size=1, max_size=5),
    st.integers(0, 30),
)


def table(found: Clustering) -> np.ndarray:
    """Paths as numbers, the coarsest layer first, -1 where a path has ended."""
    assert found.paths is not None
    split = [[int(part) for part in path.split("/")] if path else [] for path in found.paths]
    depth = max(map(len, split), default=0)
    return np.array([path + [-1] * (depth - len(path)) for path in split], np.int64)


def check_paths(found: Clustering) -> None:
    members = table(found)
    for coarse, fine in zip(members.T[:-1], members.T[1:], strict=True):
        for cluster in set(fine.tolist()) - {-1}:
            assert len(set(coarse[fine == cluster].tolist())) == 1
    for layer in members.T:
        size = np.bincount(layer[layer >= 0])
        assert (size > 0).all()
        assert (np.diff(size) <= 0).all()
    assert all(not path.endswith("-1") for path in found.paths)
    if found.n_clusters:
        assert any(np.array_equal(layer, found.labels) for layer in members.T)


@settings(max_examples=60, deadline=None)
@given(points=POINTS, soft=st.booleans(), at_most=st.integers(1, 5), max_noise=st.floats(0, 0.3))
def test_layers_are_nested_numbered_by_size_and_hold_the_labels(
    points: np.ndarray, soft: bool, at_most: int, max_noise: float
) -> None:
    recipe = replace(RECIPE, soft=soft, n_layers=at_most, max_noise=max_noise)
    found = layers(graph_of(points, 6), points, recipe)
    check_paths(found)
    assert table(found).shape[1] <= at_most


@settings(max_examples=60, deadline=None)
@given(points=POINTS, size=st.integers(4, 40))
def test_leaves_of_the_one_tree_are_those_of_a_tree_at_their_size(
    points: np.ndarray, size: int
) -> None:
    graph = graph_of(points, 6)
    if graph.n_rows < 3:
        return
    hierarchy = build(graph, PARAMS)
    tree = cluster_tree(hierarchy.condensed_tree, graph.n_rows, PARAMS)
    chosen = np.flatnonzero(lifetimes(tree, 4).leaves(size))
    other = replace(PARAMS, min_cluster_size=size, cluster_selection_method="leaf")
    expected = extract(build(graph, other), other)
    assert sorted(tree.size[chosen].tolist(), reverse=True) == expected.sizes().tolist()


def test_two_scales_give_two_layers() -> None:
    """Three groups of two halves each: halves are leaves up to 25 rows, groups beyond."""
    lots = np.random.default_rng(0)
    halves = np.array([(x, y) for x in (0, 100, 200) for y in (0, 12)], np.float64)
    points = (np.repeat(halves, 25, axis=0) + lots.normal(size=(150, 2))).astype(np.float32)
    recipe = replace(RECIPE, hdbscan=HdbscanParams(10, 3), n_layers=4)
    found = layers(graph_of(points, 149), points, recipe)
    members = table(found)
    assert members.shape[1] == 2
    assert [len(set(layer.tolist()) - {-1}) for layer in members.T] == [3, 6]
    groups = np.repeat(np.arange(3), 50)
    inside = members[:, 0] >= 0
    assert len(set(zip(groups[inside].tolist(), members[inside, 0].tolist(), strict=True))) == 3


def test_soft_rows_take_the_coarser_clusters_of_theirs_and_leave_finer_ones() -> None:
    points = blobs((60, 40, 30), seed=8, strays=30, dimensions=2)
    graph = graph_of(points, 20)
    raw = layers(graph, points, RECIPE)
    found = layers(graph, points, replace(RECIPE, soft=True))
    check_paths(found)
    assert found.soft.any()
    members = table(found)
    at = next(i for i, layer in enumerate(members.T) if np.array_equal(layer, found.labels))
    assert (members[found.soft, at + 1 :] == -1).all()
    assert raw.n_clusters == found.n_clusters


def test_the_chosen_layer_does_not_depend_on_the_order_of_rows() -> None:
    points = blobs((60, 40, 30), seed=8, strays=30, dimensions=2)
    order = np.random.default_rng(1).permutation(len(points))
    one = layers(graph_of(points, 20), points, RECIPE).labels
    other = layers(graph_of(points[order], 20), points[order], RECIPE).labels
    same = {(a, b) for a, b in zip(one[order].tolist(), other.tolist(), strict=True)}
    assert len(same) == len(set(one.tolist())) == len(set(other.tolist()))


@pytest.mark.parametrize(
    ("recipe", "line"),
    [
        (replace(RECIPE, merge=0.5), "set merge to 0"),
        (replace(RECIPE, n_layers=0), "n_layers is 0; it must be at least 1"),
        (replace(RECIPE, hdbscan=HdbscanParams(4, 9)), "min_samples is 9"),
    ],
)
def test_what_cannot_be_is_refused(recipe: Recipe, line: str) -> None:
    points = blobs((30,), seed=1)
    with pytest.raises(ValueError, match=line):
        layers(graph_of(points, 5), points, recipe)
