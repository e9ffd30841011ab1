"""Work that others do ends soon after it was called off; no run takes from another what it uses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vdbcluster.adapters.dask_loop import GONE, Handing, _result
from vdbcluster.adapters.dask_workers import DaskWorkers
from vdbcluster.adapters.leased import LeasedSink
from vdbcluster.adapters.memory import MemorySink
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.milvus.client import MilvusAddress, MilvusConnection
from vdbcluster.adapters.milvus.key_ranges import KeyRange
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.adapters.sharded_source import Readers, _Reading
from vdbcluster.adapters.throttled import Throttle
from vdbcluster.adapters.work_folders import WorkFolders
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import CollectionChangedError, LockedError, VdbclusterError
from vdbcluster.model.collection import ServerInfo
from vdbcluster.model.labels import LabelBatch, WriteOutcome, WriteWay
from vdbcluster.pipeline.write_shards import (
    BEGUN,
    PlanPart,
    Standing,
    call_off,
    has_outcome,
    save_part,
    write_shard,
)
from vdbcluster.wiring import bench, shard_work
from vdbcluster.wiring.bench import Bench
from vdbcluster.wiring.crew import Crew
from vdbcluster.wiring.shard_work import WriteShard

ROWS = 300
SIDE = WriteWay("side-collection", "", "docs_labels")
IN_ROWS = WriteWay("guarded-upsert", "", "docs")


class Sink(MemorySink):
    """Does ``meanwhile`` in each call; ``pieces``: rows of each, ``most``: calls at once."""

    def __init__(self, rows: int, meanwhile: Callable[[], None] = lambda: None) -> None:
        super().__init__(MemoryCollection(np.ones((rows, 2), np.float32)))
        self.meanwhile, self.pieces = meanwhile, list[int]()
        self.inside = self.most = 0

    def write(self, batch: LabelBatch, partition: str) -> WriteOutcome:
        self.pieces.append(len(batch))
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.meanwhile()
        self.inside -= 1
        return super().write(batch, partition)


def part(first: int, rows: int) -> PlanPart:
    zeros = np.zeros(rows, np.float32)
    runs, assignment = np.full(rows, "r", object), np.full(rows, "core", object)
    keys = np.arange(first, first + rows)
    return PlanPart(LabelBatch(keys, keys % 7, zeros, zeros, runs, assignment), "_default")


@pytest.fixture
def store(tmp_path: Path) -> ShardFiles:
    return ShardFiles(str(tmp_path / "parts"))


@pytest.fixture
def work(store: ShardFiles, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., WriteShard]]:
    """Makes the work that writes through a sink, of whom all that matters is not Milvus."""
    source = SimpleNamespace(
        selection=None, found=SimpleNamespace(name="docs"), vector=SimpleNamespace(name="v")
    )

    def made(sink: Sink, rate: Any = "none", way: WriteWay = SIDE) -> WriteShard:
        monkeypatch.setattr(shard_work, "_source", lambda *_: source)
        monkeypatch.setattr(shard_work, "connection_of", lambda _: None)
        monkeypatch.setattr(shard_work, "readers_of", lambda *_: None)
        monkeypatch.setattr(shard_work, "sink_of_way", lambda *_: sink)
        return WriteShard(load_settings({}), store, way, (), "id", Throttle(rate))

    shard_work.forget()
    yield made
    shard_work.forget()


def test_a_worker_asks_before_each_piece_whether_it_is_to_go_on(
    store: ShardFiles, work: Callable[..., WriteShard]
) -> None:
    store.save(BEGUN, {})
    save_part(store, 0, part(0, ROWS))

    def meanwhile() -> None:
        if len(sink.pieces) == 2:
            call_off(store)

    sink = Sink(ROWS, meanwhile)
    with pytest.raises(VdbclusterError, match="called off"):
        work(sink, rate=500.0)(0)
    assert sink.pieces == [100, 100]  # of three
    assert np.flatnonzero(sink.collection.labelled).tolist() == list(range(200))
    assert not has_outcome(store, 0)


def test_a_slow_way_asks_between_fewer_rows(
    store: ShardFiles, work: Callable[..., WriteShard]
) -> None:
    store.save(BEGUN, {})
    save_part(store, 0, part(0, 2500))
    for way, rate, pieces in (
        (SIDE, "none", [2500]),
        (IN_ROWS, "none", [1000, 1000, 500]),
        (IN_ROWS, 1e6, [2500]),
    ):
        store.remove("written-000000")
        shard_work.forget()
        sink = Sink(2500)
        work(sink, rate, way)(0)
        assert sink.pieces == pieces
        assert sink.collection.labelled.all()


def test_what_is_called_off_in_its_last_call_leaves_nothing_behind(
    store: ShardFiles, work: Callable[..., WriteShard], tmp_path: Path
) -> None:
    store.save(BEGUN, {})
    save_part(store, 0, part(0, ROWS))
    sink = Sink(ROWS, lambda: call_off(store))
    with pytest.raises(VdbclusterError, match="called off"):
        work(sink)(0)
    assert list(tmp_path.iterdir()) == []


def test_what_is_called_off_is_not_begun(
    store: ShardFiles, work: Callable[..., WriteShard]
) -> None:
    save_part(store, 0, part(0, ROWS))
    sink = Sink(ROWS)
    with pytest.raises(VdbclusterError, match="called off"):
        work(sink)(0)
    assert sink.pieces == []
    with pytest.raises(VdbclusterError):
        Standing(store).check()
    store.save(BEGUN, {})
    Standing(store).check()


def test_one_part_at_a_time_in_a_process(
    store: ShardFiles, work: Callable[..., WriteShard]
) -> None:
    store.save(BEGUN, {})
    for number in range(3):
        save_part(store, number, part(100 * number, 100))
    sink = Sink(ROWS, lambda: time.sleep(0.05))
    writing = work(sink)
    threads = [threading.Thread(target=writing, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sink.collection.labelled.all()
    assert (len(sink.pieces), sink.most) == (3, 1)


def test_a_collection_created_anew_while_a_worker_opens_it_is_not_written(
    store: ShardFiles, work: Callable[..., WriteShard], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(BEGUN, {})
    save_part(store, 0, part(0, ROWS))
    sink = Sink(ROWS)
    writing, looks = work(sink), list[object]()
    first = shard_work._source(writing.settings.milvus, "id")

    def source(*_: object) -> Any:
        looks.append(_)
        if len(looks) > 1:
            raise CollectionChangedError("created anew")
        return first

    monkeypatch.setattr(shard_work, "_source", source)
    with pytest.raises(CollectionChangedError):
        writing(0)
    assert sink.pieces == []


class Client:
    """What is closed when a connection is let go."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_what_a_piece_under_way_needs_is_not_taken_from_it() -> None:
    client = Client()
    connection = MilvusConnection(
        client, MilvusAddress("http://h:1"), ServerInfo("server", "2.3.5", "http://h:1")
    )
    shard_work._once("connection", "here", lambda: connection)
    with shard_work._at_work():
        shard_work.forget()
        assert not client.closed
    opening, go_on = threading.Event(), threading.Event()

    def opens() -> None:
        with shard_work._opening:
            opening.set()
            go_on.wait(5)

    thread = threading.Thread(target=opens)
    thread.start()
    opening.wait(5)
    shard_work.forget()  # does not wait
    assert not client.closed
    go_on.set()
    thread.join()
    shard_work.forget()
    assert client.closed


