"""Whether one cluster swallows everything, which says more of the settings than of the data.

In: cluster sizes ``(c,)``, the number of rows. Out: the share of the rows that the giant holds.

A cluster is a giant if it holds more than half of all rows and five times as many as the next one;
so that two real groups of 60 and 40 % are none, but one cluster and its crumbs are.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.model.arrays import Int64Array

SHARE = 0.5
TIMES = 5


def giant(sizes: Int64Array, n_rows: int) -> float | None:
    """The share of the giant, None if there is none; a single cluster is one beyond ``SHARE``."""
    if not sizes.size:
        return None
    first, second = np.sort(np.append(sizes, 0))[::-1][:2]
    share = float(first / n_rows)
    return share if share > SHARE and first >= TIMES * second else None
