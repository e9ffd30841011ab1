"""Which way a field of a cluster differs from all other rows, and what is typical of either.

In: the column of one feature, which rows are members. Out: ``Direction``, the value it is about,
two ``Spread``. Promise: from the values alone, not from trees; no test, as only features that have
passed one are described; a difference below ``CLEAR`` is called none. A number of ``FEW`` values or
less is described as a category is: "is 1" says more than "higher".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vdbcluster.features.evidence import auc_of
from vdbcluster.features.report import Direction, Spread
from vdbcluster.features.table import Feature
from vdbcluster.model.arrays import BoolArray, Float64Array

CLEAR = 0.05
"""Difference in shares, or of the chance that a member has the higher value from a half."""
FEW = 5
QUANTILES = (0.1, 0.5, 0.9)
SHOWN = 3

Described = tuple[Direction, str, Spread, Spread]


def describe(feature: Feature, column: Float64Array, member: BoolArray) -> Described:
    """``column (n,)`` as a ``Table`` has it; there must be rows on either side."""
    missing = np.isnan(column)
    inside, outside = column[member & ~missing], column[~member & ~missing]
    without = float(missing[member].mean()), float(missing[~member].mean())
    values = np.unique(column[~missing])
    if feature.is_listed or len(values) <= FEW:
        described, size = _listed(feature, values, (inside, outside), without)
    else:
        described, size = _numbers((inside, outside), without)
    gap = without[0] - without[1]
    if abs(gap) > max(CLEAR, size):
        return (Direction.MISSING if gap > 0 else Direction.PRESENT), "", *described[2:]
    return described


def _numbers(
    sides: tuple[Float64Array, Float64Array], without: tuple[float, float]
) -> tuple[Described, float]:
    """With how clear the difference is, 0 to 1."""
    way, size = _way(*sides)
    return (way, "", _spread(sides[0], without[0]), _spread(sides[1], without[1])), size


def _way(inside: Float64Array, outside: Float64Array) -> tuple[Direction, float]:
    if not len(inside) or not len(outside):
        return Direction.TOGETHER, 0.0
    of_inside = np.arange(len(inside) + len(outside)) < len(inside)
    shift = 2 * auc_of(np.concatenate((inside, outside)), of_inside)[0] - 1
    low, high = np.quantile(outside, (0.25, 0.75))
    below = float((outside < low).mean() - (inside < low).mean())
    above = float((outside > high).mean() - (inside > high).mean())
    both = min(below, above) > 0 or max(below, above) < 0
    middle = below + above if both else 0.0
    if abs(shift) >= max(abs(middle), 2 * CLEAR):
        return (Direction.HIGHER if shift > 0 else Direction.LOWER), abs(shift)
    if abs(middle) >= 2 * CLEAR:
        return (Direction.MIDDLE if middle > 0 else Direction.EXTREME), abs(middle)
    return Direction.TOGETHER, 0.0


def _listed(
    feature: Feature,
    values: Float64Array,
    sides: tuple[Float64Array, Float64Array],
    without: tuple[float, float],
) -> tuple[Described, float]:
    """With how clear the difference is, 0 to 1; ``values``: those that there are, ascending."""
    names = [feature.text(value) for value in values]
    one, two = (_shares(values, side) for side in sides)
    gaps = one - two
    more, most = int(np.argmax(gaps)), int(np.argmax(np.abs(gaps)))
    place = more if 2 * gaps[more] >= abs(gaps[most]) else most  # what it is says more
    usual = [int(i) for i in np.argsort(-one, kind="stable")[:SHOWN] if one[i] > 0]
    shown = usual if place in usual else [*usual, place]
    spreads = (
        _listed_spread(names, one, shown, without[0]),
        _listed_spread(names, two, shown, without[1]),
    )
    if abs(gaps[place]) < CLEAR:
        return (Direction.TOGETHER, "", *spreads), 0.0
    way = Direction.IS if gaps[place] > 0 else Direction.IS_NOT
    return (way, names[place], *spreads), float(abs(gaps[place]))


def _shares(values: Float64Array, side: Float64Array) -> Float64Array:
    """Of each value, ``(len(values),)``."""
    counts = np.bincount(np.searchsorted(values, side), minlength=len(values))
    return np.asarray(counts / max(1, len(side)), np.float64)


def _listed_spread(
    names: Sequence[str], shares: Float64Array, shown: Sequence[int], missing: float
) -> Spread:
    return Spread(None, tuple((names[i], float(shares[i])) for i in shown), missing)


def _spread(present: Float64Array, missing: float) -> Spread:
    if not len(present):
        return Spread(None, (), missing)
    found = np.quantile(present, QUANTILES, method="inverted_cdf")  # values that there are
    low, middle, high = (float(q) for q in found)
    return Spread((low, middle, high), (), missing)
