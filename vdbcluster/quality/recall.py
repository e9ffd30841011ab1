"""Recall audit: how many of the true neighbours a search found, on a random sample of rows.

In: what the search found and what exact search finds for the same rows, with distances from the
same kernel. Out: ``RecallAudit``.
Promise: another row at the distance of the true k-th neighbour counts as found, for the choice
among equals is arbitrary; the interval is conservative; the same seed gives the same sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.model.arrays import Float32Array, Float64Array, Int32Array, Int64Array
from vdbcluster.model.intervals import wilson
from vdbcluster.model.neighbors import PADDING


@dataclass(frozen=True, slots=True)
class RecallAudit:
    """``recall`` over ``sample`` rows at ``k`` neighbours, with a 95 % interval ``low .. high``."""

    sample: int
    k: int
    recall: float
    low: float
    high: float


def audit_sample(n: int, size: int, seed: int) -> Int64Array:
    """Positions of ``min(size, n)`` distinct rows out of n, ascending, ``int64``."""
    chosen = np.random.default_rng(seed).choice(n, min(size, n), replace=False)
    return np.sort(chosen).astype(np.int64)


def row_recall(
    found_indices: Int32Array,
    exact_indices: Int32Array,
    found_distances: Float32Array,
    exact_distances: Float32Array,
) -> Float64Array:
    """Recall of each row, ``(m,) float64``; all arguments are ``(m, k)``.

    Rows that have fewer than k other rows are judged by those they have; a row that has none is
    found whole. Raises ``ValueError`` if shapes disagree.
    """
    shapes = {a.shape for a in (found_indices, exact_indices, found_distances, exact_distances)}
    if len(shapes) != 1:
        raise ValueError(f"found and exact must have one shape, not {sorted(shapes)}")
    present = exact_indices != PADDING
    wanted = present.sum(axis=1)
    reach = np.where(present, exact_distances, -np.inf).max(axis=1, initial=-np.inf)
    near = (found_indices != PADDING) & (found_distances <= reach[:, None])
    return np.where(wanted > 0, np.minimum(near.sum(axis=1), wanted) / np.maximum(wanted, 1), 1.0)


def recall(
    found_indices: Int32Array,
    exact_indices: Int32Array,
    found_distances: Float32Array,
    exact_distances: Float32Array,
) -> RecallAudit:
    """Mean recall over the sampled rows, ``(m, k)`` each, with Wilson's interval on m trials.

    The neighbours of one row are found or missed together, so rows and not pairs are the trials.
    Row recall lies in [0, 1], so its variance is at most ``p (1 - p)`` and the interval, made for
    that variance, is conservative.
    """
    rows = row_recall(found_indices, exact_indices, found_distances, exact_distances)
    m, k = found_indices.shape
    mean = float(rows.mean()) if m else 1.0
    low, high = wilson(mean, m)
    return RecallAudit(m, k, mean, float(low), float(high))
