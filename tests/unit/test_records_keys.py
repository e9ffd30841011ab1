"""Digests of contents, and rows that come more than once."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.model.records import FieldSpec, Record, RecordShape, RowFault, SourceRow
from vdbcluster.records import Duplicates, ShapeOptions, Shaper, count_contents
from vdbcluster.records.keys import content_of, hash_key
from vdbcluster.records.options import DuplicateRule

HASHED = RecordShape(
    FieldSpec("id", "VARCHAR", 32), FieldSpec("text", "VARCHAR"), template="{text}"
)
KEYED = RecordShape(
    FieldSpec("k", "VARCHAR", 1024), FieldSpec("text", "VARCHAR"), id_field="k", template="{text}"
)


def records(shape: RecordShape, *rows: Mapping[str, Any]) -> list[Record]:
    shaper = Shaper(shape, ShapeOptions())
    found = [shaper.record(SourceRow(i, row)) for i, row in enumerate(rows, start=1)]
    return [record for record in found if isinstance(record, Record)]


def sifted(
    rule: DuplicateRule, shape: RecordShape, *rows: Mapping[str, Any]
) -> list[Record | RowFault | None]:
    made = records(shape, *rows)
    sift = Duplicates(rule, shape, count_contents(made))
    return [sift(record) for record in made]


def test_digests_are_for_good() -> None:
    """A stored key must be found again by every later version, on every machine."""
    assert content_of("text", {}).hex() == GOLDEN_TEXT
    assert content_of("日本", {"b": 1, "a": [1.5, None, True], "c": None}).hex() == GOLDEN_FIELDS
    assert hash_key(content_of("text", {}), 2) == GOLDEN_COPY


GOLDEN_TEXT = "2bde67c1b8d1e338e68f6ba3cf236e53"
GOLDEN_FIELDS = "f4429827491922db81d80fc4d0550d42"
GOLDEN_COPY = "fcddaf7f7240be45f9c03b56ca57db23"


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_digests_do_not_hang_on_the_hash_seed(seed: str) -> None:
    code = (
        "from vdbcluster.records.keys import content_of;"
        "print(content_of('日本', {'b': 1, 'a': [1.5, None, True], 'c': None}).hex())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == GOLDEN_FIELDS


FIELDS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=3),
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "1", "true"]),
    max_size=3,
)
TEXTS = st.none() | st.text(st.characters(codec="utf-8"), max_size=4)


@given(TEXTS, FIELDS, TEXTS, FIELDS)
def test_contents_are_equal_if_the_rows_are(a: Any, fa: Any, b: Any, fb: Any) -> None:
    def told(text: Any, fields: dict[str, Any]) -> Any:
        return text, {k: (type(v), v) for k, v in fields.items() if v is not None}

    assert (content_of(a, fa) == content_of(b, fb)) == (told(a, fa) == told(b, fb))


@given(FIELDS)
def test_the_order_of_fields_does_not_count(fields: dict[str, Any]) -> None:
    turned = dict(reversed(fields.items()))
    assert content_of("x", fields) == content_of("x", turned)


A, B = {"text": "a"}, {"text": "b"}


def test_copies_are_kept_under_keys_of_their_own() -> None:
    found = sifted("keep", HASHED, A, B, A, A)
    keys = [record.key for record in found if isinstance(record, Record)]
    assert len(set(keys)) == 4
    assert keys == [record.key for record in sifted("keep", HASHED, A, B, A, A) if record]
    assert keys[0] == content_of("a", {}).hex()


def test_copies_are_dropped() -> None:
    found = sifted("drop", HASHED, A, B, A, {"text": "a", "n": 1})
    assert [record is not None for record in found] == [True, True, False, True]


def test_copies_are_counted() -> None:
    first, other, copy, last = sifted("count", HASHED, A, B, A, A)
    assert isinstance(first, Record)
    assert isinstance(other, Record)
    assert (first.fields, other.fields) == ({"duplicates": 3}, {"duplicates": 1})
    assert first.content == content_of("a", {})
    assert copy is last is None


def test_the_same_key_with_other_content_is_a_fault() -> None:
    found = sifted("keep", KEYED, {"k": "1", **A}, {"k": "2", **A}, {"k": "1", **B})
    assert isinstance(found[0], Record)
    assert isinstance(found[1], Record)
    assert found[2] == RowFault(
        3, "the key '1' is that of row 1, whose content is another", {"key": "1", "text": "b"}
    )


@pytest.mark.parametrize("rule", ["keep", "drop", "count"])
def test_the_same_key_with_the_same_content_is_a_copy(rule: DuplicateRule) -> None:
    assert sifted(rule, KEYED, {"k": "1", **A}, {"k": "1", **A})[1] is None


def test_with_keys_of_the_source_content_may_come_twice_if_kept() -> None:
    rows = ({"k": "1", **A}, {"k": "2", **A})
    assert [record is not None for record in sifted("keep", KEYED, *rows)] == [True, True]
    assert [record is not None for record in sifted("drop", KEYED, *rows)] == [True, False]


def test_whole_number_keys() -> None:
    shape = RecordShape(FieldSpec("k", "INT64"), HASHED.text, id_field="k", template="{text}")
    found = sifted("keep", shape, {"k": -1, **A}, {"k": 1, **A}, {"k": -1, **A})
    assert [record is not None for record in found] == [True, True, False]


@given(st.lists(st.sampled_from("abc"), max_size=12), st.sampled_from(["keep", "drop", "count"]))
def test_every_row_is_accounted_for(texts: list[str], rule: DuplicateRule) -> None:
    found = sifted(rule, HASHED, *({"text": text} for text in texts))
    kept = [record for record in found if isinstance(record, Record)]
    assert len({record.key for record in kept}) == len(kept)
    if rule == "keep":
        assert Counter(record.text for record in kept) == Counter(texts)
    else:
        assert [record.text for record in kept] == list(dict.fromkeys(texts))
    if rule == "count":
        assert sum(record.fields["duplicates"] for record in kept) == len(texts)


@given(st.lists(st.sampled_from("abc"), max_size=9), st.integers(0, 9))
def test_reading_again_gives_the_same_keys(texts: list[str], more: int) -> None:
    """What a stopped run has written is what the next one would write."""
    rows = [{"text": text} for text in texts]
    whole = sifted("keep", HASHED, *rows, *([{"text": "a"}] * more))
    assert sifted("keep", HASHED, *rows) == whole[: len(rows)]
