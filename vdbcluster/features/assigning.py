"""Clusters of new rows from their scalar fields alone.

In: ``Classifiers``, columns of plain values. Out: probabilities, labels. Promise: rows are judged
one by one, so the same row gets the same answer in any batch; vectors are not looked at; a value
that training has not seen, or of another kind, is told apart by nothing but the other fields.

    labels, probabilities = assign_by_fields(classifiers, columns, threshold=0.5)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from vdbcluster.features.classifiers import Classifiers
from vdbcluster.features.table import Columns, as_float32, encode
from vdbcluster.features.trees import Forest, read
from vdbcluster.model.arrays import BoolArray, Float64Array, Int64Array
from vdbcluster.model.hierarchy import NOISE


def forests(classifiers: Classifiers) -> tuple[Forest, ...]:
    """Their trees, read once for many calls; ``UsageError`` where xgboost is missing."""
    return tuple(read(one.model, classifiers.features) for one in classifiers.each)


def assign_by_fields(
    classifiers: Classifiers,
    columns: Columns,
    *,
    threshold: float = 0.5,
    trees: Sequence[Forest] | None = None,
) -> tuple[Int64Array, Float64Array]:
    """The cluster of each row that is most probable, if it is at least ``threshold``, else -1.

    Labels ``(m,) int64`` and the probability of the most probable cluster ``(m,) float64``, which
    is below the threshold where the label is -1. ``trees``: as ``forests`` gives them, read anew
    otherwise. Raises ``ValueError`` for a threshold outside of 0 to 1, ``UsageError`` for a field
    that is not among the columns or where xgboost is missing.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it must lie between 0 and 1")
    found = cluster_probabilities(classifiers, columns, trees)
    if not classifiers.each:
        return np.full(len(found), NOISE, np.int64), np.zeros(len(found))
    best = found.argmax(axis=1)
    probability = found[np.arange(len(found)), best]
    ids = np.array(classifiers.clusters, np.int64)
    return np.where(probability >= threshold, ids[best], NOISE), probability


def cluster_probabilities(
    classifiers: Classifiers, columns: Columns, trees: Sequence[Forest] | None = None
) -> Float64Array:
    """Calibrated probability of each cluster, ``(m, c)``, columns as ``classifiers.clusters``.

    Each is of that cluster against all other rows; they need not add up to 1.
    """
    values = encode(classifiers.features, columns)
    found = np.zeros((len(values), len(classifiers.each)))
    if not len(values):
        return found
    given = as_float32(values)
    read_once = forests(classifiers) if trees is None else trees
    for place, (one, forest) in enumerate(zip(classifiers.each, read_once, strict=True)):
        margins = forest.margins(given)
        found[:, place] = expit(one.slope * margins + one.offset)
    return found


def calibrate(
    margins: Float64Array, member: BoolArray, counts: Float64Array
) -> tuple[float, float]:
    """Slope and offset that make margins of rows not seen probabilities.

    ``counts (n,)``: how many rows of the collection each one stands for. Logistic regression on
    the margin with Platt's targets (Platt 1999), which keep it finite where all is told apart; the
    slope is never below 0.
    """
    inside, outside = counts[member].sum(), counts[~member].sum()
    target = np.where(member, (inside + 1) / (inside + 2), 1 / (outside + 2))

    def loss(line: Float64Array) -> tuple[float, Float64Array]:
        odds = line[0] * margins + line[1]
        cost = counts @ (np.logaddexp(0, odds) - target * odds)
        slope = counts * (expit(odds) - target)
        return float(cost / counts.sum()), np.array([slope @ margins, slope.sum()]) / counts.sum()

    start = np.array([1.0, np.log((inside + 1) / (outside + 1))])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None), (None, None)])
    return float(found.x[0]), float(found.x[1])
