"""Which colour each cluster of a map has.

In: where rows lie, their clusters. Out: for each cluster a place in the palette.
Promise: deterministic; clusters that lie side by side have colours that are told apart, also by
colour-blind eyes, as far as the palette can; a cluster has the colour of its id unless a neighbour
with a lower id stands in the way, so that it keeps it from run to run.

More than a hundred colours are told apart by nobody: there are ``len(LIGHT)``, and what counts is
that neighbours differ. The colours were found by farthest points in Oklab over normal, protan,
deutan and tritan vision, within what reads well on the page.

    beside = neighbors(points, labels, ids)
    slots = assign_colors(ids, beside)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.spatial import cKDTree

from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from vdbcluster.pages.color import distances

LIGHT = (
    "#1f7dc6", "#e9a73f", "#912947", "#4ab8fd", "#b75d12", "#5a419b", "#e97876", "#12ae9a",
    "#906995", "#026072", "#8fd28a", "#567e52", "#919712", "#d294db", "#7c5301", "#838ceb",
)  # fmt: skip
"""On a light page."""
DARK = (
    "#3393e1", "#ffbe5f", "#ab3c59", "#87cdfe", "#d17027", "#6e54b5", "#ff908d", "#2ec6b0",
    "#a77dac", "#1e7588", "#a2ea9d", "#699464", "#a6ad29", "#eba8f5", "#93661a", "#99a3fd",
)  # fmt: skip
"""The same hues on a dark page."""
GREY = ("#bcc1c9", "#4f5662")
"""Noise and hidden clusters, on a light and on a dark page."""
APART = 12.0
"""Enough between neighbours for a cluster to keep the colour of its id."""
SAMPLE = 30_000
NEAR = 8
"""Neighbours of a row that are looked at."""
BORDER = 0.02
"""Share of the rows of the smaller cluster that must touch another, for them to be neighbours."""


def neighbors(points: Float32Array, labels: Int64Array, ids: Sequence[int]) -> BoolArray:
    """``(c, c)``: which clusters lie side by side on the map.

    ``points (n, 2 or 3)``, ``labels (n,)``; ``ids``: the clusters, others do not count. Two are
    neighbours if rows of one are among the nearest of the other; and each is that of the two
    clusters nearest to its middle, though a gap lies between. At most ``SAMPLE`` rows are looked
    at, evenly drawn. O(n log n).
    """
    place = {cluster: c for c, cluster in enumerate(ids)}
    groups = np.array([place.get(int(label), -1) for label in labels], np.int64)
    rows = np.flatnonzero((groups >= 0) & np.isfinite(points).all(axis=1))
    rows = rows[:: max(1, -(-len(rows) // SAMPLE))]
    beside = np.zeros((len(ids), len(ids)), np.bool_)
    if len(rows) < 2 or len(ids) < 2:
        return beside
    own = groups[rows]
    near = cKDTree(points[rows]).query(points[rows], k=min(NEAR, len(rows)))[1]
    touching = np.zeros(beside.shape, np.int64)
    np.add.at(touching, (np.repeat(own, near.shape[1]), own[near].ravel()), 1)
    sizes = np.bincount(own, minlength=len(ids))
    least = np.maximum(1.0, BORDER * NEAR * np.minimum.outer(sizes, sizes))
    beside |= touching + touching.T >= least
    beside |= _nearest_middles(points[rows], own, sizes)
    np.fill_diagonal(beside, False)
    return np.asarray(beside | beside.T, np.bool_)


def _nearest_middles(points: Float32Array, own: Int64Array, sizes: Int64Array) -> BoolArray:
    there = np.flatnonzero(sizes)
    sums = np.stack([np.bincount(own, weights=axis, minlength=len(sizes)) for axis in points.T])
    middles = (sums[:, there] / sizes[there]).T
    k = min(3, len(there))
    near = np.reshape(cKDTree(middles).query(middles, k=k)[1], (len(there), -1))
    found = np.zeros((len(sizes), len(sizes)), np.bool_)
    found[np.repeat(there, near.shape[1]), there[near.ravel()]] = True
    return found


def assign_colors(ids: Sequence[int], beside: BoolArray) -> list[int]:
    """For each cluster a place in ``LIGHT`` and ``DARK``.

    ``beside (c, c)``: as of ``neighbors``. By rising id, so that a cluster that is new takes none
    away from one that was there.
    """
    apart, used = _apart(), np.zeros(len(LIGHT))
    slots = np.full(len(ids), -1)
    for c in np.argsort(np.asarray(ids, np.int64), kind="stable").tolist():
        near = slots[beside[c]]
        near = near[near >= 0]
        free = apart[:, near].min(axis=1) if near.size else np.full(len(LIGHT), np.inf)
        usual = int(ids[c]) % len(LIGHT)
        if free[usual] < APART:
            good = free >= min(APART, free.max())
            usual = int(np.lexsort((-free, used, ~good))[0])
        slots[c] = usual
        used[usual] += 1
    return [int(slot) for slot in slots]


def least_apart(slots: Sequence[int], beside: BoolArray) -> dict[str, float]:
    """The smallest distance between neighbours, by vision; inf where there are none."""
    pairs = np.argwhere(np.triu(beside, 1))
    chosen = np.asarray(slots, np.int64)
    found = np.minimum(*_by_vision())[:, chosen[pairs[:, 0]], chosen[pairs[:, 1]]]
    return {
        vision: float(row.min(initial=np.inf))
        for vision, row in zip(("normal", "protan", "deutan", "tritan"), found, strict=True)
    }


@cache
def _by_vision() -> tuple[Float64Array, Float64Array]:
    return distances(LIGHT), distances(DARK)


@cache
def _apart() -> Float64Array:
    """``(k, k)``: the smallest distance over visions and both pages."""
    return np.asarray(np.minimum(*_by_vision()).min(axis=0))
