"""What most of the rows linked to a row say: the last word on where noise belongs.

In: ``NeighborGraph``, labels ``(n,)``, the rows that may change. Out: labels of these, agreement.
Promise: other rows keep their labels; whole numbers only, so the order of rows does not matter;
O(n k) a round; the links lie where ``empty`` says, all else is O(n).

Two rows are linked if either lists the other, twice if both do; distances do not count. The vote
along the edges (``methods.soft``) spreads a cluster as far as it reaches; afterwards a row may find
that most of its links, those of rows that list *it* included, lead elsewhere.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.hierarchy.jit import kernel
from vdbcluster.model.arrays import Allocate, Float64Array, Int32Array, Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.neighbors import PADDING, NeighborGraph

ROUNDS = 1
"""More of them let the largest cluster swallow what is spread thin around it: on docstrings, most
of which belong to no dense group, ten made a giant of 65 % of the rows, one of 47 %."""


def majority(
    graph: NeighborGraph,
    labels: Int64Array,
    free: Int64Array,
    n_clusters: int,
    *,
    empty: Allocate = np.empty,
) -> tuple[Int64Array, Float64Array]:
    """Labels of the rows ``free (m,)`` after up to ``ROUNDS`` rounds, and the agreement with them.

    In each round every free row takes the label that most of its links have; of equals the one it
    has, else the lower. Links to noise have no vote. Agreement ``(m,)`` in [0, 1]: links to the
    own cluster over all links; 0 for a row that stays noise.
    """
    indices = np.asarray(graph.indices)
    place = np.full(graph.n_rows, -1, np.int32)
    place[free] = np.arange(len(free))
    start = _counted(indices, free, place)
    ends = np.asarray(empty((int(start[-1]),), np.int32))
    _fill(indices, free, place, start, ends)
    return _rounds(start[:-1], ends, free, labels, n_clusters, ROUNDS)


@kernel
def _fill(
    indices: Int32Array, free: Int64Array, place: Int32Array, start: Int64Array, ends: Int32Array
) -> None:
    """The rows linked to each free row a, once for each link: ``ends[start[a]:start[a + 1]]``.

    ``place (n,)``: of each row among the free ones, -1 of others. ``start``: as counted before, as
    told here after.
    """
    for a in range(free.shape[0]):
        for j in indices[free[a]]:
            if j != PADDING:
                ends[start[a + 1]] = j
                start[a + 1] += 1
    for i in range(indices.shape[0]):
        for j in indices[i]:
            if j != PADDING and place[j] >= 0:
                ends[start[place[j] + 1]] = i
                start[place[j] + 1] += 1


@kernel
def _counted(indices: Int32Array, free: Int64Array, place: Int32Array) -> Int64Array:
    """Where the links of free row a begin, ``[a + 1]``, and of the next."""
    start = np.zeros(free.shape[0] + 2, np.int64)
    for a in range(free.shape[0]):
        for j in indices[free[a]]:
            start[a + 2] += j != PADDING
    for i in range(indices.shape[0]):
        for j in indices[i]:
            if j != PADDING and place[j] >= 0:
                start[place[j] + 2] += 1
    return np.cumsum(start)


@kernel
def _rounds(
    start: Int64Array,
    ends: Int32Array,
    free: Int64Array,
    labels: Int64Array,
    n_clusters: int,
    rounds: int,
) -> tuple[Int64Array, Float64Array]:
    m = free.shape[0]
    votes = np.zeros(n_clusters, np.int64)
    now, found = labels.copy(), labels[free]
    for _ in range(rounds):
        changed = False
        for a in range(m):
            own = now[free[a]]
            found[a] = _winner(now, ends[start[a] : start[a + 1]], own, votes)
            changed = changed or found[a] != own
        now[free] = found
        if not changed:
            break
    agreement = np.zeros(m)
    for a in range(m):
        links = ends[start[a] : start[a + 1]]
        if found[a] != NOISE:
            agreement[a] = np.sum(now[links] == found[a]) / max(1, links.shape[0])
    return found, agreement


@kernel
def _winner(now: Int64Array, links: Int32Array, own: int, votes: Int64Array) -> int:
    """The label of most links, ``own`` of equals, else the lower; ``own`` if none has one.

    ``votes (c,)`` is zero before and after.
    """
    best, most = own, 0
    for row in links:
        label = now[row]
        if label == NOISE:
            continue
        votes[label] += 1
        if votes[label] > most or (votes[label] == most and label < best):
            best, most = label, votes[label]
    if own != NOISE and votes[own] == most:
        best = own
    for row in links:
        if now[row] != NOISE:
            votes[now[row]] = 0
    return best
