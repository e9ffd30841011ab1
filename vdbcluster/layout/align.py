"""One map turned, mirrored, scaled and shifted onto another, or into a usual pose.

In: points ``(n, d)``. Out: the same shape of points. Promise: a similarity, so that no distance
changes against another; rows without a place (NaN) stay without; float32.

Orthogonal Procrustes (Schönemann 1966). The scale is the ratio of the sizes, not that of least
squares, which is smaller the more the maps differ: a map that is fitted to the last one time and
again would shrink.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array

RADIUS = 10.0
"""Of a map in its usual pose: the root of the mean squared distance from its middle."""
_TINY = 1e-6


def placed(points: Float32Array) -> BoolArray:
    """Which rows have a place, ``(n,) bool``."""
    return np.asarray(np.isfinite(points).all(axis=1))


def radius(points: Float32Array) -> float:
    """Root of the mean squared distance from the middle; 0 where no row has a place."""
    there = points[placed(points)].astype(np.float64)
    if not len(there):
        return 0.0
    return float(np.sqrt(((there - there.mean(axis=0)) ** 2).sum(axis=1).mean()))


def posed(points: Float32Array) -> Float32Array:
    """Middle at 0, radius ``RADIUS``, the longest way from left to right; the same for a map that
    is turned, mirrored, scaled or shifted. Points that are all one stay one.
    """
    there = placed(points)
    if not there.any():
        return points.astype(np.float32)
    middle = points[there].astype(np.float64).mean(axis=0)
    around = points[there] - middle
    _, axes = np.linalg.eigh(around.T @ around)
    turned = around @ axes[:, ::-1]
    turned *= np.where((turned**3).sum(axis=0) < 0, -1.0, 1.0)  # the longer tail to the right
    size = radius(points)
    return _filled(points, there, turned * (RADIUS / size if size > 0 else 1.0))


def aligned(points: Float32Array, onto: Float32Array) -> Float32Array:
    """``points`` as near ``onto (n, d)`` as the rows with a place in both allow.

    With fewer of these than dimensions, or none apart, ``posed``.
    """
    both = placed(points) & placed(onto)
    ours, theirs = points[both].astype(np.float64), onto[both].astype(np.float64)
    if len(ours) <= points.shape[1]:
        return posed(points)
    middle, there = ours.mean(axis=0), theirs.mean(axis=0)
    ours, theirs = ours - middle, theirs - there
    sizes = float(np.sqrt((ours**2).sum())), float(np.sqrt((theirs**2).sum()))
    if min(sizes) <= 0:
        return posed(points)
    left, _, right = np.linalg.svd(ours.T @ theirs)
    turn: Float64Array = left @ right
    which = placed(points)
    moved = (points[which] - middle) @ turn * (sizes[1] / sizes[0]) + there
    return _filled(points, which, moved)


def beside_zero(points: Float32Array) -> Float32Array:
    """With no coordinate that is 0."""
    return np.where(points == 0, np.float32(_TINY), points).astype(np.float32)


def coordinates(points: Float32Array) -> tuple[Float32Array, ...]:
    """A column ``(n,)`` for each dimension as it is stored, 0 for rows without a place."""
    told = np.where(placed(points)[:, None], beside_zero(points), np.float32(0))
    return tuple(column.copy() for column in told.T)


def _filled(points: Float32Array, which: BoolArray, values: Float64Array) -> Float32Array:
    found = np.full(points.shape, np.nan, np.float32)
    found[which] = values
    return found
