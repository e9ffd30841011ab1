"""A sink that writes in pieces: the same rows, the same marks, only later."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.silent import SILENT
from vdbcluster.adapters.leased import LeasedSink
from vdbcluster.adapters.memory import MemorySink, MemorySource
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.pacing import START, AutoPace, FixedPace
from vdbcluster.adapters.reads import Reads
from vdbcluster.adapters.throttled import (
    Readers,
    Throttle,
    ThrottledSink,
    WatchingSink,
    throttled,
)
from vdbcluster.errors import BackendError, BackendUnavailableError, LockedError
from vdbcluster.model.labels import LabelBatch, RowStatus, WriteOutcome
from vdbcluster.pipeline.plan import compared
from vdbcluster.pipeline.write import write_labels

ROWS = 2500


def labels(rows: int = ROWS) -> LabelBatch:
    zeros = np.zeros(rows, np.float32)
    runs, assignment = np.full(rows, "r", object), np.full(rows, "core", object)
    return LabelBatch(np.arange(rows), np.arange(rows) % 7, zeros, zeros, runs, assignment)


def collection(rows: int = ROWS) -> MemoryCollection:
    return MemoryCollection(np.ones((rows, 2), np.float32))


@dataclass
class Clock:
    """Instead of sleeping."""

    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Slow(MemorySink):
    """Takes its time, and holds readers up meanwhile; ``pieces``: rows of each write."""

    def __init__(self, held: MemoryCollection, per_row: float) -> None:
        super().__init__(held)
        self.per_row, self.writing = per_row, False
        self.pieces: list[int] = []

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        self.pieces.append(len(batch))
        self.writing = True
        time.sleep(self.per_row * len(batch))
        self.writing = False
        return super().write(batch, partition)

    def read(self) -> None:
        time.sleep(0.02 if self.writing else 0.0005)


def shortly(seconds: float) -> None:
    time.sleep(min(seconds, 0.1))


def test_none_is_the_sink_itself() -> None:
    sink = MemorySink(collection())
    assert throttled(sink, Throttle(), Readers(lambda: None)) is sink


def test_a_rate_is_kept_and_told() -> None:
    held, clock = collection(), Clock()
    sink = ThrottledSink(MemorySink(held), FixedPace(1000.0), clock.sleep)

    outcome = sink.write(labels(), "_default")

    assert held.labelled.all()
    assert outcome.status.tolist() == [RowStatus.WRITTEN] * ROWS
    assert outcome.paused == pytest.approx(sum(clock.slept))
    assert 0.8 * ROWS / 1000 < outcome.paused <= ROWS / 1000


def test_marks_and_messages_come_through_in_their_places() -> None:
    class Picky(MemorySink):
        def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
            del partition
            bad = batch.keys % 1000 == 999
            status = np.where(bad, RowStatus.FAILED, RowStatus.WRITTEN).astype(np.int8)
            return WriteOutcome(status, f"row {batch.keys[bad][0]}" if bad.any() else "")

    sink = ThrottledSink(Picky(collection()), FixedPace(1000.0), Clock().sleep)
    outcome = sink.write(labels(), "_default")

    assert np.flatnonzero(outcome.status == RowStatus.FAILED).tolist() == [999, 1999]
    assert outcome.message == "row 999"


def test_no_rows_are_no_trouble_and_erasing_goes_in_pieces_too() -> None:
    held = collection()
    sink = ThrottledSink(MemorySink(held), FixedPace(1e6), Clock().sleep)
    assert len(sink.write(labels(0), "_default").status) == 0
    sink.write(labels(), "_default")
    assert held.labelled.all()
    assert (sink.erase(labels(), "_default").status == RowStatus.WRITTEN).all()
    assert not held.labelled.any()


def test_readers_who_wait_for_us_make_us_pause() -> None:
    held = collection(6000)
    inner = Slow(held, per_row=0.00015)
    pace = AutoPace(usual=0.001)
    sink = WatchingSink(inner, pace, Readers(inner.read), shortly)
    sink._reads = Reads(inner.read, every=0.005, idle=0.0)  # as tests have no time for ten a second

    outcome = sink.write(labels(6000), "_default")

    assert held.labelled.all()
    assert pace.share < START
    assert outcome.paused > 3 * 6000 * inner.per_row
    assert max(inner.pieces) < 3000


def test_reads_that_fail_or_nobody_who_reads_stop_nothing() -> None:
    def read() -> None:
        raise BackendError("the collection is not loaded")

    held, clock = collection(), Clock()
    pace = AutoPace()
    sink = WatchingSink(MemorySink(held), pace, Readers(read, settle=read), clock.sleep)
    sink.prepare()
    assert sink.usual == 0.0
    outcome = sink.write(labels(), "_default")
    assert (outcome.status == RowStatus.WRITTEN).all()
    assert held.labelled.all()


def test_a_read_that_hangs_for_a_while_does_not_hold_the_writing_up() -> None:
    held = collection()
    sink = WatchingSink(
        MemorySink(held), AutoPace(0.001), Readers(lambda: time.sleep(0.3)), Clock().sleep
    )
    sink._reads = Reads(lambda: time.sleep(0.3), every=0.001)
    began = time.monotonic()
    sink.write(labels(), "_default")
    assert time.monotonic() - began < 0.3 + 2.0  # the one that is on its way
    assert held.labelled.all()


def test_what_lies_apart_is_settled_but_not_at_every_piece() -> None:
    held = collection(6000)
    settled: list[int] = []

    class Apart(Slow):
        def read(self) -> None:
            time.sleep(0.02 if held.labelled.any() and not settled else 0.001)

    inner = Apart(held, per_row=0.0001)
    readers = Readers(inner.read, lambda: settled.append(len(inner.pieces)), settle_rows=500)
    sink = WatchingSink(inner, AutoPace(), readers, shortly)
    sink._reads = Reads(inner.read, every=0.005, idle=0.0)
    sink.prepare()
    assert 0.0005 < sink.usual < 0.015
    sink.write(labels(6000), "_default")
    assert held.labelled.all()
    assert len(settled) == 1
    assert sum(inner.pieces[: settled[0]]) >= 500


def test_the_lock_is_asked_again_after_each_pause() -> None:
    class Lost:
        checks = 0

        def check(self) -> None:
            self.checks += 1
            if self.checks > 3:
                raise LockedError("the lock was taken")

    held, clock = collection(), Clock()
    sink = ThrottledSink(LeasedSink(MemorySink(held), Lost()), FixedPace(500.0), clock.sleep)
    with pytest.raises(LockedError):
        sink.write(labels(), "_default")
    assert len(clock.slept) == 3
    assert np.count_nonzero(held.labelled) == 300


def test_reads_that_are_slow_are_few() -> None:
    """They would be the load that they are to detect."""
    times: list[float] = []

    def read() -> None:
        times.append(time.perf_counter())
        time.sleep(0.05)

    reads = Reads(read, every=0.001)
    with reads.going_on():
        time.sleep(0.6)
    assert 1 <= len(times) <= 3
    beside, between = reads.taken()
    assert (len(beside), len(between)) == (0, len(times))
    assert len(reads.before(3)) == 3


def test_a_server_that_stays_away_ends_the_writing_and_the_reads() -> None:
    class Away(MemorySink):
        def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
            raise BackendUnavailableError("nobody answers")

    sink = WatchingSink(Away(collection()), AutoPace(), Readers(lambda: None), Clock().sleep)
    with pytest.raises(BackendUnavailableError):
        sink.write(labels(), "_default")
    assert not [t for t in threading.enumerate() if t.name == "reads"]


def test_a_whole_write_tells_its_pauses_and_writes_what_it_writes_without() -> None:
    reports = []
    for rate in ("none", "auto", 40_000.0):
        held = collection()
        held.delete([3, 4])
        sink = throttled(MemorySink(held), Throttle(rate), Readers(lambda: None))  # type: ignore[arg-type]
        plan = compared(labels(), np.zeros(ROWS, np.int32), ("_default",), sink.stored())
        reports.append(write_labels(plan, sink, MemorySource(held), SILENT))
    told = [(r.written, r.vanished, r.failed, r.mismatched, r.unlabelled) for r in reports]
    assert told[0] == told[1] == told[2] == (ROWS - 2, 2, 0, 0, 0)
    assert reports[0].paused == 0.0
    assert 0.0 < reports[2].paused <= reports[2].seconds


def test_several_writers_share_a_rate() -> None:
    assert Throttle(1000.0).shared(4).rate == 250.0
    assert Throttle("auto", 0.01).shared(4) == Throttle("auto", 0.01)
