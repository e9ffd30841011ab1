"""Feature importance: planted differences are told, noise is not, and the figures are right."""

from __future__ import annotations

import json
import math
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_ind

from tests import data
from vdbcluster.errors import UsageError
from vdbcluster.features import ImportanceParams, build_table, learn
from vdbcluster.features.evidence import (
    auc_of,
    balanced,
    beats_chance,
    gather,
    higher_mean,
    stratified_folds,
)
from vdbcluster.features.report import ClusterImportance, Direction
from vdbcluster.features.table import as_float32
from vdbcluster.features.trees import grow

pytest.importorskip("xgboost")

N = 400


def noise(n: int = N, seed: int = 0) -> dict[str, list[Any]]:
    """Fields that say nothing, one of each kind, some values missing."""
    rng = np.random.default_rng(seed)
    return {
        "number": [None if u < 0.1 else float(v) for u, v in rng.random((n, 2))],
        "count": rng.poisson(3, n).tolist(),
        "flag": (rng.random(n) < 0.3).tolist(),
        "brand": rng.choice(["a", "b", "c", "d"], n).tolist(),
        "day": [f"2024-{m:02}-{d:02}" for m, d in rng.integers(1, 13, (n, 2))],
    }


def labels_of(n: int = N, members: int = 100) -> np.ndarray:
    """A cluster at random places among noise, which says nothing either."""
    labels = np.full(n, -1)
    labels[np.random.default_rng(7).choice(n, members, replace=False)] = 0
    return labels


def only(fields: dict[str, list[Any]], labels: np.ndarray, **params: Any) -> ClusterImportance:
    report, _ = learn(build_table(fields), labels, ImportanceParams(**params))
    assert len(report.clusters) == 1
    return report.clusters[0]


def changed(values: list[Any], labels: np.ndarray, how: Any, share: float = 1.0) -> list[Any]:
    chosen = np.random.default_rng(3).random(len(values)) < share
    return [
        how(value) if label == 0 and there else value
        for value, label, there in zip(values, labels, chosen, strict=True)
    ]


@pytest.mark.parametrize(
    ("field", "how", "share", "direction", "value"),
    [
        ("number", lambda v: v if v is None else v + 0.4, 1, Direction.HIGHER, ""),
        ("number", lambda v: v if v is None else 0.5 + (v - 0.5) / 3, 1, Direction.MIDDLE, ""),
        ("number", lambda _: None, 0.5, Direction.MISSING, ""),
        ("count", lambda v: max(0, v - 2), 1, Direction.LOWER, ""),
        ("flag", lambda _: True, 0.5, Direction.IS, "true"),
        ("brand", lambda _: "d", 0.5, Direction.IS, "d"),
        ("day", lambda v: v.replace("2024", "2025"), 0.5, Direction.HIGHER, ""),
    ],
)
def test_what_is_planted_is_told_first(
    field: str, how: Any, share: float, direction: Direction, value: str
) -> None:
    labels, fields = labels_of(), noise()
    found = only(fields | {field: changed(fields[field], labels, how, share)}, labels)
    assert [effect.feature.name for effect in found.features] == [field]
    effect = found.features[0]
    assert (effect.direction, effect.value) == (direction, value)
    assert field in effect.told
    assert found.score is not None
    assert found.score.auc_low > 0.5
    assert found.reason == ""


def test_an_interaction_is_found_that_no_field_shows_by_itself() -> None:
    labels, fields = labels_of(600, 200), noise(600, seed=1)
    one = np.random.default_rng(1).random(600)
    two = np.random.default_rng(2).random(600)
    member = labels == 0
    two[member] = np.where(one[member] > 0.5, 0.5 + two[member] / 2, two[member] / 2)
    found = only(fields | {"one": one.tolist(), "two": two.tolist()}, labels)
    assert {effect.feature.name for effect in found.features} == {"one", "two"}
    assert {effect.direction for effect in found.features} == {Direction.TOGETHER}


def test_of_noise_nothing_is_told() -> None:
    labels = np.random.default_rng(5).integers(-1, 3, N)
    report, classifiers = learn(build_table(noise()), labels)
    assert [found.features for found in report.clusters] == [()] * 3
    assert all("do not tell it" in found.reason for found in report.clusters)
    assert classifiers.each == ()


