"""Texts into real collections: schema, upsert by key, refusals, and the whole way in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from tests.backends import LITE_FILE, Backend
from tests.unit.test_ingest import CountingObserver
from vdbcluster.adapters.embedding.local import DIM, LocalEmbedder
from vdbcluster.adapters.milvus.client import MilvusAddress, MilvusConnection, connect
from vdbcluster.adapters.milvus.ingest import CollectionSpec, CollectionWriter
from vdbcluster.adapters.pydocs import standard_library_docs
from vdbcluster.errors import UsageError
from vdbcluster.model.texts import EmbeddedBatch, TextRow
from vdbcluster.pipeline.ingest import ingest

# The real server allows one flush in ten seconds, so most tests stay on Lite.
on_lite = pytest.mark.parametrize("backend", [LITE_FILE], indirect=True)


@pytest.fixture
def milvus(backend: Backend) -> Iterator[MilvusConnection]:
    with connect(MilvusAddress(backend.uri, backend.token), create=True) as connection:
        yield connection


@pytest.fixture
def spec(collection_name: str) -> CollectionSpec:
    return CollectionSpec(collection_name, fields=("module",))


def batch(*rows: TextRow, dim: int = 4) -> EmbeddedBatch:
    vectors = np.array([np.arange(dim) + len(row.text) for row in rows], np.float32)
    return EmbeddedBatch(rows, vectors)


def row(key: str, text: str = "a text", **fields: str) -> TextRow:
    return TextRow(key, text, {"module": "m", **fields})


def stored(client: MilvusClient, name: str) -> dict[str, dict]:
    found = client.query(name, 'id >= ""', output_fields=["*"], consistency_level="Strong")
    return {entity["id"]: entity for entity in found}


def test_rows_are_stored_as_they_are_and_found_by_vector(client, milvus, spec):
    writer = CollectionWriter(milvus, spec)
    rows = [row("a", "ü 日本"), row('q"\\', "x" * 1000), row("more", extra="kept", module="n")]
    writer.prepare(4)
    writer.upsert(batch(*rows))

    assert writer.finish() == 3
    found = stored(client, spec.name)
    for given, vector in zip(rows, batch(*rows).vectors, strict=True):
        assert found[given.key]["text"] == given.text
        assert found[given.key]["module"] == given.fields["module"]
        np.testing.assert_array_equal(found[given.key]["vector"], vector)
    assert found["more"]["extra"] == "kept"
    hits = client.search(spec.name, [batch(rows[1]).vectors[0].tolist()], limit=1)
    assert hits[0][0]["id"] == rows[1].key
    index = client.describe_index(spec.name, "vector")
    assert index["metric_type"] == "COSINE"


def test_the_same_key_again_replaces_the_row(client, milvus, spec):
    for text in ("old", "newer"):
        writer = CollectionWriter(milvus, spec)
        writer.prepare(4)
        writer.upsert(batch(row("a", text), row("b")))
        assert writer.finish() == 2
    assert stored(client, spec.name)["a"]["text"] == "newer"


@on_lite
def test_a_released_collection_is_loaded_again(client, milvus, spec):
    writer = CollectionWriter(milvus, spec)
    writer.prepare(4)
    client.release_collection(spec.name)
    writer.prepare(4)
    writer.upsert(batch(row("a")))
    assert writer.finish() == 1


@on_lite
def test_large_batches_are_sent_in_parts(client, milvus, spec, monkeypatch):
    monkeypatch.setattr("vdbcluster.adapters.milvus.ingest.REQUEST_BYTES", 500)
    writer = CollectionWriter(milvus, spec)
    writer.prepare(4)
    keys = [f"key {i:03}" for i in range(60)]
    writer.upsert(batch(*(row(key, "x" * (i * 20)) for i, key in enumerate(keys))))
    assert writer.finish() == 60
    assert sorted(stored(client, spec.name)) == keys


@on_lite
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row("k" * 513), "513 bytes in the field 'id'"),
        (row("k", "ü" * 40_000), "80,000 bytes in the field 'text'"),
        (TextRow("k", "x", {}), "no field 'module'"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_of_the_batch_is_sent(
    client, milvus, spec, bad, message
):
    writer = CollectionWriter(milvus, spec)
    writer.prepare(4)
    with pytest.raises(UsageError, match=message):
        writer.upsert(batch(row("good"), bad))
    assert writer.finish() == 0


def make_other(client: MilvusClient, name: str, key: DataType, auto_id: bool) -> None:
    schema = client.create_schema(auto_id=auto_id, enable_dynamic_field=False)
    schema.add_field("id", key, is_primary=True, max_length=64)
    schema.add_field("text", DataType.INT64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)


def test_a_collection_that_does_not_fit_is_told_field_by_field(client, milvus, spec):
    make_other(client, spec.name, DataType.INT64, auto_id=True)
    with pytest.raises(UsageError) as told:
        CollectionWriter(milvus, spec).prepare(4)
    for part in (
        "'id' is INT64, not VARCHAR",
        "'text' is INT64, not VARCHAR",
        "'module' is missing",
        "auto id",
        "dimension 8, not 4",
    ):
        assert part in str(told.value)


@on_lite
def test_the_standard_library_goes_in_once(client, milvus, spec):
    pytest.importorskip("wordllama", reason="the extra 'local' is not installed")
    rows = standard_library_docs()[:1200]
    for _ in range(2):
        report = ingest(rows, LocalEmbedder(), CollectionWriter(milvus, spec), CountingObserver())
        assert (report.stored, report.repeated, report.dim) == (1200, 0, DIM)
    found = client.query(
        spec.name, 'module == "abc"', output_fields=["text", "module"], consistency_level="Strong"
    )
    wanted = {r.key: r.text for r in rows if r.fields["module"] == "abc"}
    assert {entity["id"]: entity["text"] for entity in found} == wanted
