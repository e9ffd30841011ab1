"""Why a server counts more rows than it gives.

In: a way to count a closed range of keys, and the keys that were read, ascending. Out: how many
rows are second rows of keys that were read.
Promise: never claims too much: a row that was lost in reading, or added since, is not taken for a
second row of a key, because in the end single keys are counted.

Servers hold several rows of one key, count all of them and give one, so that the count alone
cannot tell a repeated key from a row that was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vdbcluster.adapters.milvus.expressions import Key

MAX_COUNTS = 2000
"""Ranges that are counted at most; beyond that the answer may be too small."""


def repeated_rows(
    count: Callable[[Key, Key], int], keys: Sequence[Key], most: int = MAX_COUNTS
) -> int:
    """Rows beyond the first of each of ``keys`` (ascending, unique), by halving ranges.

    About ``2 log2(n)`` counts for each key that is repeated.
    """
    found, counts = 0, 0
    ranges = [(0, len(keys))] if len(keys) else []
    while ranges and counts < most:
        start, stop = ranges.pop()
        counts += 1
        surplus = count(keys[start], keys[stop - 1]) - (stop - start)
        if surplus <= 0:
            continue
        if stop - start == 1:
            found += surplus
            continue
        middle = (start + stop) // 2
        ranges += [(start, middle), (middle, stop)]
    return found
