"""Writing in parts by other sinks, and at a pace: every way tells and leaves the same."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests import backends, zoo
from tests.contract.making import connection_to
from tests.contract.sink_worlds import (
    PLAIN_FIELDS,
    WITH_EXTRAS,
    Labels,
    MilvusWorld,
    Place,
    World,
    as_dict,
    batch_of,
    milvus_world,
    opened_world,
    stored,
)
from tests.silent import SILENT
from tests.snapshot import diff
from vdbcluster.adapters.here import Here
from vdbcluster.adapters.leased import LeasedSink
from vdbcluster.adapters.milvus.lease import LeaseTerms, MilvusLock
from vdbcluster.adapters.milvus.like_others import readers_of
from vdbcluster.adapters.milvus.source import Selection
from vdbcluster.adapters.milvus.writeback import LabelSettings, sink_of_way
from vdbcluster.adapters.pacing import FLOOR, FixedPace
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.adapters.throttled import Readers, Throttle, ThrottledSink, throttled
from vdbcluster.errors import BackendUnavailableError
from vdbcluster.model.labels import LabelFields, LabelPlan, RowStatus, WriteOutcome, WriteReport
from vdbcluster.pipeline.plan import compared
from vdbcluster.pipeline.write import write_labels
from vdbcluster.pipeline.write_shards import (
    PartsInStore,
    PlanPart,
    has_outcome,
    load_part,
    save_outcome,
    write_shard,
)
from vdbcluster.ports import LabelSink

PART_ROWS = 11
PLACES = [
    Place("memory", "memory"),
    Place(backends.LITE_FILE, "lite-merge", "INT64"),
    Place(backends.LITE_FILE, "lite-merge"),
    Place(backends.LITE_FILE, "side-collection"),
    Place("2.5", "guarded-upsert"),
    Place("2.6", "add-field"),
    pytest.param(
        Place(backends.REAL_SERVER, "guarded-upsert"), marks=[pytest.mark.server, pytest.mark.slow]
    ),
    pytest.param(Place(backends.REAL_SERVER, "side-collection", "INT64"), marks=pytest.mark.server),
]
everywhere = pytest.mark.parametrize("place", PLACES, ids=str)
pytestmark = pytest.mark.usefixtures("probed_once")


@pytest.fixture
def world(place: Place, request: pytest.FixtureRequest, collection_name: str) -> Iterator[World]:
    with opened_world(place, request, collection_name) as opened:
        yield opened


def another(world: World, sink: LabelSink, fields: LabelFields = PLAIN_FIELDS) -> LabelSink:
    """What another process opens, once ``sink`` is prepared."""
    if not isinstance(world, MilvusWorld):
        return world.sink(fields)
    settings = LabelSettings(fields, way=world.way, allow_full_upsert=True)
    chosen = Selection(world.name, zoo.VECTOR)
    found = sink_of_way(world.connection, chosen, settings, sink.way)
    assert found.way == sink.way
    found.prepare()
    return found


def planned(world: World, sink: LabelSink, *, extras: bool = False) -> LabelPlan:
    places = dict(zip(world.keys, world.partition_of, strict=True))
    keys = sorted(world.keys)
    codes = [world.partitions.index(places[key]) for key in keys]
    batch = batch_of(keys, extras=extras)
    return compared(batch, np.array(codes, np.int32), tuple(world.partitions), sink.stored())


@dataclass
class Elsewhere:
    """Parts that go through a store, and by pickle, to a sink of their own each."""

    folder: Path
    opened: Callable[[], LabelSink]
    written: list[int] = field(default_factory=list)
    fail_at: int = -1

    @property
    def part_rows(self) -> int:
        return PART_ROWS

    def write(self, parts: Sequence[PlanPart], done: Any) -> Sequence[WriteOutcome]:
        store = ShardFiles(str(self.folder))

        def work(number: int) -> None:
            if number == self.fail_at:
                raise BackendUnavailableError("this worker was killed")
            part = pickle.loads(pickle.dumps(load_part(store, number)))
            outcome = write_shard(part, self.opened())
            save_outcome(store, number, pickle.loads(pickle.dumps(outcome)))
            assert has_outcome(store, number)
            self.written.append(len(part))

        return PartsInStore(store, Here(), work, PART_ROWS).write(parts, done)


def report_of(
    world: World, sink: LabelSink, plan: LabelPlan, elsewhere: Elsewhere | None = None
) -> WriteReport:
    source: Any = SimpleNamespace(count=lambda: len(world.keys))
    return write_labels(plan, sink, source, SILENT, elsewhere=elsewhere)


def told(report: WriteReport) -> tuple[int, ...]:
    return (
        report.written,
        report.unchanged,
        report.vanished,
        report.skipped,
        report.failed,
        report.mismatched,
    )


def labels_of(plan: LabelPlan, gone: Sequence[Any] = ()) -> Labels:
    return {key: held for key, held in as_dict(plan.new).items() if key not in gone}


@everywhere
def test_parts_written_elsewhere_are_told_and_stored_as_those_written_here(
    world: World, tmp_path: Path
) -> None:
    sink = world.sink()
    gone = [sorted(world.keys)[i] for i in (0, 30, 89)]
    plan = planned(world, sink)
    world.delete(gone)
    before = world.foreign()
    elsewhere = Elsewhere(tmp_path, lambda: another(world, sink))

    report = report_of(world, sink, plan, elsewhere)

    rows = len(world.keys)
    assert told(report) == (rows - 3, 0, 3, 0, 0, 0)
    assert sum(elsewhere.written) == rows
    assert max(elsewhere.written) <= PART_ROWS
    assert stored(world.sink()) == labels_of(plan, gone)
    assert diff(before, world.foreign()) == []


@everywhere
def test_what_a_killed_attempt_has_written_is_not_written_again(
    world: World, tmp_path: Path
) -> None:
    sink = world.sink(WITH_EXTRAS)
    plan = planned(world, sink, extras=True)
    first = Elsewhere(tmp_path / "1", lambda: another(world, sink, WITH_EXTRAS), fail_at=3)
    with pytest.raises(BackendUnavailableError):
        report_of(world, sink, plan, first)
    assert len(first.written) == 3

    sink = world.sink(WITH_EXTRAS)
    rest = planned(world, sink, extras=True)
    second = Elsewhere(tmp_path / "2", lambda: another(world, sink, WITH_EXTRAS))
    report = report_of(world, sink, rest, second)

    left = len(world.keys) - sum(first.written)
    assert told(report) == (left, sum(first.written), 0, 0, 0, 0)
    assert sum(second.written) == left
    assert stored(world.sink(WITH_EXTRAS)) == labels_of(plan)


@everywhere
@pytest.mark.parametrize("rate", [pytest.param("auto", marks=pytest.mark.slow), 100.0])
def test_a_pace_changes_nothing_but_the_time(world: World, rate: Any) -> None:
    bare = world.sink()
    gone = [sorted(world.keys)[i] for i in (0, 30, 89)]
    plan = planned(world, bare)
    world.delete(gone)
    before = world.foreign()
    readers = Readers(lambda: None)
    if isinstance(world, MilvusWorld):
        readers = readers_of(world.connection, world.name, zoo.VECTOR, bare.way.target)
    sink = throttled(bare, Throttle(rate), readers)
    assert isinstance(sink, ThrottledSink)

    report = report_of(world, sink, plan)

    assert told(report) == (len(world.keys) - 3, 0, 3, 0, 0, 0)
    assert report.paused <= report.seconds
    if rate == "auto":
        assert 0.0 < report.paused <= (1 - FLOOR) * report.seconds
    else:
        assert report.seconds >= 0.8 * len(world.keys) / rate
    assert (sink.usual > 0.0) == (rate == "auto")
    assert stored(world.sink()) == labels_of(plan, gone)
    assert diff(before, world.foreign()) == []


def test_the_lock_on_a_server_lives_through_pauses_longer_than_its_lease(
    lite_server: backends.Backend, collection_name: str
) -> None:
    place = Place(backends.LITE_SERVER, "side-collection", "INT64")
    with backends.connected(lite_server) as client, connection_to(lite_server) as connection:
        world = milvus_world(client, connection, collection_name, place)
        bare = world.sink()
        bare.prepare()
        keys = world.keys_in(world.partitions[0])[:4]
        lock = MilvusLock(connection, collection_name, "cluster_", LeaseTerms(lease=2.0))
        with lock.held("run-1") as lease:
            sink = ThrottledSink(LeasedSink(bare, lease), FixedPace(1.0))
            began = time.monotonic()
            outcome = sink.write(batch_of(keys), world.partitions[0])
            lease.check()
        assert time.monotonic() - began > 1.5 * 2.0
        assert set(outcome.status.tolist()) == {RowStatus.WRITTEN}
        for made in client.list_collections():
            if made.startswith(collection_name):
                client.drop_collection(made)
