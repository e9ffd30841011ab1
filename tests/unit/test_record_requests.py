"""The pure parts of the Milvus record writer: requests, payload, seen keys, fitting, comparing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymilvus import DataType
from pymilvus.client.types import FunctionType

from vdbcluster.adapters.milvus.decode import to_floats
from vdbcluster.adapters.milvus.ingest.compare import holds, same
from vdbcluster.adapters.milvus.ingest.fitting import fit_existing
from vdbcluster.adapters.milvus.ingest.layout import Column, Layout, read_layout
from vdbcluster.adapters.milvus.ingest.payload import (
    entities,
    scalar_column,
    vector_bytes,
    vector_column,
    wire_columns,
)
from vdbcluster.adapters.milvus.ingest.rows import Filling, Row, blank, last_of_each, make_rows
from vdbcluster.adapters.milvus.ingest.seen import SeenKeys
from vdbcluster.adapters.milvus.ingest.sending import Sender, requests
from vdbcluster.errors import BackendError, UsageError
from vdbcluster.model.collection import KeyField, VectorField
from vdbcluster.model.records import FieldSpec, Record, RecordShape

VECTOR = VectorField("vector", "FLOAT_VECTOR", 4, "L2", "FLAT")
COLUMNS = {
    "text": Column("text", "VARCHAR", max_length=50),
    "n": Column("n", "INT32", nullable=True, required=False),
    "tags": Column("tags", "ARRAY", required=False, element="VARCHAR", capacity=3, max_length=9),
}
LAYOUT = Layout(KeyField("id", "INT64", False), (VECTOR,), COLUMNS, True, {})
FILLING = Filling(LAYOUT, VECTOR, "text")


def row(key: int, size: int = 100, **columns: Any) -> Row:
    return Row(key, key, columns or {"text": "t"}, {}, b"{}", size)


# ---- requests


@given(
    st.lists(st.tuples(st.integers(1, 300), st.sampled_from(["a", "b", "ab"])), max_size=60),
    st.integers(50, 1000),
)
def test_requests_hold_every_row_once_within_bounds_and_alike(rows, limit):
    placed = [(i, row(i, size, **dict.fromkeys(names, 1))) for i, (size, names) in enumerate(rows)]
    parts = list(requests(placed, 16, limit))
    assert sorted(i for part in parts for i, _ in part) == list(range(len(rows)))
    for part in parts:
        assert part
        assert len({tuple(sorted(r.columns)) for _, r in part}) == 1
        assert len(part) == 1 or sum(r.size + 16 for _, r in part) <= limit
        assert [i for i, _ in part] == sorted(i for i, _ in part)


def test_requests_are_as_few_as_they_can_be():
    placed = [(i, row(i, 84)) for i in range(10)]
    assert [len(part) for part in requests(placed, 16, 300)] == [3, 3, 3, 1]


class FakeMilvus:
    """Takes so many rows at once; counts what it stored."""

    def __init__(self, most: int, loses: int = 0) -> None:
        self.most, self.loses = most, loses
        self.calls: list[int] = []
        self.again: list[bool] = []

    def upsert(self, name: str, data: list[Any], **_: Any) -> dict[str, int]:
        from pymilvus.exceptions import MilvusException

        self.calls.append(len(data))
        if len(data) > self.most:
            raise MilvusException(65535, "received message larger than max (99 vs. 67108864)")
        return {"upsert_count": len(data) - self.loses}

    def raw(self, call: Any, *, again: bool = True) -> Any:
        self.again.append(again)
        return call(self, 1.0)


class FakeTarget:
    name = "docs"

    def __init__(self, milvus: FakeMilvus) -> None:
        self.milvus = milvus


def test_requests_that_are_too_large_are_halved():
    milvus = FakeMilvus(most=3)
    sender = Sender(FakeTarget(milvus), FILLING, 1 << 30)  # type: ignore[arg-type]
    sender.upsert([(i, row(i)) for i in range(10)], np.zeros((10, 4), np.float32), {})
    assert milvus.calls == [10, 5, 2, 3, 5, 2, 3]


def test_a_row_that_is_too_large_alone_and_rows_that_are_not_stored_are_errors():
    vectors = np.zeros((2, 4), np.float32)
    alone = Sender(FakeTarget(FakeMilvus(most=0)), FILLING, 1 << 30)  # type: ignore[arg-type]
    with pytest.raises(BackendError, match=r"writing to 'docs'.*message exceeds"):
        alone.upsert([(0, row(0))], vectors, {})
    lossy = Sender(FakeTarget(FakeMilvus(9, loses=1)), FILLING, 1 << 30)  # type: ignore[arg-type]
    with pytest.raises(BackendError, match="1 of 2 rows stored"):
        lossy.upsert([(0, row(0)), (1, row(1))], vectors, {})


# ---- rows


def record(key: int = 1, text: str = "t", **fields: Any) -> Record:
    return Record(3, key, text, fields)


def test_values_go_to_columns_or_the_dynamic_field():
    made = make_rows([record(n=5, tags=["a", "ü"], more={"x": 1}, none=None)], FILLING)[0]
    assert made.columns == {"text": "t", "n": 5, "tags": ["a", "ü"]}
    assert json.loads(made.meta) == {"more": {"x": 1}, "none": None} == made.dynamic


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n": 2**31}, "2147483648 is beyond INT32, the type of 'n'"),
        ({"n": True}, "True is no INT32"),
        ({"n": 1.0}, "1.0 is no INT32"),
        ({"tags": ["a"] * 4}, "4 elements in the field 'tags', which holds 3"),
        ({"tags": ["x" * 10]}, "10 bytes in the field 'tags', which holds 9"),
        ({"tags": [1]}, "1 is no VARCHAR"),
        ({"tags": "a"}, "'a' is no ARRAY"),
        ({"vector": 1}, "'vector' is the collection's own"),
        ({"x": float("inf")}, "not JSON compliant"),
        ({"x": object()}, "not JSON serializable"),
        ({"x": "\ud800"}, "surrogates not allowed"),
    ],
)
def test_what_a_column_cannot_hold_is_told_with_row_and_field(fields, message):
    with pytest.raises(UsageError, match="row 3 cannot be stored") as told:
        make_rows([record(**fields)], FILLING)
    assert message in str(told.value)


def test_a_row_must_bring_what_the_collection_requires():
    with pytest.raises(UsageError, match="lacks the field 'text'"):
        make_rows([Record(3, 1, None, {})], FILLING)
    filling = replace(FILLING, blanks={"text": ""})
    made = make_rows([Record(3, 1, None, {"n": 1})], filling)[0]
    assert "text" not in made.columns
    assert blank(made, filling).columns == {"text": "", "n": 1}


def test_the_last_row_of_a_key_wins_and_keeps_what_it_does_not_name():
    rows = make_rows([record(n=1, a=1), record(2), record(text="u", b=2)], FILLING)
    kept = last_of_each(enumerate(rows))
    assert [(at, r.key) for at, r in kept] == [(1, 2), (2, 1)]
    assert kept[1][1].columns == {"text": "u", "n": 1}
    assert json.loads(kept[1][1].meta) == {"a": 1, "b": 2}


# ---- payload


def test_columns_on_the_wire_say_what_the_entities_say():
    rows = make_rows(
        [record(1, "a", n=1, tags=[]), record(2, "b", n=None, tags=["x"], more=1)], FILLING
    )
    vectors = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    by_name = {c.field_name or "$meta": c for c in wire_columns(rows, vectors, FILLING)}
    assert list(by_name["id"].scalars.long_data.data) == [1, 2]
    assert list(by_name["text"].scalars.string_data.data) == ["a", "b"]
    assert list(by_name["n"].valid_data) == [True, False]
    assert list(by_name["n"].scalars.int_data.data) == [1]
    arrays = by_name["tags"].scalars.array_data
    assert arrays.element_type == DataType.VARCHAR
    assert [list(cell.string_data.data) for cell in arrays.data] == [[], ["x"]]
    assert all(cell.WhichOneof("data") for cell in arrays.data)
    floats = by_name["vector"].vectors
    assert floats.dim == 4
    np.testing.assert_array_equal(np.float32(floats.float_vector.data), vectors.ravel())
    assert [json.loads(m) for m in by_name["$meta"].scalars.json_data.data] == [{}, {"more": 1}]

    plain = entities(rows, vectors, FILLING)
    assert {n: v for n, v in plain[1].items() if n != "vector"} == {
        "id": 2,
        "text": "b",
        "n": None,
        "tags": ["x"],
        "more": 1,
    }


@pytest.mark.parametrize(("kind", "bits"), [("FLOAT16_VECTOR", 11), ("BFLOAT16_VECTOR", 8)])
def test_shorter_vectors_are_rounded_to_the_nearest(kind, bits):
    vectors = np.random.default_rng(1).uniform(0.5, 1, size=(50, 4)).astype(np.float32)
    field = replace(VECTOR, type=kind)
    held = to_floats(b"".join(vector_bytes(vectors, field)), field)
    assert np.abs(held - vectors).max() <= 2.0 ** -(bits + 1)
    column = vector_column(vectors, field)
    assert len(getattr(column.vectors, kind.lower())) == 50 * 4 * 2


def test_a_column_that_cannot_be_null_has_no_word_about_it():
    assert not scalar_column(Column("a", "DOUBLE"), [1.0]).valid_data


# ---- comparing


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)  # fmt: skip


@given(json_values)
def test_a_value_is_the_same_as_its_copy(value):
    assert same(json.loads(json.dumps(value)), value)


@given(json_values, json_values)
def test_different_values_are_not_the_same(one, other):
    if json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True):
        zero = {json.dumps(one), json.dumps(other)} == {"0.0", "-0.0"}
        assert zero or not same(one, other) or "-0.0" in json.dumps([one, other])


def test_what_a_row_names_must_be_there():
    made = make_rows([record(n=None, a=None, b=1)], FILLING)[0]
    found = {"text": "t", "n": None, "b": 1, "foreign": 3, "vector": [1.0]}
    assert holds(found, made)
    assert not holds({**found, "a": 0}, made)
    assert not holds({**found, "b": True}, made)
    assert not holds({**found, "n": 0}, made)


# ---- seen keys


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.text(), unique=True, max_size=200))
def test_keys_that_were_added_are_never_denied(keys):
    seen = SeenKeys()
    seen.add(keys)
    assert seen.maybe(keys).all()


def test_other_keys_are_denied():
    seen = SeenKeys()
    seen.add(range(100_000))
    assert seen.maybe(range(100_000)).all()
    assert seen.maybe(range(10**6, 2 * 10**6, 10)).mean() < 1e-3
    assert not SeenKeys().maybe(["a", 1]).any()


# ---- fitting


def described(*functions: dict[str, Any], **fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "enable_dynamic_field": True,
        "auto_id": False,
        "functions": list(functions),
        "fields": [{"name": name, "params": {}, **field} for name, field in fields.items()],
    }


DENSE = {"type": DataType.FLOAT_VECTOR, "params": {"dim": 4}}
FIELDS = {
    "id": {"type": DataType.INT64, "is_primary": True},
    "text": {"type": DataType.VARCHAR, "params": {"max_length": 90}},
}
SHAPE = RecordShape(key=FieldSpec("id", "INT64"), text=FieldSpec("text", "VARCHAR"))


def test_vectors_that_the_server_computes_are_refused_in_words():
    function = {"type": FunctionType.TEXTEMBEDDING, "output_field_names": ["vector"]}
    layout = read_layout(described(function, **FIELDS, vector=DENSE))
    with pytest.raises(UsageError, match=r"computes 'vector' itself \(TEXTEMBEDDING function\)"):
        fit_existing("docs", SHAPE, layout)


def test_fields_that_the_server_computes_beside_need_not_be_brought():
    function = {"type": FunctionType.BM25, "output_field_names": ["sparse"]}
    sparse = {"type": DataType.SPARSE_FLOAT_VECTOR}
    layout = read_layout(described(function, **FIELDS, vector=DENSE, sparse=sparse))
    fitted = fit_existing("docs", SHAPE, layout)
    assert fitted.vector.name == "vector"
    assert fitted.shape.text == FieldSpec("text", "VARCHAR", 90)
    with pytest.raises(UsageError, match="'sparse' is computed by the server there"):
        fit_existing("docs", replace(SHAPE, fields=(FieldSpec("sparse", "JSON"),)), layout)


def test_fitting_twice_changes_nothing_more():
    columns = {"n": {"type": DataType.INT32}, "f": {"type": DataType.FLOAT, "nullable": True}}
    layout = read_layout(described(**FIELDS, **columns, vec=DENSE))
    fields = (FieldSpec("n", "INT64", nullable=True), FieldSpec("gone", "BOOL"))
    shape = replace(SHAPE, fields=fields, loose=(FieldSpec("f", "INT64"), FieldSpec("x", "INT64")))
    once = fit_existing("docs", shape, layout).shape
    assert [spec.name for spec in once.fields] == ["n", "f"]
    assert [spec.name for spec in once.loose] == ["x", "gone"]
    assert fit_existing("docs", once, layout).shape == once


def test_label_columns_that_must_be_filled_get_blanks():
    columns = {"cluster_id": {"type": DataType.INT64}, "cluster_run_id": {"type": DataType.VARCHAR}}
    layout = read_layout(described(**FIELDS, **columns, vector=DENSE))
    fitted = fit_existing("docs", SHAPE, layout, ("cluster_id", "cluster_run_id"))
    assert fitted.blanks == {"cluster_id": -1, "cluster_run_id": ""}
    with pytest.raises(UsageError, match="must bring the field 'cluster_id'"):
        fit_existing("docs", SHAPE, layout)
