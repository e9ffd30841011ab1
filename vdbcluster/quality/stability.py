"""Whether labels survive when a part of the rows is taken away.

In: ``NeighborGraph``, labels ``(n,)``, a function from a graph to labels. Out: ``Stability``.
Promise: no new neighbour search: the graph of a sample is the graph, less the rows that are not in
it; the same seed draws the same samples.

Resampling clusterings (Ben-Hur, Elisseeff and Guyon 2002), cluster by cluster by the Jaccard
coefficient (Hennig 2007): of all clusters found in the sample, the one most like it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from vdbcluster.graph.among import among
from vdbcluster.model.arrays import Allocate, Float64Array, Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.quality.contingency import contingency

SHARE = 0.8
REPEATS = 5

Relabel = Callable[[NeighborGraph, Int64Array], Int64Array]
"""Labels ``(m,)`` of the graph of a sample, given the positions ``(m,)`` of its rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """Agreement on the rows of each sample, ``ari``, ``ami (repeats,)``, noise as one class.

    ``ids (c,)`` ascending and ``jaccard (c,)``: mean over the samples; NaN for a cluster that no
    sample had a row of. Hennig takes clusters below 0.6 for doubtful, above 0.75 for real.
    """

    ari: Float64Array
    ami: Float64Array
    ids: Int64Array
    jaccard: Float64Array


def stability(
    graph: NeighborGraph,
    labels: Int64Array,
    relabel: Relabel,
    *,
    share: float = SHARE,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Stability:
    """Cluster ``repeats`` samples of ``share`` of the rows anew and compare with ``labels``."""
    from vdbcluster.quality.scores import agreement  # scikit-learn takes more than a second

    ids = np.unique(labels[labels != NOISE])
    scores, found = [], []
    for rows in samples(graph.n_rows, share, repeats, seed):
        again = relabel(among(graph, rows), rows)
        scores.append(agreement(labels[rows], again))
        found.append(_jaccard(ids, labels[rows], again))
    ari, ami = np.array(scores, np.float64).reshape(-1, 2).T
    return Stability(ari, ami, ids, _mean(np.array(found).reshape(len(found), len(ids))))


def recovery(
    graph: NeighborGraph,
    labels: Int64Array,
    relabel: Relabel,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
    empty: Allocate = np.empty,
) -> Float64Array:
    """``Stability.jaccard`` alone, for each cluster of ``labels`` that has rows.

    The graph of a sample lies where ``empty`` says.
    """
    ids = np.unique(labels[labels != NOISE])
    found = [
        _jaccard(ids, labels[rows], relabel(among(graph, rows, empty=empty), rows))
        for rows in samples(graph.n_rows, SHARE, repeats, seed)
    ]
    return _mean(np.array(found).reshape(len(found), len(ids)))


def samples(n: int, share: float, repeats: int, seed: int) -> Iterator[Int64Array]:
    """Positions of ``round(share n)`` distinct rows, ascending, ``repeats`` times."""
    rng = np.random.default_rng(seed)
    for _ in range(repeats):
        yield np.sort(rng.choice(n, round(share * n), replace=False)).astype(np.int64)


def _jaccard(ids: Int64Array, before: Int64Array, after: Int64Array) -> Float64Array:
    """For each cluster the best ``|a and b| / |a or b|`` of any cluster of ``after``, ``(c,)``."""
    best = np.full(len(ids), np.nan)
    if not len(before):
        return best
    rows, columns = np.unique(before), np.unique(after)
    counts = contingency(before, after).tocoo()
    sizes = np.asarray(counts.sum(axis=1)).ravel(), np.asarray(counts.sum(axis=0)).ravel()
    share = counts.data / (sizes[0][counts.row] + sizes[1][counts.col] - counts.data)
    share[columns[counts.col] == NOISE] = 0.0
    found = np.zeros(len(rows))
    np.maximum.at(found, counts.row, share)
    known = np.isin(ids, rows)
    best[known] = found[np.searchsorted(rows, ids[known])]
    return best


def _mean(found: Float64Array) -> Float64Array:
    """Column means, NaN left out; NaN where there is nothing else."""
    known = ~np.isnan(found)
    total = np.where(known, found, 0.0).sum(axis=0)
    counts = known.sum(axis=0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
