"""A clustering as it is to be written: what people merged is one cluster, borders do not flicker.

In: ``Clustering``, what it was matched to, the neighbour graph. Out: ``Clustering``.
Promise: no I/O; no cluster comes into being or goes; probabilities, ``soft`` and exemplars fit the
labels again. With nothing merged and no margin it is the very clustering that came in.

    folded = fold(clustering, stability, matching)
    steadied, kept = steadied(folded.clustering, folded.ids, previous, graph, margin=0.1)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vdbcluster.matching import steady
from vdbcluster.matching.overlap import positions
from vdbcluster.model.arrays import BoolArray, Float64Array, Int64Array
from vdbcluster.model.hierarchy import NOISE, Clustering
from vdbcluster.model.matching import Matching, Previous
from vdbcluster.model.neighbors import PADDING, NeighborGraph


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """``ids (c,)``: distinct stable ids; ``stability (c,)``.

    ``parts``: the clusters that people merged into others and that were found again, as a
    clustering of their own, None if there are none; ``part_ids``, ``part_of (p,)``: their ids and
    those that they are in.
    """

    clustering: Clustering
    ids: Int64Array
    stability: Float64Array
    parts: Clustering | None
    part_ids: Int64Array
    part_of: Int64Array


def fold(clustering: Clustering, stability: Float64Array, matching: Matching) -> Folded:
    """Make clusters of one id one cluster, in the place of the one that is that id by itself.

    Its exemplars are those of that one (the largest, where people merged them all into it), by
    which it is told from the others when it is matched again; its persistence and ``stability
    (c,)`` are means by rows, of those that have one.
    """
    sizes, ids, c = clustering.sizes(), matching.ids, clustering.n_clusters
    foreign = matching.own != ids
    order = np.lexsort((-sizes, foreign, ids))
    leaders = np.sort(order[np.unique(ids[order], return_index=True)[1]])
    group = _group(ids, leaders)
    part_ids, first = np.unique(matching.own[foreign], return_index=True)
    parts = _parts(clustering, matching.own, foreign) if len(part_ids) else None
    if len(leaders) < c:
        stability = _means(stability, sizes, group, len(leaders))
        clustering = replace(
            clustering,
            labels=np.append(group, NOISE)[clustering.labels],
            persistence=_means(clustering.persistence, sizes, group, len(leaders)),
            exemplars=tuple(clustering.exemplars[leader] for leader in leaders),
        )
    return Folded(clustering, ids[leaders], stability, parts, part_ids, ids[foreign][first])


def _group(ids: Int64Array, leaders: Int64Array) -> Int64Array:
    """Position of each cluster's id among those of ``leaders``."""
    order = np.argsort(ids[leaders])
    group: Int64Array = order[np.searchsorted(ids[leaders], ids, sorter=order)]
    return group


def _parts(clustering: Clustering, own: Int64Array, which: BoolArray) -> Clustering:
    """Clusters of one own id as one, ascending by that; all rows of others are noise."""
    ids, number = np.unique(own[which], return_inverse=True)
    sizes, inside = clustering.sizes()[which], np.flatnonzero(which)
    numbers = np.full(clustering.n_clusters + 1, NOISE)
    numbers[inside] = number
    order = np.lexsort((-sizes, number))
    largest = inside[order[np.searchsorted(number[order], np.arange(len(ids)))]]
    return replace(
        clustering,
        labels=numbers[clustering.labels],
        persistence=_means(clustering.persistence[which], sizes, number, len(ids)),
        exemplars=tuple(clustering.exemplars[c] for c in largest),
        soft=clustering.soft & np.append(which, False)[clustering.labels],
        paths=None,
    )


def _means(values: Float64Array, sizes: Int64Array, group: Int64Array, n: int) -> Float64Array:
    known = ~np.isnan(values)
    weights = np.bincount(group[known], sizes[known], minlength=n)
    sums = np.bincount(group[known], (values * sizes)[known], minlength=n)
    means: Float64Array = np.where(weights > 0, sums / np.maximum(weights, 1), np.nan)
    return means


def steadied(
    clustering: Clustering,
    ids: Int64Array,
    previous: Previous,
    graph: NeighborGraph,
    *,
    margin: float,
) -> tuple[Clustering, int]:
    """Hold rows back that change for too little (``matching.steady``), and how many these are.

    ``ids (c,)``: stable and distinct; ``margin``: share of the neighbours, 0 holds nothing back.
    A row that keeps its cluster is ``soft``: not the density of this clustering puts it there, but
    the neighbours that it has there. Its probability is the share of these, times the least among
    the rows that the cluster has by itself, as for other soft rows. One that stays noise has 0. An
    exemplar is never held back.
    """
    wanted = np.append(ids, NOISE)[clustering.labels]
    kept = steady(previous, wanted, graph, margin=margin)
    held = kept != wanted
    if clustering.exemplars:
        held[np.concatenate(clustering.exemplars).astype(np.int64)] = False
    rows = np.flatnonzero(held)
    if not len(rows):
        return clustering, 0
    from vdbcluster.methods.soft import least_probability  # the compiler is behind it

    order = np.argsort(ids)
    labels = clustering.labels.copy()
    labels[rows] = np.append(order, NOISE)[positions(kept[rows], ids[order])]
    least = np.append(least_probability(replace(clustering, labels=_others(labels, held))), 0.0)
    probabilities, soft = clustering.probabilities.copy(), clustering.soft.copy()
    probabilities[rows] = _share(graph, labels, rows) * least[labels[rows]]
    soft[rows] = labels[rows] != NOISE
    return replace(clustering, labels=labels, probabilities=probabilities, soft=soft), len(rows)


def _others(labels: Int64Array, held: BoolArray) -> Int64Array:
    return np.where(held, NOISE, labels)


def _share(graph: NeighborGraph, labels: Int64Array, rows: Int64Array) -> Float64Array:
    """Share of the neighbours of each of ``rows`` that are in its cluster."""
    near = graph.indices[rows]
    there = near != PADDING
    alike = ((labels[near] == labels[rows, None]) & there).sum(axis=1)
    share: Float64Array = alike / np.maximum(there.sum(axis=1), 1)
    return share
