"""Rows that show what a cluster is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import data
from vdbcluster.explain.centroids import directions
from vdbcluster.explain.representatives import representatives

SPREAD = np.linspace(-0.4, 0.4, 9)
ONE = np.stack([np.cos(SPREAD), np.sin(SPREAD), np.zeros(9)], axis=1)
OTHER = np.stack([np.cos(SPREAD + 1.6), np.sin(SPREAD + 1.6), np.zeros(9)], axis=1)
FAR = np.tile([-1.0, -1.0, 0.0], (4, 1)) + np.arange(4)[:, None] * [0.0, 0.0, 0.1]
POINTS = np.concatenate([ONE, OTHER, FAR]).astype(np.float32)
LABELS = np.repeat([3, 5, 8], [9, 9, 4])


def test_of_an_arc_of_points() -> None:
    shown = representatives(POINTS, LABELS, n=3)
    assert list(shown) == [3, 5, 8]
    arc = shown[3]
    assert arc.medoid == arc.central[0] == arc.diverse[0]
    assert abs(arc.medoid - 4) <= 1
    assert arc.sibling == 5
    assert arc.border.tolist() == [8, 7, 6]
    assert representatives(POINTS[:18], LABELS[:18], n=2)[5].border.tolist() == [9, 10]


def test_the_medoid_has_the_least_mean_squared_distance() -> None:
    rows = np.random.default_rng(1).normal(size=(60, 5)).astype(np.float32)
    labels = np.repeat([0, 1, -1], 20)
    near = directions(rows)
    for label, found in representatives(rows, labels).items():
        members = np.flatnonzero(labels == label)
        squared = ((near[members][:, None] - near[members][None]) ** 2).sum(axis=2).mean(axis=1)
        assert found.medoid == members[np.argmin(squared)]


def test_dense_ones_have_the_nearest_neighbours() -> None:
    distances = np.full((22, 2), 0.5, np.float32)
    distances[[2, 6]] = [[0.1, np.inf], [0.1, 0.3]]
    distances[7] = np.inf
    shown = representatives(POINTS, LABELS, distances=distances, n=9)
    assert shown[3].dense[:2].tolist() == [2, 6]
    assert shown[3].dense[-1] == 7


def test_probabilities_say_which_members_are_the_core() -> None:
    sure = np.where(np.arange(22) % 9 < 4, 0.9, 0.1)
    shown = representatives(POINTS, LABELS, sure, n=4)
    assert set(shown[3].diverse[1:]) <= {0, 1, 2, 3, 4}


def test_copies_count_once() -> None:
    points = np.concatenate([POINTS[:1]] * 5 + [POINTS])
    labels = np.concatenate([np.full(5, 3), LABELS])
    shown = representatives(points, labels, n=9)[3]
    for rows in (shown.central, shown.dense, shown.diverse, shown.border):
        assert len({0, 1, 2, 3, 4, 5} & set(rows.tolist())) <= 1


def test_a_lone_cluster_has_no_border() -> None:
    shown = representatives(ONE.astype(np.float32), np.zeros(9, np.int64))
    assert shown[0].sibling == -1
    assert shown[0].border.tolist() == []


def test_no_cluster_no_representatives() -> None:
    assert representatives(POINTS, np.full(22, -1)) == {}


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="22 points and 3 labels"):
        representatives(POINTS, np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="22 points and 1 probabilities"):
        representatives(POINTS, LABELS, np.zeros(1))


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=25), st.integers(1, 6), st.booleans())
def test_every_row_shown_is_a_member_and_once(labels: list[int], n: int, constant: bool) -> None:
    generator = np.random.default_rng(len(labels))
    points = generator.normal(size=(len(labels), 3)).astype(np.float32) * (not constant)
    own = np.array(labels)
    for label, found in representatives(points, own, n=n).items():
        members = set(np.flatnonzero(own == label).tolist())
        assert found.medoid in members
        for rows in (found.central, found.dense, found.diverse, found.border):
            assert len(rows) <= n
            assert len(set(rows.tolist())) == len(rows)
            assert set(rows.tolist()) <= members
        assert len(found.central) >= 1


def test_of_real_texts() -> None:
    table = data.table("bbc2225.parquet")
    points = data.embeddings("bbc2225.minilm-l6-int8.384.f16.npy")
    labels = table["label"].astype("category").cat.codes.to_numpy().astype(np.int64)
    for found in representatives(points, labels, n=8).values():
        texts = table["text"].iloc[found.central]
        assert texts.is_unique  # the set has a hundred copies
        sides = directions(points)
        spread = [np.mean(sides[rows] @ sides[rows].T) for rows in (found.central, found.diverse)]
        assert spread[1] < spread[0]
