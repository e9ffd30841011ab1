"""Classifiers as JSON and back, and rows that they give to clusters."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vdbcluster.errors import UsageError
from vdbcluster.features import (
    Classifiers,
    assign_by_fields,
    build_table,
    classifiers_from_json,
    classifiers_to_json,
    learn,
)
from vdbcluster.features.assigning import calibrate, cluster_probabilities
from vdbcluster.features.classifiers import ClusterClassifier, _digest
from vdbcluster.features.table import Feature
from vdbcluster.features.values import Kind

pytest.importorskip("xgboost")

N = 500


def rows(seed: int, n: int = N) -> tuple[dict[str, list[Any]], np.ndarray]:
    """Two clusters, 3 (by a number) and 8 (by a category and a flag), and noise."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([3, 8, -1], n)
    size = rng.normal(size=n) + 3 * (labels == 3)
    brand = np.where((labels == 8) & (rng.random(n) < 0.8), "z", rng.choice(["a", "b", "z"], n))
    return {
        "size": [None if u < 0.05 else float(v) for u, v in zip(rng.random(n), size, strict=True)],
        "brand": brand.tolist(),
        "flag": (rng.random(n) < np.where(labels == 8, 0.9, 0.3)).tolist(),
        "day": [f"2024-05-{d:02}" for d in rng.integers(1, 29, n)],
    }, labels


@pytest.fixture(scope="module")
def learnt() -> Classifiers:
    fields, labels = rows(0)
    return learn(build_table(fields), labels)[1]


def test_what_is_read_predicts_to_the_bit_as_what_was_written(learnt: Classifiers) -> None:
    text = classifiers_to_json(learnt)
    again = classifiers_from_json(text)
    assert classifiers_to_json(again) == text
    assert (again.features, again.clusters) == (learnt.features, (3, 8))
    fields, _ = rows(1)
    np.testing.assert_array_equal(
        cluster_probabilities(again, fields), cluster_probabilities(learnt, fields)
    )
    assert "pickle" not in text


def test_new_rows_go_where_they_belong(learnt: Classifiers) -> None:
    fields, labels = rows(1)
    got, probability = assign_by_fields(learnt, fields)
    assert got.dtype == np.int64
    assert set(got.tolist()) == {3, 8, -1}
    assert (got == labels).mean() > 0.75  # a third, by guessing
    assert (probability[got == -1] < 0.5).all()
    assert (probability[got != -1] >= 0.5).all()
    strict, _ = assign_by_fields(learnt, fields, threshold=0.8)
    assert (strict != -1).sum() < (got != -1).sum()
    assert ((strict == got) | (strict == -1)).all()
    every, _ = assign_by_fields(learnt, fields, threshold=0)
    assert (every != -1).all()
    none, _ = assign_by_fields(learnt, fields, threshold=1)
    assert (none == -1).all()


def test_probabilities_are_calibrated(learnt: Classifiers) -> None:
    fields, labels = rows(2, 3000)
    found = cluster_probabilities(learnt, fields)
    for place, cluster in enumerate(learnt.clusters):
        probability, member = found[:, place], labels == cluster
        bins = np.minimum((probability * 5).astype(int), 4)
        gaps = np.bincount(bins, probability - member, minlength=5)
        assert np.abs(gaps).sum() / len(member) < 0.08  # expected calibration error


def test_a_row_is_judged_by_itself(learnt: Classifiers) -> None:
    fields, _ = rows(1, 12)
    whole = cluster_probabilities(learnt, fields)
    for i in range(12):
        alone = cluster_probabilities(learnt, {name: [v[i]] for name, v in fields.items()})
        np.testing.assert_array_equal(alone[0], whole[i])


def test_missing_and_unknown_values(learnt: Classifiers) -> None:
    odd = {
        "size": [None, "large", float("inf"), 10**400],
        "brand": [None, "never seen", 7, "z"],
        "flag": [None, 1, "yes", True],
        "day": [None, "tomorrow", 5, "2030-01-01T00:00:00Z"],
        "more": [1, 2, 3, 4],
    }
    found = cluster_probabilities(learnt, odd)
    assert np.isfinite(found).all()
    assert (found[2:, 0] > found[:2, 0]).all()  # cluster 3 is the one of large sizes
    with pytest.raises(UsageError, match="no field 'brand', which the classifiers need"):
        assign_by_fields(learnt, {"size": [1.0]})


def test_no_rows_and_no_classifiers(learnt: Classifiers) -> None:
    empty = {feature.name: [] for feature in learnt.features}
    assert assign_by_fields(learnt, empty)[0].shape == (0,)
    none = Classifiers(learnt.features, ())
    again = classifiers_from_json(classifiers_to_json(none))
    assert assign_by_fields(again, rows(1, 4)[0])[0].tolist() == [-1] * 4
    with pytest.raises(ValueError, match="threshold is 2"):
        assign_by_fields(none, empty, threshold=2)


def without(name: str) -> Callable[[Any], Any]:
    return lambda content: content.pop(name)


def forest(content: Any) -> Any:
    return content["classifiers"][0]["model"]["learner"]["gradient_booster"]["model"]


def tree(content: Any) -> Any:
    return forest(content)["trees"][0]


