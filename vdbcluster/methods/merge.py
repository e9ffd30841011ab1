"""Merging: clusters that hold together little better than their union become one.

In: ``NeighborGraph`` (its edges; distances are not looked at), ``Clustering``. Out: ``Clustering``.
Promise: clusters are joined, never split; no row changes from noise to a cluster or back; weights
are whole numbers, so the order of rows decides nothing but which of two equal gains comes first.

    merge(graph, clustering, gain=0.5)

An edge weighs 1, or 2 where both rows found each other; edges to noise do not count. The
association of a cluster is the share of the weight at its rows that stays inside (Shi and Malik
2000): 1 where it stands alone, little where the cut runs through a dense region. Greedily, each
join raises the sum over all clusters of ``association - gain`` by the most there is, as long as
there is a join that raises it: ``gain`` is what a cluster must be worth. With 0.5, two clusters of
one volume and no other neighbours become one if more than a quarter of the weight at each of them
leads to the other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array, triu

from vdbcluster.hierarchy.jit import kernel
from vdbcluster.model.arrays import Float64Array, Int32Array, Int64Array
from vdbcluster.model.hierarchy import NOISE, Clustering
from vdbcluster.model.neighbors import PADDING, NeighborGraph

_BLOCK_ROWS = 8192


def merge(graph: NeighborGraph, clustering: Clustering, gain: float = 0.5) -> Clustering:
    """Join clusters; the new ones are numbered by size, ties by first row.

    ``persistence`` of a union is the mean over its rows, its ``exemplars`` are all of its parts';
    probabilities and outlier scores of rows stay as in their parts, ``paths`` are given up.
    Raises ``ValueError`` if graph and clustering differ in rows.
    """
    if graph.n_rows != clustering.labels.shape[0]:
        raise ValueError(
            f"the graph has {graph.n_rows} rows, the clustering {clustering.labels.shape[0]}"
        )
    between = between_clusters(graph, clustering.labels, clustering.n_clusters)
    return _regrouped(clustering, _joined(between, gain))


def by_size(clustering: Clustering) -> Clustering:
    """The same clusters, numbered by size, ties by first row."""
    return _regrouped(clustering, np.arange(clustering.n_clusters))


def between_clusters(graph: NeighborGraph, labels: Int64Array, n_clusters: int) -> csr_array:
    """The weight of the edges from each cluster to each, ``(c, c) int64``, symmetric.

    Within a cluster every edge counts from both of its ends, so that row sums are volumes.
    """
    total = csr_array((n_clusters, n_clusters), dtype=np.int64)
    for start in range(0, graph.n_rows, _BLOCK_ROWS):
        indices = graph.indices[start : start + _BLOCK_ROWS]
        left = np.broadcast_to(labels[start : start + _BLOCK_ROWS, None], indices.shape)
        right = labels[indices]
        known = (indices != PADDING) & (left != NOISE) & (right != NOISE)
        ends = (left[known], right[known])
        ones = np.ones(ends[0].shape[0], np.int64)
        total = total + csr_array((ones, ends), shape=total.shape)
    return csr_array(total + total.T)


def _joined(between: csr_array, gain: float) -> Int64Array:
    """For each cluster the one that it is part of in the end, ``(c,)``, by lower numbers."""
    pairs = triu(between, 1).tocoo()
    left, right = (np.array(ends, np.int32) for ends in (pairs.row, pairs.col))
    inside, volume = between.diagonal(), np.asarray(between.sum(axis=1), np.int64)
    into = _join_pairs(left, right, pairs.data, inside, volume, gain)
    while (further := into[into] != into).any():
        into[further] = into[into[further]]
    return into


@kernel
def _gained(weight: int, inside: tuple[int, int], volume: tuple[int, int]) -> float:
    """What the sum of associations gains by a join; the same for (a, b) and (b, a)."""
    union = (inside[0] + inside[1] + 2 * weight) / (volume[0] + volume[1])
    return union - (inside[0] / volume[0] + inside[1] / volume[1])


@kernel
def _gather(
    left: Int32Array,
    right: Int32Array,
    weight: Int64Array,
    gains: Float64Array,
    live: int,
    a: int,
    b: int,
    place: Int64Array,
) -> tuple[int, Int64Array]:
    """Give the pairs of b to a, in place; pairs still there, and where those of a are.

    ``place (c,)`` is -1 before and after.
    """
    own, t = [0 for _ in range(0)], 0
    while t < live:
        u, v = left[t], right[t]
        if not ((u == a) | (u == b) | (v == a) | (v == b)):  # without branches: most pairs
            t += 1
            continue
        other = v if u in (a, b) else u
        if other not in (a, b) and place[other] < 0:
            place[other] = t
            left[t], right[t] = min(a, other), max(a, other)
            own.append(t)
            t += 1
            continue
        if other not in (a, b):  # both had pairs with it
            weight[place[other]] += weight[t]
        live -= 1
        left[t], right[t], weight[t], gains[t] = left[live], right[live], weight[live], gains[live]
    for e in own:
        place[left[e] + right[e] - a] = -1
    return live, np.array(own)


@kernel
def _join_pairs(
    left: Int32Array,
    right: Int32Array,
    weight: Int64Array,
    inside: Int64Array,
    volume: Int64Array,
    gain: float,
) -> Int64Array:
    """For each cluster the one it was joined to, itself if none; the arrays are used up.

    Of all pairs ``left < right`` the best is searched anew each time, ties by number: one pass over
    the pairs, without a heap of outdated ones.
    """
    into = np.arange(inside.shape[0])
    place = np.full(inside.shape[0], -1)
    live = left.shape[0]
    gains = np.empty(live)
    stale = np.arange(live)
    while live:
        for t in stale:
            a, b = left[t], right[t]
            gains[t] = gain + _gained(weight[t], (inside[a], inside[b]), (volume[a], volume[b]))
        best = _best(left, right, gains, live)
        if not gains[best] > 0:
            break
        a, b = left[best], right[best]
        inside[a] += inside[b] + 2 * weight[best]
        volume[a] += volume[b]
        into[b] = a
        live, stale = _gather(left, right, weight, gains, live, a, b, place)
    return into


@kernel
def _best(left: Int32Array, right: Int32Array, gains: Float64Array, live: int) -> int:
    """The pair with the greatest gain, of equals the one with the lowest numbers."""
    best, most = 0, gains[0]
    for t in range(1, live):
        if gains[t] < most:
            continue
        lower = left[t] < left[best] or (left[t] == left[best] and right[t] < right[best])
        if gains[t] > most or lower:
            best, most = t, gains[t]
    return best


def _regrouped(clustering: Clustering, into: Int64Array) -> Clustering:
    """Clusters with the same ``into (c,)`` become one."""
    if not clustering.n_clusters:
        return clustering
    size = clustering.sizes()
    first = np.full(size.shape[0], clustering.labels.shape[0])
    rows = np.flatnonzero(clustering.labels != NOISE)
    np.minimum.at(first, clustering.labels[rows], rows)
    group = np.unique(into, return_inverse=True)[1]
    total = np.bincount(group, size)
    earliest = np.full(total.shape[0], clustering.labels.shape[0])
    np.minimum.at(earliest, group, first)
    order = np.lexsort((earliest, -total))
    number = np.empty_like(order)
    number[order] = np.arange(order.shape[0])
    return _relabelled(clustering, number[group], size)


def _relabelled(clustering: Clustering, number: Int64Array, size: Int64Array) -> Clustering:
    """Cluster c becomes ``number[c]``."""
    share = np.maximum(size, 1e-9)  # clusters without rows count only among themselves
    persistence = np.bincount(number, clustering.persistence * share) / np.bincount(number, share)
    parts: list[list[Int64Array]] = [[] for _ in range(persistence.shape[0])]
    for c, exemplars in zip(number.tolist(), clustering.exemplars, strict=True):
        parts[c].append(exemplars)
    return replace(
        clustering,
        labels=np.append(number, NOISE)[clustering.labels],
        persistence=np.minimum(persistence, 1.0),
        exemplars=tuple(np.sort(np.concatenate(found)) for found in parts),
        paths=None,
    )
