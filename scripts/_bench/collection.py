"""The collection that is measured: one schema on every backend.

In: where, a name, a number of rows. Out: a loaded collection ``id INT64, vector FLOAT_VECTOR(384),
title VARCHAR`` with a dynamic field, COSINE; HNSW (M 16, efConstruction 200) on a server, or SCANN
where that is asked for (a million rows are indexed in minutes, not in an hour); FLAT on Lite, where
it is the quicker of the two. Promise: built, indexed to the last row and loaded when
``build`` returns; a second ``build`` of an unspoilt collection only takes stored labels away.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from scripts._bench import grown
from scripts._bench.vectors import DIM, Float32Array, vectors

BATCH = 2000
INDEXES: dict[str, dict[str, Any]] = {
    "HNSW": {"index_type": "HNSW", "params": {"M": 16, "efConstruction": 200}},
    "SCANN": {"index_type": "SCANN", "params": {"nlist": 256}},
    "FLAT": {"index_type": "FLAT"},
}
INDEX_SECONDS = 1800.0
SIDE = "_cluster_labels"


def build(
    uri: str, name: str, n: int, seed: int, *, anew: bool, rule: str = "copies", index: str = "HNSW"
) -> dict[str, Any]:
    """Build ``name``, unless it is there and ``anew`` is false; seconds by part.

    ``rule``: ``copies`` (``scripts._bench.vectors``) or ``grown`` (``scripts._bench.grown``).
    ``index``: which index a server builds.
    """
    client = _client(uri)
    _drop_if_there(client, name + SIDE)
    if not anew and client.has_collection(name):
        client.load_collection(name)
        return {"reused": True}
    _drop_if_there(client, name)
    server = not client.get_server_version().startswith("milvus_lite")  # 2.3.5 is "v2.3.5-lite"
    seconds = {}
    start = time.perf_counter()
    _create(client, name)
    _insert(client, name, _batches(n, seed, rule))
    seconds["insert"] = round(time.perf_counter() - start, 1)
    start = time.perf_counter()
    _index(client, name, index if server else "FLAT")
    indexed = _wait_indexed(client, name, n) if server else n
    client.load_collection(name)
    seconds["index"] = round(time.perf_counter() - start, 1)
    found = client.query(name, "", output_fields=["count(*)"], consistency_level="Strong")
    if found[0]["count(*)"] != n:
        raise SystemExit(f"{n} rows were inserted and {found[0]['count(*)']} are there")
    return {"reused": False, "indexed_rows": indexed, "seconds": seconds}


def drop(uri: str, name: str) -> dict[str, Any]:
    """Drop the collection and its labels."""
    client = _client(uri)
    for each in (name + SIDE, name):
        _drop_if_there(client, each)
    return {}


def opened(uri: str, name: str) -> dict[str, Any]:
    """Open and load, read one row, nothing else: what the database itself costs in memory."""
    client = _client(uri)
    client.load_collection(name)
    client.query(name, "id >= 0", output_fields=["id"], limit=1)
    return {}


def _client(uri: str) -> Any:
    from pymilvus import MilvusClient

    return MilvusClient(uri)


def _drop_if_there(client: Any, name: str) -> None:
    if client.has_collection(name):
        client.drop_collection(name)


def _create(client: Any, name: str) -> None:
    from pymilvus import DataType

    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("title", DataType.VARCHAR, max_length=200)
    client.create_collection(name, schema=schema)


def _batches(n: int, seed: int, rule: str) -> Iterator[tuple[int, Float32Array]]:
    """``(first row, rows)`` of at most ``BATCH`` rows."""
    if rule == "grown":
        yield from grown.batches(n, seed)
        return
    points = vectors(n, seed)
    for start in range(0, n, BATCH):
        yield start, points[start : start + BATCH]


def _insert(client: Any, name: str, batches: Iterator[tuple[int, Float32Array]]) -> None:
    for start, points in batches:
        numbered = enumerate(points, start)
        client.insert(
            name,
            [{"id": i, "vector": point, "title": f"title of row {i}"} for i, point in numbered],
        )
    client.flush(name)


def _index(client: Any, name: str, kind: str) -> None:
    index = client.prepare_index_params()
    index.add_index("vector", metric_type="COSINE", **INDEXES[kind])
    client.create_index(name, index)


def _wait_indexed(client: Any, name: str, n: int) -> int:
    """Wait until the index holds all rows; how many it holds."""
    deadline = time.monotonic() + INDEX_SECONDS
    done = 0
    while time.monotonic() < deadline:
        state = client.describe_index(name, client.list_indexes(name)[0])
        done = int(state.get("indexed_rows", n))
        if done >= n and int(state.get("pending_index_rows", 0)) == 0:
            return done
        time.sleep(0.5)
    raise SystemExit(f"after {INDEX_SECONDS:.0f} s the index holds {done} of {n} rows")
