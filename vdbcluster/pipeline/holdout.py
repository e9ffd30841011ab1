"""How far assigning rows that came later gives what clustering all of them would.

In: the neighbour graph of all rows, prepared vectors, settings, their clustering.
Out: ``HoldOut``. Promise: nothing is searched again; the same seed gives the same figures.

A share of the rows is held out, the rest is clustered without them, and they are assigned to its
clusters. These are matched to those of all rows as those of two runs are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.assign import assign, reference
from vdbcluster.config.settings import Settings
from vdbcluster.graph.among import among
from vdbcluster.matching import match
from vdbcluster.model.arrays import Float32Array, Int64Array
from vdbcluster.model.assign import AssignParams, Surroundings
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.matching import Previous
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.pipeline.cluster import cluster_graph
from vdbcluster.quality.scores import agreement
from vdbcluster.quality.stability import samples

SHARE = 0.1
FEWEST = 10
"""Rows that are worth a figure."""


@dataclass(frozen=True, slots=True)
class HoldOut:
    """``rows`` were held out, ``share`` of all. Figures from 0 to 1.

    ``same``: of them the share in the very cluster (or noise) that clustering all rows gives them;
    ``same_others``: of the others, which were clustered both times. ``both``: as ``same``, of those
    that are noise in neither. ``ami``: adjusted mutual information, noise a class. ``noise``,
    ``noise_whole``: the share that is noise when assigned, and when all rows are clustered.
    """

    rows: int
    share: float
    same: float
    same_others: float
    both: float
    ami: float
    noise: float
    noise_whole: float


def hold_out(
    graph: NeighborGraph,
    points: Float32Array,
    settings: Settings,
    whole: Int64Array,
    *,
    share: float = SHARE,
) -> HoldOut | None:
    """``whole (n,)``: labels of all rows by these settings; None if there are too few rows."""
    n = graph.n_rows
    if share * n < FEWEST:
        return None
    (rest,) = samples(n, 1 - share, 1, settings.run.seed)
    out = np.setdiff1d(np.arange(n), rest)
    known = among(graph, rest)
    result = cluster_graph(known, points[rest], settings, exact=False)
    clustering, fewest = result.clustering, result.recipe.hdbscan.min_samples
    if fewest > graph.n_neighbors:
        return None
    kept = reference(known, clustering.labels, clustering.probabilities, clustering.soft, fewest)
    params = AssignParams(min_support=settings.assign.min_support)
    given = assign(kept, _around(graph, rest, out), params).labels
    matching = match(Previous.of(whole[rest]), clustering.labels)
    others = matching.relabelled(clustering.labels) == whole[rest]
    return _compared(matching.relabelled(given), whole[out], float(others.mean()), share)


def _around(graph: NeighborGraph, rest: Int64Array, out: Int64Array) -> Surroundings:
    """The neighbours of the rows held out; positions among the rest, then among themselves."""
    place = np.full(graph.n_rows + 1, PADDING, np.int32)
    place[rest] = np.arange(len(rest), dtype=np.int32)
    place[out] = len(rest) + np.arange(len(out), dtype=np.int32)
    return Surroundings(place[graph.indices[out]], graph.distances[out])


def _compared(given: Int64Array, whole: Int64Array, others: float, share: float) -> HoldOut:
    same, inside = given == whole, (given != NOISE) & (whole != NOISE)
    return HoldOut(
        rows=len(given),
        share=share,
        same=float(same.mean()),
        same_others=others,
        both=float(same[inside].mean()) if inside.any() else 1.0,
        ami=agreement(given, whole)[1],
        noise=float((given == NOISE).mean()),
        noise_whole=float((whole == NOISE).mean()),
    )
