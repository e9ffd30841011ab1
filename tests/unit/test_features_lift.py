"""Lift tables against counts made one by one, and Wilson's interval against scipy's."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from vdbcluster.features.lift import MISSING, lift_table
from vdbcluster.features.table import Table, TableOptions, build_table
from vdbcluster.model.intervals import wilson


@st.composite
def labelled(draw: st.DrawFn) -> tuple[Table, list[object], np.ndarray]:
    n = draw(st.integers(12, 60))
    values = draw(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=n, max_size=n))
    values[:10] = ["a", "b"] * 5
    labels = draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n))
    return build_table({"x": values}), values, np.array(labels, np.int64)


@given(labelled(), st.integers(1, 5))
def test_categories_are_counted(case: tuple[Table, list[object], np.ndarray], least: int) -> None:
    table, values, labels = case
    got = {(one.value, one.cluster): one for one in lift_table(table, labels, min_support=least)}
    names = [MISSING if value is None else str(value) for value in values]
    for cluster in set(labels.tolist()):
        for name in ("a", "b", "c", MISSING):
            inside = [n for n, label in zip(names, labels, strict=True) if label == cluster]
            count, total = inside.count(name), names.count(name)
            expected = len(inside) * total / len(names)
            if cluster < 0 or max(count, expected) < least:
                assert (name, cluster) not in got
                continue
            one = got[name, cluster]
            assert (one.count, one.size, one.total) == (count, len(inside), total)
            assert one.lift == pytest.approx(count / expected)
            assert one.low <= one.lift * (1 + 1e-9)
            assert one.lift <= one.high * (1 + 1e-9)
            assert one.share == pytest.approx(one.lift * one.overall)


@given(
    st.lists(st.integers(-3, 40) | st.none(), min_size=12, max_size=80),
    st.integers(2, 6),
)
def test_bands_of_a_number_are_ordered_and_take_every_row(
    values: list[int | None], bands: int
) -> None:
    table = build_table({"x": values}, TableOptions(include=("x",)))
    if not table.features:
        return
    labels = np.zeros(len(values), np.int64)
    found = lift_table(table, labels, bands=bands, min_support=1)
    assert sum(one.count for one in found) == len(values)
    assert len({one.value for one in found if one.value != MISSING}) <= bands
    assert all(one.lift == pytest.approx(1) for one in found)


def test_wilson_is_that_of_scipy() -> None:
    counts, sizes = np.array([0, 1, 7, 50, 50]), np.array([5, 9, 20, 50, 400])
    low, high = wilson(counts / sizes, sizes)
    for i, (count, size) in enumerate(zip(counts.tolist(), sizes.tolist(), strict=True)):
        known = binomtest(count, size).proportion_ci(0.95, method="wilson")
        assert (low[i], high[i]) == pytest.approx((known.low, known.high), abs=1e-6)


def test_zero_has_a_band_of_its_own() -> None:
    values = [0] * 80 + list(range(1, 41))
    table = build_table({"n": values})
    found = lift_table(table, np.array([0] * 80 + [1] * 40), bands=3)
    assert {one.value: one.count for one in found if one.cluster == 0 and one.count} == {"0": 80}
    assert "0" not in {one.value for one in found if one.cluster == 1 and one.count}


def test_what_is_said() -> None:
    table = build_table({"region": ["US"] * 30 + ["JP"] * 70})
    labels = np.array([0] * 20 + [-1] * 80)
    found = {one.value: one for one in lift_table(table, labels)}
    assert found["US"].told == "region US: 100% of cluster 0, 30% of all (x 3.3)"
    assert found["US"].clear
    assert found["JP"].count == 0
    assert json.loads(json.dumps(found["US"].to_json()))["total"] == 30


def test_nothing_to_count() -> None:
    table = build_table({"x": ["a", "b"] * 10})
    assert lift_table(table, np.full(20, -1)) == ()
    assert lift_table(build_table({}), np.empty(0, np.int64)) == ()
    with pytest.raises(ValueError, match="20 rows but 3 labels"):
        lift_table(table, np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="bands is 1"):
        lift_table(table, np.zeros(20, np.int64), bands=1)
