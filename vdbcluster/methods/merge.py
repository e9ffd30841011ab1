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
from heapq import heapify, heappop, heappush

import numpy as np
from scipy.sparse import csr_array, triu

from vdbcluster.hierarchy.jit import kernel
from vdbcluster.model.arrays import Int64Array
from vdbcluster.model.hierarchy import NOISE, Clustering
from vdbcluster.model.neighbors import PADDING, NeighborGraph

_BLOCK_ROWS = 8192
_OUTDATED = 4
"""The heap is cleared once it holds so many times as many entries as there are pairs: a cluster
that takes in its d neighbours one by one leaves d^2 of them."""


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
    left, right = (np.array(ends, np.int64) for ends in (pairs.row, pairs.col))
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
    left: Int64Array,
    right: Int64Array,
    weight: Int64Array,
    times: Int64Array,
    first: Int64Array,
    after: Int64Array,
    a: int,
    b: int,
    place: Int64Array,
) -> Int64Array:
    """Give the pairs of b to a, in place; those that a has then. See ``_join_pairs``.

    ``place (c,)`` is -1 before and after.
    """
    own = [0 for _ in range(0)]
    for end in (a, b):
        half = first[end]
        first[end] = -1
        while half >= 0:
            following, t = after[half], half // 2
            if times[t] >= 0:
                other = left[t] + right[t] - end
                if place[other] >= 0:  # both had pairs with it
                    weight[place[other]] += weight[t]
                    times[t] = -1
                else:
                    left[t], right[t] = min(a, other), max(a, other)
                    place[other] = t
                    own.append(t)
                    after[half], first[a] = first[a], half
            half = following
    for t in own:
        place[left[t] + right[t] - a] = -1
    return np.array(own)


@kernel
def _join_pairs(
    left: Int64Array,
    right: Int64Array,
    weight: Int64Array,
    inside: Int64Array,
    volume: Int64Array,
    gain: float,
) -> Int64Array:
    """For each cluster the one it was joined to, itself if none; the arrays are used up.

    A heap holds the gain of each pair ``left < right`` that gains anything, ties by number, and how
    many ``times`` it had been reckoned by then: an entry that is out of date is passed over, and
    goes when most are. The pairs of a cluster are a list: from ``first`` of it ``after`` each
    other, 2t and 2t + 1 for the two ends of pair t.
    """
    n_pairs, n_clusters = left.shape[0], inside.shape[0]
    into, place = np.arange(n_clusters), np.full(n_clusters, -1)
    first, after = np.full(n_clusters, -1), np.empty(2 * n_pairs, np.int64)
    for t in range(n_pairs):
        after[2 * t], first[left[t]] = first[left[t]], 2 * t
        after[2 * t + 1], first[right[t]] = first[right[t]], 2 * t + 1
    times = np.zeros(n_pairs, np.int64)  # -1: gone
    stale = np.arange(n_pairs)
    heap = [(0.0, 0, 0, 0, 0) for _ in range(0)]
    while True:
        for pair in stale:
            a, b = left[pair], right[pair]
            gained = gain + _gained(weight[pair], (inside[a], inside[b]), (volume[a], volume[b]))
            times[pair] += 1
            if gained > 0:
                heappush(heap, (-gained, int(a), int(b), int(pair), int(times[pair])))
        if len(heap) > _OUTDATED * n_pairs:
            heap = [entry for entry in heap if times[entry[3]] == entry[4]]
            heapify(heap)
        best = -1
        while best < 0 and len(heap) > 0:
            _, _, _, t, then = heappop(heap)
            best = t if times[t] == then else -1
        if best < 0:
            return into
        a, b = left[best], right[best]
        inside[a] += inside[b] + 2 * weight[best]
        volume[a] += volume[b]
        into[b] = a
        times[best] = -1
        stale = _gather(left, right, weight, times, first, after, a, b, place)


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
