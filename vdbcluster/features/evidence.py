"""What rows that a classifier has not seen say about it, and about each feature.

In: a table, which rows are members. Out: ``Evidence``: margins and SHAP values of every row, each
from trees that were grown without it (stratified cross-validation), and tests on them.
Promise: the same seed gives the same figures; what fits noise counts against a feature.

The test of a feature. Whatever trees make of noise, the SHAP values of rows that they have not seen
have nothing to do with being a member. So their mean among members is tested to be above that among
the others (Welch's t, one-sided): the *pull* of the feature. Noise is told from what matters as by
permuted copies, without training on those; and on planted differences it found more than the rise
of the log loss without the feature, which pays for overconfident trees (scripts/bench_features).
A feature that only stands in for another pulls, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtr
from scipy.stats import rankdata

from vdbcluster.features.table import Feature, as_float32
from vdbcluster.features.trees import grow
from vdbcluster.model.arrays import BoolArray, Float64Array, Int64Array


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """``member (n,)``; in log-odds ``margins (n,)`` and ``contributions (n, f)``."""

    member: BoolArray
    margins: Float64Array
    contributions: Float64Array

    def importance(self) -> Float64Array:
        """Mean absolute SHAP value of each feature among members, ``(f,)``."""
        found: Float64Array = np.abs(self.contributions[self.member]).mean(axis=0)
        return found

    def pull(self) -> tuple[Float64Array, Float64Array]:
        """Mean SHAP value of members less that of others, and the p-value, ``(f,)`` each."""
        return higher_mean(self.contributions[self.member], self.contributions[~self.member])

    def auc(self) -> tuple[float, float]:
        """Area under the ROC curve and its standard error (DeLong et al. 1988)."""
        return auc_of(self.margins, self.member)


def gather(
    values: Float64Array, features: tuple[Feature, ...], member: BoolArray, *, folds: int, seed: int
) -> Evidence:
    """Train ``folds`` times, ask each time about the rows left out.

    There must be at least ``folds`` rows on either side. Raises ``UsageError`` without xgboost.
    """
    given = as_float32(values)
    fold = stratified_folds(member, folds, seed)
    margins = np.empty(len(member))
    contributions = np.empty((len(member), len(features)))
    for held in range(folds):
        out = fold == held
        forest = grow(given[~out], features, member[~out], balanced(member[~out]), seed=seed)
        found = forest.contributions(given[out])
        contributions[out] = found[:, :-1]
        margins[out] = found.sum(axis=1)
    return Evidence(member, margins, contributions)


def stratified_folds(member: BoolArray, folds: int, seed: int) -> Int64Array:
    """The fold of each row, ``(n,)``; each has its share of members to within one."""
    rng = np.random.default_rng(seed)
    fold = np.empty(len(member), np.int64)
    for side in (member, ~member):
        rows = rng.permutation(np.flatnonzero(side))
        fold[rows] = np.arange(len(rows)) % folds
    return fold


def balanced(member: BoolArray) -> Float64Array:
    """Weights ``(n,)`` that make members and others equal; the rarer side weighs 1 a row."""
    inside = int(member.sum())
    outside = len(member) - inside
    rarer = min(inside, outside)
    return np.where(member, rarer / max(inside, 1), rarer / max(outside, 1))


def auc_of(scores: Float64Array, member: BoolArray) -> tuple[float, float]:
    """Area under the ROC curve, ties counting half, and its standard error.

    DeLong, DeLong and Clarke-Pearson 1988, doi:10.2307/2531595, from ranks.
    """
    inside, outside = scores[member], scores[~member]
    m, n = len(inside), len(outside)
    everywhere = rankdata(scores)
    above = (everywhere[member] - rankdata(inside)) / n
    below = 1 - (everywhere[~member] - rankdata(outside)) / m
    error = np.sqrt(_variance(above) / m + _variance(below) / n)
    return float(above.mean()), float(error)


def beats_chance(auc: float, error: float) -> float:
    """The p-value of an area under the curve above 0.5."""
    if error == 0:
        return 0.0 if auc > 0.5 else 1.0
    return float(ndtr((0.5 - auc) / error))


def higher_mean(inside: Float64Array, outside: Float64Array) -> tuple[Float64Array, Float64Array]:
    """By how much the mean of ``inside (m, f)`` is higher than that of ``outside (n, f)``.

    With the p-value of its not being so (Welch 1947), ``(f,)`` each; 1 where nothing varies and
    the means are equal. ``m`` and ``n`` must be at least 2.
    """
    difference = inside.mean(axis=0) - outside.mean(axis=0)
    one, two = (np.var(side, axis=0, ddof=1) / len(side) for side in (inside, outside))
    still = one + two <= 0
    variance = np.where(still, 1.0, one + two)
    spread = one**2 / (len(inside) - 1) + two**2 / (len(outside) - 1)
    freedom = np.maximum(1.0, variance**2 / np.where(spread > 0, spread, 1.0))
    p = stdtr(freedom, -difference / np.sqrt(variance))
    return difference, np.where(still, np.where(difference > 0, 0.0, 1.0), p)


def _variance(values: Float64Array) -> float:
    return float(np.var(values, ddof=1)) if len(values) > 1 else 0.0
