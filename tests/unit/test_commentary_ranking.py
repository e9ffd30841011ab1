"""Pairs to compare, and the ranking that comes of the answers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import spearmanr

from vdbcluster.commentary.ranking import Standing, calibrated, pairs, standings, unique

IDS = st.lists(st.integers(0, 999).map(str), min_size=2, max_size=60, unique=True)
MANY = st.lists(st.integers(0, 999).map(str), min_size=8, max_size=60, unique=True)
FIVE = [str(i) for i in range(5)]
FORTY = [f"{i:02}" for i in range(40)]


@given(IDS, st.integers(1, 8))
def test_pairs_reach_every_cluster_with_few_questions(ids: list[str], degree: int) -> None:
    found = pairs(ids, degree)
    assert all(a < b for a, b in found)
    assert len(set(found)) == len(found) <= len(ids) * -(-degree // 2)
    place = {one: i for i, one in enumerate(ids)}
    rows, columns = zip(*((place[a], place[b]) for a, b in found), strict=True)
    edges = coo_array((np.ones(len(found)), (rows, columns)), shape=(len(ids), len(ids)))
    assert connected_components(edges, directed=False)[0] == 1
    assert pairs(ids[::-1], degree) == found


def test_no_pairs() -> None:
    assert pairs(["3", "1", "2"], 2) == (("1", "2"), ("1", "3"), ("2", "3"))
    assert pairs(["3"], 6) == pairs([], 6) == pairs(["1", "2"], 0) == ()


@given(MANY, st.integers(1000, 1009).map(str))
def test_a_cluster_that_comes_changes_few_pairs(ids: list[str], new: str) -> None:
    before, after = set(pairs(ids, 6)), set(pairs([*ids, new], 6))
    assert len(before - after) <= 3
    assert len([pair for pair in after - before if new not in pair]) <= 3


def test_strengths_are_those_of_bradley_and_terry() -> None:
    """Two games won, and one drawn of each against strength 1: the maximum of the likelihood."""
    p = brentq(lambda p: 2 * p / (p + 1 / p) + p / (p + 1) - 2.5, 1, 50)
    found = standings({("4", "9"): 2, ("9", "4"): 0})
    assert found["4"].expected == pytest.approx(p / (p + 1 / p), abs=1e-6)
    assert found["9"].expected == pytest.approx(1 - found["4"].expected, abs=1e-6)
    assert (found["4"].won, found["4"].games, found["9"].won, found["9"].games) == (2, 2, 0, 2)


def test_whom_one_has_beaten_counts() -> None:
    """1 and 3 won two games of four each; 1 has beaten the one that beat the one 3 has beaten."""
    wins = list(pairwise(FIVE))
    won = {order: 0 for a, b in wins for order in ((a, b), (b, a))} | dict.fromkeys(wins, 2)
    found = standings(won)
    assert [found[one].won for one in FIVE] == [2, 2, 2, 2, 0]
    assert sorted(found, key=lambda one: -found[one].expected) == FIVE


def test_a_planted_order_is_found_by_few_comparisons() -> None:
    """Forty clusters whose plain scores all are 85 to 90; a judge that errs as a logistic does."""
    lots = np.random.default_rng(0)
    truth = np.sort(lots.normal(0, 2, 40))
    won = {}
    for a, b in pairs(FORTY, 6):
        games = int((lots.random(2) < 1 / (1 + np.exp(truth[int(b)] - truth[int(a)]))).sum())
        won[a, b], won[b, a] = games, 2 - games
    found = standings(won)
    expected = [found[one].expected for one in FORTY]
    plain = [int(score) for score in lots.integers(85, 91, 40)]
    final = [calibrated(plain[i], found[one]) for i, one in enumerate(FORTY)]
    assert spearmanr(truth, expected).statistic > 0.85
    assert spearmanr(truth, final).statistic > 0.85
    assert max(plain) - min(plain) == 5
    assert max(final) - min(final) > 30
    assert set(unique(found, 0.1)) <= set(FORTY[28:])


def test_an_order_that_decides_makes_nobody_unique() -> None:
    """Whoever stands first wins: each pair is drawn, all are equal."""
    won = {order: 1 for a, b in pairs(FORTY[:9], 4) for order in ((a, b), (b, a))}
    found = standings(won)
    assert {round(one.expected, 6) for one in found.values()} == {0.5}
    assert unique(found, 1.0) == ()


def test_unique_is_a_share_of_those_that_won() -> None:
    found = {str(i): Standing(i / 10, 8 - (i < 5) * 6, 8) for i in range(10)}
    assert unique(found, 0.2) == ("9", "8")
    assert unique(found, 0.01) == ("9",)
    assert unique(found, 1.0) == ("9", "8", "7", "6", "5")
    assert unique(found, 0.0) == ()
    assert unique({}, 0.5) == ()
    assert standings({}) == {}


@given(st.integers(0, 100), st.floats(0, 1), st.integers(0, 9))
def test_interestingness_stays_in_its_scale(rubric: int, expected: float, games: int) -> None:
    final = calibrated(rubric, Standing(expected, 0, games))
    assert 0 <= final <= 100
    assert abs(final - rubric) <= 50
    assert calibrated(rubric, None) == rubric == calibrated(rubric, Standing(expected, 0, 0))
