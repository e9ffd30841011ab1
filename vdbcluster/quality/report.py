"""All that the neighbour graph says of labels, in one record.

In: ``NeighborGraph``, labels ``(n,)`` with ``-1`` for noise, core distances ``(n,)``.
Out: ``GraphReport``. Promise: plain numbers, ready for JSON; clusters largest first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.model.arrays import Float64Array, Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.quality.validity import by_cluster, graph_validity, neighbor_agreement


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the clusters; 0 throughout where there is none."""

    least: float
    median: float
    greatest: float


@dataclass(frozen=True, slots=True)
class ClusterQuality:
    """``validity`` and ``connected`` as in ``validity.Validity``; ``agreement``: mean share of a
    row's neighbours that are in the cluster, None where no row has a neighbour.
    """

    id: int
    size: int
    validity: float
    agreement: float | None
    connected: float


@dataclass(frozen=True, slots=True)
class GraphReport:
    """``noise`` and ``largest`` are shares of the rows; ``agreement`` is over clustered rows."""

    rows: int
    clusters: int
    noise: float
    largest: float
    validity: float
    agreement: float
    by_cluster: tuple[ClusterQuality, ...]


def graph_report(
    graph: NeighborGraph, labels: Int64Array, core_distances: Float64Array
) -> GraphReport:
    """Judge ``labels``; see ``validity.graph_validity`` for what is raised."""
    found = graph_validity(graph, labels, core_distances)
    shares = neighbor_agreement(graph, labels)
    sizes = np.unique(labels[labels != NOISE], return_counts=True)[1]
    agreement = by_cluster(shares, labels)
    clusters = [
        ClusterQuality(
            id=int(found.ids[c]),
            size=int(sizes[c]),
            validity=float(found.scores[c]),
            agreement=None if np.isnan(agreement[c]) else float(agreement[c]),
            connected=float(found.connected[c]),
        )
        for c in range(len(sizes))
    ]
    rows = max(1, len(labels))
    known = shares[~np.isnan(shares)]
    return GraphReport(
        rows=len(labels),
        clusters=len(clusters),
        noise=float(np.count_nonzero(labels == NOISE) / rows),
        largest=float(sizes.max(initial=0) / rows),
        validity=found.total,
        agreement=float(known.mean()) if known.size else 0.0,
        by_cluster=tuple(sorted(clusters, key=lambda cluster: (-cluster.size, cluster.id))),
    )


def spread(values: Float64Array) -> Spread:
    """Least, median and greatest of ``values (c,)``, NaN left out."""
    known = values[~np.isnan(values)]
    if not known.size:
        return Spread(0.0, 0.0, 0.0)
    return Spread(float(known.min()), float(np.median(known)), float(known.max()))
