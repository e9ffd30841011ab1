"""``MilvusRecordWriter`` on collections that somebody else has made, and at the server's limits."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from tests import backends, zoo
from tests.backends import LITE_FILE, REAL_SERVER, Backend
from tests.contract.making import connection_to
from tests.contract.record_worlds import (
    DIM,
    MilvusWorld,
    batch_of,
    expected,
    records,
    shape_of,
    vectors_for,
)
from tests.emulation import Proxy
from tests.snapshot import diff, snapshot, structure
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.ingest import MilvusRecordWriter, WriterSettings
from vdbcluster.adapters.milvus.ingest import sending as sending_module
from vdbcluster.errors import (
    BackendUnavailableError,
    CollectionChangedError,
    RefusedError,
    UsageError,
)
from vdbcluster.model.records import FieldSpec, Record, RecordBatch, RecordShape

ROWS = 80
# Two of these names say enough on the server, where a collection takes seconds.
ON_SERVER = ("partitions-varchar", "tenants-int")
SPECIMENS = [s for s in zoo.ZOO if not (s.auto_id or s.second_vector or s.duplicates)]
lite = pytest.mark.parametrize("backend", [LITE_FILE], indirect=True)
server = pytest.mark.parametrize(
    "backend", [pytest.param(REAL_SERVER, marks=pytest.mark.server)], indirect=True
)


@pytest.fixture
def world(client: MilvusClient, connection: MilvusConnection, collection_name: str) -> MilvusWorld:
    return MilvusWorld(client, connection, collection_name)


# ---- the zoo: foreign fields before and after


def zoo_shape(specimen: zoo.Specimen) -> RecordShape:
    """All scalar columns of a specimen, as a source would declare them; the rest dynamic."""
    kinds: dict[str, Any] = {
        **{f"a_int{bits}": "INT64" for bits in (8, 16, 32, 64)},
        "a_bool": "BOOL",
        "a_float": "DOUBLE",
        "a_double": "DOUBLE",
        "a_json": "JSON",
        "numbers": "JSON",
        "words": "JSON",
    }
    if specimen.partition_key:
        kinds[zoo.TENANT] = "VARCHAR"
    return RecordShape(
        key=FieldSpec("id", specimen.key),
        text=FieldSpec("title", "VARCHAR"),
        fields=tuple(FieldSpec(n, t, nullable=specimen.nullable) for n, t in kinds.items()),
        rest="dynamic" if specimen.dynamic else "drop",
    )


def zoo_records(found: zoo.Inserted) -> list[Record]:
    """The rows of a specimen as records, without the label columns."""
    hidden = {zoo.KEY, zoo.VECTOR, "title", *zoo.LABEL_FIELDS}
    return [
        Record(i, key, row["title"], {n: v for n, v in row.items() if n not in hidden})
        for i, (key, row) in enumerate(zip(found.keys, found.rows, strict=True), 1)
    ]


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda s: s.name)
def test_the_zoo_is_known_and_keeps_its_foreign_fields(client, world, backend, specimen):
    zoo.skip_unless_supported(specimen, backend)
    if backend.name == REAL_SERVER and specimen.name not in ON_SERVER:
        pytest.skip("two specimens are enough on the server")
    if backend.name == backends.LITE_SERVER:
        pytest.skip("as Lite as a file")
    found = zoo.build(client, world.name, specimen, ROWS)
    label(client, world.name, specimen, found)
    writer = world.writer()
    shape = writer.fit(zoo_shape(specimen))
    assert (shape.key.name, shape.vector_name) == (zoo.KEY, zoo.VECTOR)
    rows = zoo_records(found)
    before, made = snapshot(client, world.name, ()), structure(client, world.name, ())

    assert writer.unchanged(rows).all()
    assert writer.unchanged(rows, found.vectors).all()
    writer.prepare(zoo.DIM)
    writer.write(RecordBatch(tuple(rows), found.vectors))
    assert diff(before, snapshot(client, world.name, ())) == []

    changed = [replace(row, text="changed", fields=fewer(row, specimen)) for row in rows[::2]]
    assert not writer.unchanged(changed).any()
    writer.write(RecordBatch(tuple(changed), found.vectors[::2]))
    after = snapshot(client, world.name, ())
    assert all('"title"\tstr "changed"' in after[where(found, i)].decode() for i in (0, 2))
    without = (snapshot(client, world.name, ("title",)), snapshot_of(before, "title"))
    assert diff(*without) == []
    assert structure(client, world.name, ()) == made
    assert writer.unchanged(changed, found.vectors[::2]).all()


def label(client: MilvusClient, name: str, specimen: zoo.Specimen, found: zoo.Inserted) -> None:
    """Give every third row labels, as a run does, where there is room for them."""
    if not (specimen.dynamic or specimen.declared):
        return
    for i in range(0, ROWS, 3):
        row = {
            **found.rows[i],
            **dict(zip(zoo.LABEL_FIELDS, (i, 0.5, 0.25, "run", "core"), strict=True)),
        }
        place = {} if specimen.partition_key else {"partition_name": found.partition_of[i]}
        client.upsert(name, [row], **place)


def fewer(row: Record, specimen: zoo.Specimen) -> dict[str, Any]:
    """The record's fields without those dynamic keys that begin with an early letter."""
    declared = {spec.name for spec in zoo_shape(specimen).fields}
    return {n: v for n, v in row.fields.items() if n in declared or n > "o"}


