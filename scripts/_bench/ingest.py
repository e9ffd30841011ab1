"""Rows with vectors into a collection: the product's writer against the plain client.

In: an address, a number of rows. Out: rows a second by way. The same rows go into the same schema
(``id VARCHAR, text VARCHAR, vector FLOAT_VECTOR(384)``, one dynamic key), timed from rows in memory
to the last answer, without the flush. Promise: each way gets a collection of its own, just made,
which holds all rows when its time is taken; the ways take turns, so that a busy machine harms all.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from scripts._bench.vectors import DIM, Float32Array, vectors
from vdbcluster.adapters.milvus.client import MilvusAddress, connect
from vdbcluster.adapters.milvus.ingest import MilvusRecordWriter, WriterSettings
from vdbcluster.model.records import FieldSpec, Record, RecordBatch, RecordShape
from vdbcluster.pipeline.ingest import VECTOR_ROWS

NAME = "bench_ingest"
SHAPE = RecordShape(key=FieldSpec("id", "VARCHAR", 64), text=FieldSpec("text", "VARCHAR"))
ONE_BATCH = "insert, one batch"
SERVER_BYTES = 60 << 20
"""A server takes no larger message; one batch means as few of these as the rows need."""

Way = Callable[[Any, MilvusRecordWriter, list[Record], Float32Array], None]


def insert_loop(
    client: Any, _: Any, records: Sequence[Record], points: Float32Array, rows: int
) -> None:
    """What people write: a list of dictionaries at a time."""
    for start in range(0, len(records), rows):
        part = zip(records[start : start + rows], points[start : start + rows], strict=True)
        client.insert(
            NAME,
            [{"id": r.key, "text": r.text, "vector": v, **r.fields} for r, v in part],
        )


def product(
    _: Any, writer: MilvusRecordWriter, records: Sequence[Record], points: Float32Array
) -> None:
    for start in range(0, len(records), VECTOR_ROWS):
        part = slice(start, start + VECTOR_ROWS)
        writer.write(RecordBatch(tuple(records[part]), points[part]))


def measure(uri: str, n: int, seed: int, repeat: int) -> dict[str, list[float]]:
    """Rows a second of each way in each round."""
    from pymilvus import MilvusClient

    points = vectors(n, seed)
    records = [
        Record(i, f"key-{i:08}", f"This is the text of row {i}. " * 4, {"source": f"file {i % 7}"})
        for i in range(n)
    ]
    largest = min(n, SERVER_BYTES // (4 * DIM + 300))
    ways: dict[str, Way] = {
        "insert, 100 rows": partial(insert_loop, rows=100),
        "insert, 1,000 rows": partial(insert_loop, rows=1000),
        ONE_BATCH: partial(insert_loop, rows=largest),
        "vdbcluster": product,
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    with connect(MilvusAddress(uri), create=True) as connection:
        client = MilvusClient(uri)
        for _ in range(repeat):
            for name, way in ways.items():
                writer = MilvusRecordWriter(connection, WriterSettings(NAME))
                writer.fit(SHAPE)
                writer.prepare(DIM)
                start = time.perf_counter()
                way(client, writer, records, points)
                rates[name].append(n / (time.perf_counter() - start))
                if (held := writer.count()) != n:
                    raise SystemExit(f"{name}: {held:,} of {n:,} rows are there")
                client.drop_collection(NAME)
    return rates


def table(rates: dict[str, list[float]]) -> str:
    """One line a way: the median, and the median of the ratios to one batch, round by round."""
    best = rates[ONE_BATCH]
    lines = [f"{'':22}{'rows/s':>10}{'/ one batch':>14}"]
    for name, found in rates.items():
        ratios = [rate / other for rate, other in zip(found, best, strict=True)]
        ratio = statistics.median(ratios)
        lines.append(f"{name:22}{statistics.median(found):10,.0f}{ratio:14.2f}")
    return "\n".join(lines)
