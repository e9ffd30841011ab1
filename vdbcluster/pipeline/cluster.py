"""From neighbour graph to clusters: the pure stages in their order.

In: ``NeighborGraph``, prepared vectors, settings. Out: ``ClusterResult``.
Promise: same graph, same result; nothing is read or written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError
from vdbcluster.graph.chebyshev import Told
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.smooth import smoothed
from vdbcluster.hierarchy import build as whole
from vdbcluster.hierarchy.bridge import bridges
from vdbcluster.hierarchy.certificate import certify, refine
from vdbcluster.hierarchy.dense import dense_reference
from vdbcluster.methods.density import extracted, finish, parameters
from vdbcluster.methods.interface import cluster_with
from vdbcluster.model.arrays import Float32Array, Int32Array, Int64Array
from vdbcluster.model.hierarchy import Certificate, Clustering, Hierarchy
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import DENSITY, Recipe
from vdbcluster.pipeline.hierarchy_shards import Build
from vdbcluster.pipeline.recipe import recipe
from vdbcluster.pipeline.room import room_of
from vdbcluster.pipeline.smooth_stage import Keeping

CERTIFY_ROUNDS = 24
"""Neighbours double each round, so this many reach any n."""

Search = Callable[[Int64Array, int], tuple[Int32Array, Float32Array]]


@dataclass(frozen=True, slots=True, eq=False)
class ClusterResult:
    """The clustering, what it was made by, and the hierarchy that it was cut from, if any was.

    ``edges``: the graph as smoothed. ``certificate`` is None where there is nothing to prove it by:
    approximate or smoothed neighbours, or another method than HDBSCAN.
    """

    clustering: Clustering
    recipe: Recipe
    edges: NeighborGraph
    hierarchy: Hierarchy | None
    certificate: Certificate | None


def cluster_graph(
    graph: NeighborGraph,
    vectors: Float32Array,
    settings: Settings,
    *,
    exact: bool,
    build: Build | None = None,
    smooth: Keeping | None = None,
    told: Told | None = None,
) -> ClusterResult:
    """Smooth, cluster by the method, merge, give noise to its neighbours: as the settings say.

    ``vectors (n, d)`` as ``prepare`` made them for the metric of the graph; ``exact`` says that no
    neighbour is missing from it; ``build`` makes the hierarchy where pieces of the graph suffice;
    ``smooth`` smooths it, or knows what came of that before; ``told`` hears how far spectral
    smoothing is. Raises ``UsageError`` where a method
    cannot do what is asked.
    """
    chosen = recipe(settings, graph.n_rows, graph.n_neighbors)
    try:
        if chosen.method not in DENSITY:
            return ClusterResult(cluster_with(graph, vectors, chosen), chosen, graph, None, None)
        empty = room_of(settings).empty

        def by_recipe(graph: NeighborGraph, chosen: Recipe) -> NeighborGraph:
            how, seed, cut = chosen.smooth, chosen.seed, chosen.cut
            return smoothed(graph, how, seed, cut, empty=empty, told=told)

        edges = smooth(graph, chosen, by_recipe) if smooth else by_recipe(graph, chosen)
        if settings.cluster.engine == "dense":
            found = dense_reference(edges, parameters(chosen))
            found = finish(edges, found, chosen, empty=empty)
            return ClusterResult(found, chosen, edges, None, None)
        search = _searching(vectors, graph.metric) if settings.cluster.certify else None
        if build is None or not in_shards(chosen, graph):
            build = partial(whole, empty=empty)
        hierarchy, certificate = _hierarchy(
            edges, vectors, chosen, search, build, exact=exact and chosen.smooth == "none"
        )
        clustering = extracted(edges, hierarchy, chosen, empty=empty)
        return ClusterResult(clustering, chosen, edges, hierarchy, certificate)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _searching(vectors: Float32Array, metric: str) -> Search:
    def search(which: Int64Array, k: int) -> tuple[Int32Array, Float32Array]:
        return exact_neighbors(vectors, which, k, metric)

    return search


def in_shards(chosen: Recipe, graph: NeighborGraph) -> bool:
    """Whether the hierarchy is made of nothing but the pieces of the graph itself."""
    params = parameters(chosen)
    return (
        chosen.method in DENSITY
        and chosen.smooth == "none"
        and params.ties == "together"
        and params.join != "bridge"
        and graph.n_rows > 1
        and params.min_samples <= graph.n_neighbors
    )


def _hierarchy(
    graph: NeighborGraph,
    vectors: Float32Array,
    chosen: Recipe,
    search: Search | None,
    build: Build,
    *,
    exact: bool,
) -> tuple[Hierarchy, Certificate | None]:
    params = parameters(chosen)
    if search is not None and exact:
        _, _, hierarchy, certificate = refine(graph, params, search, CERTIFY_ROUNDS)
        return hierarchy, certificate
    hierarchy = build(graph, params)
    if params.join == "bridge" and hierarchy.n_components > 1:
        if chosen.smooth != "none":
            raise ValueError("bridges are measured between vectors; join bridge needs smooth none")
        extra = bridges(hierarchy, vectors, graph.metric, params.min_samples)
        hierarchy = whole(graph, params, extra=extra)
    return hierarchy, certify(hierarchy, graph) if exact else None