def where(found: zoo.Inserted, i: int) -> tuple[str, Any]:
    row = found.rows[i]
    return ("*" if zoo.TENANT in row else found.partition_of[i], found.keys[i])


def snapshot_of(before: Mapping[Any, bytes], name: str) -> dict[Any, bytes]:
    """A snapshot without one field."""
    start = f'"{name}"\t'.encode()
    return {
        key: b"\n".join(line for line in row.split(b"\n") if not line.startswith(start))
        for key, row in before.items()
    }


def test_new_rows_of_a_collection_with_label_columns_are_not_labelled(client, world, backend):
    if backend.name == backends.LITE_SERVER:
        pytest.skip("as Lite as a file")
    found = zoo.build(client, world.name, zoo.by_name("declared-int"), 10)
    rows = zoo_records(found)
    writer = world.writer()
    writer.fit(zoo_shape(zoo.by_name("declared-int")))
    writer.prepare(zoo.DIM)
    new = replace(rows[0], key=10**6)
    writer.write(RecordBatch((new, rows[1]), found.vectors[:2]))
    assert writer.count() == 11
    held = world.rows()[10**6]
    assert tuple(held[name] for name in zoo.LABEL_FIELDS) == zoo.BLANK_LABELS


# ---- what does not fit


def make(client: MilvusClient, name: str, dynamic: bool = False, **fields: Any) -> None:
    """A collection of the named fields; each a ``DataType`` or the arguments of ``add_field``."""
    schema = client.create_schema(enable_dynamic_field=dynamic)
    for field, kind in fields.items():
        args = {"datatype": kind} if isinstance(kind, DataType) else dict(kind)
        if args["datatype"] == DataType.VARCHAR:
            args.setdefault("max_length", 64)
        schema.add_field(field, **args)
    client.create_collection(name, schema=schema)


KEY = {"datatype": DataType.INT64, "is_primary": True}
VECTOR = {"datatype": DataType.FLOAT_VECTOR, "dim": DIM}


@pytest.mark.parametrize("backend", [LITE_FILE], indirect=True)
def test_all_misfits_are_told_in_one_line_field_by_field(client, world):
    make(
        client,
        world.name,
        pk={"datatype": DataType.INT64, "is_primary": True, "auto_id": True},
        text=DataType.INT64,
        whole=DataType.VARCHAR,
        ratio=DataType.INT32,
        yes=DataType.JSON,
        title=DataType.BOOL,
        numbers={"datatype": DataType.ARRAY, "element_type": DataType.INT64, "max_capacity": 4},
        needed=DataType.INT16,
        vec=VECTOR,
        other={"datatype": DataType.FLOAT_VECTOR, "dim": 4},
    )
    with pytest.raises(UsageError) as told:
        world.writer().fit(shape_of("VARCHAR"))
    line = str(told.value)
    assert "\n" not in line
    for part in (
        "its key 'pk' is made by the server (auto id)",
        "there is no vector field 'vector'; its vector fields: vec (FLOAT_VECTOR), other",
        "field 'text' is INT64, not VARCHAR for the text",
        "field 'whole' is VARCHAR, the source's is INT64 (--field whole:VARCHAR casts it)",
        "field 'ratio' is INT32, the source's is DOUBLE (--field ratio:INT64 casts it)",
        "field 'title' is BOOL, the source's is VARCHAR",
        "there is no field 'tree' (JSON), nor a dynamic one",
        "every row must bring the field 'needed' (INT16): --field needed:INT64",
        "every row must bring the field 'numbers' (ARRAY): --field numbers:JSON",
        "it has no dynamic field for the source's other fields (--rest drop",
    ):
        assert part in line, part
    assert "'yes'" not in line  # a JSON column takes it