def test_on_a_real_table_what_is_planted_comes_first() -> None:
    frame = data.table("tab_tiktok1000.parquet")
    fields = {name: frame[name].tolist() for name in frame}
    labels = labels_of(len(frame))
    rng = np.random.default_rng(0)
    ranked = sorted(fields["videos_count"])
    fields["videos_count"] = [
        ranked[int(len(ranked) * rng.random() ** 0.4)] if label == 0 else value
        for value, label in zip(fields["videos_count"], labels, strict=True)
    ]
    found = only(fields, labels)
    assert found.features[0].feature.name == "videos_count"
    assert found.features[0].direction == Direction.HIGHER


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([0] * 19 + [-1] * 100, "it has 19 rows, fewer than 20"),
        ([0] * 119, "there are 0 other rows, fewer than 20"),
        ([0] * 100 + [-1] * 19, "there are 19 other rows, fewer than 20"),
    ],
)
def test_clusters_that_cannot_be_learnt_are_skipped_with_the_reason(
    labels: list[int], reason: str
) -> None:
    found = only(noise(119), np.array(labels))
    assert (found.reason, found.score, found.features) == (reason, None, ())


def test_nothing_there() -> None:
    report, classifiers = learn(build_table({}), np.empty(0, np.int64))
    assert (report.clusters, report.n_rows, classifiers.each) == ((), 0, ())
    report, _ = learn(build_table({"n": [1]}), np.array([0]))
    assert report.clusters[0].reason == "there is no field to look at"
    report, _ = learn(build_table(noise()), np.full(N, -1))
    assert (report.clusters, report.n_noise) == ((), N)
    report, _ = learn(build_table({"id": list(range(N))}), labels_of())
    assert report.clusters[0].reason == "there is no field to look at"
    assert [(one.name, one.reason[:16]) for one in report.left_out] == [("id", "is like a key: i")]
    assert report.get(0) == report.clusters[0]
    assert report.get(5) is None


def planted_two() -> tuple[Any, np.ndarray]:
    """Two clusters that differ, and one that does not."""
    labels = np.random.default_rng(5).integers(-1, 3, N)
    fields = noise()
    fields["count"] = [
        v + 3 * (label == 1) for v, label in zip(fields["count"], labels, strict=True)
    ]
    fields["brand"] = [
        "e" if label == 2 and i % 2 else v
        for i, (v, label) in enumerate(zip(fields["brand"], labels, strict=True))
    ]
    return build_table(fields), labels


def test_threads_change_nothing() -> None:
    table, labels = planted_two()
    one, three = (learn(table, labels, ImportanceParams(threads=n, seed=4)) for n in (1, 3))
    assert one[0].to_json() == three[0].to_json()
    assert [a.model for a in one[1].each] == [b.model for b in three[1].each]
    other = learn(table, labels, ImportanceParams(seed=5))[0]
    assert other.to_json() != one[0].to_json()


def test_the_report_is_strict_json() -> None:
    table, labels = planted_two()
    report, _ = learn(table, labels)
    told = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert [c["cluster"] for c in told["clusters"]] == [0, 1, 2]
    assert told["clusters"][1]["features"][0]["name"] == "count"
    brand = told["clusters"][2]["features"][0]
    assert (brand["direction"], brand["value"]) == ("is", "e")
    assert brand["cluster"]["shares"]["e"] > 0.3
    assert brand["others"]["shares"]["e"] == 0
    assert told["n_noise"] == int((labels == -1).sum())


def test_large_clusters_are_sampled_and_scored_at_their_true_counts() -> None:
    labels, fields = labels_of(2000, 300), noise(2000)
    fields["count"] = changed(fields["count"], labels, lambda v: v + 3)
    found = only(fields, labels, max_rows=400)
    assert found.score is not None
    assert (found.score.rows, found.score.members) == (400, 200)
    assert found.score.base_rate == pytest.approx(300 / 2000)
    assert only(fields, labels, max_rows=400) == found
    whole = only(fields, labels).score
    assert whole is not None
    assert whole.rows == 2000
    assert found.score.auc == pytest.approx(whole.auc, abs=0.06)
    assert found.score.average_precision == pytest.approx(whole.average_precision, abs=0.15)
    assert found.features[0].feature.name == "count"


