"""Stable ids: what passes on to whom, and that an id is never given twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from vdbcluster.matching import match
from vdbcluster.matching.pairing import best_pairs
from vdbcluster.model.matching import Basis, MatchParams, Previous

labellings = st.integers(0, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(-1, 5), min_size=n, max_size=n),
        st.lists(st.integers(-1, 5), min_size=n, max_size=n),
        st.lists(st.booleans(), min_size=n, max_size=n),
        st.permutations(range(n)),
        st.randoms(use_true_random=False),
    )
)
old_ids = st.lists(st.integers(0, 30), min_size=6, max_size=6, unique=True)


def rows(*counts: tuple[int, int]) -> np.ndarray:
    """Labels: ``rows((3, 10), (-1, 2))`` is ten rows of 3 and two of noise."""
    return np.repeat([label for label, _ in counts], [count for _, count in counts])


def dense(labels: np.ndarray) -> np.ndarray:
    """The same clusters, numbered from 0 without gaps."""
    known = np.unique(labels[labels >= 0])
    return np.where(labels >= 0, np.searchsorted(known, labels), -1).astype(np.int64)


def previous_of(
    labels: list[int], absent: list[bool], ids: list[int], **more: Any
) -> tuple[Previous, np.ndarray]:
    stable = np.append(ids, -1)[np.array(labels, np.int64)]
    return replace(Previous.of(stable, np.array(absent, np.bool_)), **more), stable


def test_the_first_run_numbers_by_size_and_then_by_the_smallest_key() -> None:
    labels = rows((2, 3), (0, 5), (-1, 4), (1, 3))
    matching = match(Previous.first(15), labels)
    assert matching.ids.tolist() == [0, 2, 1]
    assert matching.next_id == 3
    assert matching.basis == (Basis.NEW,) * 3
    assert matching.relabelled(labels).tolist() == rows((1, 3), (0, 5), (-1, 4), (2, 3)).tolist()
    assert matching.ids.dtype == matching.relabelled(labels).dtype == np.int64


def test_no_rows_and_nothing_but_noise() -> None:
    assert match(Previous.first(0), np.empty(0, np.int64)).next_id == 0
    matching = match(Previous.of(rows((7, 5))), rows((-1, 5)))
    assert matching.ids.tolist() == []
    assert matching.next_id == 8
    assert matching.relabelled(rows((-1, 5))).tolist() == [-1] * 5


@settings(max_examples=80, deadline=None)
@given(labellings, old_ids)
def test_the_same_clusters_keep_their_ids(data: Any, ids: list[int]) -> None:
    labels, _, _, _, random = data
    previous, stable = previous_of(labels, [False] * len(labels), ids)
    numbers = list(range(len(previous.ids)))
    random.shuffle(numbers)
    new = np.append(numbers, -1).astype(np.int64)[dense(stable)]
    matching = match(previous, new)
    assert matching.relabelled(new).tolist() == stable.tolist()
    assert {event.kind for event in matching.events} <= {"unchanged"}
    assert len(matching.events) == len(previous.ids)
    assert all(event.kept == event.before == event.after for event in matching.events)


@settings(max_examples=80, deadline=None)
@given(labellings, old_ids, st.sets(st.integers(0, 30)), st.integers(0, 50))
def test_no_id_is_given_twice(data: Any, ids: list[int], retired: set[int], next_id: int) -> None:
    labels, new, absent, _, _ = data
    previous, stable = previous_of(labels, absent, ids, next_id=next_id)
    gone = np.array(sorted(retired - set(previous.ids.tolist())), np.int64)
    previous = replace(previous, retired=gone)
    matching = match(previous, dense(np.array(new, np.int64)))
    used = {*previous.ids.tolist(), *gone.tolist(), *stable[~previous.absent].tolist()}
    given_ids = matching.ids.tolist()
    assert len(set(given_ids)) == len(given_ids)
    fresh = [i for i, basis in zip(given_ids, matching.basis, strict=True) if basis is Basis.NEW]
    assert all(i >= next_id and i not in used for i in fresh)
    assert sorted(fresh) == list(range(previous.first_free, matching.next_id))
    assert set(given_ids) - set(fresh) <= set(previous.ids.tolist())


@settings(max_examples=80, deadline=None)
@given(labellings, old_ids)
def test_neither_the_order_of_rows_nor_the_numbers_matter(data: Any, ids: list[int]) -> None:
    labels, new, absent, order, random = data
    previous, _ = previous_of(labels, absent, ids)
    previous = replace(previous, pinned=np.arange(len(previous.ids)) % 3 == 1)
    new = dense(np.array(new, np.int64))
    keys = np.array([f"{i:03}" for i in range(len(new))], object)
    straight = match(previous, new, keys=keys)
    numbers = list(range(len(straight.ids)))
    random.shuffle(numbers)
    other = np.append(numbers, -1).astype(np.int64)[new]
    order = np.array(order, np.int64)
    mixed = replace(previous, labels=previous.labels[order], absent=previous.absent[order])
    again = match(mixed, other[order], keys=keys[order])
    assert again.relabelled(other).tolist() == straight.relabelled(new).tolist()
    assert again.events == straight.events
    assert again.next_id == straight.next_id
    assert match(previous, new).events == straight.events  # keys that ascend can be left out


@settings(max_examples=80, deadline=None)
@given(labellings, old_ids, st.sampled_from([0.01, 0.3, 0.6]))
def test_as_many_rows_keep_their_id_as_the_best_assignment_allows(
    data: Any, ids: list[int], share: float
) -> None:
    labels, new, absent, _, _ = data
    previous, stable = previous_of(labels, absent, ids)
    new = dense(np.array(new, np.int64))
    both = ~previous.absent & (stable >= 0) & (new >= 0)
    table = np.zeros((len(previous.ids), new.max(initial=-1) + 1))
    np.add.at(table, (np.searchsorted(previous.ids, stable[both]), new[both]), 1)
    least = share * np.maximum(table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True))
    table[table < least] = 0
    best = table[linear_sum_assignment(table, maximize=True)].sum()
    found = match(previous, new, params=MatchParams(share=share)).relabelled(new)
    assert np.count_nonzero((found == stable) & both) == best


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(1, 9), st.booleans()),
        unique_by=lambda pair: pair[:2],
        max_size=40,
    )
)
def test_pairs_are_those_of_the_dense_solver(pairs: list[tuple[int, int, int, bool]]) -> None:
    old, new, weights, favoured = (
        (np.array(column) for column in zip(*pairs, strict=True))
        if (pairs)
        else (np.empty(0, np.int64),) * 4
    )
    favoured = favoured.astype(np.bool_)
    taken = best_pairs(old, new, weights, favoured)
    assert len(np.unique(old[taken])) == len(np.unique(new[taken])) == len(taken)
    values = weights + 1000 * favoured
    table = np.zeros((8, 8))
    table[old, new] = values
    assert values[taken].sum() == table[linear_sum_assignment(table, maximize=True)].sum()


def test_a_component_too_large_for_exact_ties_is_still_solved() -> None:
    old, new = np.array([0, 0, 1]), np.array([0, 1, 1])
    weights = np.array([3, 2, 2]) * 2**49
    assert best_pairs(old, new, weights, np.zeros(3, np.bool_)).tolist() == [0, 2]


def test_ties_go_to_the_older_id_and_to_the_smallest_key() -> None:
    merged = match(Previous.of(rows((9, 5), (4, 5))), rows((0, 10)))
    assert merged.ids.tolist() == [4]
    split = match(Previous.of(rows((9, 10))), rows((1, 5), (0, 5)))
    assert split.ids.tolist() == [10, 9]
    keys = np.arange(10)[::-1]
    assert match(Previous.of(rows((9, 10))), rows((1, 5), (0, 5)), keys=keys).ids.tolist() == [
        9,
        10,
    ]


def test_an_id_passes_on_only_where_enough_of_both_clusters_is_shared() -> None:
    into_four = match(Previous.of(rows((7, 40))), np.repeat(np.arange(4), 10))
    assert into_four.ids.tolist() == [8, 9, 10, 11]
    into_three = match(Previous.of(rows((7, 40))), rows((0, 14), (1, 13), (2, 13)))
    assert into_three.ids.tolist() == [7, 8, 9]
    of_four = match(Previous.of(np.repeat([4, 5, 6, 7], 10)), rows((0, 40)))
    assert of_four.ids.tolist() == [8]
    lenient = MatchParams(share=0.2)
    assert match(Previous.of(np.repeat([4, 5, 6, 7], 10)), rows((0, 40)), params=lenient).ids == [4]


def test_rows_that_are_new_gone_or_noise_do_not_count() -> None:
    before = np.array([7] * 10 + [-1] * 90)
    absent = np.arange(100) >= 60
    grown = match(replace(Previous.of(before, absent)), rows((0, 100)))
    assert grown.ids.tolist() == [7]
    shrunk = replace(Previous.of(rows((7, 100))), sizes=np.array([5000]))
    assert match(shrunk, rows((0, 3), (-1, 97))).ids.tolist() == [7]


def test_a_pinned_id_goes_to_the_best_heir_that_it_has() -> None:
    labels = rows((3, 60), (5, 12))
    new = rows((0, 72))
    assert match(Previous.of(labels), new).ids.tolist() == [3]
    pinned = replace(Previous.of(labels), pinned=np.array([False, True]))
    assert match(pinned, new).ids.tolist() == [5]
    shattered = replace(Previous.of(rows((5, 100))), pinned=np.array([True]))
    assert match(shattered, np.repeat(np.arange(8), [11, 13, 12, 12, 13, 13, 13, 13])).ids[1] == 5
    crumbs = np.repeat(np.arange(20), 5)
    assert 5 not in match(shattered, crumbs).ids


def test_of_two_pinned_ids_none_takes_the_only_heir_of_the_other() -> None:
    previous = replace(Previous.of(rows((3, 50), (5, 40))), pinned=np.array([True, True]))
    new = rows((0, 30), (1, 20), (0, 40))  # 3 has two heirs, 5 only the first of them
    assert match(previous, new).ids.tolist() == [5, 3]


def test_what_people_joined_stays_joined() -> None:
    joined = replace(Previous.of(rows((3, 40))), aliases={5: 3}, retired=np.array([5]))
    apart = rows((1, 20), (0, 20))
    matching = match(joined, apart)
    assert matching.ids.tolist() == [3, 3]
    assert [event.kind for event in matching.events] == ["unchanged"]
    many = replace(Previous.of(rows((3, 100))), aliases=dict.fromkeys(range(10, 20), 3))
    assert set(match(many, np.repeat(np.arange(10), 10)).ids) == {3}
    other = match(replace(Previous.of(rows((3, 40), (8, 40)))), rows((1, 20), (0, 20), (2, 40)))
    assert sorted(other.ids) == [3, 8, 9]  # without the alias they part


def test_only_clusters_that_are_mostly_of_the_joined_one_are_joined() -> None:
    joined = replace(Previous.of(rows((3, 40), (8, 40))), aliases={5: 3})
    assert match(joined, rows((0, 35), (1, 45))).ids.tolist() == [3, 8]


def test_what_is_left_of_a_joined_cluster_keeps_its_id() -> None:
    """A fifth of it, in two parts; the rest went over to a larger cluster."""
    previous = Previous.of(rows((3, 100), (8, 300)))
    new = rows((0, 10), (1, 10), (2, 380))
    assert match(replace(previous, aliases={5: 3}), new).ids.tolist() == [3, 3, 8]
    assert match(previous, new).ids.tolist() == [9, 10, 8]


def test_a_join_is_carried_out_on_rows_that_still_have_the_old_label() -> None:
    previous = replace(Previous.of(rows((3, 20), (5, 20), (6, 5))), aliases={6: 5, 5: 3, 1: 99})
    matching = match(previous, rows((0, 20), (1, 20), (2, 5)))
    assert matching.ids.tolist() == [3, 3, 3]
    assert matching.next_id == 100
    kinds = {(event.id, event.kind): event for event in matching.events}
    assert set(kinds) == {(3, "unchanged"), (5, "merged-into"), (6, "merged-into")}
    assert kinds[3, "unchanged"].before == kinds[3, "unchanged"].kept == 45
    assert kinds[6, "merged-into"].parts[0].id == 3


def test_an_alias_to_a_retired_id_does_not_bring_it_back() -> None:
    previous = replace(Previous.of(rows((5, 20))), aliases={5: 3}, retired=np.array([3]))
    assert match(previous, rows((0, 20))).ids.tolist() == [5]


def test_labels_that_are_not_live_count_as_none_but_are_not_given_anew() -> None:
    previous = Previous(
        rows((50, 10), (60, 10)),
        np.zeros(20, np.bool_),
        np.array([60]),
        np.array([10]),
        np.array([False]),
    )
    matching = match(previous, rows((0, 10), (1, 10)))
    assert matching.ids.tolist() == [61, 60]


def replaced(**more: Any) -> Previous:
    """Clusters 4 and 6 of ten rows each, none of which is there any more; 20 new rows."""
    return Previous(
        np.full(20, -1),
        np.ones(20, np.bool_),
        np.array([4, 6]),
        np.array([10, 10]),
        np.zeros(2, np.bool_),
        **more,
    )


NEW = rows((0, 10), (1, 10))
OLD_CENTROIDS = np.array([[0, 0], [1, 0]], np.float32)


def test_clusters_whose_rows_were_replaced_are_known_by_their_exemplars() -> None:
    previous = replaced(exemplars=(np.array([12, 13, 2]), np.array([3])))
    matching = match(previous, NEW)
    assert matching.ids.tolist() == [6, 4]
    assert matching.basis == (Basis.EXEMPLARS, Basis.EXEMPLARS)
    undecided = replaced(exemplars=(np.array([12, 2]), np.empty(0, np.int64)))
    assert match(undecided, NEW).ids.tolist() == [7, 8]


def test_clusters_whose_rows_were_replaced_are_known_by_their_centroids() -> None:
    new = np.array([[0.9, 0.3], [0.0, 0.6]], np.float32)
    matching = match(replaced(centroids=OLD_CENTROIDS), NEW, centroids=new)
    assert matching.ids.tolist() == [6, 7]  # 0.32 is within half of 1, 0.6 is not
    assert matching.basis == (Basis.CENTROID, Basis.NEW)
    assert [event.kind for event in matching.events] == ["died", "unchanged", "born"]
    off = match(replaced(centroids=OLD_CENTROIDS), NEW, centroids=new, params=MatchParams(reach=0))
    assert off.ids.tolist() == [7, 8]


def test_an_heir_by_exemplars_is_not_taken_by_a_centroid() -> None:
    previous = replaced(centroids=OLD_CENTROIDS, exemplars=(np.array([12]), np.empty(0, np.int64)))
    matching = match(previous, NEW, centroids=np.array([[5, 5], [1, 0]], np.float32))
    assert matching.ids.tolist() == [7, 4]
    assert matching.basis == (Basis.NEW, Basis.EXEMPLARS)


def test_of_two_near_centroids_the_nearer_has_the_id() -> None:
    new = np.array([[0.2, 0], [0.1, 0]], np.float32)
    matching = match(replaced(centroids=OLD_CENTROIDS), NEW, centroids=new)
    assert matching.ids.tolist() == [7, 4]
    same = match(replaced(centroids=OLD_CENTROIDS), NEW, centroids=new[[0, 0]])
    assert same.ids.tolist() == [4, 7]


def test_one_old_cluster_has_no_scale_for_centroids() -> None:
    previous = replace(
        replaced(),
        ids=np.array([4]),
        sizes=np.array([10]),
        pinned=np.array([False]),
        centroids=OLD_CENTROIDS[:1],
    )
    assert match(previous, NEW, centroids=OLD_CENTROIDS).ids.tolist() == [5, 6]


def test_rows_have_the_say_where_there_are_enough_of_them() -> None:
    """The centroid says 4, but half of what was 4 is still there, in another cluster."""
    previous = Previous(
        rows((4, 5), (-1, 15)),
        np.arange(20) >= 5,
        np.array([4, 6]),
        np.array([10, 10]),
        np.zeros(2, np.bool_),
        centroids=OLD_CENTROIDS,
    )
    matching = match(previous, NEW, centroids=OLD_CENTROIDS[::-1])
    assert matching.ids.tolist() == [4, 7]
    assert matching.basis == (Basis.ROWS, Basis.NEW)


def test_centroids_of_joined_clusters_are_weighted() -> None:
    previous = replaced(centroids=np.array([[0, 0], [8, 0]], np.float32))
    previous = replace(
        previous,
        ids=np.array([4, 6, 9]),
        sizes=np.array([30, 10, 10]),
        pinned=np.zeros(3, np.bool_),
        centroids=np.array([[0, 0], [8, 0], [20, 0]], np.float32),
        aliases={6: 4},
    )
    found = match(previous, NEW, centroids=np.array([[11.5, 0], [30, 0]], np.float32))
    assert found.ids.tolist() == [9, 10]  # joined they are at 2, not at 4; the other is at 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": np.array([1])}, "sizes has 1 entries; it must have 2"),
        ({"ids": np.array([5, 3])}, "ascending"),
        ({"ids": np.array([-1, 3])}, "0 or more"),
        ({"retired": np.array([5])}, "id 5 is both live and retired"),
        ({"aliases": {1: 2, 2: 1}}, "circle"),
        ({"exemplars": (np.array([0]),)}, "exemplars has 1"),
    ],
)
def test_what_does_not_fit_is_refused(change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Previous.of(rows((3, 4), (5, 4))), **change)


def test_labels_that_do_not_fit_are_refused() -> None:
    previous = Previous.of(rows((3, 4)))
    with pytest.raises(ValueError, match="3 rows have a new label, 4 an old one"):
        match(previous, rows((0, 3)))
    with pytest.raises(ValueError, match="cluster 1 has no rows"):
        match(previous, rows((0, 2), (2, 2)))
    with pytest.raises(ValueError, match="cluster 0 has no rows"):
        match(previous, rows((1, 4)))
    with pytest.raises(ValueError, match="centroids are"):
        match(replaced(centroids=OLD_CENTROIDS), NEW, centroids=OLD_CENTROIDS[:1])
    for bad in ({"share": 0.0}, {"pinned_share": 1.1}, {"reach": 0.6}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            MatchParams(**bad)


def test_twenty_thousand_clusters() -> None:
    rng = np.random.default_rng(0)
    c, n = 20_000, 200_000
    old = np.concatenate([np.arange(c), rng.integers(0, c, n - c)])
    new = old.copy()
    moved = rng.random(n) < 0.2
    moved[:c] = False
    new[moved] = rng.integers(0, c, np.count_nonzero(moved))
    matching = match(Previous.of(old), rng.permutation(c)[new])
    assert np.count_nonzero(np.isin(matching.ids, np.arange(c))) > 0.99 * c
    assert len(np.unique(matching.ids)) == c
