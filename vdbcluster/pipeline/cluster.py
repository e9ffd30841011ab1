"""From neighbour graph to clusters: the pure stages in their order.

In: ``NeighborGraph``, vectors, settings. Out: ``ClusterResult``.
Promise: same graph, same result; nothing is read or written.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from vdbcluster.config.settings import ClusterSettings, Settings
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.smooth import shared_neighbors
from vdbcluster.hierarchy import build, extract
from vdbcluster.hierarchy.bridge import bridges
from vdbcluster.hierarchy.certificate import certify, refine
from vdbcluster.hierarchy.dense import dense_reference
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.hierarchy import Certificate, Clustering, Hierarchy
from vdbcluster.model.neighbors import NeighborGraph

CERTIFY_ROUNDS = 8


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
    """Smooth, build the hierarchy, certify, extract; ``exact`` says that the graph is exact."""
    smoothed = settings.neighbors.smooth == "shared-neighbors"
    edges = shared_neighbors(graph) if smoothed else graph
    if settings.cluster.engine == "dense":
        return ClusterResult(dense_reference(edges, settings.cluster.params()), None, None)
    hierarchy, certificate = _hierarchy(edges, vectors, settings.cluster, exact and not smoothed)
    return ClusterResult(extract(hierarchy, settings.cluster.params()), hierarchy, certificate)