@pytest.mark.parametrize("backend", [LITE_FILE], indirect=True)
@pytest.mark.parametrize(
    ("fields", "changes", "message"),
    [
        ({"id": KEY}, {"key": FieldSpec("id", "VARCHAR")}, "keys made from the content are text"),
        (
            {"id": KEY},
            {"key": FieldSpec("id", "VARCHAR"), "id_field": "name"},
            "the field 'name' is text (--id-field names whole numbers)",
        ),
        ({"id": KEY}, {"auto_id": True}, "is not made by the server (no --auto-id)"),
        ({"id": KEY, "more": {**VECTOR, "dim": 4}}, {}, "a second vector 'more'"),
        ({"whole": KEY}, {"fields": (FieldSpec("whole", "INT64"),)}, "is the primary key there"),
        ({"id": KEY}, {"fields": (FieldSpec("vector", "JSON"),)}, "is a vector there"),
        (
            {"id": KEY, "body": DataType.VARCHAR},
            {"rest": "drop", "text": FieldSpec("text", "VARCHAR")},
            "there is no field 'text' for the text; its VARCHAR fields: body",
        ),
    ],
)
def test_single_misfits(client, world, fields, changes, message):
    make(client, world.name, dynamic="rest" not in changes, **fields, vector=VECTOR)
    shape = replace(shape_of(fields=(), text=None), **changes)
    with pytest.raises(UsageError) as told:
        world.writer().fit(shape)
    assert message in str(told.value)


@pytest.mark.parametrize("backend", [LITE_FILE], indirect=True)
def test_names_types_and_lengths_are_the_collections(client, world):
    make(
        client,
        world.name,
        dynamic=True,
        pk={"datatype": DataType.VARCHAR, "is_primary": True, "max_length": 77},
        text={"datatype": DataType.VARCHAR, "max_length": 99},
        whole={"datatype": DataType.INT16},
        ratio={"datatype": DataType.FLOAT, "nullable": True},
        vec=VECTOR,
    )
    writer = world.writer()
    shape = writer.fit(shape_of("INT64", loose=(FieldSpec("more", "INT64"),)))
    assert shape.key == FieldSpec("pk", "VARCHAR", 77)
    assert shape.text == FieldSpec("text", "VARCHAR", 99)
    assert shape.vector_name == "vec"
    kept = {spec.name: (spec.type, spec.nullable) for spec in shape.fields}
    assert kept == {"whole": ("INT64", False), "ratio": ("DOUBLE", True)}
    moved = [spec.name for spec in shape.loose]
    assert moved == ["more", "yes", "title", "tree", "maybe"]
    assert any("'tree' has no column" in note for note in writer.notes)
    writer.prepare(DIM)

    row = replace(records(["a"])[0], text="t")
    fields = {**row.fields, "ratio": 0.1, "whole": 3}
    writer.write(batch_of([replace(row, fields=fields)]))
    assert writer.unchanged([replace(row, fields=fields)]).all()  # 0.1 as FLOAT holds it
    assert not writer.unchanged([replace(row, fields={**fields, "ratio": 0.1001})]).any()
    for bad, why in (
        ({"whole": 40_000}, "row 1 cannot be stored: 40000 is beyond INT16, the type of 'whole'"),
        ({"ratio": 1e39}, "1e[+]39 is beyond FLOAT"),
        ({"pk": 1}, "the field 'pk' is the collection's own"),
        ({"whole": "3"}, "'3' is no INT16"),
        ({"extra": float("nan")}, "not JSON compliant"),
    ):
        with pytest.raises(UsageError, match=why):
            writer.write(batch_of([replace(row, fields={**fields, **bad})]))
    with pytest.raises(UsageError, match="100 bytes in the field 'text', which holds 99"):
        writer.write(batch_of([replace(row, text="ü" * 50, fields=fields)]))
    assert writer.count() == 1


# ---- states of a collection


