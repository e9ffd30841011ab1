"""Keys cut into ranges: every key is in exactly one, however odd it is, and those that come too."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.zoo import EXTREME_INTS, ODD_INTS, ODD_STRINGS
from vdbcluster.adapters.milvus.expressions import Key
from vdbcluster.adapters.milvus.key_ranges import KeyRange, between, cut
from vdbcluster.model.arrays import Keys
from vdbcluster.model.collection import KeyField

INT = KeyField("id", "INT64", False)
TEXT = KeyField("id", "VARCHAR", False)


def pages_of(keys: list[Key], cuts: list[int]) -> list[Keys]:
    kind = object if keys and isinstance(keys[0], str) else np.int64
    whole = np.array(keys, kind)
    places = sorted({0, len(keys), *(at % (len(keys) + 1) for at in cuts)})
    return [whole[a:b] for a, b in pairwise(places)]


def holds(part: KeyRange, key: Key) -> bool:
    above = part.after is None or part.after < key  # type: ignore[operator]
    return above and (part.last is None or key <= part.last)  # type: ignore[operator]


ints = st.lists(st.integers(-(2**63), 2**63 - 1) | st.sampled_from(ODD_INTS + EXTREME_INTS))
texts = st.lists(st.text(max_size=3) | st.sampled_from(ODD_STRINGS))


@given(ints | texts, st.lists(st.integers(0, 40), max_size=4), st.integers(1, 7), st.data())
def test_every_key_is_in_one_range(keys, cuts, rows, data) -> None:  # type: ignore[no-untyped-def]
    keys = sorted(keys)  # the server orders strings by code point, as Python does
    parts = list(cut("p", pages_of(keys, cuts), rows))
    others = data.draw(texts if keys and isinstance(keys[0], str) else ints)  # come meanwhile
    for key in [*keys, *(others if keys else [])]:
        assert sum(holds(part, key) for part in parts) == 1
    assert all(part.partition == "p" for part in parts)
    assert (parts[0].after, parts[-1].last) == (None, None)
    for part in parts[:-1]:
        assert 1 <= len({key for key in keys if holds(part, key)}) <= rows


@given(ints | texts, st.integers(1, 7), st.data())
def test_every_key_is_between_two_cuts(keys, step, data) -> None:  # type: ignore[no-untyped-def]
    keys = sorted(set(keys))
    parts = list(between("p", pages_of(keys, [])[0][step - 1 :: step] if keys else np.array([])))
    others = data.draw(texts if keys and isinstance(keys[0], str) else ints)
    for key in [*keys, *(others if keys else [])]:
        assert sum(holds(part, key) for part in parts) == 1
    assert len(parts) == len(keys) // step + 1
    assert all(part.partition == "p" for part in parts)


def test_as_filters() -> None:
    assert KeyRange("p").where(INT) == ""
    assert KeyRange("p", None, 7).where(INT) == "id <= 7"
    assert KeyRange("p", 7, 9).where(INT) == "(id > 7) and (id <= 9)"
    assert KeyRange("p", 9, None).where(INT) == "id > 9"
    assert KeyRange("p", None, 'a"\n').where(TEXT) == r'id >= "" and id <= "a\"\n"'


def test_the_smallest_number_is_never_a_literal() -> None:
    smallest = -(2**63)
    assert str(smallest) not in KeyRange("p", smallest, 5).where(INT)
    assert str(smallest) not in KeyRange("p", None, smallest).where(INT)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_rows_of_one_key_stay_together(rows: int) -> None:
    parts = list(cut("", [np.array([5, 5, 5, 5, 6])], rows))
    assert [part.last for part in parts][:-1] in ([5], [])
