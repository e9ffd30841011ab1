"""From neighbour graph to clusters: the pure stages in their order.

In: ``NeighborGraph``, prepared vectors, settings. Out: ``ClusterResult``.
Promise: same graph, same result; nothing is read or written.
"""

from __future__ import annotations

from dataclasses import dataclass

from vdbcluster.config.settings import ClusterSettings, Settings
from vdbcluster.errors import UsageError
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.smooth import smoothed
from vdbcluster.hierarchy import build, extract
from vdbcluster.hierarchy.bridge import bridges
from vdbcluster.hierarchy.certificate import certify, refine
from vdbcluster.hierarchy.dense import dense_reference
from vdbcluster.model.arrays import Float32Array, Int32Array, Int64Array
from vdbcluster.model.hierarchy import Certificate, Clustering, Hierarchy
from vdbcluster.model.neighbors import NeighborGraph

CERTIFY_ROUNDS = 24
"""Neighbours double each round, so this many reach any n."""


@dataclass(frozen=True, slots=True, eq=False)
class ClusterResult:
    """The clustering and, but for the dense engine, the hierarchy that it was cut from.

    ``certificate`` is None where there is nothing to prove it by: approximate or smoothed
    neighbours, or the dense engine.
    """

    clustering: Clustering
    hierarchy: Hierarchy | None
    certificate: Certificate | None


def cluster_graph(
    graph: NeighborGraph, vectors: Float32Array, settings: Settings, *, exact: bool
) -> ClusterResult:
    """Smooth, build the hierarchy, certify, extract.

    ``vectors (n, d)`` as ``prepare`` made them for the metric of the graph; ``exact`` says that no
    neighbour is missing from it. Raises ``UsageError`` where an engine cannot do what is asked.
    """
    how = settings.neighbors.smooth
    edges = smoothed(graph, how, settings.run.seed)
    params = settings.cluster.params()
    try:
        if settings.cluster.engine == "dense":
            return ClusterResult(dense_reference(edges, params), None, None)
        hierarchy, certificate = _hierarchy(
            edges, vectors, settings.cluster, exact and how == "none"
        )
        return ClusterResult(extract(hierarchy, params), hierarchy, certificate)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _hierarchy(
    graph: NeighborGraph, vectors: Float32Array, settings: ClusterSettings, exact: bool
) -> tuple[Hierarchy, Certificate | None]:
    params = settings.params()
    if settings.certify and exact:

        def search(which: Int64Array, k: int) -> tuple[Int32Array, Float32Array]:
            return exact_neighbors(vectors, which, k, graph.metric)

        _, _, hierarchy, certificate = refine(graph, params, search, CERTIFY_ROUNDS)
        return hierarchy, certificate
    hierarchy = build(graph, params)
    if params.join == "bridge" and hierarchy.n_components > 1:
        if graph.metric in ("shared-neighbors", "spectral"):
            raise ValueError("bridges are measured between vectors; join bridge needs smooth none")
        extra = bridges(hierarchy, vectors, graph.metric, params.min_samples)
        hierarchy = build(graph, params, extra=extra)
    return hierarchy, certify(hierarchy, graph) if exact else None