@pytest.mark.parametrize(
    "backend", [LITE_FILE, pytest.param(REAL_SERVER, marks=pytest.mark.server)], indirect=True
)
def test_a_collection_without_index_or_not_loaded_is_opened(client, world):
    make(client, world.name, dynamic=True, id=KEY, text=DataType.VARCHAR, vector=VECTOR)
    shape = shape_of(fields=())
    rows = [Record(i, i, f"text {i}", {}) for i in range(3)]
    for _ in range(2):
        writer = world.writer(metric="L2")
        writer.fit(shape)
        assert writer.count() in (0, 3)
        writer.prepare(DIM)
        writer.write(batch_of(rows))
        assert writer.count() == 3
        client.release_collection(world.name)
    assert client.describe_index(world.name, "vector")["metric_type"] == "L2"


@lite
def test_a_collection_dropped_meanwhile_is_noticed(client, world):
    writer = world.writer()
    writer.fit(shape_of())
    writer.prepare(DIM)
    client.drop_collection(world.name)
    with pytest.raises(CollectionChangedError):
        writer.write(batch_of(records([1])))


@lite
def test_an_alias_leads_to_its_collection(client, world):
    first = world.writer()
    first.fit(shape_of())
    first.prepare(DIM)
    client.create_alias(world.name, f"{world.name}_alias")
    writer = MilvusRecordWriter(world.connection, WriterSettings(f"{world.name}_alias"))
    writer.fit(shape_of())
    writer.write(batch_of(records([1, 2])))
    assert writer.finish() == 2
    assert world.rows() == expected(records([1, 2]))


@pytest.mark.parametrize(
    "backend", [LITE_FILE, pytest.param(REAL_SERVER, marks=pytest.mark.server)], indirect=True
)
def test_index_and_metric_are_as_said_or_fit_the_backend(client, world, backend):
    writer = world.writer(index="HNSW", metric="IP")
    writer.fit(shape_of(fields=()))
    writer.prepare(DIM)
    index = client.describe_index(world.name, "vector")
    assert (index["index_type"], index["metric_type"]) == ("HNSW", "IP")
    client.drop_collection(world.name)
    other = world.writer()
    other.fit(shape_of(fields=()))
    other.prepare(DIM)
    index = client.describe_index(world.name, "vector")
    default = "FLAT" if backend.name == LITE_FILE else "AUTOINDEX"
    assert (index["index_type"], index["metric_type"]) == (default, "COSINE")


@lite
def test_the_clients_own_way_stores_the_same(client, world, monkeypatch):
    rows = records(range(9))
    stored = []
    for columns in (True, False):
        monkeypatch.setattr(sending_module, "sends_columns", lambda _, own=columns: own)
        writer = world.writer()
        writer.fit(shape_of())
        writer.prepare(DIM)
        writer.write(batch_of(rows))
        assert writer.unchanged(rows, vectors_for(9)).all()
        stored.append(snapshot(client, world.name, ()))
        client.drop_collection(world.name)
    assert diff(*stored) == []


def test_a_newer_server_gets_label_columns_that_a_run_can_use(emulated, connect, request):
    backend: Backend = emulated("2.6")
    from vdbcluster.adapters.milvus.source import Selection
    from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink

    client = connect(backend)
    name = request.getfixturevalue("collection_name")
    with connection_to(backend) as connection:
        writer = MilvusRecordWriter(connection, WriterSettings(name))
        writer.fit(shape_of())
        writer.prepare(DIM)
        writer.write(batch_of(records(range(5))))
        fields = {f["name"]: f for f in client.describe_collection(name)["fields"]}
        assert all(fields[label]["nullable"] for label in zoo.LABEL_FIELDS)
        sink = choose_sink(connection, Selection(name, "vector"), LabelSettings())
        assert sink.way.name == "partial-upsert"
    client.drop_collection(name)


def test_a_dry_run_tries_nothing_out(emulate, connect, request):

    proxy = emulate("2.6")
    name = request.getfixturevalue("collection_name")
    with connection_to(proxy.backend) as connection:
        before = proxy.calls["CreateCollection"]
        MilvusRecordWriter(connection, WriterSettings(name, try_out=False)).fit(shape_of())
        assert proxy.calls["CreateCollection"] == before
        MilvusRecordWriter(connection, WriterSettings(name)).fit(shape_of())
        assert proxy.calls["CreateCollection"] == before + 1
        assert not [n for n in connect(proxy.backend).list_collections() if "probe" in n]


