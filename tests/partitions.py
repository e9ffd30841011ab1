"""Two labellings of the same rows, whatever their numbers."""

from __future__ import annotations

from collections.abc import Iterable


def same_partition(one: Iterable[int], other: Iterable[int]) -> bool:
    """Whether the same rows are together in both, and the same rows are noise (-1)."""
    pairs = set(zip(one, other, strict=True))
    one_to_one = len({x for x, _ in pairs}) == len({y for _, y in pairs}) == len(pairs)
    return one_to_one and all((x == -1) == (y == -1) for x, y in pairs)
