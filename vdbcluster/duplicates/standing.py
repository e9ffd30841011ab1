"""The same rows kept from one look to the next.

In: ``Duplicates``, what each row was said to be a duplicate of before. Out: ``duplicate_of (n,)``.
Promise: the sets are the same; a set keeps the row that it kept before, though another may be
nearer to its middle by now, or have a lower key; where nothing was kept before nothing changes.

    as_before(find_duplicates(graph, points), before)
"""

from __future__ import annotations

import numpy as np

from vdbcluster.duplicates.result import Duplicates, DuplicateSet
from vdbcluster.model.arrays import BoolArray, Int64Array

KEPT, UNKNOWN = -1, -2


def as_before(
    found: Duplicates, before: Int64Array, *, never: BoolArray | None = None
) -> Int64Array:
    """The row to keep instead of each, ``(n,) int64``, -1 for rows to keep.

    ``before (n,)``: the row that was kept instead of each, ``KEPT`` for one that was kept,
    ``UNKNOWN`` for others. Of several that were kept that stays which most of the set pointed to,
    then the one that is kept now, then the first. ``never (n,) bool``: rows that must not be kept.
    O(m log m) time and O(m) memory for a set of m rows: equal rows are one set without bound.
    """
    n = len(found.duplicate_of)
    barred = np.zeros(n, np.bool_) if never is None else never
    duplicate_of = np.full(n, -1, np.int64)
    for each in (*found.exact, *found.near):  # near sets hold whole exact sets: the last word
        kept = _choice(each, before, barred)
        duplicate_of[each.members] = kept
        duplicate_of[kept] = -1
    return duplicate_of


def _choice(each: DuplicateSet, before: Int64Array, barred: BoolArray) -> int:
    members = each.members
    then = before[members]
    order = np.lexsort(
        (
            members,
            members != each.representative,
            then != KEPT,
            -_votes(members, then),
            barred[members],
        )
    )
    return int(members[order[0]])


def _votes(members: Int64Array, then: Int64Array) -> Int64Array:
    """How often each of ``members (m,)`` is among ``then (m,)``."""
    rows, counts = np.unique(then, return_counts=True)
    at = np.minimum(np.searchsorted(rows, members), len(rows) - 1)
    return np.where(rows[at] == members, counts[at], 0).astype(np.int64)
