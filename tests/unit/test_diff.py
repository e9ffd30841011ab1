"""Two clusterings compared: every row is counted once, and nothing depends on its place."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vdbcluster.errors import UsageError
from vdbcluster.model.matching import EventKind
from vdbcluster.pipeline.diff import Difference, Flow, Side, difference

ANY_TIME = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
LABELS = st.dictionaries(st.integers(-5, 20) | st.just(2**63 - 1), st.integers(-1, 4), max_size=20)


def side(labels: dict[int, int], *, texts: bool = False) -> Side:
    keys = np.array(list(labels), np.int64)
    if texts:
        keys = np.array([f"k{key}" for key in labels], object)
    return Side(keys, np.array(list(labels.values()), np.int64))


def changed(found: Difference) -> dict[tuple[int, int], int]:
    return {(flow.before, flow.after): flow.rows for flow in found.flows}


@given(LABELS, LABELS, st.booleans())
@ANY_TIME
def test_every_row_is_counted_once(
    before: dict[int, int], after: dict[int, int], texts: bool
) -> None:
    found = difference(side(before, texts=texts), side(after, texts=texts))

    both = before.keys() & after.keys()
    pairs = Counter((before[key], after[key]) for key in both)
    assert found.rows_both == len(both)
    assert found.only_before == len(before.keys() - both)
    assert found.only_after == len(after.keys() - both)
    assert found.unchanged == sum(n for (a, b), n in pairs.items() if a == b)
    assert found.moved == sum(n for (a, b), n in pairs.items() if -1 not in (a, b) and a != b)
    assert found.to_noise == sum(n for (a, b), n in pairs.items() if a != -1 and b == -1)
    assert found.from_noise == sum(n for (a, b), n in pairs.items() if a == -1 and b != -1)
    assert changed(found) == {pair: n for pair, n in pairs.items() if pair[0] != pair[1]}
    old, new = (set(labels.values()) - {-1} for labels in (before, after))
    assert found.ended == tuple(sorted(old - new))
    assert found.begun == tuple(sorted(new - old))
    assert (found.clusters_before, found.clusters_after) == (len(old), len(new))
    sizes = Counter(before.values())
    assert all(flow.share == flow.rows / sizes[flow.before] for flow in found.flows)


@given(LABELS, LABELS, st.randoms())
@ANY_TIME
def test_the_order_of_rows_is_nothing(before, after, random) -> None:
    mixed = list(before.items())
    random.shuffle(mixed)
    assert difference(side(before), side(after)) == difference(side(dict(mixed)), side(after))


@given(LABELS)
@ANY_TIME
def test_the_same_is_no_difference(labels: dict[int, int]) -> None:
    found = difference(side(labels), side(labels))
    assert found.unchanged == len(labels)
    assert not found.flows
    assert {event.kind for event in found.events} <= {EventKind.UNCHANGED}


def test_what_became_of_clusters_is_told() -> None:
    """0 split in two, 1 went into noise, 2 lost a row that is gone; 5 is of new rows."""
    before = dict.fromkeys(range(10), 0) | dict.fromkeys(range(10, 14), 1) | {14: 2, 15: 2}
    after = (
        dict.fromkeys(range(6), 0)
        | dict.fromkeys(range(6, 10), 4)
        | dict.fromkeys(range(10, 14), -1)
        | {14: 2}
        | dict.fromkeys(range(20, 23), 5)
    )

    found = difference(side(before), side(after))

    assert found.flows == (Flow(0, 4, 4, 0.4), Flow(1, -1, 4, 1.0))
    assert (found.ended, found.begun) == ((1,), (4, 5))
    kinds = {(event.id, event.kind.value) for event in found.events}
    assert kinds == {
        (0, "shrunk"),
        (0, "split-into"),
        (1, "died"),
        (2, "shrunk"),
        (4, "split-from"),
        (5, "born"),
    }
    assert found.to_json()["rows_both"] == 15


def test_a_key_that_comes_twice_counts_once() -> None:
    twice = Side(np.array([1, 1, 2]), np.array([0, 3, 0]))
    found = difference(twice, side({1: 0, 2: 0}))
    assert (found.rows_before, found.unchanged) == (2, 2)


def test_numbers_and_texts_are_not_compared() -> None:
    with pytest.raises(UsageError, match="first are texts, those of the second numbers"):
        difference(side({1: 0}, texts=True), side({1: 0}))
    with pytest.raises(UsageError, match="first are numbers, those of the second texts"):
        difference(side({1: 0}), side({1: 0}, texts=True))


def test_a_side_without_rows_has_keys_of_any_type() -> None:
    found = difference(side({1: 0}, texts=True), side({}))
    assert (found.only_before, found.rows_both) == (1, 0)
    assert difference(side({}), side({1: 0}, texts=True)).only_after == 1
