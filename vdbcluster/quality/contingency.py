"""How many rows two labellings have in common.

In: two labellings of the same rows. Out: a sparse table of counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array


def contingency(first: NDArray[Any], second: NDArray[Any]) -> Any:
    """Rows by value of the one and of the other, both ascending; a sparse CSC matrix of counts."""
    rows, left = np.unique(first, return_inverse=True)
    columns, right = np.unique(second, return_inverse=True)
    ones = np.ones(len(left), np.int64)
    return coo_array((ones, (left, right)), shape=(len(rows), len(columns))).tocsc()
