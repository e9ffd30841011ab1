"""The shape told from a sample: types, text, names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.errors import UsageError
from vdbcluster.model.records import HASH_KEY_BYTES, MAX_KEY, FieldSpec, RecordShape, SourceRow
from vdbcluster.records import ShapeOptions, Shaper, infer_shape
from vdbcluster.records.names import free_name, is_legal
from vdbcluster.records.values import is_missing


def rows(*values: dict[str, Any]) -> list[SourceRow]:
    return [SourceRow(number, row) for number, row in enumerate(values, start=1)]


def shape(*values: dict[str, Any], **options: Any) -> RecordShape:
    return infer_shape(rows(*values), ShapeOptions(**options))


def kind_of_column(*cells: Any, typed: bool) -> str:
    sample = [{"text": "some words", "x": cell} for cell in cells]
    (spec,) = shape(*sample, fields=("x",), typed=typed, text_field="text").fields
    return spec.type + ("?" if spec.nullable else "")


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-20"], "INT64"),
        (["0", "9223372036854775807", "-9223372036854775808"], "INT64"),
        (["1", "9223372036854775808"], "VARCHAR"),
        (["001", "002"], "VARCHAR"),
        (["+49 30 1234", "+49 30 1235"], "VARCHAR"),
        (["+49", "30"], "VARCHAR"),
        (["1,5", "2,5"], "VARCHAR"),
        (["1_000"], "VARCHAR"),
        (["١٢"], "VARCHAR"),
        (["1", "2.5", "1e-3"], "DOUBLE"),
        (["1e999"], "VARCHAR"),
        (["nan", "1.0"], "VARCHAR"),
        (["true", "False", "TRUE"], "BOOL"),
        (["true", "1"], "VARCHAR"),
        (["1", None], "INT64?"),
        (["2024-01-01"], "VARCHAR"),
        (['{"a": 1}'], "VARCHAR"),
    ],
)
def test_types_of_plain_text(cells: list[Any], kind: str) -> None:
    assert kind_of_column(*cells, typed=False) == kind


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2"], "VARCHAR"),
        ([1, 2], "INT64"),
        ([1, 2.5], "DOUBLE"),
        ([1, 2**63], "VARCHAR"),
        ([True, False], "BOOL"),
        ([True, 1], "VARCHAR"),
        ([[1], {"a": 2}], "JSON"),
        ([[1], "x"], "VARCHAR"),
        ([1.5, float("nan")], "DOUBLE?"),
        ([1, None], "INT64?"),
    ],
)
def test_types_of_typed_values(cells: list[Any], kind: str) -> None:
    assert kind_of_column(*cells, typed=True) == kind


@pytest.mark.parametrize(
    ("field", "spec"),
    [
        ("n", FieldSpec("n", "INT64")),
        ("n:DOUBLE", FieldSpec("n", "DOUBLE")),
        ("n:str", FieldSpec("n", "VARCHAR")),
        ("n?", FieldSpec("n", "INT64", nullable=True)),
        ("n:JSON?", FieldSpec("n", "JSON", nullable=True)),
    ],
)
def test_what_a_field_can_say(field: str, spec: FieldSpec) -> None:
    assert shape({"text": "x", "n": 1}, fields=(field,)).fields == (spec,)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["title", "body", "text"], "text"),
        (["title", "Body "], "Body "),
        (["lead", "Content"], "Content"),
        (["見出し"], "見出し"),
    ],
)
def test_the_text_is_found_by_name_or_is_the_only_one(names: list[str], text: str) -> None:
    found = shape({**dict.fromkeys(names, "words"), "n": 1})
    assert found.template == f"{{{text}}}"


def test_with_vectors_the_text_may_stay_open() -> None:
    found = shape({"lead": "x", "more": "y"}, vectors=True)
    assert found.text is None
    assert found.template == ""


def test_declared_fields_and_the_id_are_no_candidates() -> None:
    found = shape({"headline": "x", "author": "y", "k": "z"}, id_field="k", fields=("author",))
    assert found.template == "{headline}"


def test_keys() -> None:
    row = {"text": "x", "k": 5, "s": "five"}
    assert shape(row, text_field="text").key == FieldSpec("id", "VARCHAR", HASH_KEY_BYTES)
    assert shape(row, text_field="text", id_field="k").key == FieldSpec("k", "INT64")
    assert shape(row, text_field="text", id_field="s").key == FieldSpec("s", "VARCHAR", MAX_KEY)
    assert shape(row, text_field="text", auto_id=True).key == FieldSpec("id", "INT64")
    said = shape(row, text_field="text", id_field="k", fields=("k:VARCHAR",))
    assert said.key == FieldSpec("k", "VARCHAR", MAX_KEY)
    assert said.fields == ()


def test_names_give_way_to_fields_of_the_source() -> None:
    found = shape({"id": 1, "text": "x", "head": "y", "vector": "z"}, template="{head}: {text}")
    assert (found.key.name, found.vector_name) == ("pk", "embedding")
    assert found.text is not None
    assert found.text.name == "content"


def test_names_that_milvus_refuses_are_replaced() -> None:
    found = shape({"Nr.": 1, "Freier Text": "x"}, id_field="Nr.", vector_field="mein-vektor")
    assert (found.key.name, found.vector_name) == ("id", "vector")
    assert found.text is not None
    assert found.text.name == "text"


def test_numbers_of_plain_text_beside_the_columns() -> None:
    row = {"text": "x", "n": "5", "price": "12.50", "size": "1.5", "zip": "01234", "ok": "true"}
    found = shape(row, typed=False, text_field="text")
    assert {spec.name: spec.type for spec in found.loose} == {
        "n": "INT64",
        "size": "DOUBLE",
        "ok": "BOOL",
    }
    assert shape(row, typed=False, text_field="text", rest="drop").loose == ()
    assert shape({"text": "x", "n": 5}).loose == ()


def test_count_has_a_field() -> None:
    found = shape({"text": "x"}, duplicates="count")
    assert found.fields == (FieldSpec("duplicates", "INT64"),)


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("a", True),
        ("_a1", True),
        ("Año", False),
        ("1a", False),
        ("a-b", False),
        ("", False),
        ("$meta", False),
        ("LIKE", False),
        ("a" * 255, True),
        ("a" * 256, False),
        ("a\n", False),
    ],
)
def test_legal_names(name: str, legal: bool) -> None:
    assert is_legal(name) is legal


@given(st.lists(st.text(max_size=5)), st.sets(st.text(max_size=5)))
def test_a_free_name_is_legal_and_free(wishes: list[str], taken: set[str]) -> None:
    name = free_name([*wishes, "text"], taken)
    assert name not in taken
    assert is_legal(name)


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_infinity=False),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9),
    st.lists(st.integers(0, 9), max_size=3),
)
TEXTS = st.one_of(
    st.none(),
    st.sampled_from(["1", "-7", "007", "1.5", "1.50", "true", "2e3", "9" * 19, "x", " 1"]),
)


@given(st.lists(CELLS, min_size=1, max_size=6), st.booleans())
def test_a_sample_fits_its_own_shape(cells: list[Any], drop: bool) -> None:
    sample = rows(*({"text": "words", "x": cell, "y": cell} for cell in cells))
    options = ShapeOptions(text_field="text", fields=("x",), rest="drop" if drop else "dynamic")
    _check_fits(sample, options)


@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_a_sample_of_plain_text_fits_its_own_shape(cells: list[Any]) -> None:
    sample = rows(*({"text": "words", "x": cell, "y": cell} for cell in cells))
    _check_fits(sample, ShapeOptions(text_field="text", fields=("x",), typed=False))


def _check_fits(sample: list[SourceRow], options: ShapeOptions) -> None:
    if all(is_missing(row.values["x"]) for row in sample):
        with pytest.raises(UsageError, match="is empty in the first"):
            infer_shape(sample, options)
        return
    found = infer_shape(sample, options)
    shaper = Shaper(found, options)
    for row in sample:
        record = shaper.record(row)
        assert not hasattr(record, "reason"), record
