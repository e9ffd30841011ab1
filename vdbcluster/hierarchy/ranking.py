"""Which groups to read first.

In: density of each group, by choice how interesting it is. Out: a score and an order.
Promise: does not depend on units; ties keep the order they came in.

    order, scores = ranking(densities, interest)

Both are turned into percentile ranks, for a density and a score of 0 to 100 cannot be added, and
scores of language models bunch up: of ``g`` groups the share that has no more, ties at the mean of
their ranks. The score is their geometric mean, so that a group must be good in both. A group nobody
has judged counts as one in the middle; where none was judged density alone ranks.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from vdbcluster.model.arrays import Float64Array, Int64Array

MIDDLE = 0.5


def ranking(
    density: Float64Array, interest: Float64Array | None = None
) -> tuple[Int64Array, Float64Array]:
    """Places of the groups, best first, and the score of each in (0, 1], ``(g,)`` each.

    ``interest (g,)``: NaN where it is not known. Raises ``ValueError`` if lengths differ.
    """
    scores = _percentiles(density)
    if interest is not None:
        if len(interest) != len(density):
            raise ValueError(f"{len(density)} densities and {len(interest)} interests")
        if (known := ~np.isnan(interest)).any():
            judged = np.full(len(density), MIDDLE)
            judged[known] = _percentiles(interest[known])
            scores = np.sqrt(scores * judged)
    return np.argsort(-scores, kind="stable"), scores


def _percentiles(values: Float64Array) -> Float64Array:
    return np.asarray(rankdata(values) / max(1, len(values)))
