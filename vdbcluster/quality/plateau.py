"""The plateau of a series of clusterings: the longest stretch over which a setting hardly matters.

In: labels ``(n,)`` for each value of a setting, in ascending order of it. Out: ``Plateau`` or None.
Promise: all clusterings of a plateau agree with each other, not just each with the next, so that
no slow drift passes for a plateau; those with fewer than two clusters never belong to one, for
they agree about nothing. The same seed compares the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vdbcluster.model.arrays import Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.quality.scores import agreement

AGREE = 0.95
"""Two clusterings are nearly the same if their AMI, noise as one class, is at least this."""
COMPARED_ROWS = 20_000
"""AMI takes time in proportion to rows x clusters; of more rows as many are drawn by lot."""


@dataclass(frozen=True, slots=True)
class Plateau:
    """Places ``first`` to ``last`` of the series; ``agreement``: the least AMI of any two."""

    first: int
    last: int
    agreement: float

    @property
    def length(self) -> int:
        """How many settings agree."""
        return self.last - self.first + 1


def compared_rows(n: int, seed: int) -> Int64Array:
    """Positions of the rows of n that clusterings are compared on: all, or ``COMPARED_ROWS``."""
    if n <= COMPARED_ROWS:
        return np.arange(n)
    return np.random.default_rng(seed).choice(n, COMPARED_ROWS, replace=False)


class Agreements:
    """AMI of any two clusterings of a series, each computed once, when it is asked for."""

    def __init__(self, series: Sequence[Int64Array], seed: int = 0) -> None:
        rows = compared_rows(len(series[0]) if series else 0, seed)
        self._series = [labels[rows] for labels in series]
        self._known: dict[tuple[int, int], float] = {}

    def of(self, one: int, other: int) -> float:
        """AMI of the clusterings at two places."""
        pair = (min(one, other), max(one, other))
        if pair not in self._known:
            self._known[pair] = agreement(self._series[pair[0]], self._series[pair[1]])[1]
        return self._known[pair]


def find_plateau(
    series: Sequence[Int64Array], agreements: Agreements, threshold: float = AGREE
) -> Plateau | None:
    """The longest run whose clusterings all agree with each other; None if no two do.

    Of equally long runs the one that agrees best, then the first.
    """
    best: Plateau | None = None
    first = 0
    for last, labels in enumerate(series):
        if np.unique(labels[labels != NOISE]).size < 2:
            first = last + 1
            continue
        first += _skipped([agreements.of(place, last) for place in range(first, last)], threshold)
        least = _least(agreements, first, last)
        found = Plateau(first, last, least)
        if found.length > 1 and (best is None or _rank(found) > _rank(best)):
            best = found
    return best


def _skipped(with_last: list[float], threshold: float) -> int:
    """How many places the run must give up at its start, so that all others agree with the last."""
    apart = [place for place, ami in enumerate(with_last) if ami < threshold]
    return apart[-1] + 1 if apart else 0


def _least(agreements: Agreements, first: int, last: int) -> float:
    places = range(first, last + 1)
    return min((agreements.of(a, b) for a in places for b in places if a < b), default=1.0)


def _rank(plateau: Plateau) -> tuple[int, float]:
    return plateau.length, plateau.agreement
