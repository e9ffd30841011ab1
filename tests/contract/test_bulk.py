"""Bulk import: what stands in the files, the calls that are made, and a real import on 2.3.5."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from tests.backends import LITE_FILE, REAL_SERVER
from tests.contract.record_worlds import (
    DIM,
    MilvusWorld,
    batch_of,
    expected,
    records,
    shape_of,
    vectors_for,
)
from vdbcluster.adapters.milvus.client import MilvusAddress
from vdbcluster.adapters.milvus.ingest import bulk, importing
from vdbcluster.adapters.milvus.ingest.bulk import BulkRecordWriter, ImportSettings
from vdbcluster.errors import BackendError, UsageError

pytest.importorskip("minio", reason="the extra 'bulk' is not installed")

lite = pytest.mark.parametrize("backend", [LITE_FILE], indirect=True)
server = pytest.mark.parametrize(
    "backend", [pytest.param(REAL_SERVER, marks=pytest.mark.server)], indirect=True
)


@pytest.fixture
def world(client: Any, connection: Any, collection_name: str) -> MilvusWorld:
    return MilvusWorld(client, connection, collection_name)


def started(world: MilvusWorld, folder: Path, **settings: Any) -> BulkRecordWriter:
    writer = BulkRecordWriter(
        world.connection, world.writer(), ImportSettings(folder / "bulk", **settings)
    )
    writer.fit(shape_of())
    writer.prepare(DIM)
    return writer


@lite
def test_the_files_hold_the_rows(world, tmp_path):
    rows = records(range(40))
    writer = started(world, tmp_path, file_bytes=4000)
    identity = writer.identity
    for start in range(0, 40, 10):
        writer.write(batch_of(rows[start : start + 10], seed=start))
    assert not writer.unchanged(rows).any()
    assert writer.finish() == 40
    assert len(writer.files) > 1
    assert "copy them to the server's object store" in writer.notes[-1]
    assert identity != started(world, tmp_path).identity

    found = [row for path in writer.files for row in parquet.read_table(path).to_pylist()]
    vectors = np.concatenate([vectors_for(10, seed=start) for start in range(0, 40, 10)])
    assert [row["id"] for row in found] == [row.key for row in rows]
    for stored, row, vector in zip(found, rows, vectors, strict=True):
        np.testing.assert_array_equal(np.float32(stored["vector"]), vector)
        fields = {n: v for n, v in stored.items() if n not in ("id", "vector", "$meta", "tree")}
        fields |= json.loads(stored["$meta"]) | {"tree": json.loads(stored["tree"])}
        assert {n: v for n, v in fields.items() if v is not None} == expected([row])[row.key]


@lite
def test_only_an_empty_collection_is_filled(world, tmp_path):
    plain = world.writer()
    plain.fit(shape_of())
    plain.prepare(DIM)
    plain.write(batch_of(records([1])))
    with pytest.raises(UsageError, match="adds rows and replaces none"):
        started(world, tmp_path)


@lite
def test_lite_imports_nothing(world, tmp_path):
    with pytest.raises(UsageError, match="Milvus Lite has no bulk import"):
        started(world, tmp_path, prefix="there")


@lite
def test_rows_that_did_not_reach_a_file_are_noticed(world, tmp_path, monkeypatch):
    writer = started(world, tmp_path)
    writer.write(batch_of(records(range(3))))
    monkeypatch.setattr(bulk, "_rows_in", lambda _: 2)
    with pytest.raises(BackendError, match="2 of 3 rows are in the files"):
        writer.finish()


@contextmanager
def endpoint(states: list[dict[str, Any]]) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """The REST import of a newer server: one job, whose states are told one after the other."""
    asked: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, body))
            data = {"jobId": "17"} if self.path.endswith("create") else states.pop(0)
            answer = json.dumps({"code": 0, "data": data}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()


@lite
@pytest.mark.parametrize("end", [{"state": "Completed"}, {"state": "Failed", "reason": "why"}])
def test_the_import_call_of_newer_servers(world, end, monkeypatch):
    monkeypatch.setattr(importing, "POLL_SECONDS", 0.01)
    loaded: list[str] = []  # Lite never says that a second loading is done
    monkeypatch.setattr(
        world.connection._client, "refresh_load", lambda name, timeout: loaded.append(name)
    )
    with endpoint([{"state": "Importing"}, end]) as (url, asked):
        world.connection.address = MilvusAddress(url, "user:word", "here")
        importing_call = (world.connection, world.name, ["b/1.parquet", "b/2.parquet"], 10.0)
        if end["state"] == "Failed":
            with pytest.raises(BackendError, match="import of the files failed: why"):
                importing.import_files(*importing_call)
        else:
            importing.import_files(*importing_call)
    assert loaded == ([world.name] if end["state"] == "Completed" else [])
    path, body = asked[0]
    assert path == "/v2/vectordb/jobs/import/create"
    assert (body["collectionName"], body["dbName"]) == (world.name, "here")
    assert body["files"] == [["b/1.parquet"], ["b/2.parquet"]]
    assert [(path, body["jobId"]) for path, body in asked[1:]] == [
        ("/v2/vectordb/jobs/import/describe", "17")
    ] * 2


@pytest.mark.slow
@server
def test_a_real_import(world, tmp_path):
    """2.3.5 keeps its files in a local folder and takes paths outside it."""
    rows = records(range(200))
    writer = started(world, tmp_path, prefix=str(tmp_path / "bulk"), file_bytes=20_000, seconds=60)
    batch = batch_of(rows)
    writer.write(batch)
    assert writer.finish() == 200
    assert len(writer.files) > 1
    assert world.rows() == expected(rows)
    again = world.writer()
    again.fit(shape_of())
    assert again.unchanged(rows, batch.vectors).all()
    assert not again.unchanged([replace(rows[0], text="another")]).any()
