"""Confidence intervals.

In: what was counted. Out: lower and upper bounds at 95 %. Promise: within 0 to 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vdbcluster.model.arrays import Float64Array

Z95 = 1.959963984540054
"""Standard deviations on either side that hold 95 % of a normal distribution."""


def wilson(share: npt.ArrayLike, trials: npt.ArrayLike) -> tuple[Float64Array, Float64Array]:
    """Wilson's (1927) 95 % score interval of shares seen in numbers of trials, of any one shape.

    0 to 1 where there were no trials.
    """
    seen, n = np.asarray(share, np.float64), np.asarray(trials, np.float64)
    counted = np.maximum(n, 1)
    spread = Z95 * Z95 / counted
    middle = (seen + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * np.sqrt(seen * (1 - seen) / counted + spread / (4 * counted))
    low = np.where(n > 0, np.maximum(0, np.minimum(seen, middle - half)), 0.0)
    high = np.where(n > 0, np.minimum(1, np.maximum(seen, middle + half)), 1.0)
    return low, high
