"""Exact and near duplicates: what the sets promise, on drawn points and on real texts."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data import embeddings, table
from tests.unit.method_data import graph_of
from vdbcluster.duplicates import (
    DuplicateParams,
    Duplicates,
    find_duplicates,
    text_digests,
    without_duplicates,
)
from vdbcluster.duplicates.scale import inverse_dimensions, thresholds, usual_distance
from vdbcluster.graph.distance import prepare
from vdbcluster.model.neighbors import PADDING

DIM = 8


def cloud(n: int, seed: int, dim: int = DIM) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def with_near(base: np.ndarray, row: int, copies: int, seed: int, share: float = 0.005) -> Any:
    """The rows, and copies of one of them that are off by a little."""
    off = np.random.default_rng(seed).normal(size=(copies, base.shape[1])) * share
    return np.concatenate((base, (base[row] + off).astype(np.float32)))


def sets_of(found: Duplicates) -> set[frozenset[int]]:
    return {frozenset(each.members.tolist()) for each in (*found.exact, *found.near)}


# What holds of every answer


@st.composite
def planted(draw: st.DrawFn) -> np.ndarray:
    """A cloud with exact copies and near ones, in any order."""
    seed = draw(st.integers(0, 2**16))
    points = cloud(draw(st.integers(5, 40)), seed)
    for row in range(draw(st.integers(0, 3))):
        points = with_near(points, row, draw(st.integers(1, 8)), seed + row)
    copied = draw(st.lists(st.integers(0, len(points) - 1), max_size=30))
    points = np.concatenate((points, points[copied]))
    return points[np.random.default_rng(seed).permutation(len(points))]


@settings(max_examples=15, deadline=None)
@given(planted(), st.integers(1, 12))
def test_every_answer_keeps_its_promises(points: np.ndarray, k: int) -> None:
    found = find_duplicates(graph_of(points, k), points)
    of = found.duplicate_of
    dropped = of >= 0
    assert not dropped[of[dropped]].any(), "what is kept is nobody's duplicate"
    assert np.isnan(found.scores[~dropped]).all()
    assert ((found.scores[dropped] >= 0) & (found.scores[dropped] <= 1)).all()
    for kind in (found.exact, found.near):
        members = np.concatenate([each.members for each in kind]) if kind else np.empty(0)
        assert len(members) == len(np.unique(members)), "a row is in one set of a kind"
    for each in (*found.exact, *found.near):
        assert len(each) >= 2
        assert each.representative in each.members
        assert len(each.reasons) == len(each.scores) == len(each)
        assert (np.diff(each.members) > 0).all()
    for exact in found.exact:
        for near in found.near:
            assert (
                np.isin(exact.members, near.members).all()
                or not np.isin(exact.members, near.members).any()
            ), "an exact set is in a near set or is not"
    assert found.counts()["surplus"] == np.count_nonzero(dropped)


@settings(max_examples=15, deadline=None)
@given(planted(), st.integers(1, 12), st.randoms(use_true_random=False))
def test_the_order_of_rows_decides_nothing(points: np.ndarray, k: int, random: Any) -> None:
    # Of equal rows a list of k holds those that come first; it is whole where k reaches them all.
    k = max(k, len(points) - 1) if k > 6 else k
    order = np.array(random.sample(range(len(points)), len(points)))
    first = find_duplicates(graph_of(points, k), points)
    moved = find_duplicates(graph_of(points[order], k), points[order], rank=order)
    back = {frozenset(order[list(each)].tolist()) for each in sets_of(moved)}
    exact = {frozenset(each.members.tolist()) for each in first.exact}
    assert exact == {frozenset(order[each.members].tolist()) for each in moved.exact}
    if k == len(points) - 1:
        assert back == sets_of(first)
        kept = np.where(moved.duplicate_of >= 0, order[moved.duplicate_of], -1)
        assert kept.tolist() == first.duplicate_of[order].tolist()


@settings(max_examples=15, deadline=None)
@given(planted(), st.sampled_from([0.25, 0.5, 4.0, 1024.0]))
def test_the_unit_of_distance_decides_nothing(points: np.ndarray, times: float) -> None:
    first = find_duplicates(graph_of(points, 10), points)
    other = points * np.float32(times)
    assert sets_of(find_duplicates(graph_of(other, 10), other)) == sets_of(first)


@settings(max_examples=15, deadline=None)
@given(planted(), st.integers(1, 10))
def test_nothing_is_left_once_duplicates_are_gone(points: np.ndarray, k: int) -> None:
    found = find_duplicates(graph_of(points, k), points, params=DuplicateParams(most=0))
    kept = points[found.duplicate_of < 0]
    again = find_duplicates(graph_of(kept, k), kept, params=DuplicateParams(most=0))
    assert not again.exact
    assert (again.duplicate_of == -1).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 60), st.integers(1, 5), st.integers(0, 999))
def test_copies_are_one_set_whatever_k(copies: int, k: int, seed: int) -> None:
    base = cloud(20, seed)
    points = np.concatenate((base, np.repeat(base[:1], copies, axis=0)))
    found = find_duplicates(graph_of(points, k), points)
    (only,) = found.exact
    assert only.members.tolist() == [0, *range(20, 20 + copies)]
    assert only.representative == 0
    assert only.kind == "equal vectors"


# Near duplicates


def test_near_copies_are_found_and_nothing_else() -> None:
    points = with_near(cloud(400, 1), 7, 3, 2)
    found = find_duplicates(graph_of(points, 20), points)
    (only,) = found.near
    assert only.members.tolist() == [7, 400, 401, 402]
    assert set(found.duplicate_of[only.members]) == {-1, only.representative}
    assert only.scores.min() > 0.9


@pytest.mark.parametrize("k", [8, 15])
def test_a_flood_does_not_hide_itself_by_its_own_density(k: int) -> None:
    """80 near copies: every list holds nothing but them."""
    points = with_near(cloud(400, 1), 7, 80, 2)
    largest = find_duplicates(graph_of(points, k), points).near[0]
    assert largest.members.tolist() == [7, *range(400, 480)]


def test_a_dense_group_is_no_set_of_duplicates() -> None:
    """50 rows four times as near to each other as all others: there is more of it, not the same."""
    dense = (0.25 * cloud(50, 3)).astype(np.float32)
    points = np.concatenate((cloud(400, 1) + 5, dense))
    assert not find_duplicates(graph_of(points, 15), points).near


def test_what_is_near_depends_on_what_is_around() -> None:
    """The same distance is nothing among sparse rows and usual among dense ones."""
    step = np.zeros(DIM, np.float32)
    step[0] = 0.3
    sparse, dense = cloud(400, 1), (0.1 * cloud(200, 2)).astype(np.float32) + 50
    points = np.concatenate((sparse, dense, sparse[:1] + step, dense[:1] + step))
    found = find_duplicates(graph_of(points, 15), points)
    assert [each.members.tolist() for each in found.near] == [[0, 600]]


def test_a_chain_is_not_one_thing() -> None:
    """Each link is short, its ends are far apart."""
    chain = np.zeros((40, DIM), np.float32)
    chain[:, 0] = np.arange(40) * 0.05 + 30
    points = np.concatenate((cloud(400, 1), chain))
    found = find_duplicates(graph_of(points, 15), points)
    for each in found.near:
        assert each.distances.max() <= found.threshold * each.scale
        assert len(each) < 40


def test_two_rows_far_from_all_others_are_not_duplicates_for_that() -> None:
    points = np.concatenate((cloud(400, 1), np.full((2, DIM), 100, np.float32)))
    points[-1, 0] += 2
    assert not find_duplicates(graph_of(points, 15), points).near


def test_rows_that_differ_by_rounding_are_near() -> None:
    points = prepare(cloud(100, 1), "chord")
    other = np.nextafter(points[:1], np.float32(2))
    points = np.concatenate((points, other))
    found = find_duplicates(graph_of(points, 10, "chord"), points)
    assert sets_of(found) == {frozenset({0, 100})}


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.zeros((1, 3)), np.zeros((30, 3))])
def test_little_and_nothing(points: np.ndarray) -> None:
    points = points.astype(np.float32)
    found = find_duplicates(graph_of(points, 5), points)
    assert found.counts()["exact_sets"] == (len(points) > 1)
    assert not found.near


def test_points_in_the_plane_must_be_much_nearer() -> None:
    """In two dimensions pairs at a tenth of the usual distance are mere chance."""
    points = cloud(1500, 5, 2)
    graph = graph_of(points, 15)
    assert 1.7 < 1 / np.median(inverse_dimensions(graph)) < 2.4
    assert len(find_duplicates(graph, points).near) < 15


def test_the_threshold_follows_the_dimension() -> None:
    inverse = 1 / np.array([2, 10, 100, np.nan])
    found = thresholds(inverse, 0.001, 5, 0.5)
    assert found == pytest.approx([0.0141, 0.4266, 0.5, 0.5], abs=1e-3)


@pytest.mark.parametrize("dim", [1, 3, 8])
def test_the_dimension_and_the_usual_distance_are_told_from_the_farther_half(dim: int) -> None:
    points = cloud(2000, 1, dim)
    graph = graph_of(points, 40)
    inverse = inverse_dimensions(graph)
    assert 1 / np.median(inverse) == pytest.approx(dim, rel=0.15)
    fifth = float(np.median(graph.distances[:, 4]))
    assert usual_distance(graph, inverse, 5) == pytest.approx(fifth, rel=0.1)


def test_it_does_not_matter_that_everything_is_there_six_times() -> None:
    base = cloud(300, 1)
    off = 0.002 * np.random.default_rng(2).normal(size=(6, 300, DIM))
    points = (base + off).reshape(-1, DIM).astype(np.float32)
    found = find_duplicates(graph_of(points, 20), points)
    assert len(found.near) == 300
    assert {len(each) for each in found.near} == {6}


def test_where_the_data_is_flat_rows_must_be_much_nearer() -> None:
    """Rows along a line, among others in eight dimensions: pairs on it are mere chance."""
    lots = np.random.default_rng(0)
    line = 0.0001 * lots.normal(size=(300, DIM))
    line[:, 0] += lots.uniform(0, 20, 300)
    points = np.concatenate((cloud(300, 1), line + 30)).astype(np.float32)
    found = find_duplicates(graph_of(points, 20), points)
    assert sum(map(len, found.near)) < 12


# Texts


def test_texts_are_equal_after_nfc_and_white_space() -> None:
    texts = ["が ぎ", unicodedata.normalize("NFD", "が ぎ"), "が\n  ぎ ", "か ぎ", "", None, "  "]
    digests = text_digests(texts)
    assert digests[0] == digests[1] == digests[2] != digests[3]
    assert digests[4] is digests[5] is digests[6] is None


def test_equal_texts_are_told_as_such() -> None:
    points = cloud(60, 1)
    points[4] = points[0]
    texts = [f"text {row}" for row in range(60)]
    texts[9], texts[12], texts[4] = texts[8], texts[11], texts[0]
    points[12] = points[20]
    keys = np.array([f"key{row}" for row in range(60)], object)
    found = find_duplicates(graph_of(points, 10), points, digests=text_digests(texts), keys=keys)
    kinds = {tuple(each.members): each.kind for each in found.exact}
    assert kinds == {
        (0, 4): "equal vectors and texts",
        (8, 9): "equal texts",
        (11, 12, 20): "mixed",
    }
    reasons = {each.reasons[-1] for each in found.exact}
    assert "vector and text equal those of row key0" in reasons
    assert "text equals that of row key8" in reasons
    assert found.duplicate_of[[4, 9, 12, 20]].tolist() == [0, 8, 11, 11]


def test_rows_without_text_are_not_equal_for_that() -> None:
    points = cloud(10, 1)
    found = find_duplicates(graph_of(points, 5), points, digests=text_digests([None] * 10))
    assert not found.exact


def test_what_does_not_fit_is_refused() -> None:
    points = cloud(10, 1)
    with pytest.raises(ValueError, match="10 rows, but there are 9 points"):
        find_duplicates(graph_of(points, 5), points[:9])
    with pytest.raises(ValueError, match="most is 1"):
        DuplicateParams(most=1)
    with pytest.raises(ValueError, match="chance is 0"):
        DuplicateParams(chance=0)
    with pytest.raises(ValueError, match="outside is 0"):
        DuplicateParams(outside=0)


# The graph without them


@settings(max_examples=15, deadline=None)
@given(planted(), st.integers(1, 12))
def test_the_graph_of_what_is_kept(points: np.ndarray, k: int) -> None:
    graph = graph_of(points, k)
    of = find_duplicates(graph, points).duplicate_of
    kept, rows = without_duplicates(graph, of)
    kept.validate()
    assert rows.tolist() == np.flatnonzero(of < 0).tolist()
    for place, row in enumerate(rows):
        left = [j for j in graph.indices[row] if j != PADDING and of[j] < 0]
        found = kept.indices[place]
        assert rows[found[found != PADDING]].tolist() == left


# Real texts


def test_equal_articles_of_bbc_are_found_by_their_vectors_alone() -> None:
    points = prepare(embeddings("bbc2225.minilm-l6-int8.384.f16.npy"), "chord")
    digests = text_digests(table("bbc2225.parquet").text)
    found = find_duplicates(graph_of(points, 15, "chord"), points)
    root = np.where(found.duplicate_of >= 0, found.duplicate_of, np.arange(len(points)))
    first: dict[bytes, int] = {}
    twins = [(row, first.setdefault(d, row)) for row, d in enumerate(digests)]
    pairs = np.array([(row, other) for row, other in twins if row != other])
    assert len(pairs) > 90
    assert (root[pairs[:, 0]] == root[pairs[:, 1]]).mean() > 0.98
