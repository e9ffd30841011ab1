"""Scalar fields as a table: kinds, what is left out and why, rows that come later."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import data
from vdbcluster.errors import UsageError
from vdbcluster.features.table import OTHER, Feature, Table, TableOptions, build_table, encode
from vdbcluster.features.values import LARGEST, Kind

RNG = np.random.default_rng(0)
N = 200

PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["2024-05-01", "2024-05-01T10:00:00Z", "a", "b", ""]),
)


def one(values: list[Any], **options: Any) -> Feature:
    table = build_table({"field": values}, TableOptions(**options))
    assert not table.left_out
    return table.features[0]


def why(values: list[Any], name: str = "field", **options: Any) -> str:
    table = build_table({name: values}, TableOptions(**options))
    assert not table.features
    return table.left_out[0].reason


@st.composite
def columns(draw: st.DrawFn) -> dict[str, list[Any]]:
    n = draw(st.integers(0, 30))
    kinds = [PLAIN, st.booleans(), st.integers(0, 3), st.sampled_from("abcdefgh"), st.floats()]
    return {
        f"f{i}": draw(st.lists(draw(st.sampled_from(kinds)), min_size=n, max_size=n))
        for i in range(draw(st.integers(0, 4)))
    }


@given(columns())
def test_any_plain_values_become_a_table_of_finite_numbers(given_columns: dict[str, Any]) -> None:
    table = build_table(given_columns)
    assert not np.isinf(table.values).any()
    assert np.isfinite(table.values.astype(np.float32)[~np.isnan(table.values)]).all()
    named = [f.name for f in table.features] + [f.name for f in table.left_out]
    assert sorted(named) == sorted(given_columns)
    np.testing.assert_array_equal(encode(table.features, given_columns), table.values)
    for feature, column in zip(table.features, table.values.T, strict=True):
        known = column[~np.isnan(column)]
        assert all(isinstance(feature.text(value), str) for value in known)
        if feature.kind == Kind.CATEGORY:
            assert known.max(initial=0) < feature.n_codes


def test_kinds() -> None:
    assert one([True, False, None] * 20).kind == Kind.BOOL
    assert one([0, 1, 2] * 20).kind == Kind.NUMBER
    assert one([0.5, 1, None] * 20).kind == Kind.NUMBER
    assert one(["a", "b", None] * 20).kind == Kind.CATEGORY
    assert one(["a", 1, True] * 20).kind == Kind.CATEGORY
    assert one(["2024-05-01", "2024/06/02"] * 20).kind == Kind.DATE
    assert one(["20240501", "20240602"] * 20).kind == Kind.CATEGORY


def test_values() -> None:
    table = build_table(
        {
            "flag": np.array([True, False] * 6),
            "day": ["1970-01-02", None, "1970-01-01T12:00:00+00:00"] * 4,
            "brand": ["b", "a", "a", None] * 3,
            "huge": [10**400, -(10**400), 1.0, math.nan] * 3,
        }
    )
    np.testing.assert_array_equal(table.column("flag")[:2], [1, 0])
    np.testing.assert_array_equal(table.column("day")[:3], [1, np.nan, 0.5])
    np.testing.assert_array_equal(table.column("brand")[:4], [1, 0, 0, np.nan])
    np.testing.assert_array_equal(table.column("huge")[:4], [LARGEST, -LARGEST, 1, np.nan])
    with pytest.raises(KeyError):
        table.column("none")


def test_text_of_a_value() -> None:
    day, brand = Feature("d", Kind.DATE), Feature("b", Kind.CATEGORY, ("x",), other=True)
    number = Feature("n", Kind.NUMBER)
    assert [day.text(1), day.text(0.5)] == ["1970-01-02", "1970-01-01 12:00"]
    assert day.text(1e12) == "1e+12 days since 1970"
    assert [brand.text(0), brand.text(1)] == ["x", OTHER]
    assert [number.text(v) for v in (1952, 12345.6, 0.12345, -3)] == [
        "1952", "12,346", "0.1235", "-3"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "name", "reason"),
    [
        ([None, math.nan] * 10, "x", "has no value"),
        ([3] * 30, "x", "is the same in all rows"),
        ([3] * 96 + [4] * 4, "x", "is the same in all but 4 of 100 rows"),
        ([None] * 97 + [4] * 3, "x", "is the same in all but 3 of 100 rows"),
        ([[1], [2]] * 20, "x", "holds lists"),
        ([f"a long sentence about something, number {i % 7} " * 3 for i in range(N)], "x", "text"),
        ([f"name {i}" for i in range(N)], "x", "100% of its values occur once"),
        (list(range(5, 5 + 3 * N, 3)), "x", "it counts the rows"),
        (list(range(N, 0, -1)), "x", "it counts the rows"),
        ([float(v) for v in range(N)], "x", "it counts the rows"),
        (RNG.permutation(3 * N)[:N].tolist(), "x", "room"),
        (RNG.integers(0, 2**60, N).tolist(), "customer_id", "called like one"),
        (RNG.integers(0, 2**60, N).tolist(), "customerId", "called like one"),
        ([1, 2] * 20, "cluster_id", "written by vdbcluster"),
        ([1, 2] * 20, "cluster_duplicate_of", "written by vdbcluster"),
    ],
)
def test_left_out_with_the_reason(values: list[Any], name: str, reason: str) -> None:
    assert reason in why(values, name)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (RNG.integers(0, 2**60, N).tolist(), "population"),  # distinct, but with ample room
        (RNG.random(N).tolist(), "score"),
        (sorted(RNG.random(N).tolist()), "rising"),
        ([i % 7 for i in range(N)], "shop_id"),  # refers to something
        ([None] * 100 + [False] * 100, "asked"),  # whether it is there says something
        ([f"2024-05-{d:02}" for d in range(1, 29)], "day"),
        ([1, 0], "tiny"),
    ],
)
def test_kept(values: list[Any], name: str) -> None:
    assert [f.name for f in build_table({name: values}).features] == [name]


def test_the_user_has_the_last_word() -> None:
    keys = list(range(N))
    assert why([1, 2] * 20, exclude=("field",)) == "is left out on request"
    assert one(keys, include=("field",)).kind == Kind.NUMBER
    assert one([f"name {i}" for i in keys], include=("field",)).other
    assert why([1] * 20, include=("field",)) == "is the same in all rows"
    for wrong in ({"include": ("none",)}, {"exclude": ("none",)}):
        with pytest.raises(UsageError, match="no scalar field 'none'"):
            build_table({"field": keys}, TableOptions(**wrong))
    with pytest.raises(UsageError, match="both included and excluded"):
        build_table({"x": keys}, TableOptions(include=("x",), exclude=("x",)))


def test_our_own_labels_cannot_be_forced_in() -> None:
    columns_given = {"group_id": [1, 2] * 20}
    assert build_table(columns_given).features
    with pytest.raises(UsageError, match="what vdbcluster writes"):
        build_table(columns_given, TableOptions(include=("group_id",), label_prefix="group_"))


def test_rare_categories_are_one() -> None:
    values = ["a"] * 30 + ["b"] * 20 + ["c"] * 5 + ["d"] * 4 + [None]
    feature = one(values, max_categories=2)
    assert (feature.categories, feature.other, feature.n_codes) == (("a", "b"), True, 3)
    got = encode([feature], {"field": ["b", "c", "never seen", None, 7]})
    np.testing.assert_array_equal(got[:, 0], [1, 2, 2, np.nan, 2])


def test_unknown_values_are_missing_where_all_are_known() -> None:
    table = build_table({"brand": ["a", "b"] * 20, "n": [1, 2.5] * 20})
    got = encode(table.features, {"brand": ["c", "a"], "n": ["many", True], "more": [1, 1]})
    np.testing.assert_array_equal(got, [[np.nan, np.nan], [0, 1]])
    with pytest.raises(UsageError, match="no field 'n'"):
        encode(table.features, {"brand": ["a"]})


def test_bad_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="columns of one length"):
        build_table({"a": [1], "b": [1, 2]})
    with pytest.raises(ValueError, match="max_categories"):
        TableOptions(max_categories=1)
    with pytest.raises(ValueError, match="1 features"):
        Table((Feature("a", Kind.BOOL),), np.empty((3, 2)))
    with pytest.raises(ValueError, match="no categories"):
        Feature("a", Kind.BOOL, ("x",))
    with pytest.raises(ValueError, match="not all different"):
        Feature("a", Kind.CATEGORY, ("x", "x"))


def test_fields_of_a_real_table() -> None:
    frame = data.table("tab_marketing2240.parquet")
    table = build_table({name: frame[name].tolist() for name in frame})
    assert [f.name for f in table.left_out] == ["id", "ID", "Z_CostContact", "Z_Revenue"]
    kinds = {f.name: f.kind for f in table.features}
    assert kinds["Dt_Customer"] == Kind.DATE
    assert kinds["Marital_Status"] == Kind.CATEGORY
    assert np.isnan(table.column("Income")).sum() == 24
