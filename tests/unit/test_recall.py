"""The recall audit: ties, padding, interval, sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdbcluster.model.intervals import wilson
from vdbcluster.quality.recall import audit_sample, recall, row_recall

INF = np.inf


def audit(found, exact, found_d, exact_d):  # type: ignore[no-untyped-def]
    return recall(
        np.array(found, np.int32),
        np.array(exact, np.int32),
        np.array(found_d, np.float32),
        np.array(exact_d, np.float32),
    )


def test_found_missed_and_tied_neighbours() -> None:
    result = audit(
        [[1, 2, 9], [4, 5, 6], [7, 8, -1]],
        [[1, 2, 3], [4, 5, 7], [7, 8, 9]],
        [[1, 2, 3], [1, 2, 4], [1, 2, INF]],  # row 0: 9 is as near as 3; row 1: 6 is too far
        [[1, 2, 3], [1, 2, 3], [1, 2, 3]],
    )
    assert (result.sample, result.k) == (3, 3)
    assert result.recall == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert result.low < result.recall < result.high


def test_fewer_rows_than_neighbours() -> None:
    result = audit([[1, -1], [-1, -1]], [[1, -1], [0, -1]], [[1, INF], [INF, INF]], [[1, INF]] * 2)
    assert result.recall == 0.5
    assert audit([[-1]], [[-1]], [[INF]], [[INF]]).recall == 1.0


def test_nothing_to_audit() -> None:
    empty = np.empty((0, 5))
    result = audit(empty, empty, empty, empty)
    assert (result.sample, result.recall, result.low, result.high) == (0, 1.0, 0.0, 1.0)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="one shape"):
        audit([[1]], [[1, 2]], [[1]], [[1, 2]])


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_row_recall_is_the_share_of_true_neighbours_where_nothing_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    apart = rng.permuted(np.arange(30, dtype=np.float32)[None].repeat(8, 0), axis=1)
    exact = np.argsort(apart, axis=1)[:, :6].astype(np.int32)
    found = np.argsort(apart + rng.normal(0, 3, apart.shape), axis=1)[:, :6].astype(np.int32)
    rows = row_recall(
        found, exact, np.take_along_axis(apart, found, 1), np.take_along_axis(apart, exact, 1)
    )
    expected = [len(set(f) & set(e)) / 6 for f, e in zip(found, exact, strict=True)]
    np.testing.assert_allclose(rows, expected)


def test_wilson_agrees_with_published_values() -> None:
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_interval_covers_what_all_rows_would_give() -> None:
    """400 audits of 100 rows out of 20,000 whose recall varies as that of an index does."""
    rng = np.random.default_rng(0)
    rows = np.round(rng.beta(6, 1, 20_000), 2)
    covered = 0
    for seed in range(400):
        low, high = wilson(float(rows[audit_sample(len(rows), 100, seed)].mean()), 100)
        covered += low <= rows.mean() <= high
    assert covered >= 380


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(0, 250), st.integers(0, 9))
def test_sample_is_distinct_ascending_and_repeatable(n: int, size: int, seed: int) -> None:
    sample = audit_sample(n, size, seed)
    assert len(sample) == min(n, size)
    assert (np.diff(sample) > 0).all()
    assert ((sample >= 0) & (sample < n)).all()
    np.testing.assert_array_equal(sample, audit_sample(n, size, seed))
