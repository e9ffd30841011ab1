"""Colours of clusters: told apart where clusters touch, also by colour-blind eyes, and kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.pages.color import VISIONS, as_seen, distances, linear, oklab
from vdbcluster.pages.map_colors import (
    APART,
    DARK,
    GREY,
    LIGHT,
    assign_colors,
    least_apart,
    neighbors,
)


def test_oklab_is_that_of_css() -> None:
    """White, and red as in the tables of CSS Color 4."""
    white, red = oklab(linear(["#ffffff", "#ff0000"]))
    assert white == pytest.approx([1, 0, 0], abs=1e-4)
    assert red == pytest.approx([0.62796, 0.22486, 0.12585], abs=1e-4)


def test_a_colour_blind_eye_mixes_what_it_should() -> None:
    seen = {v: d[0, 1] for v, d in zip(VISIONS, distances(["#d01c1c", "#6b7a00"]), strict=True)}
    assert seen["deutan"] < seen["normal"] / 2
    assert seen["tritan"] > seen["normal"] / 2
    grey = as_seen(["#808080"])
    assert np.abs(grey - grey[0]).max() < 0.01  # all see grey alike


def test_the_palette_is_told_apart() -> None:
    upper = np.triu_indices(len(LIGHT), 1)
    for colors, least in ((LIGHT, (11, 6, 6, 6)), (DARK, (10, 5, 2, 4))):
        found = [float(d[upper].min()) for d in distances(colors)]
        assert all(f > at for f, at in zip(found, least, strict=True)), found
    for colors, grey in zip((LIGHT, DARK), GREY, strict=True):
        assert distances([grey, *colors])[0, 0, 1:].min() > 6


@given(st.integers(0, 2**32 - 1), st.integers(2, 130))
def test_neighbors_differ(seed: int, n: int) -> None:
    """Clusters scattered over a plane, each touching its nearest: no two neighbours look alike."""
    rng = np.random.default_rng(seed)
    middles = rng.uniform(0, 1, (n, 2))
    points = np.repeat(middles, 5, axis=0) + rng.normal(0, 0.02, (5 * n, 2))
    labels = np.repeat(np.arange(n), 5)
    beside = neighbors(points.astype(np.float32), labels, range(n))
    assert np.array_equal(beside, beside.T)
    assert not beside.diagonal().any()
    slots = assign_colors(range(n), beside)
    assert all(slots[a] != slots[b] for a, b in np.argwhere(beside))


@pytest.mark.parametrize("n", [20, 60, 150])
def test_many_clusters_are_told_apart_by_every_eye(n: int) -> None:
    """Patches that touch, three or four neighbours each: the smallest distances are measured."""
    rng = np.random.default_rng(0)
    middles = np.repeat(rng.uniform(0, 1, (n, 2)), 60, axis=0)
    points = (middles + rng.normal(0, 0.25 / np.sqrt(n), (60 * n, 2))).astype(np.float32)
    beside = neighbors(points, np.repeat(np.arange(n), 60), range(n))
    assert beside.sum(axis=1).mean() > 3
    found = least_apart(assign_colors(range(n), beside), beside)
    by_id_alone = least_apart([i % len(LIGHT) for i in range(n)], beside)
    assert found["normal"] >= 12
    assert min(found.values()) >= 8
    assert min(by_id_alone.values()) < 8


def test_a_new_cluster_takes_no_colour_away() -> None:
    rng = np.random.default_rng(1)
    middles = rng.uniform(0, 1, (40, 2))
    points = (np.repeat(middles, 20, axis=0) + rng.normal(0, 0.03, (800, 2))).astype(np.float32)
    labels = np.repeat(np.arange(40), 20)
    before = assign_colors(range(39), neighbors(points, labels, range(39)))
    after = assign_colors(range(40), neighbors(points, labels, range(40)))
    kept = np.mean([a == b for a, b in zip(before, after, strict=False)])
    assert kept > 0.8


def test_an_id_alone_has_the_colour_of_its_id() -> None:
    assert assign_colors([3, 20], np.zeros((2, 2), bool)) == [3, 20 % len(LIGHT)]
    assert APART > 2  # just seen
    assert neighbors(np.empty((0, 2), np.float32), np.empty(0, np.int64), [1, 2]).sum() == 0
