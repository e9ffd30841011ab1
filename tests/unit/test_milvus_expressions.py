"""Keys in filter expressions: literals read back as they were, batches cover everything once."""

from __future__ import annotations

import ast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.adapters.milvus.expressions import (
    INT64_MIN,
    both,
    in_batches,
    key_after,
    key_between,
    key_in,
    literal,
)

INT64 = st.integers(INT64_MIN, 2**63 - 1)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_text_literal_reads_back(text: str) -> None:
    written = literal(text)

    # Python's own rules for the escapes in use are those that Milvus was measured to have.
    assert ast.literal_eval(written) == text
    assert not {"\n", "\r", "\t"} & set(written)


def test_smallest_number_never_appears_as_a_literal() -> None:
    assert key_in("k", [INT64_MIN]) == f"k < {INT64_MIN + 1}"
    assert key_in("k", [1, INT64_MIN, -2]) == f"k in [1, -2] or k < {INT64_MIN + 1}"
    assert key_after("k", INT64_MIN) == f"k >= {INT64_MIN + 1}"
    assert key_between("k", INT64_MIN, 5) == "k <= 5"
    assert key_between("k", INT64_MIN, INT64_MIN) == f"k < {INT64_MIN + 1}"


@given(INT64, INT64, INT64)
def test_numbers_are_compared_as_they_should_be(key: int, low: int, high: int) -> None:
    low, high = sorted((low, high))

    assert eval(key_after("k", low), {"k": key}) == (key > low)
    assert eval(key_between("k", low, high), {"k": key}) == (low <= key <= high)
    assert eval(key_in("k", [low, high]), {"k": key}) == (key in (low, high))


def test_numpy_keys_are_written_as_numbers() -> None:
    assert key_in("k", np.array([3, -1])) == "k in [3, -1]"
    assert key_in("k", np.array(["a", 'b"'], dtype=object)) == r'k in ["a", "b\""]'


def test_both_keeps_order_and_meaning() -> None:
    assert both("a > 1", "b or c") == "(a > 1) and (b or c)"
    assert both("", "b or c") == "b or c"
    assert both("a > 1", "") == "a > 1"
    assert both("", "") == ""


@given(st.lists(st.text(max_size=30), max_size=60), st.integers(1, 7), st.integers(1, 60))
def test_batches_cover_all_keys_within_bounds(keys: list[str], rows: int, characters: int) -> None:
    array = np.array([*keys, None], dtype=object)[:-1]

    batches = [array[part].tolist() for part in in_batches(array, rows, characters)]

    assert [key for batch in batches for key in batch] == keys
    assert all(1 <= len(batch) <= rows for batch in batches)
    assert all(len(batch) == 1 or sum(map(len, batch)) <= characters for batch in batches)


def test_batches_of_numbers() -> None:
    parts = list(in_batches(np.arange(25), rows=10))

    assert [part.indices(25)[:2] for part in parts] == [(0, 10), (10, 20), (20, 25)]
