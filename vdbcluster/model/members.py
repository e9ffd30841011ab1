"""Which rows belong to each group.

In: a group number per row. Out: for each group its rows. Promise: O(n log n), deterministic.
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
