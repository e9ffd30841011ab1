"""Hysteresis: a row on a border keeps its cluster as long as the new one is hardly better.

In: ``Previous``, new stable labels ``(n,)``, the neighbour graph, a margin. Out: labels ``(n,)``.
Promise: O(n k), the same whatever the order of rows; only rows that had a label, and whose label
would change, are touched, and only back to what they had. No id that the new labels have is lost.

A row votes by its neighbours: of those with an edge to it, the share that is in its last cluster
now, and the share in the new one. Where the new share is not ahead by more than the margin, the
row stays. Noise is counted as a cluster of its own, so that rows on the brim do not blink.

    labels = steady(previous, matching.relabelled(clustering.labels), graph, margin=0.1)
"""

from __future__ import annotations

import numpy as np

from vdbcluster.matching.overlap import settle
from vdbcluster.model.arrays import BoolArray, Float64Array, Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.matching import Previous
from vdbcluster.model.neighbors import PADDING, NeighborGraph

MOST = 0.5
"""Of the rows of a new cluster; more are not its border, and then none of them is held back."""
_BLOCK_ROWS = 1 << 16


def steady(
    previous: Previous, labels: Int64Array, graph: NeighborGraph, *, margin: float
) -> Int64Array:
    """``labels`` with the rows that change for too little put back; ``margin`` 0 changes nothing.

    ``labels (n,)``: stable ids, as ``Matching.relabelled`` gives them. ``margin``: share of the
    neighbours, 0 to 1. A row stays only in a cluster that the new labels have, or in noise.
    Whole clusters are not held together by this: of a cluster of which more than half the rows
    would be taken back, none is.

    Raises ``ValueError`` if lengths differ or the margin is out of range.
    """
    if not 0 <= margin <= 1:
        raise ValueError(f"margin is {margin}; it must be from 0 to 1")
    if not len(labels) == previous.n_rows == graph.n_rows:
        raise ValueError(
            f"{len(labels)} rows have a new label, {previous.n_rows} an old one, "
            f"{graph.n_rows} are in the neighbour graph"
        )
    if margin == 0:
        return labels
    last = _last(previous, labels)
    moved = np.flatnonzero(last != labels)
    ahead = _ahead(graph, labels, last, moved)
    held = moved[ahead <= margin]
    held = held[_border(labels, held)]
    kept = labels.copy()
    kept[held] = last[held]
    return kept


def _last(previous: Previous, labels: Int64Array) -> Int64Array:
    """The label that each row would keep, ``(n,)``; its new one where there is none to keep."""
    before = settle(previous)
    was_noise = ~previous.absent & (previous.labels == NOISE)
    last = np.append(before.ids, NOISE)[before.labels]
    keeps = was_noise | ((last != NOISE) & np.isin(last, labels))
    return np.where(keeps, last, labels)


def _ahead(
    graph: NeighborGraph, labels: Int64Array, last: Int64Array, rows: Int64Array
) -> Float64Array:
    """Share of the neighbours in the new cluster less that in the last one, for each of ``rows``.

    A row without neighbours has 1: there is nothing to hold it.
    """
    ahead = np.ones(len(rows))
    for start in range(0, len(rows), _BLOCK_ROWS):
        mine = rows[start : start + _BLOCK_ROWS]
        near = graph.indices[mine]
        there = near != PADDING
        of_near = labels[near]
        for_new = ((of_near == labels[mine, None]) & there).sum(axis=1)
        for_last = ((of_near == last[mine, None]) & there).sum(axis=1)
        known = there.sum(axis=1)
        share = (for_new - for_last) / np.maximum(known, 1)
        ahead[start : start + _BLOCK_ROWS] = np.where(known > 0, share, 1.0)
    return ahead


def _border(labels: Int64Array, held: Int64Array) -> BoolArray:
    """Which of ``held`` are few enough of their new cluster, ``(h,) bool``; of noise all are."""
    ids, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    taken = np.bincount(inverse[held], minlength=len(ids))
    few = (taken <= MOST * sizes) | (ids == NOISE)
    allowed: BoolArray = few[inverse[held]]
    return allowed
