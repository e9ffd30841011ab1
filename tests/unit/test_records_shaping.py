"""Rows become records that can be stored as they are, or faults that say why not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.errors import UsageError
from vdbcluster.model.records import (
    FieldSpec,
    Record,
    RecordShape,
    RowFault,
    SourceRow,
)
from vdbcluster.records import ShapeOptions, Shaper
from vdbcluster.records.shaping import MAX_JSON
from vdbcluster.records.template import Template
from vdbcluster.records.values import INT64_MAX, INT64_MIN, MisfitError, cast

KEY = FieldSpec("id", "VARCHAR", 32)
TEXT = FieldSpec("text", "VARCHAR")


def shaped(values: dict[str, Any], shape: RecordShape, **options: Any) -> Record | RowFault:
    return Shaper(shape, ShapeOptions(**options)).record(SourceRow(7, values))


def plain(*fields: FieldSpec, **more: Any) -> RecordShape:
    return RecordShape(KEY, TEXT, template="{text}", fields=fields, **more)


# ---- templates


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{a}", "one"),
        ("{a}\n{b c}", "one\ntwo"),
        (r"{a}\n{b c}", "one\ntwo"),
        ("{a}: {none}", "one: "),
        ("{a}: {absent}", "one: "),
        ("{{a}} {a}", "{a} one"),
        ("{n} {f} {l} {t}", '1 0.5 [1,"x"] true'),
        ("{nan}{a}", "one"),
    ],
)
def test_templates(template: str, text: str) -> None:
    values = {"a": "one", "b c": "two", "none": None, "n": 1, "f": 0.5, "l": [1, "x"], "t": True}
    assert Template(template).fill({**values, "nan": float("nan")}) == text


@pytest.mark.parametrize("template", ["{", "}", "{}", "{a}}", "a{b{c}", "plain"])
def test_templates_that_cannot_be_read(template: str) -> None:
    with pytest.raises(UsageError, match="template"):
        Template(template)


@given(st.text(), st.text(st.characters(exclude_characters="{}"), min_size=1, max_size=5))
def test_braces_can_be_said(around: str, name: str) -> None:
    escaped = around.replace("{", "{{").replace("}", "}}").replace("\\", "/")
    filled = Template(f"{escaped}{{{name}}}").fill({name: "x"})
    assert filled == around.replace("\\", "/") + "x"


# ---- values


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        (5, "VARCHAR", "5"),
        (0.1, "VARCHAR", "0.1"),
        (True, "VARCHAR", "true"),
        ({"b": 1, "a": "é"}, "VARCHAR", '{"a":"é","b":1}'),
        (b"abc", "VARCHAR", "abc"),
        ("007", "INT64", 7),
        ("5.0", "INT64", 5),
        (5.0, "INT64", 5),
        (" -3 ", "INT64", -3),
        ("1e3", "DOUBLE", 1000.0),
        ("-.5", "DOUBLE", -0.5),
        (7, "DOUBLE", 7.0),
        ("TRUE", "BOOL", True),
        ("0", "BOOL", False),
        (1, "BOOL", True),
        ('{"a": [1]}', "JSON", {"a": [1]}),
        ([1, None], "JSON", [1, None]),
    ],
)
def test_casts(value: Any, kind: Any, found: Any) -> None:
    result = cast(value, kind)
    assert (type(result), result) == (type(found), found)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("x", "INT64"),
        ("1_0", "INT64"),
        (1.5, "INT64"),
        (2.0**60, "INT64"),
        (True, "INT64"),
        (INT64_MAX + 1, "INT64"),
        (str(INT64_MIN - 1), "INT64"),
        ("9" * 5000, "INT64"),
        ("one", "DOUBLE"),
        ("nan", "DOUBLE"),
        ("1e999", "DOUBLE"),
        (10**400, "DOUBLE"),
        (float("inf"), "DOUBLE"),
        (False, "DOUBLE"),
        ([1], "DOUBLE"),
        ("yes", "BOOL"),
        (2, "BOOL"),
        ("{", "JSON"),
        ([float("nan")], "JSON"),
        ("[NaN]", "JSON"),
        (b"\xff", "VARCHAR"),
    ],
)
def test_misfits(value: Any, kind: Any) -> None:
    with pytest.raises(MisfitError):
        cast(value, kind)


@given(st.integers(INT64_MIN, INT64_MAX))
def test_whole_numbers_come_through_as_text(number: int) -> None:
    assert cast(str(number), "INT64") == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_fractions_come_through_as_text(number: float) -> None:
    assert cast(repr(number), "DOUBLE") == number


# ---- rows


def test_a_record_has_all_that_was_asked_for() -> None:
    shape = plain(FieldSpec("n", "INT64"), FieldSpec("gone", "BOOL", nullable=True))
    found = shaped({"text": "x", "n": "5", "more": [1], "empty": None}, shape)
    assert isinstance(found, Record)
    assert (found.number, found.text) == (7, "x")
    assert found.fields == {"n": 5, "gone": None, "more": [1]}
    assert found.key == found.content.hex()


def test_the_rest_can_be_dropped_but_for_what_is_loose() -> None:
    shape = plain(rest="drop", loose=(FieldSpec("n", "INT64", nullable=True),))
    found = shaped({"text": "x", "n": "5", "more": 1, "inf": float("inf")}, shape)
    assert isinstance(found, Record)
    assert found.fields == {"n": 5}


def test_loose_values_that_do_not_fit_stay_as_they_are() -> None:
    shape = plain(loose=(FieldSpec("n", "INT64", nullable=True),))
    found = shaped({"text": "x", "n": "five"}, shape)
    assert isinstance(found, Record)
    assert found.fields == {"n": "five"}


def test_the_text_in_an_existing_collection_may_have_another_name() -> None:
    shape = RecordShape(KEY, FieldSpec("body", "VARCHAR"), template="{text}")
    found = shaped({"text": "x", "n": 1}, shape)
    assert isinstance(found, Record)
    assert (found.text, found.fields) == ("x", {"n": 1})
    clash = shaped({"text": "x", "body": "y"}, shape)
    assert isinstance(clash, RowFault)
    assert clash.reason == "the field 'body' has the name of a column; rename it"


def test_big_numbers_beside_the_columns_become_text() -> None:
    found = shaped({"text": "x", "big": 2**70, "n": 2**60}, plain())
    assert isinstance(found, Record)
    assert found.fields == {"big": str(2**70), "n": 2**60}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"a": float("-inf")}, "the field 'a' holds a number that is infinite or none at all"),
        ({"a": {"b": [float("nan")]}}, "the field 'a' holds a number that is infinite or none"),
        ({"a": [{"b": "\0"}]}, "the field 'a' holds a NUL character"),
        ({"a": {"\ud800": 1}}, "the field 'a' holds half a surrogate pair"),
        ({"a": "\udcff"}, "the field 'a' holds half a surrogate pair"),
        ({"a\0": 1}, "the field 'a\\x00' holds a NUL character"),
        ({"$meta": 1}, "the field '$meta' has the name of a column"),
        ({"cluster_id": 1}, "the field 'cluster_id' has the name of a column"),
        ({"vector": 1}, "the field 'vector' has the name of a column"),
        ({"a": b"\xff"}, "the field 'a' holds bytes"),
    ],
)
def test_what_the_dynamic_field_cannot_hold(more: dict[str, Any], reason: str) -> None:
    found = shaped({"text": "x", **more}, plain())
    assert isinstance(found, RowFault)
    assert found.reason.startswith(reason)
    assert found.number == 7
    assert found.raw == {"text": "x", **more}


def test_deep_values_are_faults() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    found = shaped({"text": "x", "a": deep}, plain())
    assert isinstance(found, RowFault)
    assert found.reason == "the field 'a' is nested too deeply"
    while deep:
        deep = deep.pop()


def test_a_backslash_before_u0000_is_no_nul() -> None:
    found = shaped({"text": "x", "a": "\\u0000"}, plain())
    assert isinstance(found, Record)


@pytest.mark.parametrize("over", [0, 1])
def test_the_dynamic_field_is_bounded_in_bytes(over: int) -> None:
    frame = len(json.dumps({"a": ""}, separators=(",", ":")))
    value = "é" * ((MAX_JSON - frame) // 2) + "x" * ((MAX_JSON - frame) % 2 + over)
    found = shaped({"text": "x", "a": value}, plain())
    assert isinstance(found, RowFault if over else Record)


def test_long_values_are_cut_only_on_request() -> None:
    shape = RecordShape(
        KEY,
        FieldSpec("text", "VARCHAR", 5),
        template="{text}",
        fields=(FieldSpec("a", "VARCHAR", 3),),
    )
    row = SourceRow(1, {"text": "日本", "a": "éé"})
    fault = Shaper(shape, ShapeOptions()).record(row)
    assert isinstance(fault, RowFault)
    assert "has 6 bytes, 5 are allowed" in fault.reason
    shaper = Shaper(shape, ShapeOptions(long_fields="truncate"))
    cut = shaper.record(row)
    assert isinstance(cut, Record)
    assert (cut.text, cut.fields, shaper.shortened) == ("日", {"a": "é"}, 2)


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), st.integers(4, 40)
)
def test_cut_texts_are_the_longest_beginning_that_fits(text: str, limit: int) -> None:
    shape = RecordShape(KEY, FieldSpec("text", "VARCHAR", limit), template="{text}")
    found = shaped({"text": text}, shape, long_fields="truncate")
    if not text.strip():
        assert isinstance(found, RowFault)
        return
    assert isinstance(found, Record)
    assert found.text is not None
    assert text.startswith(found.text)
    following = text[len(found.text) : len(found.text) + 1]
    size = len(found.text.encode())
    assert size <= limit < size + len(following.encode()) or found.text == text


@pytest.mark.parametrize(
    ("key", "kind", "found"),
    [
        (5, "INT64", 5),
        ("5", "INT64", 5),
        (5, "VARCHAR", "5"),
        (INT64_MIN, "INT64", INT64_MIN),
        ("é" * 512, "VARCHAR", "é" * 512),
        ('a"\\\n', "VARCHAR", 'a"\\\n'),
    ],
)
def test_keys_of_the_source(key: Any, kind: Any, found: Any) -> None:
    shape = RecordShape(FieldSpec("k", kind, 1024), TEXT, id_field="k", template="{text}")
    record = shaped({"text": "x", "k": key}, shape)
    assert isinstance(record, Record)
    assert (record.key, record.fields) == (found, {})


@pytest.mark.parametrize(
    ("key", "kind", "reason"),
    [
        (None, "INT64", "is empty"),
        ("", "VARCHAR", "is empty"),
        (INT64_MAX + 1, "INT64", "which is beyond 64 bits; --field k:VARCHAR would take it"),
        ("x", "INT64", "holds 'x', which is no INT64"),
        ("é" * 513, "VARCHAR", "has 1,026 bytes, 1,024 are allowed"),
        ("a\0", "VARCHAR", "holds a NUL character"),
    ],
)
def test_keys_that_cannot_be(key: Any, kind: Any, reason: str) -> None:
    shape = RecordShape(FieldSpec("k", kind, 1024), TEXT, id_field="k", template="{text}")
    fault = shaped({"text": "x", "k": key}, shape)
    assert isinstance(fault, RowFault)
    assert fault.reason.startswith("the key (field 'k') ")
    assert reason in fault.reason


def test_without_text_there_are_vectors_alone() -> None:
    shape = RecordShape(KEY, None)
    found = shaped({"row": 3}, shape)
    assert isinstance(found, Record)
    assert (found.text, found.fields) == (None, {"row": 3})


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=4), ANY, max_size=4), ANY, st.booleans())
def test_any_row_is_a_storable_record_or_a_fault(rest: Any, text: Any, cut: bool) -> None:
    shape = plain(FieldSpec("n", "INT64", nullable=True), FieldSpec("s", "VARCHAR", 8))
    options = {"long_fields": "truncate" if cut else "fault"}
    found = shaped({"s": "", **rest, "text": text}, shape, **options)
    if isinstance(found, RowFault):
        assert found.reason
        assert "\n" not in found.reason
        return
    body = json.dumps(found.fields, allow_nan=False, ensure_ascii=False).encode()
    assert json.loads(body) == found.fields
    assert found.text is not None
    assert 0 < len(found.text.encode()) <= 65_535
    assert b"\\u0000" not in body.replace(b"\\\\", b"")
