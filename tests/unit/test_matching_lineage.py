"""Events against a constructed truth: a known split, merge, birth, death and growth."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from tests.unit.test_matching import dense, labellings, old_ids, previous_of, rows
from vdbcluster.matching import lineage, match
from vdbcluster.model.matching import BEGINS, ENDS, Event, EventKind, Part, Previous


def events(previous: Previous, labels: np.ndarray) -> list[Event]:
    return list(match(previous, labels).events)


def test_a_split() -> None:
    found = events(Previous.of(rows((7, 100), (8, 50))), rows((0, 60), (1, 40), (2, 50)))
    assert found == [
        Event(EventKind.SHRUNK, 7, 100, 60, 60),
        Event(EventKind.SPLIT_INTO, 7, 100, 60, 60, (Part(7, 60, 0.6), Part(9, 40, 0.4))),
        Event(EventKind.UNCHANGED, 8, 50, 50, 50),
        Event(EventKind.SPLIT_FROM, 9, 0, 40, 0, (Part(7, 40, 1.0),)),
    ]


def test_a_split_of_which_no_part_is_large_enough() -> None:
    found = events(Previous.of(rows((7, 40))), np.repeat(np.arange(4), 10))
    parts = tuple(Part(i, 10, 0.25) for i in (8, 9, 10, 11))
    assert found[:2] == [
        Event(EventKind.DIED, 7, 40, 0, 0, parts),
        Event(EventKind.SPLIT_INTO, 7, 40, 0, 0, parts),
    ]
    assert [(event.id, event.kind) for event in found[2:]] == [
        (i, EventKind.SPLIT_FROM) for i in (8, 9, 10, 11)
    ]


def test_a_merge() -> None:
    found = events(Previous.of(rows((3, 40), (5, 60), (8, 50))), rows((0, 100), (1, 50)))
    assert found == [
        Event(EventKind.MERGED_INTO, 3, 40, 0, 0, (Part(5, 40, 1.0),)),
        Event(EventKind.GROWN, 5, 60, 100, 60),
        Event(EventKind.MERGED_FROM, 5, 60, 100, 60, (Part(5, 60, 0.6), Part(3, 40, 0.4))),
        Event(EventKind.UNCHANGED, 8, 50, 50, 50),
    ]


def test_a_merge_into_something_new() -> None:
    found = events(Previous.of(np.repeat([4, 5, 6, 7], 10)), rows((0, 40)))
    assert [event.kind for event in found[:4]] == [EventKind.MERGED_INTO] * 4
    parts = tuple(Part(i, 10, 0.25) for i in (4, 5, 6, 7))
    assert found[4:] == [
        Event(EventKind.BORN, 8, 0, 40, 0, parts),
        Event(EventKind.MERGED_FROM, 8, 0, 40, 0, parts),
    ]


def test_a_birth_from_new_rows_and_noise() -> None:
    previous = Previous.of(rows((3, 40), (-1, 50)), np.arange(90) >= 60)
    assert events(previous, rows((0, 40), (1, 50))) == [
        Event(EventKind.UNCHANGED, 3, 40, 40, 40),
        Event(EventKind.BORN, 4, 0, 50, 0),
    ]


def test_a_birth_of_new_rows_that_drew_in_a_few_others() -> None:
    previous = Previous.of(rows((3, 43), (-1, 50)), np.arange(93) >= 43)
    assert events(previous, rows((0, 40), (1, 53)))[1:] == [
        Event(EventKind.BORN, 4, 0, 53, 0, (Part(3, 3, 3 / 53),)),
    ]


def test_deaths() -> None:
    """3 became noise, 4 was deleted, 5 fell apart among the others, all but 5 of 6 was deleted."""
    labels = rows((3, 40), (5, 40), (6, 5), (8, 200), (9, 200))
    previous = Previous(
        labels,
        np.zeros(len(labels), np.bool_),
        np.array([3, 4, 5, 6, 8, 9]),
        np.array([40, 40, 40, 100, 200, 200]),
        np.zeros(6, np.bool_),
    )
    new = rows((-1, 40), (0, 20), (1, 20), (0, 5), (0, 200), (1, 200))
    assert events(previous, new) == [
        Event(EventKind.DIED, 3, 40, 0, 0),
        Event(EventKind.DIED, 4, 40, 0, 0),
        Event(EventKind.DIED, 5, 40, 0, 0, (Part(8, 20, 0.5), Part(9, 20, 0.5))),
        Event(EventKind.DIED, 6, 100, 0, 0, (Part(8, 5, 0.05),)),
        Event(EventKind.GROWN, 8, 200, 225, 200),
        Event(EventKind.GROWN, 9, 200, 220, 200),
    ]


def test_growth_and_shrinking() -> None:
    previous = Previous.of(rows((3, 40), (4, 40), (-1, 30)), np.arange(110) >= 100)
    new = rows((0, 40), (1, 25), (-1, 15), (0, 30))
    assert events(previous, new) == [
        Event(EventKind.GROWN, 3, 40, 70, 40),
        Event(EventKind.SHRUNK, 4, 40, 25, 25),
    ]


def test_an_exchange_of_rows_is_no_change_of_size_but_shows() -> None:
    previous = Previous.of(rows((3, 40), (4, 40)))
    found = events(previous, rows((0, 35), (1, 5), (0, 5), (1, 35)))
    assert [(e.kind, e.before, e.after, e.kept) for e in found] == [("unchanged", 40, 40, 35)] * 2


def test_the_history_of_one_clustering_does_not_leak_into_the_next() -> None:
    """Split, merged again, split again: the part never has an id that it had before."""
    whole, parted = rows((0, 100)), rows((0, 60), (1, 40))
    previous, seen = Previous.first(100), []
    for labels in (whole, parted, whole, parted):
        matching = match(previous, labels)
        seen.append(matching.ids.tolist())
        previous = replace(Previous.of(matching.relabelled(labels)), next_id=matching.next_id)
    assert seen == [[0], [0, 1], [0], [0, 2]]


@settings(max_examples=80, deadline=None)
@given(labellings, old_ids)
def test_every_id_has_one_state_and_all_figures_add_up(data: Any, ids: list[int]) -> None:
    labels, new, absent, _, _ = data
    previous, stable = previous_of(labels, absent, ids)
    new = dense(np.array(new, np.int64))
    matching = match(previous, new)
    now = matching.relabelled(new)
    states = [e for e in matching.events if e.kind not in ("split-into", "merged-from")]
    assert [e.id for e in states] == sorted({*previous.ids.tolist(), *matching.ids.tolist()})
    for event in states:
        was = ~previous.absent & (stable == event.id)
        assert event.before == np.count_nonzero(was)
        assert event.after == np.count_nonzero(now == event.id)
        assert event.kept == np.count_nonzero(was & (now == event.id))
        assert (event.kind in ENDS) == (event.after == 0)
        assert (event.kind in BEGINS) == (event.id not in previous.ids)
    for event in matching.events:
        assert sum(part.share for part in event.parts) <= 1 + 1e-9
        assert [p.rows for p in event.parts] == sorted((p.rows for p in event.parts), reverse=True)
    of_kind = {kind: {e.id for e in matching.events if e.kind == kind} for kind in EventKind}
    origins = {e.parts[0].id for e in matching.events if e.kind == "split-from"}
    heirs = {e.parts[0].id for e in matching.events if e.kind == "merged-into"}
    assert of_kind[EventKind.SPLIT_INTO] == origins
    assert of_kind[EventKind.MERGED_FROM] == heirs
    assert lineage(previous, now) == matching.events


def test_an_event_is_json() -> None:
    previous = Previous.of(rows((7, 100)))
    event = match(previous, rows((0, 60), (1, 40))).events[1]
    assert json.loads(json.dumps(event.to_json())) == {
        "kind": "split-into",
        "id": 7,
        "before": 100,
        "after": 60,
        "kept": 60,
        "parts": [{"id": 7, "rows": 60, "share": 0.6}, {"id": 8, "rows": 40, "share": 0.4}],
    }


def test_another_number_of_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="3 rows have a new label, 4 an old one"):
        lineage(Previous.of(rows((3, 4))), rows((0, 3)))
