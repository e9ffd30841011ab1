"""Every metric against its definition in float64; symmetry, duplicates, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tests.data import embeddings
from vdbcluster.graph.distance import METRICS, ON_BITS, center, prepare
from vdbcluster.graph.measure import pair_distances

SEEDS = st.integers(0, 2**32 - 1)


def points(seed: int, metric: str, n: int = 12, d: int = 7) -> NDArray[np.float32]:
    """Rows fit for the metric, every third one a copy of the row before."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 2, (n, d)) if metric in ON_BITS else rng.normal(0, 10, (n, d)) + 1e-3
    rows[2::3] = rows[1::3][: len(rows[2::3])]
    return rows.astype(np.float32)


def all_pairs(prepared: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    n = len(prepared)
    return pair_distances(prepared, np.arange(n), np.tile(np.arange(n), (n, 1)), metric)


def defined(rows: NDArray[np.float32], metric: str) -> NDArray[np.float64]:
    """The words of the table in ``distance``, in float64."""
    x, y = rows.astype(np.float64)[:, None], rows.astype(np.float64)[None]
    if metric == "euclidean":
        return np.sqrt(((x - y) ** 2).sum(-1))
    if metric == "hamming":
        return (x != y).sum(-1).astype(np.float64)
    if metric == "jaccard":
        both, either = np.minimum(x, y).sum(-1), np.maximum(x, y).sum(-1)
        return np.where(either > 0, 1 - both / np.maximum(either, 1), 0.0)
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    cosine = np.clip((x * y).sum(-1) / lengths[:, None] / lengths[None], -1, 1)
    return np.sqrt(2 - 2 * cosine) if metric == "chord" else np.arccos(cosine)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_metric_is_what_it_says(metric: str, seed: int) -> None:
    rows = points(seed, metric)
    found = all_pairs(prepare(rows, metric), metric)
    np.testing.assert_allclose(found, defined(rows, metric), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_pairs_are_symmetric_to_the_last_bit_and_copies_are_at_zero(metric: str, seed: int) -> None:
    rows = points(seed, metric, 11, 19)
    found = all_pairs(prepare(rows, metric), metric)
    np.testing.assert_array_equal(found, found.T)
    assert (np.diag(found) == 0).all()
    assert found[1, 2] == found[4, 5] == 0


def test_real_duplicates_are_at_exactly_zero_and_near_ones_are_not() -> None:
    rows = prepare(embeddings("polis4k.e5-small-q4.384.f16.npy"), "chord")
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    copies = np.flatnonzero(first[inverse] != np.arange(len(rows)))
    assert len(copies) >= 10
    twins = first[inverse][copies][:, None]
    assert (pair_distances(rows, copies, twins, "chord") == 0).all()
    different = np.arange(len(rows) - 1)
    apart = pair_distances(rows, different, different[:, None] + 1, "chord")[:, 0]
    same = inverse[:-1] == inverse[1:]
    np.testing.assert_array_equal(apart == 0, same)


def test_small_angles_do_not_cancel() -> None:
    rows = np.array([[1, 0], [1, 1e-5]], np.float32)
    assert all_pairs(prepare(rows, "chord"), "chord")[0, 1] == pytest.approx(1e-5, rel=1e-4)
    assert all_pairs(prepare(rows, "angular"), "angular")[0, 1] == pytest.approx(1e-5, rel=1e-4)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_preparing_twice_changes_nothing(metric: str, seed: int) -> None:
    once = prepare(points(seed, metric), metric)
    twice = prepare(once, metric)
    np.testing.assert_array_equal(once, twice)
    assert np.shares_memory(once, twice)


@given(
    hnp.arrays(np.float32, (5, 3), elements=st.floats(-100, 100, width=32)),
    st.sampled_from(["chord", "angular"]),
)
def test_rows_without_direction_are_named(rows: NDArray[np.float32], metric: str) -> None:
    rows = rows + np.float32(0.5) * (np.abs(rows).max(axis=1, keepdims=True) < 1)
    rows[[1, 3]] = 0
    with pytest.raises(ValueError, match=r"^2 .*zeros.*rows 1, 3"):
        prepare(rows, metric)
    assert prepare(rows, "euclidean") is not None


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("metric", METRICS)
def test_values_that_are_no_numbers_are_refused(metric: str, value: float) -> None:
    rows = np.ones((3, 4), np.float32)
    rows[2, 1] = value
    with pytest.raises(ValueError, match="rows 2"):
        prepare(rows, metric)


def test_unfit_requests_are_refused() -> None:
    rows = np.full((2, 2), 0.5, np.float32)
    with pytest.raises(ValueError, match="must be one of euclidean"):
        prepare(rows, "cosine")
    with pytest.raises(ValueError, match="other than 0 and 1"):
        prepare(rows, "hamming")
    with pytest.raises(ValueError, match="not for euclidean"):
        prepare(rows, "euclidean", mean=np.zeros(rows.shape[1]))


def test_centered_rows_are_unit_vectors_without_a_common_direction() -> None:
    rows = embeddings("bbc2225.minilm-l6-int8.384.f16.npy")
    rows = rows + 3 * rows[0]
    centered = center(rows)
    np.testing.assert_allclose(np.linalg.norm(centered, axis=1), 1, atol=1e-6)
    assert np.linalg.norm(prepare(rows, "chord").mean(axis=0)) > 0.9
    assert np.linalg.norm(centered.mean(axis=0)) < 0.1


def test_centering_identical_rows_leaves_them_identical() -> None:
    centered = center(np.tile(np.array([[0.3, 0.7, 0.1]], np.float32), (9, 1)))
    assert np.isfinite(centered).all()
    assert (all_pairs(centered, "chord") == 0).all()


def test_result_can_go_to_a_memory_map_or_in_place(tmp_path: Path) -> None:
    rows = points(3, "chord", 40, 5)
    expected = prepare(rows, "chord")
    source = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.float32, rows.shape)
    target = np.lib.format.open_memmap(tmp_path / "b.npy", "w+", np.float32, rows.shape)
    source[:] = rows
    assert prepare(source, "chord", out=target) is target
    np.testing.assert_array_equal(target, expected)
    prepare(source, "chord", out=source)
    np.testing.assert_array_equal(source, expected)
    np.testing.assert_array_equal(prepare(source, "euclidean", out=target), expected)
