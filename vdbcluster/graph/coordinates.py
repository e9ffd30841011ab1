"""How many coordinates spectral smoothing gives to rows, at most; here, as it is asked before any
row is smoothed, where the compiler behind smoothing need not be loaded.

In: a number of rows. Out: a number of coordinates.
"""

from __future__ import annotations

MOST, FEWEST = 256, 32
MOST_VALUES = 1 << 24
"""Bounds of the coordinates, see ``coordinates_for``."""


def coordinates_for(n: int) -> int:
    """The most coordinates that n rows get: 256 up to 65,536 rows, 167 for 100,000, 32 from
    524,288 on. Where more lie below the cut, the slowest walks are kept.
    """
    return max(1, min(MOST, max(FEWEST, MOST_VALUES // max(1, n)), n - 2))
