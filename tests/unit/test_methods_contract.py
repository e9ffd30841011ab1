"""What every method of clustering promises, whichever it is."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.method_data import blobs, graph_of
from vdbcluster.methods.interface import METHODS, cluster_with
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams, Recipe

LAYOUT = "umap+hdbscan"
SMALL = HdbscanParams(min_cluster_size=5, min_samples=3)
RECIPES = {
    **{f"{name} plain": Recipe(method=name, hdbscan=SMALL) for name in METHODS if name != LAYOUT},
    **{
        f"{name} spectral soft": Recipe(method=name, smooth="spectral", hdbscan=SMALL, soft=True)
        for name in ("hdbscan", "leaf", "layers", "leiden")
    },
    "leiden shared": Recipe(method="leiden", smooth="shared-neighbors", hdbscan=SMALL),
    "kmeans 7": Recipe(method="kmeans", n_clusters=7),
    "hdbscan merge": Recipe(method="hdbscan", hdbscan=SMALL, soft=True, merge=0.5),
    "layers reference ties": Recipe(
        method="layers", hdbscan=HdbscanParams(5, 3, ties="reference", join="inf")
    ),
    LAYOUT: Recipe(method=LAYOUT, hdbscan=SMALL),
}
pytestmark = pytest.mark.filterwarnings("error")


SLOW = pytest.mark.slow  # to compile UMAP takes most of a minute


@pytest.fixture(
    params=[pytest.param(name, marks=SLOW if name == LAYOUT else ()) for name in RECIPES],
    scope="module",
)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    if "leiden" in request.param:
        pytest.importorskip("graspologic_native", reason="needs the extra communities")
    return RECIPES[request.param]


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Four groups of different size, and twenty rows far from all."""
    return blobs((60, 45, 30, 20), seed=3, strays=20)


@pytest.fixture(scope="module")
def graph(points: np.ndarray) -> NeighborGraph:
    return graph_of(points, 12)


@pytest.fixture(scope="module")
def found(recipe: Recipe, graph: NeighborGraph, points: np.ndarray) -> Clustering:
    return cluster_with(graph, points, recipe)


def check(found: Clustering, n: int) -> None:
    """All that holds for a clustering of n rows."""
    labels, c = found.labels, found.n_clusters
    noise = labels == -1
    assert labels.shape == (n,)
    assert labels.dtype == np.int64
    for scores in (found.probabilities, found.outlier_scores):
        assert scores.shape == (n,)
        assert scores.dtype == np.float64
        assert ((scores >= 0) & (scores <= 1)).all()
    assert (found.probabilities[noise] == 0).all()
    assert found.persistence.shape == (c,)
    assert ((found.persistence >= 0) & (found.persistence <= 1)).all()
    assert found.soft.dtype == np.bool_
    assert not (found.soft & noise).any()
    assert set(labels.tolist()) - {-1} == set(range(c))
    size = np.bincount(labels[~noise], minlength=c)
    first = [int(np.argmax(labels == label)) for label in range(c)]
    assert list(range(c)) == sorted(range(c), key=lambda label: (-size[label], first[label]))
    assert len(found.exemplars) == c
    for label, rows in enumerate(found.exemplars):
        assert len(rows) > 0
        assert (labels[rows] == label).all()
        assert not found.soft[rows].any()
    if found.paths is not None:
        assert found.paths.shape == (n,)


def test_scores_labels_and_numbers(found: Clustering, graph: NeighborGraph) -> None:
    check(found, graph.n_rows)


def test_groups_that_stand_apart_are_found(recipe: Recipe, found: Clustering) -> None:
    if recipe.method in ("kmeans", "leiden"):
        pytest.skip("strays are sorted too, and pull")
    groups = np.repeat(np.arange(4), (60, 45, 30, 20))
    labels = found.labels[: groups.shape[0]]
    for label in set(labels.tolist()) - {-1}:
        assert len(set(groups[labels == label].tolist())) == 1
    assert found.n_clusters >= 4


def test_same_seed_same_labels(
    recipe: Recipe, found: Clustering, graph: NeighborGraph, points: np.ndarray
) -> None:
    again = cluster_with(graph, points, recipe)
    for name in ("labels", "probabilities", "outlier_scores", "persistence", "soft"):
        assert np.array_equal(getattr(found, name), getattr(again, name)), name
    if found.paths is not None:
        assert found.paths.tolist() == again.paths.tolist()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 9])
def test_few_rows(recipe: Recipe, n: int) -> None:
    few = blobs((n,), seed=1)
    told = recipe.n_clusters
    if told > n:
        with pytest.raises(ValueError, match=f"n_clusters is {told}, but there are only {n} rows"):
            cluster_with(graph_of(few, 8), few, recipe)
    else:
        check(cluster_with(graph_of(few, 8), few, recipe), n)


def test_identical_rows(recipe: Recipe) -> None:
    same = np.ones((40, 3), np.float32)
    found = cluster_with(graph_of(same, 8), same, recipe)
    check(found, 40)
    if recipe.method == "kmeans":
        assert found.n_clusters == 1


def test_rows_without_any_neighbour(recipe: Recipe) -> None:
    alone = blobs((12,), seed=2)
    empty = NeighborGraph(
        np.full((12, 6), -1, np.int32), np.full((12, 6), np.inf, np.float32), "euclidean"
    )
    found = cluster_with(empty, alone, recipe)
    check(found, 12)
    if recipe.method != "kmeans":
        assert found.n_noise == 12


def test_another_number_of_vectors_is_refused(graph: NeighborGraph, points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="the graph has 175 rows, the vectors are 174"):
        cluster_with(graph, points[:-1], Recipe())