def settings(uri: str = "http://h:1", prefix: str = "cluster_") -> Settings:
    milvus = {"uri": uri, "collection": "docs"}
    return load_settings({"milvus": milvus, "write": {"label_prefix": prefix}})


def test_a_run_that_may_write_calls_off_the_workers_of_one_that_died(tmp_path: Path) -> None:
    place = WorkFolders(str(tmp_path))

    def begun(of: Settings, identity: str = "id") -> ShardFiles:
        found = Crew(of, place, count=2).writing(identity)
        found.save(BEGUN, {})
        return found

    died = begun(settings())
    others = [
        begun(settings("http://other:1")),
        begun(settings(prefix="sub_")),
        begun(settings(), "of another collection"),
    ]
    read = Crew(settings(), place, count=2).attempt(Crew(settings(), place)._stem("read"), 1e5)
    read.save("rows-00000", {})
    ours = begun(settings("http://me:secret@h:1"))
    with pytest.raises(VdbclusterError, match="called off"):
        Standing(died).check()
    for other in (*others, ours):
        Standing(other).check()
    assert read.has("rows-00000")


@dataclass
class Parts:
    """What matters of ``Adapters``."""

    elsewhere: object = "nobody said"


@pytest.mark.parametrize("reached", [True, False])
def test_a_run_without_workers_calls_them_off_too_before_it_writes(
    reached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = WorkFolders(str(tmp_path))
    died = Crew(settings(), place, count=2).writing("id")
    died.save(BEGUN, {})
    if not reached:
        place = WorkFolders("nosuch://bucket/work")
    before, told = list[bool](), list[str]()

    def sink(*_: object) -> None:
        before.append(died.has(BEGUN))

    monkeypatch.setattr(bench, "locked_run", lambda *_: nullcontext())
    monkeypatch.setattr(Bench, "_leased", sink)
    monkeypatch.setattr(Bench, "adapters", lambda *_: Parts())
    source = SimpleNamespace(found=SimpleNamespace(identity="id"))
    observer = SimpleNamespace(warn=told.append)
    alone = Bench(None, source, settings(), None, observer, Crew(settings(), place))
    with alone.writing("run") as parts:
        assert parts == Parts(None)
    assert before == [not reached]
    assert ["may still be writing" in line for line in told] == [True] * (not reached)


@pytest.mark.parametrize(
    ("way", "twice"), [("side-collection", True), ("lite-merge", True), ("guarded-upsert", False)]
)
def test_a_part_that_hangs_is_begun_again_where_labels_alone_are_sent(
    way: Any, twice: bool, tmp_path: Path
) -> None:
    workers = DaskWorkers(SimpleNamespace(nthreads=dict))
    crew = Crew(settings(), WorkFolders(str(tmp_path)), workers, 2, reaches=True)
    assert crew.writing_workers(WriteWay(way, "", "docs"), None).twice is twice
    here = Crew(settings(), WorkFolders(str(tmp_path)))
    assert here.writing_workers(WriteWay(way, "", "docs"), None) is here.workers


def test_two_workers_may_write_one_part(store: ShardFiles, work: Callable[..., WriteShard]) -> None:
    """The first hangs in a call; what it does when it wakes is no more than that call."""
    store.save(BEGUN, {})
    save_part(store, 0, part(0, 2500))
    woken, hangs = threading.Event(), threading.Event()

    def meanwhile() -> None:
        if len(first.pieces) == 1 and not woken.is_set():
            hangs.set()
            woken.wait(20)

    first, second = Sink(2500, meanwhile), Sink(2500)
    raised: list[VdbclusterError] = []

    def write_first() -> None:
        standing = LeasedSink(first, Standing(store))
        try:
            write_shard(part(0, 2500), standing, batch_rows=1000)
        except VdbclusterError as error:
            raised.append(error)

    thread = threading.Thread(target=write_first)
    thread.start()
    hangs.wait(20)
    work(second)(0)
    assert has_outcome(store, 0)
    assert second.collection.labelled.all()
    call_off(store)
    woken.set()
    thread.join()
    assert "called off" in str(raised[0])
    assert first.pieces == [1000]


@pytest.mark.parametrize(("rate", "at_once"), [(5000.0, 3), ("auto", None), ("none", None)])
def test_workers_that_join_while_labels_are_written_do_not_make_it_faster_than_its_rate(
    rate: Any, at_once: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = dict.fromkeys("abc", 1)
    workers = DaskWorkers(SimpleNamespace(nthreads=lambda: threads))
    written = load_settings({"milvus": {"uri": "http://h:1"}, "write": {"rate": rate}})
    found: list[tuple[DaskWorkers, WriteShard]] = []

    def each(workers: DaskWorkers, work: WriteShard, *_: object) -> None:
        found.append((workers, work))
        threads["d"] = 1  # too late

    monkeypatch.setattr(DaskWorkers, "each", each)
    sink: Future[Any] = Future()
    sink.set_result(Sink(1))
    lease = SimpleNamespace(check=lambda: None)
    crew = Crew(written, WorkFolders(str(tmp_path)), workers, 2, reaches=True)
    writers = crew.writers("id", sink, (), lease)
    assert writers is not None
    writers.write([], lambda _: None)
    asked, work = found[0]
    assert (asked.at_once, asked.twice) == (at_once, True)  # beside the rows: labels alone are sent
    assert work.throttle.rate == (rate if at_once is None else rate / at_once)


def test_a_rate_is_shared_by_workers_that_joined_since_the_run_began() -> None:
    client = SimpleNamespace(nthreads=lambda: dict.fromkeys("abcde", 1))
    place = WorkFolders("w")
    assert Crew(settings(), place, DaskWorkers(client), count=2).now == 5
    assert Crew(settings(), place, DaskWorkers(client), count=7).now == 7
    assert Crew(settings(), place, count=2).now == 2


@dataclass
class Dask:
    """What is asked of a Dask client; ``gone``: nobody answers."""

    gone: bool = False
    submitted: list[object] = field(default_factory=list)
    cancelled: list[object] = field(default_factory=list)

    def nthreads(self) -> dict[str, int]:
        if self.gone:
            raise OSError("timed out")
        return {"tcp://a:1": 1}

    def submit(self, *_: object, **__: object) -> object:
        self.submitted.append(object())
        return self.submitted[-1]

    def cancel(self, futures: list[object]) -> None:
        self.cancelled += futures


def test_a_lost_lock_is_noticed_while_nothing_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    client, told = Dask(), list[int]()
    monkeypatch.setattr(Handing, "_ended", lambda _: ())

    def done(n: int) -> None:
        told.append(n)
        if len(told) == 2:
            raise LockedError("the lock was taken")

    with pytest.raises(LockedError):
        Handing(client, lambda _: None, iter([0, 1, 2, 3])).run(done)
    assert told == [0, 0]
    assert client.cancelled == client.submitted


def test_a_scheduler_that_is_gone_is_one_line() -> None:
    with pytest.raises(VdbclusterError) as told:
        Handing(Dask(gone=True), lambda _: None, iter([0])).run(lambda _: None)
    assert str(told.value) == GONE


def test_work_that_kills_every_worker_is_one_line() -> None:
    from distributed import KilledWorker

    def result() -> None:
        raise KilledWorker("key", SimpleNamespace(address="tcp://a:1"), 3)

    told = _result(SimpleNamespace(type=None, result=result), 7)
    assert isinstance(told, VdbclusterError)
    assert "died of piece 7" in str(told)
    assert "--shards" in str(told)
    assert "\n" not in str(told)


def test_reading_that_was_called_off_while_keys_were_read_is_not_handed_out(tmp_path: Path) -> None:
    asked, go_on = list[object](), threading.Event()

    class Nobody:
        def each(self, *_: object) -> None:
            asked.append(_)

    def ranges() -> Iterator[KeyRange]:
        go_on.wait(5)
        yield KeyRange("p")

    readers = Readers(Nobody(), lambda: ShardFiles(str(tmp_path)), lambda *_: print, 3)
    reading = _Reading(readers, ranges(), "id")
    reading.stop()
    go_on.set()
    with pytest.raises(VdbclusterError, match="called off"):
        reading.taken()
    assert asked == []
