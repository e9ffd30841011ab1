"""Centring by groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.graph.distance import center
from vdbcluster.graph.groups import LEAST_ROWS, UNKNOWN, centered_by_group, settled


def two_groups(n: int = 60) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    groups = np.array(["x", "y"], object)[np.arange(n) % 2]
    points = rng.standard_normal((n, 8)) + np.where(groups == "x", 5, -5)[:, None]
    return (7 * points).astype(np.float32), groups


def test_each_group_loses_its_mean_direction() -> None:
    points, groups = two_groups()
    found = centered_by_group(points, groups)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    for name in ("x", "y"):
        unit = points[groups == name].astype(np.float64)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        unit -= unit.mean(axis=0)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        np.testing.assert_allclose(found[groups == name], unit, atol=2e-5)


def test_one_group_is_plain_centring() -> None:
    points, _ = two_groups()
    for same in (np.full(60, "x", object), np.full(60, None, object), np.full(60, UNKNOWN, object)):
        np.testing.assert_allclose(centered_by_group(points, same), center(points), atol=1e-6)
    every = np.array([str(row) for row in range(60)], object)  # all too small
    np.testing.assert_allclose(centered_by_group(points, every), center(points), atol=1e-6)


def test_rows_without_a_group_go_to_the_nearest() -> None:
    points, groups = two_groups(200)
    sample = groups.copy()
    sample[100:] = None
    sample[100:110] = UNKNOWN
    sample[: LEAST_ROWS - 1] = "rare"
    np.testing.assert_array_equal(settled(center(points), sample), (groups == "y").astype(int))
    np.testing.assert_array_equal(
        centered_by_group(points, sample), centered_by_group(points, groups)
    )


@given(st.integers(0, 50), st.data())
def test_any_groups(n: int, data: st.DataObject) -> None:
    names = st.sampled_from(["en", "ja", UNKNOWN, None])
    groups = np.array(data.draw(st.lists(names, min_size=n, max_size=n)), object)
    points = np.random.default_rng(n).standard_normal((n, 4)).astype(np.float32)
    found = centered_by_group(points, groups)
    assert found.shape == points.shape
    assert np.isfinite(found).all()
    order = np.random.default_rng(0).permutation(n)
    np.testing.assert_allclose(
        centered_by_group(points[order], groups[order]), found[order], atol=1e-5
    )


def test_identical_rows_become_zero() -> None:
    points = np.tile(np.array([[0.3, 0.7, 0.1]], np.float32), (40, 1))
    assert (centered_by_group(points, np.full(40, "x", object)) == 0).all()


def test_in_place_and_into_a_memory_map(tmp_path: Path) -> None:
    points, groups = two_groups()
    kept = points.copy()
    expected = centered_by_group(points, groups)
    np.testing.assert_array_equal(points, kept)
    target = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.float32, points.shape)
    assert centered_by_group(points, groups, out=target) is target
    np.testing.assert_array_equal(target, expected)
    assert centered_by_group(points, groups, out=points) is points
    np.testing.assert_array_equal(points, expected)
    unit = center(kept)
    before = unit.copy()
    centered_by_group(unit, groups)
    np.testing.assert_array_equal(unit, before)


def test_unfit_requests_are_refused() -> None:
    points, groups = two_groups()
    with pytest.raises(ValueError, match="60 vectors, but 59 groups"):
        centered_by_group(points, groups[1:])
    points[3] = 0
    with pytest.raises(ValueError, match="rows 3"):
        centered_by_group(points, groups)
