"""Clusters ranked by comparing pairs of them, since plain scores bunch up.

In: what clusters are called; who won how often. Out: pairs to compare; of each cluster the share of
all others that it would win against. Promise: deterministic; every cluster is compared, directly or
by way of others, with every other; one that comes or goes changes a few pairs beside it, no other.

Pairs: the union of Hamiltonian cycles, each in the order of a hash, which is connected and almost
surely an expander (Friedman 2008). Strengths: Bradley and Terry 1952, by the MM algorithm of Hunter
2004 ("MM algorithms for generalized Bradley-Terry models"), with one drawn game of each against a
player of strength 1, so that whoever wins or loses all is finite. Asking each pair in both orders
takes out the bias for a position (Zheng et al. 2023, arXiv 2306.05685).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from math import floor

import numpy as np

from vdbcluster.model.arrays import Float64Array

Pair = tuple[str, str]
CLEAR = 2 / 3
"""Share of its games that a cluster must have won to be called unique."""
ROUNDS = 10_000
SETTLED = 1e-9


def pairs(ids: Sequence[str], degree: int) -> tuple[Pair, ...]:
    """Pairs ``(a, b)``, ``a < b``, ascending; each id is in ``degree`` of them, or hardly more.

    At most ``len(ids) * ceil(degree / 2)``; fewer where cycles share an edge. All there are, if
    that is not more.
    """
    found: set[Pair] = set()
    if not degree or len(ids) <= degree + 1:
        return tuple(combinations(sorted(ids), 2)) if degree else ()
    for cycle in range(-(-degree // 2)):
        ring: list[str] = sorted(ids, key=lambda one: (_lot(cycle, one), one))
        for a, b in zip(ring, [*ring[1:], ring[0]], strict=True):
            found.add((min(a, b), max(a, b)))
    return tuple(sorted(found))


def _lot(cycle: int, one: str) -> bytes:
    return sha256(f"{cycle} {one}".encode()).digest()


@dataclass(frozen=True, slots=True)
class Standing:
    """``expected``: share of all other clusters that it would win against; ``won`` of ``games``."""

    expected: float
    won: int
    games: int


def standings(won: Mapping[Pair, int]) -> dict[str, Standing]:
    """``won[a, b]``: games that a won against b; the other direction may be absent (0)."""
    ids = sorted({one for pair in won for one in pair})
    if not ids:
        return {}
    place = {one: i for i, one in enumerate(ids)}
    winners = np.array([place[a] for a, _ in won])
    losers = np.array([place[b] for _, b in won])
    games = np.array(list(won.values()), np.float64)
    strength = _bradley_terry(winners, losers, games, len(ids))
    wins = np.bincount(winners, games, len(ids))
    all_games = wins + np.bincount(losers, games, len(ids))
    expected = [
        float((np.delete(mine / (mine + strength), i)).mean()) for i, mine in enumerate(strength)
    ]
    return {
        one: Standing(expected[i], int(wins[i]), int(all_games[i])) for i, one in enumerate(ids)
    }


def _bradley_terry(
    winners: np.ndarray, losers: np.ndarray, games: Float64Array, n: int
) -> Float64Array:
    wins = np.bincount(winners, games, n) + 0.5
    strength = np.ones(n)
    for _ in range(ROUNDS):
        each = games / (strength[winners] + strength[losers])
        met = np.bincount(winners, each, n) + np.bincount(losers, each, n)
        new = wins / (met + 1 / (strength + 1))
        moved = float(np.abs(np.log(new / strength)).max())
        strength = new
        if moved < SETTLED:
            break
    return strength


def calibrated(rubric: int, standing: Standing | None) -> int:
    """Interestingness, 0 to 100: the mean of the score by the rubric and that of the comparisons.

    The rubric says how interesting clusters are altogether, the comparisons which more than which.
    """
    if standing is None or not standing.games:
        return rubric
    return round((rubric + 100 * standing.expected) / 2)


def unique(found: Mapping[str, Standing], share: float) -> tuple[str, ...]:
    """The ids of at most ``share`` of them (one at least, unless it is 0), the strongest first.

    Only those that won ``CLEAR`` of their games: where the order of the question decides and not
    the cluster, each wins half, and none is unique.
    """
    most = max(1, floor(share * len(found))) if share else 0
    order = sorted(found, key=lambda one: (-found[one].expected, one))[:most]
    return tuple(one for one in order if found[one].won >= CLEAR * max(1, found[one].games))
