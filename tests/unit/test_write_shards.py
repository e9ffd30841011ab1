"""A plan in parts: every row in one of them, and nothing is lost on the way through a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.silent import SILENT
from vdbcluster.adapters.memory import MemorySink, MemorySource
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.errors import LockedError, VdbclusterError
from vdbcluster.model.labels import LABEL_FIELDS, LabelBatch, RowStatus, WriteOutcome
from vdbcluster.pipeline.plan import compared
from vdbcluster.pipeline.write import write_labels
from vdbcluster.pipeline.write_shards import (
    PartsInStore,
    PlanPart,
    cut,
    has_outcome,
    load_outcome,
    load_part,
    save_outcome,
    save_part,
    write_shard,
)

ODD = ['"', "\\", "two\nlines", "漢字", "", "\u2028", "{}"]


def objects(values: Sequence[Any]) -> NDArray[Any]:
    found = np.empty(len(values), object)
    found[:] = values
    return found


def labels(keys: NDArray[Any], **extras: Any) -> LabelBatch:
    n = len(keys)
    scores = np.linspace(0, 1, n, dtype=np.float32)
    return LabelBatch(
        keys, np.arange(n) - 1, scores, scores, objects(["r"] * n), objects(["core"] * n), **extras
    )


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=200),
    st.integers(1, 50),
)
def test_every_row_is_in_one_part_of_its_partition(rows: list[tuple[bool, int]], most: int) -> None:
    which = np.array([chosen for chosen, _ in rows], np.bool_)
    codes = np.array([code for _, code in rows], np.int32)
    names = ("a", "b", "c", "d")
    parts = list(cut(which, codes, names, most))
    assert all(0 < len(at) <= most for at, _ in parts)
    assert all((codes[at] == names.index(name)).all() for at, name in parts)
    in_order = np.lexsort((np.arange(len(rows)), codes))
    joined = np.concatenate([np.empty(0, np.int64), *(at for at, _ in parts)])
    assert joined.tolist() == [row for row in in_order.tolist() if which[row]]


@pytest.mark.parametrize("keys", [np.array([-(2**63), 0, 2**63 - 1]), objects(ODD[:3])])
@pytest.mark.parametrize("whole", [False, True])
def test_a_part_comes_out_of_a_store_as_it_went_in(
    keys: NDArray[Any], whole: bool, tmp_path: Any
) -> None:
    extras: dict[str, Any] = {}
    if whole:
        places = np.array([0.1, np.float32(1e-30), -3], np.float32)
        extras = {"path": objects([None, "", "3/1"]), "duplicate_of": objects([None, "", ODD[3]])}
        extras |= {"map_x": places, "map_y": -places}
    store, part = ShardFiles(str(tmp_path)), PlanPart(labels(keys, **extras), ODD[2])
    save_part(store, 7, part)
    found = load_part(store, 7)
    assert found.partition == part.partition
    for column in ("keys", *(which.column for which in LABEL_FIELDS)):
        ours, theirs = getattr(part.labels, column), getattr(found.labels, column)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert (ours.dtype, ours.tolist()) == (theirs.dtype, theirs.tolist())


def test_an_outcome_comes_out_of_a_store_as_it_went_in(tmp_path: Any) -> None:
    store = ShardFiles(str(tmp_path))
    assert not has_outcome(store, 1)
    save_outcome(store, 1, WriteOutcome(np.array([1, 4, 2], np.int8), ODD[3], 2.5))
    assert has_outcome(store, 1)
    found = load_outcome(store, 1)
    assert (found.status.tolist(), found.message, found.paused) == ([1, 4, 2], ODD[3], 2.5)
    with pytest.raises(VdbclusterError):
        load_part(store, 1)


@dataclass
class Backwards:
    """``Workers``: the last part first, each of them twice; ``numbers`` that were asked for."""

    numbers: list[int] = field(default_factory=list)

    def each(
        self, work: Callable[[int], None], shards: Sequence[int], done: Callable[[int], None]
    ) -> None:
        for number in reversed(shards):
            self.numbers.append(number)
            work(number)
            work(number)
            done(1)


def world(rows: int = 1000) -> tuple[MemoryCollection, Any]:
    held = MemoryCollection(np.ones((rows, 2), np.float32))
    held.partition_of[::3] = "other"
    codes = np.where(np.arange(rows) % 3 == 0, 1, 0).astype(np.int32)
    sink = MemorySink(held)
    return held, compared(labels(held.keys), codes, ("_default", "other"), sink.stored())


class Moody(MemorySink):
    """Fails every tenth row, and writes every seventh wrong at first."""

    calls = 0

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        outcome = super().write(batch, partition)
        bad = batch.keys % 10 == 0
        outcome.status[bad] = RowStatus.FAILED
        at = self.collection.positions(batch.keys[bad])
        self.collection.labelled[at] = False
        return WriteOutcome(outcome.status, "too large" if bad.any() else "")


def test_the_report_is_that_of_one_process_whatever_order_parts_come_in(tmp_path: Any) -> None:
    reports, stored = [], []
    workers = Backwards()
    for turn in range(2):
        held, plan = world()
        held.delete([5, 6, 7])
        sink, store = Moody(held), ShardFiles(str(tmp_path))

        def work(number: int, store: Any = store, held: Any = held) -> None:
            save_outcome(store, number, write_shard(load_part(store, number), Moody(held)))

        elsewhere = PartsInStore(store, workers, work, 64) if turn else None
        report = write_labels(plan, sink, MemorySource(held), SILENT, elsewhere=elsewhere)
        reports.append((*vars_of(report), report.messages))
        stored.append([held.cluster_id.tolist(), held.labelled.tolist()])
    assert reports[0] == reports[1]
    assert reports[0][:5] == (897, 0, 3, 0, 100)
    assert stored[0] == stored[1]
    assert len(workers.numbers) == len(set(workers.numbers)) == 6 + 11


def vars_of(report: Any) -> tuple[int, ...]:
    names = ("written", "unchanged", "vanished", "skipped", "failed", "mismatched", "unlabelled")
    return tuple(getattr(report, name) for name in names)


def test_progress_adds_up_to_the_rows_and_may_call_it_off(tmp_path: Any) -> None:
    held, plan = world(100)
    store = ShardFiles(str(tmp_path))
    told: list[int] = []

    def work(number: int) -> None:
        save_outcome(store, number, write_shard(load_part(store, number), MemorySink(held)))

    parts = [
        PlanPart(plan.new.take(at), name)
        for at, name in cut(plan.changed, plan.partition_of, plan.partitions, 30)
    ]
    PartsInStore(store, Backwards(), work).write(parts, told.append)
    assert (len(told), sum(told)) == (len(parts), 100)

    def lost(rows: int) -> None:
        raise LockedError("the lock was taken")

    workers = Backwards()
    with pytest.raises(LockedError):
        PartsInStore(store, workers, work).write(parts, lost)
    assert len(workers.numbers) == 1
