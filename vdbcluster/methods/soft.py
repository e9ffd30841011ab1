"""Soft assignment: noise goes to the cluster that most of its neighbours are in.

In: ``NeighborGraph`` (the one that was clustered, smoothed if it was), ``Clustering``.
Out: ``Clustering``. Promise: a row that has a label keeps it, with all its scores; O(n k) a round;
the result does not depend on the order of rows (weights are summed as whole numbers); what takes
more than O(n) memory lies where ``empty`` says: weights of the edges of noise, then their ends.

    assign(graph, clustering)                     # all rows that have a way to a cluster
    assign(graph, clustering, max_noise=0.1)      # the least confident 10 % stay noise

Label propagation with clamped labels (Zhu and Ghahramani 2002), by majority: in each of up to
``ROUNDS`` rounds every row of noise takes the cluster with the greatest weight among its k
neighbours, as these were labelled in the round before. Then the rows that list a row have their
say as well (``methods.majority``).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vdbcluster.graph.by_rows import row_blocks
from vdbcluster.hierarchy.jit import kernel
from vdbcluster.methods.majority import majority
from vdbcluster.model.arrays import (
    Allocate,
    BoolArray,
    Float32Array,
    Float64Array,
    Int32Array,
    Int64Array,
)
from vdbcluster.model.hierarchy import NOISE, Clustering
from vdbcluster.model.neighbors import PADDING, NeighborGraph

ROUNDS = 20
_BLOCK_ROWS = 8192
_ONE = 1 << 30
"""Weights are whole multiples of 2^-30: sums are exact, whatever their order."""


def assign(
    graph: NeighborGraph,
    clustering: Clustering,
    *,
    max_noise: float = 0.0,
    min_confidence: float = 0.0,
    empty: Allocate = np.empty,
) -> Clustering:
    """Give noise to the clusters around it.

    The confidence of a row is the share of its links, both ways, that lead to its cluster; links to
    noise count against it. Rows below ``min_confidence`` stay noise, however
    many; of the others the least confident, as long as no more than the share ``max_noise`` of all
    rows is noise. Of equally confident rows all stay or none. A row that no neighbour of positive
    weight leads to a cluster stays noise.

    Assigned rows are ``soft``. Their ``probabilities`` are the confidence times the least
    probability among the rows that had a label in that cluster before: in each cluster what was
    assigned comes after what was found. The other fields stay. Raises ``ValueError`` if graph and
    clustering differ in rows, or a share lies outside [0, 1].
    """
    _check(graph, clustering, max_noise, min_confidence)
    noise = np.flatnonzero(clustering.labels == NOISE)
    if not noise.size or not clustering.n_clusters:
        return clustering
    found, confidence = _vote(graph, clustering, noise, empty)
    kept = (found != NOISE) & (confidence >= min_confidence)
    spare = int(max_noise * graph.n_rows + 1e-9) - int(np.count_nonzero(~kept))
    if spare > 0:
        kept &= confidence >= _least_kept(confidence[kept], spare)
    rows, joined = noise[kept], found[kept]
    labels, probabilities = clustering.labels.copy(), clustering.probabilities.copy()
    soft = clustering.soft.copy()
    labels[rows], soft[rows] = joined, True
    probabilities[rows] = confidence[kept] * least_probability(clustering)[joined]
    return replace(clustering, labels=labels, probabilities=probabilities, soft=soft)


def withdrawn(clustering: Clustering) -> Clustering:
    """The same clusters with the assigned rows as noise again."""
    return replace(
        clustering,
        labels=clustering.raw_labels,
        probabilities=np.where(clustering.soft, 0.0, clustering.probabilities),
        soft=np.zeros_like(clustering.soft),
    )


def weights(distances: Float32Array, metric: str) -> Int32Array:
    """What a neighbour at each distance weighs, in units of 2^-30: 1 at distance 0, never negative.

    The cosine where the distance tells it (``spectral``, ``chord``, ``angular``), 0 below a right
    angle; one minus the distance where that ends at 1 (``shared-neighbors``, ``jaccard``). Other
    distances have no scale of their own: ``f / (f + d)`` with the farthest neighbour f of the row,
    from 1 down to 1/2. +inf (padding) weighs 0.
    """
    known = np.isfinite(distances)
    d = np.where(known, distances, 0).astype(np.float64)
    if metric in ("spectral", "chord"):
        near = 1 - d * d / 2
    elif metric == "angular":
        near = np.cos(d)
    elif metric in ("shared-neighbors", "jaccard"):
        near = 1 - d
    else:
        far = d.max(axis=1, initial=0, keepdims=True)
        near = np.where(far > 0, far / np.maximum(far + d, 1e-300), 1)
    near = np.where(known, np.clip(near, 0, 1), 0)
    return np.asarray(np.rint(near * _ONE), np.int32)


def _check(
    graph: NeighborGraph, clustering: Clustering, max_noise: float, min_confidence: float
) -> None:
    n = clustering.labels.shape[0]
    if graph.n_rows != n:
        raise ValueError(f"the graph has {graph.n_rows} rows, the clustering {n}")
    for name, share in (("max_noise", max_noise), ("min_confidence", min_confidence)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is {share}; it must lie between 0 and 1")


def _vote(
    graph: NeighborGraph, clustering: Clustering, noise: Int64Array, empty: Allocate
) -> tuple[Int64Array, Float64Array]:
    """Cluster and confidence of each row of noise; -1 and 0 where the vote does not reach."""
    found = _rounds(
        np.asarray(graph.indices),
        _weights_of(graph, noise, empty),
        noise,
        clustering.labels,
        clustering.n_clusters,
        ROUNDS,
    )
    labels = clustering.labels.copy()
    labels[noise] = found
    return majority(graph, labels, noise, clustering.n_clusters, empty=empty)


def _weights_of(graph: NeighborGraph, rows: Int64Array, empty: Allocate) -> Int32Array:
    """``weights`` of the neighbours of some rows, ``(m, k)``."""
    found = np.asarray(empty((len(rows), graph.n_neighbors), np.int32))
    for start in range(0, len(rows), _BLOCK_ROWS):
        some = slice(start, start + _BLOCK_ROWS)
        found[some] = weights(graph.distances[rows[some]], graph.metric)
    return found


def _least_kept(confidence: Float64Array, spare: int) -> float:
    """The confidence below which rows stay noise, so that they are at most ``spare``."""
    if spare >= confidence.shape[0]:
        return np.inf
    return float(np.partition(confidence, spare)[spare])


def least_probability(clustering: Clustering) -> Float64Array:
    """Of each cluster, ``(c,)``; 1 where it has no row."""
    least = np.ones(clustering.n_clusters)
    member = clustering.labels != NOISE
    np.minimum.at(least, clustering.labels[member], clustering.probabilities[member])
    return least


def _rounds(
    indices: Int32Array,
    weight: Int32Array,
    noise: Int64Array,
    labels: Int64Array,
    n_clusters: int,
    rounds: int,
) -> Int64Array:
    """For each row of noise its cluster after the vote.

    ``indices (n, k)``: the neighbours of all rows; ``weight (m, k)``: of those of ``noise (m,)``.
    """
    now, moved = labels.astype(np.int32), np.ones(len(labels), np.bool_)
    found = np.full(len(noise), NOISE, np.int32)

    def vote(rows: slice) -> None:
        _vote_again(indices, noise[rows], weight[rows], now, moved, n_clusters, found[rows])

    with row_blocks(len(noise)) as blocks:
        for _ in range(rounds):
            blocks.each(vote)
            changed = found != now[noise]
            if not changed.any():
                break
            now[noise] = found
            moved[:] = False
            moved[noise] = changed
    return found.astype(np.int64)


@kernel
def _vote_again(
    indices: Int32Array,
    noise: Int64Array,
    weight: Int32Array,
    now: Int32Array,
    moved: BoolArray,
    n_clusters: int,
    found: Int32Array,
) -> None:
    """Put into ``found`` what the neighbours of ``noise`` say, where one of them has ``moved``."""
    votes = np.zeros(n_clusters, np.int64)
    for a in range(found.shape[0]):
        near = indices[noise[a]]
        for j in near:
            if j != PADDING and moved[j]:
                found[a] = _winner(near, weight[a], now, votes)
                break


@kernel
def _winner(
    neighbors: Int32Array, weight: Int32Array, labels: Int32Array, votes: Int64Array
) -> int:
    """The cluster with the most votes, the lower of equals; -1 if there is none.

    ``votes (c,)`` is zero before and after.
    """
    best, most = NOISE, 0
    for t in range(neighbors.shape[0]):
        label = NOISE if neighbors[t] == PADDING else labels[neighbors[t]]
        if label == NOISE:
            continue
        votes[label] += weight[t]
        if votes[label] > most or (votes[label] == most and label < best):
            best, most = label, votes[label]
    for j in neighbors:
        if j != PADDING and labels[j] != NOISE:
            votes[labels[j]] = 0
    return best
