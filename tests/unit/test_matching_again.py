"""What people merged stays merged, what they took out comes back, and nothing else is drawn in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_matching import dense, labellings, old_ids, previous_of, rows
from vdbcluster.matching import match
from vdbcluster.model.matching import Basis, Former, Previous

NONE = np.empty(0, np.int64)


def merged(
    home: int = 60, part: int = 40, other: int = 50, exemplars: Any = None, **more: Any
) -> Previous:
    """5 was merged into 3: rows 0 .. home - 1 were 3 alone, the next were 5; 8 is another."""
    previous = Previous.of(rows((3, home + part), (8, other)))
    mine = np.arange(home, home + 3) if exemplars is None else np.array(exemplars, np.int64)
    return replace(
        previous,
        exemplars=(np.arange(3), np.arange(home + part, home + part + 3)),
        retired=np.array([5]),
        aliases={5: 3},
        former=(Former(5, mine),),
        **more,
    )


def test_a_merged_cluster_that_forms_again_is_folded_into_its_home() -> None:
    matching = match(merged(), rows((0, 60), (1, 40), (2, 50)))
    assert matching.ids.tolist() == [3, 3, 8]
    assert matching.own.tolist() == [3, 5, 8]
    assert [event.kind for event in matching.events] == ["unchanged", "unchanged"]
    assert matching.next_id == 9


def test_it_is_folded_also_where_it_is_by_far_the_larger_part() -> None:
    matching = match(merged(home=20, part=500), rows((0, 20), (1, 500), (2, 50)))
    assert matching.ids.tolist() == [3, 3, 8]
    assert matching.own.tolist() == [3, 5, 8]


def test_another_part_of_the_home_parts_from_it_as_ever() -> None:
    matching = match(merged(), rows((0, 40), (3, 20), (1, 40), (2, 50)))
    assert matching.ids.tolist() == [3, 3, 8, 9]
    assert matching.own.tolist() == [3, 5, 8, 9]
    assert [(e.id, e.kind) for e in matching.events if e.id == 9] == [(9, "split-from")]


def test_together_they_are_the_home() -> None:
    matching = match(merged(), rows((0, 100), (1, 50)))
    assert matching.ids.tolist() == matching.own.tolist() == [3, 8]
    parted = match(merged(), rows((0, 80), (1, 20), (2, 50)))  # 5 and half of 3, the rest is new
    assert parted.ids.tolist() == [3, 9, 8]


def test_a_part_that_went_elsewhere_is_not_fetched_back() -> None:
    """The exemplars of 5 are in a cluster most of which comes from 8."""
    matching = match(merged(), rows((0, 60), (1, 10), (0, 30), (1, 50)))
    assert matching.ids.tolist() == [3, 8]


def test_the_home_may_be_there_in_that_part_alone() -> None:
    matching = match(merged(), rows((-1, 60), (0, 40), (1, 50)))
    assert matching.ids.tolist() == [3, 8]
    assert matching.own.tolist() == [5, 8]


def test_rows_that_still_have_the_id_that_was_given_up_count_for_the_home() -> None:
    """The labels of the merge were not all written."""
    previous = replace(merged(), labels=rows((3, 70), (5, 30), (8, 50)))
    matching = match(previous, rows((0, 60), (1, 40), (2, 50)))
    assert matching.ids.tolist() == [3, 3, 8]
    assert (
        matching.relabelled(rows((0, 60), (1, 40), (2, 50))).tolist()
        == rows((3, 100), (8, 50)).tolist()
    )


def test_a_chain_of_merges_ends_at_its_end() -> None:
    previous = replace(
        merged(),
        aliases={5: 6, 6: 3},
        former=(Former(5, np.arange(60, 63)), Former(6, np.arange(80, 83))),
    )
    matching = match(previous, rows((0, 60), (1, 20), (2, 20), (3, 50)))
    assert matching.ids.tolist() == [3, 3, 3, 8]
    assert matching.own.tolist() == [3, 5, 6, 8]
    both = match(previous, rows((0, 60), (1, 40), (2, 50)))
    assert both.ids.tolist() == [3, 3, 8]
    assert both.own.tolist() == [3, 5, 8]


def test_two_exemplars_of_four_do_not_say_which() -> None:
    previous = merged(exemplars=[60, 61, 80, 81])
    matching = match(previous, rows((0, 60), (1, 20), (2, 20), (3, 50)))
    assert matching.ids.tolist() == [3, 9, 10, 8]


def test_without_exemplars_the_nearest_centroid_says_it() -> None:
    olds = np.array([[0, 0], [50, 0]], np.float32)
    previous = replace(
        merged(exemplars=[], centroids=olds),
        former=(Former(5, NONE, np.array([10, 0], np.float32)),),
    )
    labels = rows((0, 60), (1, 40), (2, 50))
    news = np.array([[0, 0], [11, 0], [50, 0]], np.float32)
    found = match(previous, labels, centroids=news)
    assert found.ids.tolist() == [3, 3, 8]
    assert found.basis == (Basis.ROWS, Basis.CENTROID, Basis.ROWS)
    nearer_home = news - np.array([[0, 0], [7, 0], [0, 0]], np.float32)
    assert match(previous, labels, centroids=nearer_home).ids.tolist() == [3, 9, 8]
    assert match(previous, labels).ids.tolist() == [3, 9, 8]


def test_what_comes_in_pieces_is_known_by_what_it_is_near_to() -> None:
    """Of four parts of the home two are near the former cluster, and one is not."""
    previous = merged(centroids=np.array([[5, 0], [50, 0]], np.float32))
    previous = replace(
        previous, former=(replace(previous.former[0], centroid=np.float32([12, 0])),)
    )
    labels = rows((0, 40), (1, 20), (2, 25), (3, 15), (4, 50))
    news = np.array([[0, 0], [3, 4], [13, 0], [11, 2], [50, 0]], np.float32)
    found = match(previous, labels, centroids=news)
    assert found.ids.tolist() == [3, 9, 3, 3, 8]
    assert found.own.tolist() == [3, 9, 5, 5, 8]
    elsewhere = rows((0, 60), (1, 40), (2, 15), (3, 35))  # near, but out of another one
    found = match(previous, elsewhere, centroids=news[[0, 2, 3, 4]])
    assert found.ids.tolist() == [3, 3, 9, 8]


def test_a_piece_is_of_a_cluster_that_was_merged_into_the_one_it_comes_from() -> None:
    """It comes out of 8, and is nearest to what was merged into 3."""
    previous = merged(centroids=np.array([[5, 0], [50, 0]], np.float32))
    previous = replace(
        previous,
        aliases={5: 3, 6: 8},
        former=(
            replace(previous.former[0], centroid=np.float32([12, 0])),
            Former(6, np.arange(147, 150), np.float32([70, 0])),
        ),
    )
    labels = rows((0, 60), (1, 40), (2, 20), (3, 20), (4, 10))
    news = np.array([[0, 0], [12, 0], [50, 0], [12, 1], [70, 0]], np.float32)
    found = match(previous, labels, centroids=news)
    assert found.ids.tolist() == [3, 3, 8, 9, 8]
    assert found.own.tolist() == [3, 5, 8, 9, 6]


def test_a_part_that_was_with_a_third_cluster_meanwhile_is_known_by_its_centroid() -> None:
    """The rows of 5 went to 8 in the last clustering, and part from it now."""
    previous = replace(
        merged(centroids=np.array([[0, 0], [50, 0]], np.float32)),
        labels=rows((3, 60), (8, 90)),
        former=(Former(5, np.arange(60, 63), np.array([20, 0], np.float32)),),
    )
    labels = rows((0, 60), (1, 40), (2, 50))
    news = np.array([[0, 0], [21, 0], [50, 0]], np.float32)
    assert match(previous, labels, centroids=news).ids.tolist() == [3, 3, 8]
    assert match(previous, labels).ids.tolist() == [3, 9, 8]
    away = news + np.array([[0, 0], [15, 0], [0, 0]], np.float32)
    assert match(previous, labels, centroids=away).ids.tolist() == [3, 9, 8]
    with_it = rows((0, 60), (1, 90))  # still one with 8, whose exemplars are there
    assert match(previous, with_it, centroids=news[[0, 1]]).ids.tolist() == [3, 8]


def taken_out(**more: Any) -> Previous:
    """As ``merged``, but people took 5 out again: it is live, and no row has its id."""
    previous = merged()
    return replace(
        previous,
        ids=np.array([3, 5, 8]),
        sizes=np.array([100, 0, 50]),
        pinned=np.zeros(3, np.bool_),
        exemplars=(np.arange(3), np.arange(60, 63), np.arange(100, 103)),
        retired=NONE,
        aliases={},
        former=(),
        **more,
    )


def test_what_people_took_out_comes_back_under_its_id() -> None:
    matching = match(taken_out(), rows((0, 60), (1, 40), (2, 50)))
    assert matching.ids.tolist() == matching.own.tolist() == [3, 5, 8]
    kinds = [(event.id, event.kind) for event in matching.events]
    assert kinds == [
        (3, "shrunk"),
        (3, "split-into"),
        (5, "split-from"),
        (8, "unchanged"),
    ]
    large = match(taken_out(), rows((0, 20), (-1, 40), (1, 40), (2, 50)))
    assert large.ids.tolist() == [3, 5, 8]


def test_it_ends_where_it_is_not_found() -> None:
    matching = match(taken_out(), rows((0, 100), (1, 50)))
    assert matching.ids.tolist() == [3, 8]
    assert [(e.id, e.kind, e.before) for e in matching.events if e.id == 5] == [(5, "died", 0)]


def test_it_comes_back_by_its_centroid_where_its_exemplars_are_gone() -> None:
    previous = taken_out(centroids=np.array([[0, 0], [10, 0], [50, 0]], np.float32))
    previous = replace(previous, exemplars=(np.arange(3), NONE, np.arange(100, 103)))
    news = np.array([[0, 0], [11, 0], [50, 0]], np.float32)
    found = match(previous, rows((0, 60), (1, 40), (2, 50)), centroids=news)
    assert found.ids.tolist() == [3, 5, 8]


@settings(max_examples=80, deadline=None)
@given(labellings, old_ids, st.data())
def test_promises(data: Any, ids: list[int], draw: st.DataObject) -> None:
    """Whatever was merged and whatever was found: ids are live or new, own ids are there once."""
    labels, new, absent, _, _ = data
    previous, _ = previous_of(labels, absent, ids)
    there = previous.ids.tolist()
    if not there:
        return
    n = len(labels)
    some = st.lists(st.integers(0, n - 1), unique=True, max_size=4).map(
        lambda at: np.array(sorted(at), np.int64)
    )
    gone = [i for i in range(40, 43) if draw.draw(st.booleans())]
    previous = replace(
        previous,
        exemplars=tuple(draw.draw(some) for _ in there),
        aliases={i: draw.draw(st.sampled_from(there)) for i in gone},
        former=tuple(Former(i, draw.draw(some)) for i in gone),
        retired=np.array(gone, np.int64),
    )
    matching = match(previous, dense(np.array(new, np.int64)))
    own, found = matching.own.tolist(), matching.ids.tolist()
    assert len(set(own)) == len(own)  # without centroids there are no pieces
    for mine, given_id, basis in zip(own, found, matching.basis, strict=True):
        if mine != given_id:
            assert previous.aliases[mine] == given_id
        assert (basis is Basis.NEW) == (given_id not in there)
    assert not set(found) & set(gone)
    assert sorted(i for i in found if i not in there) == list(
        range(previous.first_free, matching.next_id)
    )


@pytest.mark.parametrize("keys", [None, np.arange(150)[::-1]])
def test_the_numbers_of_the_new_clusters_do_not_matter(keys: Any) -> None:
    labels = rows((2, 60), (0, 40), (1, 50))
    matching = match(merged(), labels, keys=keys)
    assert matching.ids.tolist() == [3, 8, 3]
    assert matching.own.tolist() == [5, 8, 3]