SIGNED: list[tuple[Callable[[Any], Any], str]] = [
    (without("features"), "'features' is missing"),
    (without("classifiers"), "'classifiers' is missing"),
    (lambda c: c["features"].append(3), "'features' must be objects"),
    (lambda c: c["features"][0].pop("kind"), "'kind' is missing"),
    (lambda c: c["features"][0].update(kind="colour"), "no kind of feature 'colour'"),
    (lambda c: c["features"][0].update(other=1), "'other' is missing or of the wrong type"),
    (lambda c: c["features"][1].update(name="size"), "names of features must all differ"),
    (lambda c: c["features"][1].update(categories=[1]), "categories must be texts"),
    (lambda c: c["features"].pop(), "another number of features"),
    (lambda c: c["classifiers"][0].update(cluster=9), "must ascend by cluster"),
    (lambda c: c["classifiers"][0].update(cluster=True), "'cluster' is missing or of the wrong"),
    (lambda c: c["classifiers"][0].update(model={}), "trees of cluster 3 are incomplete"),
    (lambda c: forest(c)["tree_info"].__setitem__(0, 10**9), "trees are of another kind"),
    (lambda c: forest(c)["iteration_indptr"].__setitem__(0, 7), "trees are not one by one"),
    (lambda c: tree(c).update(id=10**9), "trees are out of order"),
    (lambda c: tree(c)["tree_param"].update(size_leaf_vector="4"), "features or answers"),
    (lambda c: tree(c)["parents"].__setitem__(1, -5), "leads nowhere"),
    (lambda c: tree(c)["left_children"].pop(), "lists of different lengths"),
    (lambda c: tree(c)["left_children"].__setitem__(0, 999), "leads nowhere"),
    (lambda c: tree(c)["right_children"].__setitem__(0, 0), "leads nowhere"),
    (lambda c: tree(c)["split_indices"].__setitem__(0, 99), "feature that there is not"),
    (lambda c: tree(c)["split_type"].__setitem__(0, 5), "categories that there are not"),
    (lambda c: tree(c)["categories"].append(10**9), "categories that there are not"),
]


@pytest.mark.parametrize(("change", "said"), SIGNED, ids=[said for _, said in SIGNED])
def test_what_is_not_as_it_should_be_is_refused(
    learnt: Classifiers, change: Callable[[Any], Any], said: str
) -> None:
    """Even with a checksum that fits."""
    content = json.loads(classifiers_to_json(learnt))
    change(content)
    content.pop("sha256")
    text = json.dumps({**content, "sha256": _digest(content)})
    with pytest.raises(ValueError, match=said) as refused:
        classifiers_from_json(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "holds no classifiers"),
        ('{"format": "other"}', "holds no classifiers"),
        ('{"format": "vdbcluster-classifiers", "version": 2}', "version is 2, this .* version 1"),
        ('{"format": "vdbcluster-classifiers", "version": 1}', "damaged"),
    ],
)
def test_other_texts_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        classifiers_from_json(text)


def test_a_changed_digit_is_noticed(learnt: Classifiers) -> None:
    text = classifiers_to_json(learnt).replace('"slope": ', '"slope": 1', 1)
    with pytest.raises(ValueError, match="damaged"):
        classifiers_from_json(text)


@pytest.mark.parametrize(
    "huge", [math.inf, -math.inf, 1e308, 10**400, -(10**39)], ids=["inf", "-inf", "big", "int", "-"]
)
def test_numbers_beyond_what_trees_compare(huge: float) -> None:
    """Only members have a value: trees then cut beyond the largest one, at a finite number."""
    labels = np.arange(120) % 3
    fields = {"far": [(huge, 1.0)[row // 3 % 2] if row % 3 == 1 else None for row in range(120)]}
    _, found = learn(build_table(fields), labels)
    back = classifiers_from_json(classifiers_to_json(found))
    given, _ = assign_by_fields(back, fields)
    assert ((given == 1) == (labels == 1)).all()


def test_figures_must_make_sense() -> None:
    with pytest.raises(ValueError, match="must be at least 0"):
        ClusterClassifier(-1, 5, 0.9, 1.0, 0.0, {})
    with pytest.raises(ValueError, match="must be finite"):
        ClusterClassifier(1, 5, 0.9, float("nan"), 0.0, {})
    with pytest.raises(ValueError, match="must all differ"):
        Classifiers((Feature("a", Kind.BOOL),) * 2, ())


def test_calibration_finds_the_line_that_made_the_rows() -> None:
    rng = np.random.default_rng(0)
    margins = rng.normal(size=20_000)
    member = rng.random(20_000) < 1 / (1 + np.exp(-(2 * margins - 1)))
    slope, offset = calibrate(margins, member, np.ones(20_000))
    assert slope == pytest.approx(2, abs=0.1)
    assert offset == pytest.approx(-1, abs=0.1)
    _, rarer = calibrate(margins, member, np.where(member, 1.0, 10.0))
    assert rarer == pytest.approx(-1 - np.log(10), abs=0.15)


def test_calibration_of_what_is_all_told_apart_stays_finite() -> None:
    member = np.arange(100) < 30
    slope, offset = calibrate(np.where(member, 5.0, -5.0), member, np.ones(100))
    inside, outside = (1 / (1 + np.exp(-(slope * margin + offset))) for margin in (5, -5))
    assert inside == pytest.approx(31 / 32, abs=0.01)
    assert outside == pytest.approx(1 / 72, abs=0.01)
    slope, _ = calibrate(np.where(member, -5.0, 5.0), member, np.ones(100))
    assert slope == 0
