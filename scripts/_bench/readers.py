"""A client that reads while labels are written back, and how long its reads take.

In: a server, a way of writing, a rate. Out: latencies of two kinds of reads by phase: before,
during and after the writing; how long the writing took.
Rule: the reader is a process of its own with one connection. It searches (top 10 of one of 200
vectors, with a filter on a field of the user's that three rows in ten pass) and looks a row up by
its key, in turn, ``PERIOD`` seconds apart or at once if it is late. Labels are those of a first
run, of every row, written by the sink and the pipeline that a run uses, without clustering; or
others of every row, over those. Each run has a fresh collection, indexed and flushed.
"""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from scripts._bench.vectors import DIM, vectors
from vdbcluster.adapters.milvus.client import MilvusAddress, MilvusConnection, connect
from vdbcluster.adapters.milvus.like_others import readers_of
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.adapters.throttled import Throttle, throttled
from vdbcluster.model.hierarchy import Assignment
from vdbcluster.model.labels import LabelBatch, LabelPlan, WriteReport
from vdbcluster.pipeline.plan import compared
from vdbcluster.pipeline.write import write_labels
from vdbcluster.ports import LabelSink, Observer

NAME = "bench_readers"
PERIOD = 0.03
QUESTIONS, GROUPS, PASSING = 200, 10, 3
INSERTED = 2000
KINDS = ("search", "by key")


@dataclass
class Reads:
    """``at``: when a read began, ``time.time()``; ``ms``: how long it took; by kind."""

    at: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    ms: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    failed: int = 0

    def within(self, kind: str, begin: float, end: float) -> np.ndarray:
        at, ms = np.array(self.at[kind]), np.array(self.ms[kind])
        return ms[(at >= begin) & (at < end)]


def read(uri: str, questions: np.ndarray, rows: int, ear: Connection) -> None:
    """The reader: until it is told to end; says so after its first reads, then sends ``Reads``."""
    from pymilvus import MilvusClient
    from pymilvus.exceptions import MilvusException

    client, found, turn = MilvusClient(uri), Reads(), 0
    rng = np.random.default_rng(1)
    due = time.perf_counter()
    while not ear.poll():
        kind = KINDS[turn % 2]
        began, wall = time.perf_counter(), time.time()
        try:
            if kind == "search":
                vector = questions[turn // 2 % len(questions)].tolist()
                client.search(NAME, [vector], filter=f"grp < {PASSING}", limit=10)
            else:
                client.get(NAME, ids=[int(rng.integers(rows))], output_fields=["title"])
        except MilvusException:
            found.failed += 1
        else:
            found.at[kind].append(wall)
            found.ms[kind].append(1000 * (time.perf_counter() - began))
        turn += 1
        if turn == len(KINDS):
            ear.send("reading")
        due = max(due + PERIOD, time.perf_counter() - PERIOD)
        time.sleep(max(0.0, due - time.perf_counter()))
    ear.send(found)


def build(connection: MilvusConnection, points: np.ndarray, *, server: bool, room: bool) -> None:
    """A fresh collection; ``room``: with fields for the labels, as guarded upsert wants them."""

    def made(client: Any, _: float) -> None:
        from pymilvus import DataType

        for name in client.list_collections():
            if name.startswith(NAME):
                client.drop_collection(name)
        schema = client.create_schema(enable_dynamic_field=room)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
        schema.add_field("title", DataType.VARCHAR, max_length=200)
        schema.add_field("grp", DataType.INT64)
        client.create_collection(NAME, schema=schema)
        for start in range(0, len(points), INSERTED):
            rows = range(start, min(start + INSERTED, len(points)))
            client.insert(
                NAME,
                [
                    {"id": i, "vector": points[i], "title": f"title of row {i}", "grp": i % GROUPS}
                    for i in rows
                ],
            )
        client.flush(NAME)
        index = client.prepare_index_params()
        ivf = {"index_type": "IVF_FLAT", "params": {"nlist": 256}}
        kind = ivf if server else {"index_type": "FLAT"}
        index.add_index("vector", metric_type="COSINE", **kind)
        client.create_index(NAME, index)
        client.load_collection(NAME)

    connection.tell("building", made)
    while True:  # the server indexes behind our back
        source = MilvusSource(connection, Selection(NAME))
        if not source.vector.unindexed_rows and source.count() == len(points):
            return
        time.sleep(0.5)


def labels(rows: int, seed: int) -> LabelBatch:
    """Of a run, which no other shares its labels with."""
    rng = np.random.default_rng(seed)
    return LabelBatch(
        keys=np.arange(rows, dtype=np.int64),
        cluster_id=rng.integers(0, 50, rows),
        probability=rng.random(rows, np.float32),
        outlier_score=rng.random(rows, np.float32),
        run_ids=np.full(rows, f"20260101T000000-bench{seed}", object),
        assignment=np.full(rows, str(Assignment.CORE), object),
    )


def planned(sink: LabelSink, rows: int, seed: int) -> LabelPlan:
    """Labels of ``rows`` rows that this sink has made room for, compared with those stored."""
    sink.prepare()
    there = np.zeros(rows, np.int32)
    return compared(labels(rows, seed), there, ("_default",), sink.stored())


@dataclass(frozen=True)
class Told:
    """One writing: what was read, and when it began and ended (wall clock)."""

    reads: Reads
    report: WriteReport
    phases: dict[str, tuple[float, float]]

    def seconds(self) -> float:
        begin, end = self.phases["during"]
        return end - begin

    def quantiles(self, kind: str, phase: str) -> tuple[float, float, float, int]:
        """p50, p95, p99 in ms, and how many reads there were."""
        ms = self.reads.within(kind, *self.phases[phase])
        if not len(ms):
            return (np.nan, np.nan, np.nan, 0)
        p50, p95, p99 = np.quantile(ms, (0.5, 0.95, 0.99))
        return float(p50), float(p95), float(p99), len(ms)


def measure(
    uri: str,
    way: str,
    rate: Any,
    rows: int,
    quiet: float,
    observer: Observer,
    *,
    server: bool,
    again: bool,
) -> Told:
    """Write labels of ``rows`` rows beside a reader, which reads ``quiet`` s before and after;
    ``again``: over others, which were written before it came.
    """
    points = vectors(rows, 0)
    context = multiprocessing.get_context("spawn")
    with connect(MilvusAddress(uri)) as connection:
        build(connection, points, server=server, room=way != "side-collection")
        source = MilvusSource(connection, Selection(NAME))
        settings = LabelSettings(way=way, allow_full_upsert=True)  # type: ignore[arg-type]
        bare = choose_sink(connection, Selection(NAME), settings)
        if again:
            with bare.reserved():
                write_labels(planned(bare, rows, 3), bare, source, observer)
            bare = choose_sink(connection, Selection(NAME), settings)
        readers = readers_of(connection, NAME, "vector", bare.way.target)
        sink = throttled(bare, Throttle(rate), readers)
        mouth, ear = context.Pipe()
        reader = context.Process(target=read, args=(uri, points[:QUESTIONS], rows, ear))
        with sink.reserved():
            plan = planned(sink, rows, 2)  # its reads come before the reader
            reader.start()
            try:
                mouth.recv()  # its imports take seconds
                begin = time.time()
                time.sleep(quiet)
                writes = time.time()
                report = write_labels(plan, sink, source, observer)
                written = writes + report.seconds
                done = time.time()
                time.sleep(quiet)
                end = time.time()
            finally:
                mouth.send("end")
                found = mouth.recv()
                reader.join()
    phases = {"before": (begin, writes), "during": (writes, written), "after": (done, end)}
    return Told(found, report, phases)