@pytest.mark.slow
def test_ten_thousand_rows_of_fifty_fields_take_bounded_memory() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(10_000, 50))
    labels = np.where(rng.random(10_000) < 0.1, 0, -1)
    values[labels == 0, 17] += 1
    table = build_table({f"f{j}": column for j, column in enumerate(values.T)})
    assert len(table.features) == 50
    tracemalloc.start()
    report, _ = learn(table, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [effect.feature.name for effect in report.clusters[0].features] == ["f17"]
    assert peak < 16 * values.nbytes


def test_the_score_is_of_rows_that_were_not_seen() -> None:
    """Of pure noise a classifier knows its own rows by heart, and no others."""
    table = build_table(noise(200))
    member = labels_of(200, 60) == 0
    forest = grow(as_float32(table.values), table.features, member, balanced(member), seed=1)
    seen = auc_of(forest.margins(as_float32(table.values)), member)[0]
    evidence = gather(table.values, table.features, member, folds=5, seed=1)
    assert seen > 0.8
    assert abs(evidence.auc()[0] - 0.5) < 0.15


def test_contributions_add_up_to_the_margin() -> None:
    table, labels = planted_two()
    given, member = as_float32(table.values), labels == 1
    forest = grow(given, table.features, member, balanced(member), seed=0)
    found = forest.contributions(given)
    assert found.shape == (N, len(table.features) + 1)
    np.testing.assert_allclose(found.sum(axis=1), forest.margins(given), atol=1e-4)
    assert np.ptp(found[:, -1]) < 1e-6


def test_folds_are_stratified() -> None:
    member = labels_of(403, 52) == 0
    fold = stratified_folds(member, 5, seed=0)
    for side in (member, ~member):
        assert np.ptp(np.bincount(fold[side], minlength=5)) <= 1
    assert balanced(member)[member].sum() == pytest.approx(balanced(member)[~member].sum())


def test_area_under_the_curve_and_its_error() -> None:
    """Against the definition: pairs, and the variance of their means on either side."""
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, 60).astype(float)
    member = rng.random(60) < 0.4
    pairs = scores[member][:, None] - scores[~member][None, :]
    wins = (pairs > 0) + 0.5 * (pairs == 0)
    m, n = wins.shape
    error = math.sqrt(wins.mean(1).var(ddof=1) / m + wins.mean(0).var(ddof=1) / n)
    assert auc_of(scores, member) == pytest.approx((wins.mean(), error))
    assert beats_chance(0.5, 0.1) == pytest.approx(0.5)
    assert beats_chance(1.0, 0.0) == 0
    assert beats_chance(0.5, 0.0) == 1


def test_the_test_of_means_is_that_of_welch() -> None:
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(0.3, 1, (15, 4)), rng.normal(0, 2, (40, 4))
    inside[:, 3] = outside[:, 3] = 0  # a feature that no tree has used
    difference, p = higher_mean(inside, outside)
    known = ttest_ind(inside[:, :3], outside[:, :3], equal_var=False, alternative="greater")
    np.testing.assert_allclose(p[:3], known.pvalue)
    np.testing.assert_allclose(difference, inside.mean(0) - outside.mean(0))
    assert p[3] == 1


def test_without_xgboost_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(UsageError, match=r"pip install 'vdbcluster\[features\]'"):
        learn(build_table(noise()), labels_of())
    assert learn(build_table(noise()), np.full(N, -1))[0].clusters == ()


@pytest.mark.parametrize(
    "wrong", [{"folds": 1}, {"min_size": 4}, {"max_rows": 39}, {"alpha": 0}, {"threads": 0}]
)
def test_wrong_parameters(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ImportanceParams(**wrong)


def test_labels_must_fit() -> None:
    with pytest.raises(ValueError, match="400 rows but 3 labels"):
        learn(build_table(noise()), np.zeros(3, np.int64))
