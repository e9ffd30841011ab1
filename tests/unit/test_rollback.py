"""Taking a run back: which rows are touched, and what becomes of the catalogue."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.silent import SILENT
from vdbcluster.adapters.memory import MemorySink
from vdbcluster.adapters.memory_catalogue import MemoryCatalogue
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, ClusterState
from vdbcluster.model.labels import LABEL_FIELDS, LabelBatch, LabelPlan, RowStatus, WriteOutcome
from vdbcluster.model.manifest import RunManifest, RunState
from vdbcluster.pipeline.plan import compared
from vdbcluster.pipeline.rollback import (
    RollbackReport,
    catalogue_before,
    foreseen,
    look,
    restore_catalogue,
    roll_back,
)
from vdbcluster.wiring.rollback import written_later

N = 6
KEYS = np.arange(N)
Label = tuple[int, str, str | None]
LABELS = st.tuples(
    st.integers(-1, 1), st.sampled_from(["a", "b", "now"]), st.sampled_from([None, "0/1"])
)
OLD = st.tuples(st.integers(-1, 1), st.sampled_from(["a", "b"]), st.sampled_from([None, "0/1"]))
STATES = st.lists(st.one_of(st.none(), OLD), min_size=N, max_size=N)
"""Of each row its label; None where it has none."""


def batch(labels: list[Label | None], rows: np.ndarray = KEYS) -> LabelBatch:
    """Labels of ``rows``, blank where None."""
    known: list[Label] = [label or (-1, "", None) for label in labels]
    blank = LabelBatch.blank(rows)
    blank.cluster_id[:] = [label[0] for label in known]
    blank.run_ids[:] = [label[1] for label in known]
    blank.assignment[:] = ["core" if label else "" for label in labels]
    path = np.empty(len(rows), object)
    path[:] = [label[2] for label in known]
    return replace(blank, path=path) if any(path) else blank


def world(labels: list[Label | None]) -> MemoryCollection:
    held = MemoryCollection(np.ones((N, 2), np.float32), KEYS)
    put(held, labels)
    return held


def put(held: MemoryCollection, labels: list[Label | None]) -> None:
    sink, there = MemorySink(held), np.array([label is not None for label in labels])
    sink.erase(batch(labels), "_default")
    sink.write(batch(labels).texts_only().take(there), "_default")


def bytes_of(held: MemoryCollection) -> list[Any]:
    columns = [getattr(held, label.column) for label in LABEL_FIELDS]
    rows = zip(held.keys, held.labelled, *columns, strict=True)
    return [(row[0], *row[1:]) if row[1] else (row[0], False) for row in rows]


def planned(held: MemoryCollection, ids: list[int]) -> LabelPlan:
    """What run ``now`` is to write."""
    new = batch([(one, "now", None) for one in ids])
    stored = MemorySink(held).stored()
    return compared(new, np.zeros(N, np.int32), ("_default",), stored)


def write(plan: LabelPlan, held: MemoryCollection, rows: np.ndarray) -> None:
    MemorySink(held).write(plan.new.take(np.flatnonzero(plan.changed & rows)), "_default")


@given(STATES, st.lists(st.integers(-1, 1), min_size=N, max_size=N), st.integers(0, N))
def test_a_run_that_came_so_far_is_undone_to_the_last_bit(
    labels: list[Label | None], ids: list[int], far: int
) -> None:
    held = world(labels)
    before, plan = bytes_of(held), planned(held, ids)
    write(plan, held, np.arange(N) < far)

    report = roll_back(plan, MemorySink(held), SILENT)

    assert bytes_of(held) == before
    wrote = int((plan.changed & (np.arange(N) < far)).sum())
    assert report.restored + report.erased == wrote
    assert report.already == int(plan.changed.sum()) - wrote
    assert (report.changed_since, report.vanished, report.clean) == (0, 0, True)


@given(
    STATES,
    st.lists(st.integers(-1, 1), min_size=N, max_size=N),
    st.lists(st.one_of(st.just("as written"), st.none(), LABELS), min_size=N, max_size=N),
)
def test_only_rows_that_hold_what_the_run_wrote_are_touched(
    labels: list[Label | None], ids: list[int], later: list[Any]
) -> None:
    held = world(labels)
    old, plan = bytes_of(held), planned(held, ids)
    write(plan, held, np.ones(N, bool))
    sink = MemorySink(held)
    gone, others = ([one is None for one in later], [isinstance(one, tuple) for one in later])
    by_others = batch([one if isinstance(one, tuple) else None for one in later])
    sink.erase(by_others.take(np.array(gone)), "_default")
    sink.write(by_others.texts_only().take(np.array(others)), "_default")
    now = bytes_of(held)

    report = roll_back(plan, sink, SILENT)

    for i, after in enumerate(bytes_of(held)):
        as_written = later[i] in ("as written", (ids[i], "now", None))
        assert after == (old[i] if plan.changed[i] and as_written else now[i])
    counts = (report.restored, report.erased, report.already, report.changed_since, report.vanished)
    assert sum(counts) == int(plan.changed.sum())
    assert report.clean
    again = foreseen(look(plan, sink, SILENT))
    assert (again.restored, again.erased) == (0, 0)


def test_rows_deleted_and_added_since_are_let_be() -> None:
    held = world([(0, "a", None)] * 3 + [None] * 3)
    before = bytes_of(held)
    plan = planned(held, [1] * N)
    write(plan, held, np.ones(N, bool))
    held.delete(np.array([1, 4]))
    held.insert(np.array([77]), np.ones((1, 2)))

    report = roll_back(plan, MemorySink(held), SILENT)

    left = [row for row in before if row[0] not in (1, 4)]
    assert bytes_of(held) == [*left, (77, False)]
    told = RollbackReport(restored=2, erased=2, already=1, vanished=1)
    assert report == told  # nobody can tell a deleted row that had no label from one that has none


class Deaf(MemorySink):
    """Says that it wrote, and does not, so many times."""

    def __init__(self, held: MemoryCollection, times: int) -> None:
        super().__init__(held)
        self.times = times

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        self.times -= 1
        if self.times >= 0:
            return WriteOutcome(np.full(len(batch), RowStatus.WRITTEN, np.int8))
        return super().write(batch, partition)


@pytest.mark.parametrize(("times", "stuck"), [(1, 0), (9, N)])
def test_what_reads_back_unchanged_is_sent_once_more_and_then_told(times: int, stuck: int) -> None:
    held = world([(0, "a", None)] * N)
    plan = planned(held, [1] * N)
    write(plan, held, np.ones(N, bool))

    report = roll_back(plan, Deaf(held, times), SILENT)

    assert (report.mismatched, report.restored) == (stuck, N - stuck)
    assert report.clean == (not stuck)


def entries(*ids: int, **more: Any) -> tuple[CatalogueEntry, ...]:
    return tuple(CatalogueEntry(i, size=1, medoid_key=i, **more) for i in ids)


def test_ids_that_the_run_made_stay_taken() -> None:
    before = Catalogue(entries(0, 3, name="old"), "r1", "1")
    after = Catalogue(entries(0, 2, 5, name="new"), "r2", "1")

    back = catalogue_before(before, after)

    assert [(e.id, e.live, e.name) for e in back.entries] == [
        (0, True, "old"),
        (2, False, "new"),
        (3, True, "old"),
        (5, False, "new"),
    ]
    assert (back.next_id, back.run_id) == (6, "r1")
    first = catalogue_before(None, after)
    assert [e.state for e in first.entries] == [ClusterState.RETIRED] * 3
    assert first.next_id == after.next_id


@given(st.sets(st.integers(0, 8)), st.sets(st.integers(0, 8)))
def test_no_id_is_lost_and_none_comes_alive(old: set[int], new: set[int]) -> None:
    before = Catalogue(entries(*sorted(old)), "r1", "1")
    after = Catalogue(entries(*sorted(new)), "r2", "1")
    back = catalogue_before(before, after)
    assert {entry.id for entry in back.entries} == old | new
    assert {entry.id for entry in back.live} == old
    assert catalogue_before(back, after).entries == back.entries


@pytest.mark.parametrize("first", [True, False])
def test_the_catalogue_comes_back_with_what_people_said_since(first: bool) -> None:
    held = MemoryCatalogue(world([None] * N))
    identity = held._collection.identity
    before = None if first else Catalogue(entries(0, 1, name="found"), "r1", identity)
    after = Catalogue(entries(0, 2, name="found"), "r2", identity)
    held.replace(after)
    held.edit(lambda now: [replace(now.entries[0], name="mine")])

    for _ in range(2):
        assert restore_catalogue(held, before, after) == ""
        now = held.read()
        assert now is not None
        told = [(entry.id, entry.live, entry.name) for entry in now.entries]
        kept = [(0, False, "mine"), (2, False, "found")]
        whole = [(0, True, "mine"), (1, True, "found"), (2, False, "found")]
        assert told == (kept if first else whole)


def test_a_catalogue_that_the_run_never_stored_gets_its_ids_retired() -> None:
    held = MemoryCatalogue(world([None] * N))
    identity = held._collection.identity
    before = Catalogue(entries(0, name="found"), "r1", identity)
    held.replace(before)
    held.edit(lambda now: [replace(now.entries[0], name="mine")])

    restore_catalogue(held, before, Catalogue(entries(0, 1), "r2", identity))

    now = held.read()
    assert now is not None
    assert [(entry.id, entry.live, entry.name) for entry in now.entries] == [
        (0, True, "mine"),
        (1, False, ""),
    ]


def test_the_catalogue_of_a_later_run_is_left_alone() -> None:
    held = MemoryCatalogue(world([None] * N))
    identity = held._collection.identity
    runs = [Catalogue(entries(i), f"r{i}", identity) for i in range(3)]
    held.replace(runs[2])

    told = restore_catalogue(held, runs[0], runs[1])

    assert "run r2 has written it since" in told
    now = held.read()
    assert now is not None
    assert now.run_id == "r2"
    assert restore_catalogue(held, runs[0], None) == ""


def manifest(run_id: str, state: RunState = "written", **chosen: Any) -> RunManifest:
    prefix = chosen.pop("prefix", "cluster_")
    identity = chosen.pop("identity", "1")
    selection = {"filter": "", "partitions": [], **chosen}
    settings = {"write": {"label_prefix": prefix}}
    return RunManifest(run_id, state, "docs", identity, selection, settings, {})


@pytest.mark.parametrize(
    ("other", "counts"),
    [
        (manifest("b"), True),
        (manifest("b", "writing"), True),
        (manifest("b", "planned"), False),
        (manifest("b", "rolled-back"), False),
        (manifest("b", filter="x > 1"), True),
        (manifest("b", prefix="sub_"), False),
        (manifest("b", identity="2"), False),
    ],
)
def test_which_later_runs_stand_in_the_way(other: RunManifest, counts: bool) -> None:
    this = manifest("a")
    assert written_later([this, other], this) == ([other] if counts else [])
    assert written_later([other, this], this) == []
    part = manifest("a", filter="y > 1")
    assert written_later([part, manifest("b", filter="y > 2")], part) == []
