"""Scores against a truth, agreement, and the plateau of a series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from vdbcluster.quality.plateau import Agreements, find_plateau
from vdbcluster.quality.scores import agreement, truth_report

TRUTH = np.array(["tea"] * 4 + ["rum"] * 4 + ["ale"] * 2)
LABELS = np.array([0, 0, 0, 1, 1, 1, -1, -1, -1, -1])


def test_a_small_case_by_hand() -> None:
    report = truth_report(TRUTH, LABELS)
    assert report.share_clustered == 0.6
    assert report.clusters == 2
    assert (report.all_rows.rows, report.all_rows.clusters, report.all_rows.classes) == (10, 3, 3)
    assert report.all_rows.purity == pytest.approx((3 + 2 + 2) / 10)
    assert (report.clustered.rows, report.clustered.clusters, report.clustered.classes) == (6, 2, 2)
    assert report.clustered.purity == pytest.approx((3 + 2) / 6)
    assert report.all_rows.ami == pytest.approx(metrics.adjusted_mutual_info_score(TRUTH, LABELS))
    rum, tea, ale = report.classes
    assert (rum.name, rum.rows, rum.cluster) == ("rum", 4, 1)
    assert (rum.clustered, rum.share, rum.precision) == (0.5, 0.5, pytest.approx(2 / 3))
    assert (tea.name, tea.rows, tea.cluster) == ("tea", 4, 0)
    assert (tea.clustered, tea.share, tea.precision) == (1.0, 0.75, 1.0)
    assert (ale.name, ale.cluster, ale.clustered, ale.share) == ("ale", None, 0.0, 0.0)


def test_all_noise_and_no_rows() -> None:
    report = truth_report(TRUTH, np.full(10, -1))
    assert report.share_clustered == report.all_rows.ami == report.all_rows.homogeneity == 0.0
    assert report.clustered.rows == report.clusters == 0
    nothing = truth_report(np.empty(0, str), np.empty(0, np.int64))
    assert nothing.classes == ()
    assert nothing.all_rows.rows == 0
    with pytest.raises(ValueError, match="3 rows have a truth, but 10"):
        truth_report(TRUTH[:3], LABELS)


labellings = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        *(st.lists(st.integers(-1, 5), min_size=n, max_size=n).map(np.array) for _ in range(2))
    )
)


@given(labellings)
def test_scores_are_scikit_learns_and_do_not_depend_on_order(
    both: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, labels = both
    report = truth_report(truth, labels)
    scores = report.all_rows
    h, c, v = metrics.homogeneity_completeness_v_measure(truth, labels)
    assert (scores.homogeneity, scores.completeness, scores.v_measure) == (h, c, v)
    assert scores.ari == metrics.adjusted_rand_score(truth, labels)
    for row in report.classes:
        inside = truth == int(row.name)
        assert row.rows == inside.sum()
        assert row.clustered == (labels[inside] >= 0).mean()
        if row.cluster is not None:
            assert row.share == (labels[inside] == row.cluster).mean()
            assert row.precision == inside[labels == row.cluster].mean()
            counts = [(labels[inside] == other).sum() for other in set(labels) - {-1}]
            assert row.share * row.rows == pytest.approx(max(counts))
    order = np.random.default_rng(0).permutation(len(truth))
    again = truth_report(truth[order], labels[order])
    assert again.classes == report.classes
    assert again.all_rows.ami == pytest.approx(scores.ami, abs=1e-12)


@given(labellings)
def test_agreement_is_symmetric_and_blind_to_names(both: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = both
    assert agreement(one, one) == (1.0, 1.0)
    assert agreement(one, other) == pytest.approx(agreement(other, one), abs=1e-9)
    assert agreement(one, other) == pytest.approx(agreement(one, 7 - other), abs=1e-9)


def test_more_clusters_than_half_the_rows_are_no_warning() -> None:
    assert agreement(np.arange(40), np.arange(40)[::-1]) == (1.0, 1.0)


# --- plateau


def split(at: int, n: int = 200) -> np.ndarray:
    """Two clusters, with the border at a row."""
    return (np.arange(n) >= at).astype(np.int64)


def plateau(series: list[np.ndarray]) -> tuple[int, int] | None:
    found = find_plateau(series, Agreements(series))
    return found and (found.first, found.last)


def test_the_longest_run_that_agrees() -> None:
    series = [split(20), split(20), split(100), split(100), split(101), split(60)]
    assert plateau(series) == (2, 4)
    found = find_plateau(series, Agreements(series))
    assert found is not None
    assert 0.95 <= found.agreement < 1.0
    assert found.length == 3


def test_slow_drift_is_no_plateau() -> None:
    series = [split(at) for at in range(60, 140)]
    agreements = Agreements(series)
    assert all(agreements.of(i, i + 1) >= 0.95 for i in range(79))
    found = find_plateau(series, agreements)
    assert found is not None
    assert found.length < 10
    ends = [agreements.of(a, b) for a in range(80) for b in range(a, 80)
            if found.first <= a <= b <= found.last]  # fmt: skip
    assert min(ends) == found.agreement >= 0.95


def test_settings_that_find_nothing_agree_about_nothing() -> None:
    noise, one = np.full(200, -1), np.zeros(200, np.int64)
    assert plateau([noise, noise, noise, one, one, split(50)]) is None
    assert plateau([noise, split(50), split(50), noise, noise, noise]) == (1, 2)
    assert plateau([]) is None
    assert plateau([split(50)]) is None


def test_of_equal_runs_the_one_that_agrees_best() -> None:
    assert plateau([split(20), split(21), split(100), split(100)]) == (2, 3)


def test_large_series_are_compared_by_a_sample() -> None:
    series = [split(20_000, 50_000), split(20_010, 50_000)]
    assert 0.99 < Agreements(series).of(0, 1) <= 1.0
    assert Agreements(series, 1).of(1, 0) == Agreements(series, 1).of(0, 1)
