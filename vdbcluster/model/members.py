"""Which rows belong to each group, and groups by their size.

In: a group number per row. Out: for each group its rows, or other numbers. Promise: O(n log n),
deterministic.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.model.arrays import Int64Array


def members_of(groups: Int64Array) -> list[Int64Array]:
    """Positions of the rows of group 0, 1, ... up to the highest number, ascending in each.

    ``groups (n,)``; a row with a number below 0 is in none.
    """
    order = np.argsort(groups, kind="stable")
    order = order[np.searchsorted(groups[order], 0) :]
    if not order.size:
        return []
    return np.split(order, np.cumsum(np.bincount(groups[order]))[:-1])


def by_size(groups: Int64Array) -> Int64Array:
    """The same groups as 0, 1, 2 ... by falling size, ties by first row; -1 stays.

    ``groups (n,)``, at least -1.
    """
    old, first, inverse, size = np.unique(
        groups, return_index=True, return_inverse=True, return_counts=True
    )
    real = np.flatnonzero(old >= 0)
    number = np.full(len(old), -1)
    number[real[np.lexsort((first[real], -size[real]))]] = np.arange(len(real))
    return np.asarray(number[inverse], np.int64)
