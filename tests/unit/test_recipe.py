"""What is left to ``auto`` follows from n; what was said holds."""

from __future__ import annotations

from typing import Any

import pytest

from vdbcluster.config.settings import load_settings
from vdbcluster.methods.rule import sizes
from vdbcluster.model.params import Recipe
from vdbcluster.pipeline.recipe import recipe, wanted_neighbors

N = 10_000


def chosen(n: int = N, **sections: dict[str, Any]) -> Recipe:
    settings = load_settings(sections)
    return recipe(settings, n, wanted_neighbors(settings, n))


def test_by_itself_it_smooths_merges_and_gives_noise_to_its_neighbours() -> None:
    rule, found = sizes(N), chosen()
    assert (found.method, found.smooth, found.cut) == ("hdbscan", "spectral", rule.cut)
    assert found.soft
    assert found.merge > 0
    assert found.hdbscan.min_cluster_size == rule.min_cluster_size == 25
    assert found.hdbscan.min_samples == rule.min_samples == 10
    assert (found.hdbscan.join, found.hdbscan.ties) == ("max", "together")


@pytest.mark.parametrize(
    "asked", [{"method": "hdbscan"}, {"engine": "compatible"}, {"certify": True}]
)
def test_hdbscan_itself_is_left_alone(asked: dict[str, Any]) -> None:
    found = chosen(cluster=asked)
    assert (found.method, found.smooth, found.soft, found.merge) == ("hdbscan", "none", False, 0.0)


def test_the_engines_choose_ties_and_join() -> None:
    exact = chosen(cluster={"engine": "compatible"}).hdbscan
    assert (exact.join, exact.ties) == ("inf", "reference")
    assert chosen(cluster={"engine": "compatible", "join": "max"}).hdbscan.join == "max"


def test_what_was_said_holds() -> None:
    said = {"min_cluster_size": 7, "max_noise": 0.1, "merge": 0, "method": "leaf"}
    found = chosen(cluster=said, neighbors={"smooth": "spectral"})
    assert found.hdbscan.min_cluster_size == 7
    assert found.hdbscan.min_samples == 7  # never more than a cluster has rows
    assert found.hdbscan.cluster_selection_method == "leaf"
    assert (found.soft, found.max_noise, found.merge, found.smooth) == (True, 0.1, 0, "spectral")


def test_number_of_neighbours() -> None:
    def wanted(n: int = N, **sections: dict[str, Any]) -> int:
        return wanted_neighbors(load_settings(sections), n)

    assert wanted() == 50
    assert wanted(400) == 20
    assert wanted(400, cluster={"method": "hdbscan"}) == 50
    assert wanted(cluster={"min_samples": 40}) == 80
    assert wanted(neighbors={"n_neighbors": 20}) == 20


@pytest.mark.parametrize("n", [0, 1, 2, 5, 30, 1000, 10**6])
def test_any_number_of_rows_gives_a_recipe_that_its_graph_can_serve(n: int) -> None:
    settings = load_settings({})
    k = max(1, min(wanted_neighbors(settings, n), n - 1))
    found = recipe(settings, n, k)
    assert min(found.hdbscan.min_samples, max(1, n - 1)) <= k
    assert 0 < found.cut <= 0.25
