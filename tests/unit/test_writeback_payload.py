"""Whole rows go back byte for byte but for our fields, whatever their types."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymilvus.grpc_gen import schema_pb2 as pb

from vdbcluster.adapters.milvus.writeback.payload import (
    digests,
    keys_of,
    splice_members,
    with_labels,
)
from vdbcluster.errors import BackendError

OWN = ("cluster_id", "cluster_run_id")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text() | st.sampled_from(OWN), json_values, max_size=6),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_members_of_others_stay_and_ours_are_set(
    before: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    raw = json.dumps(before, indent=indent, ensure_ascii=ascii_only)

    after = json.loads(splice_members(raw.encode(errors="surrogatepass"), {OWN[0]: 7, OWN[1]: "r"}))

    foreign = {name: value for name, value in before.items() if name not in OWN}
    assert after == foreign | {OWN[0]: 7, OWN[1]: "r"}
    assert list(after)[: len(foreign)] == list(foreign)


def test_what_a_decoder_would_spoil_is_kept_as_text() -> None:
    raw = b'{"n": 123456789012345678901234567890, "f": 1.50e+2, "twice": 1, "twice": 2, "x": -0.0}'

    spliced = splice_members(raw, {"cluster_id": 1})

    assert spliced == raw[:-1] + b', "cluster_id": 1}'
    assert splice_members(spliced, {"cluster_id": 2}) == raw[:-1] + b', "cluster_id": 2}'


@pytest.mark.parametrize("raw", [b"[1]", b'{"a" 1}', b'{"a": 1', b"{", b'{"a": 1,}'])
def test_dynamic_fields_that_are_no_object_are_refused(raw: bytes) -> None:
    with pytest.raises(BackendError, match="not a JSON object"):
        splice_members(raw, {"cluster_id": 1})


def column(name: str, kind: str, slot: str, values: Any, **more: Any) -> Any:
    made = pb.FieldData(field_name=name, type=pb.DataType.Value(kind), **more)
    getattr(made.scalars, slot).data.extend(values)
    return made


def vector(name: str, kind: str, dim: int, **data: Any) -> Any:
    return pb.FieldData(
        field_name=name, type=pb.DataType.Value(kind), vectors=pb.VectorField(dim=dim, **data)
    )


def answer() -> list[Any]:
    """Two rows with a field of every kind."""
    arrays = pb.ArrayArray(
        element_type=pb.VarChar,
        data=[pb.ScalarField(string_data=pb.StringArray(data=["a"])), pb.ScalarField()],
    )
    return [
        column("id", "Int64", "long_data", [5, -(2**63)]),
        column("b", "Bool", "bool_data", [True, False]),
        column("f", "Float", "float_data", [0.1, -0.0]),
        column("d", "Double", "double_data", [5e-324, 1e308]),
        column("s", "VarChar", "string_data", ["é\n", ""]),
        column("j", "JSON", "json_data", [b'{"big": 98765432109876543210}', b"[ ]"]),
        pb.FieldData(
            field_name="a", type=pb.Array, scalars=pb.ScalarField(array_data=arrays)
        ),
        vector("v", "FloatVector", 2, float_vector=pb.FloatArray(data=[1.0, 2.0, 3.0, 4.0])),
        vector("h", "Float16Vector", 2, float16_vector=b"abcdefgh"),
        vector("g", "BFloat16Vector", 1, bfloat16_vector=b"abcd"),
        vector("x", "BinaryVector", 16, binary_vector=b"abcd"),
        vector("i", "Int8Vector", 2, int8_vector=b"abcd"),
        vector("p", "SparseFloatVector", 9, sparse_float_vector=pb.SparseFloatArray(
            contents=[b"12345678", b""], dim=9)),
        column("$meta", "JSON", "json_data", [b'{"k": 1e2}', b'{"cluster_id": "x"}'],
               is_dynamic=True),
    ]  # fmt: skip


def labels() -> list[dict[str, Any]]:
    return [{"cluster_id": 3, "cluster_run_id": "r"}, {"cluster_id": -1, "cluster_run_id": "r"}]


def test_every_foreign_column_is_sent_as_it_came() -> None:
    found = answer()

    sent = with_labels(found, labels(), declared=())

    kept = {c.field_name: c for c in sent if c.field_name not in ("$meta", "a")}
    assert kept == {c.field_name: c for c in found if c.field_name not in ("$meta", "a")}
    assert list(sent[-1].scalars.json_data.data) == [
        b'{"k": 1e2, "cluster_id": 3, "cluster_run_id": "r"}',
        b'{"cluster_id": -1, "cluster_run_id": "r"}',
    ]
    assert keys_of(sent, "id") == [5, -(2**63)]
    assert found == answer()


def test_an_empty_array_is_sent_with_the_type_of_its_elements() -> None:
    """The server 2.3.5 dies of an array without."""
    arrays = with_labels(answer(), labels(), declared=())[6].scalars.array_data.data

    assert [cell.WhichOneof("data") for cell in arrays] == ["string_data", "string_data"]
    assert [list(cell.string_data.data) for cell in arrays] == [["a"], []]


def test_declared_fields_are_replaced_and_nulls_are_left_out() -> None:
    found = [
        column("id", "Int64", "long_data", [1, 2]),
        column("n", "Int32", "int_data", [0, 7], valid_data=[False, True]),
        column("cluster_id", "Int64", "long_data", [0, 0], valid_data=[False, False]),
        column("cluster_run_id", "VarChar", "string_data", ["", "old"]),
    ]

    sent = with_labels(found, labels(), declared=OWN)

    assert list(sent[1].scalars.int_data.data) == [7]
    assert list(sent[1].valid_data) == [False, True]
    assert list(sent[2].scalars.long_data.data) == [3, -1]
    assert list(sent[2].valid_data) == [True, True]
    assert list(sent[3].scalars.string_data.data) == ["r", "r"]
    assert not sent[3].valid_data


def test_an_answer_without_a_place_for_labels_is_an_error() -> None:
    with pytest.raises(BackendError, match="dynamic fields"):
        with_labels(answer()[:1], labels(), declared=())
    with pytest.raises(BackendError, match="cluster_id"):
        with_labels(answer()[:1], labels(), declared=OWN)


@pytest.mark.parametrize("where", range(1, len(answer())))
def test_a_digest_tells_any_change_but_ours(where: int) -> None:
    before = digests(answer(), "id", OWN)
    labelled = answer()
    labelled[-1] = with_labels(labelled, labels(), declared=())[-1]
    assert digests(labelled, "id", OWN) == before

    changed = answer()
    changed[where] = _altered(changed[where])
    after = digests(changed, "id", OWN)

    assert after.keys() == before.keys()
    assert after[5] != before[5]
    assert after[-(2**63)] == before[-(2**63)]


def _altered(column: Any) -> Any:
    """The same column with another value in its first row."""
    if column.WhichOneof("field") == "vectors":
        kind = column.vectors.WhichOneof("data")
        if kind == "float_vector":
            column.vectors.float_vector.data[1] = np.nextafter(np.float32(2), np.float32(3))
        elif kind == "sparse_float_vector":
            column.vectors.sparse_float_vector.contents[0] = b"12345679"
        else:
            raw = getattr(column.vectors, kind)
            setattr(column.vectors, kind, b"z" + raw[1:])
        return column
    kind = column.scalars.WhichOneof("data")
    data = getattr(column.scalars, kind).data
    others = {
        "bool_data": False, "float_data": 0.2, "double_data": 1.0, "string_data": "e",
        "json_data": b'{"k": 1e3}',
    }  # fmt: skip
    if kind == "array_data":
        data[0].string_data.data[0] = "b"
    else:
        data[0] = others[kind]
    return column


def test_rows_are_told_by_key_and_not_by_place() -> None:
    first = [
        column("id", "Int64", "long_data", [1, 2]),
        column("s", "VarChar", "string_data", "ab"),
    ]
    second = [
        column("s", "VarChar", "string_data", "ba"),
        column("id", "Int64", "long_data", [2, 1]),
    ]

    assert digests(first, "id", ()) == digests(second, "id", ())
    assert digests([], "id", ()) == {}


def test_null_and_zero_differ() -> None:
    def rows(valid: list[bool], values: list[int]) -> list[Any]:
        return [
            column("id", "Int64", "long_data", [1, 2]),
            column("n", "Int64", "long_data", values, valid_data=valid),
        ]

    null, zero = rows([False, True], [0, 4]), rows([True, True], [0, 4])

    assert digests(null, "id", ())[1] != digests(zero, "id", ())[1]
    assert digests(null, "id", ()) == digests(rows([False, True], [4]), "id", ())