# ---- the real server's limits


@server
def test_requests_that_are_too_large_are_halved(world):
    shape = shape_of(fields=())
    writer = world.writer(batch_bytes=1 << 30)
    writer.fit(shape)
    writer.prepare(DIM)
    rows = [Record(i, i, "x" * 65_535, {}) for i in range(1100)]  # 72 MB, 64 are taken
    writer.write(batch_of(rows))
    assert writer.count() == 1100
    assert writer.unchanged(rows[:1000]).all()  # an answer that is too large, too


@server
def test_half_precision_vectors_are_stored_rounded(client, world):
    vector = {"datatype": DataType.FLOAT16_VECTOR, "dim": DIM}
    make(client, world.name, dynamic=True, id=KEY, text=DataType.VARCHAR, vector=vector)
    writer = world.writer()
    writer.fit(shape_of(fields=()))
    writer.prepare(DIM)
    rows, vectors = [Record(i, i, "t", {}) for i in range(4)], vectors_for(4)
    writer.write(RecordBatch(tuple(rows), vectors))
    assert writer.unchanged(rows, vectors).all()
    assert not writer.unchanged(rows, vectors * np.float32(1.01)).any()


@server
def test_rows_that_share_a_key_are_not_melted_into_one(client, world):
    found = zoo.build(client, world.name, zoo.by_name("duplicates"), 40)
    specimen = zoo.by_name("duplicates")
    writer = world.writer()
    writer.fit(zoo_shape(specimen))
    writer.prepare(zoo.DIM)
    before = snapshot(client, world.name, ())
    rows = [replace(row, text="changed") for row in zoo_records(found)]
    with pytest.raises(RefusedError, match="share their key"):
        writer.write(RecordBatch(tuple(rows), found.vectors))
    assert diff(before, snapshot(client, world.name, ())) == []


@server
def test_finish_waits_until_all_rows_are_indexed(client, world):
    writer = world.writer()
    writer.fit(shape_of(fields=()))
    writer.prepare(DIM)
    rows = [Record(i, i, "t", {}) for i in range(3000)]
    writer.write(batch_of(rows))
    assert writer.finish() == 3000
    state = client.describe_index(world.name, "vector")
    assert (state["indexed_rows"], state["pending_index_rows"]) == (3000, 0)


# ---- faults


@pytest.fixture
def faulty(proxied: Any, lite_server: Backend, connect: Any, collection_name: str) -> Any:
    """A world behind a proxy, and the proxy."""
    proxy = proxied(lite_server)
    with connection_to(proxy.backend) as connection:
        client = connect(lite_server)
        yield MilvusWorld(client, connection, collection_name), proxy
        client.drop_collection(collection_name)


def lose_answer(proxy: Proxy, method: str, n: int = 1) -> None:
    """The answer to the n-th call is lost; half a second later the server is there again."""
    proxy.before(method, lambda _: threading.Timer(0.5, proxy.mend).start(), n)
    proxy.cut_after(method, n)


def test_lost_answers_and_rate_limits_neither_lose_nor_double_a_row(faulty):
    world, proxy = faulty
    lose_answer(proxy, "CreateCollection")
    writer = world.writer(batch_bytes=1 << 12)
    writer.fit(shape_of())
    writer.prepare(DIM)
    rows = records(range(60))
    proxy.fail_next("Upsert", 8, "rate limit", times=2)
    lose_answer(proxy, "Upsert", 4)
    batch = batch_of(rows)
    before = proxy.calls["Upsert"]
    writer.write(batch)
    assert proxy.calls["Upsert"] - before > 8
    proxy.fail_next("Flush", 8, "rate limit")
    assert writer.finish() == 60
    assert world.rows() == expected(rows)
    assert writer.unchanged(rows, batch.vectors).all()


@pytest.mark.parametrize("columns", [True, False])
def test_a_row_that_the_server_is_to_key_is_never_sent_twice(faulty, monkeypatch, columns):
    monkeypatch.setattr(sending_module, "sends_columns", lambda _: columns)
    world, proxy = faulty
    writer = world.writer()
    writer.fit(shape_of(auto_id=True, fields=()))
    writer.prepare(DIM)
    lose_answer(proxy, "Insert")
    with pytest.raises(BackendUnavailableError):
        writer.write(batch_of([Record(1, "", "text", {})]))
    assert writer.count() == 1
