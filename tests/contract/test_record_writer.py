"""What every ``RecordWriter`` promises, on memory, Lite (file, process) and the real server."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests import backends
from tests.backends import Backend
from tests.contract.making import connection_to
from tests.contract.record_worlds import (
    DIM,
    INT64_KEYS,
    VARCHAR_KEYS,
    MemoryWorld,
    MilvusWorld,
    World,
    batch_of,
    expected,
    records,
    shape_of,
    vectors_for,
)
from vdbcluster.errors import UsageError
from vdbcluster.model.records import FieldSpec, Record, RecordBatch, RecordShape
from vdbcluster.ports.records import RecordWriter

MEMORY = "memory"
EMULATED = ("2.5", "2.6")
KINDS = (
    MEMORY,
    backends.LITE_FILE,
    backends.LITE_SERVER,
    *EMULATED,
    pytest.param(backends.REAL_SERVER, marks=pytest.mark.server),
)


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, connect: Callable[[Backend], Any]) -> Any:
    """Each backend in turn; see ``record_worlds``."""
    if request.param == MEMORY:
        yield MemoryWorld()
        return
    if request.param in EMULATED:
        backend = request.getfixturevalue("emulated")(request.param)
    else:
        fixtures = {
            backends.LITE_FILE: "lite_file",
            backends.LITE_SERVER: "lite_server",
            backends.REAL_SERVER: "real_server",
        }
        backend = request.getfixturevalue(fixtures[request.param])
    name = request.getfixturevalue("collection_name")
    client = connect(backend)
    with connection_to(backend) as connection:
        yield MilvusWorld(client, connection, name)
    if client.has_collection(name):
        client.drop_collection(name)


def started(world: World, shape: RecordShape | None = None, **settings: Any) -> RecordWriter:
    writer = world.writer(**settings)
    writer.fit(shape or shape_of())
    writer.prepare(DIM)
    return writer


@pytest.mark.parametrize(("key", "keys"), [("INT64", INT64_KEYS), ("VARCHAR", VARCHAR_KEYS)])
def test_rows_are_stored_as_they_are_and_known_again(world, key, keys):
    shape, rows = shape_of(key), records(keys)
    vectors = vectors_for(len(rows))
    writer = world.writer()
    fitted = writer.fit(shape)
    assert (writer.count(), writer.identity) == (0, "")
    assert not writer.unchanged(rows).any()
    writer.prepare(DIM)
    identity = writer.identity
    assert identity
    writer.write(RecordBatch(rows, vectors))
    assert writer.unchanged(rows, vectors).all()
    assert writer.finish() == len(rows)
    assert writer.identity == identity

    assert world.rows() == expected(rows)
    held = world.vectors()
    assert all(np.array_equal(held[row.key], v) for row, v in zip(rows, vectors, strict=True))

    again = world.writer()
    assert again.fit(shape) == again.fit(fitted) == fitted
    assert again.unchanged(rows).all()
    assert again.unchanged(rows, vectors).all()
    other = vectors.copy()
    other[::2, -1] += np.float32(1e-6)
    assert again.unchanged(rows, other).tolist() == [i % 2 == 1 for i in range(len(rows))]
    again.prepare(DIM)
    again.write(RecordBatch(rows, vectors))
    assert again.count() == len(rows)
    assert world.rows() == expected(rows)


def test_changed_values_are_noticed_field_by_field(world):
    row = records([1])[0]
    changes: list[dict[str, Any]] = [
        *({"whole": 7}, {"ratio": 0.2}, {"yes": False}, {"title": "title 0 u"}, {"maybe": 8}),
        *({"maybe": None}, {"source": "file  0"}, {"another": 0}, {"another": False}),
        {"tree": {"a": [1, 1, None, True, {"b": {}}]}},  # 1 is not 1.0
        {"n 1.0 é": [0, 0.0, None, {"q\"'": 1}]},  # and not true
    ]
    keys = range(1, len(changes) + 1)
    rows = [replace(row, key=key) for key in keys]
    started(world).write(batch_of(rows))
    changed = [
        replace(row, key=key, fields={**row.fields, **change})
        for key, change in zip(keys, changes, strict=True)
    ]
    changed.append(replace(row, key=1, text="another text"))
    again = started(world)
    assert not again.unchanged(changed).any()
    assert again.unchanged(rows).all()
    unnamed = {name: value for name, value in row.fields.items() if name not in ("source", "maybe")}
    assert again.unchanged([replace(row, fields=unnamed)]).all()


def test_changed_rows_keep_what_is_not_the_sources(world):
    rows = records([1, 2, 3])
    started(world).write(batch_of(rows))
    world.touch(2, cluster_id=5, cluster_run_id="run", foreign={"a": [1.0, None]})
    before = world.rows()[2]

    changed = replace(rows[1], text="new", fields={**rows[1].fields, "whole": -5, "source": "s"})
    less = {name: value for name, value in changed.fields.items() if name != "n 1.0 é"}
    writer = started(world)
    batch = batch_of([replace(changed, fields=less), records([4])[0]], seed=1)
    writer.write(batch)
    assert writer.finish() == 4
    after = world.rows()[2]
    assert after == before | {"text": "new", "whole": -5, "source": "s"}
    assert after["cluster_id"] == 5
    np.testing.assert_array_equal(world.vectors()[2], batch.vectors[0])
    assert world.rows()[1] == expected(rows)[1]
    assert writer.unchanged([changed]).all()


def test_of_rows_with_one_key_the_last_counts_as_if_they_came_one_by_one(world):
    writer = started(world)
    first = records([7, 8])
    with_more = replace(first[0], fields={**first[0].fields, "only": "first"})
    last = replace(first[0], text="last", fields={**first[0].fields, "source": "last"})
    writer.write(batch_of([with_more, first[1], last]))
    assert writer.count() == 2
    assert world.rows()[7] == expected([last])[7] | {"only": "first"}
    np.testing.assert_array_equal(world.vectors()[7], vectors_for(3)[2])
    # And so in a later batch of the same run.
    later = replace(last, text="later")
    writer.write(batch_of([later]))
    assert writer.finish() == 2
    assert world.rows()[7] == expected([later])[7] | {"only": "first"}


def test_vectors_of_another_dimension_are_refused(world):
    started(world)
    writer = world.writer()
    writer.fit(shape_of())
    with pytest.raises(UsageError, match=rf"dimension {DIM}\b.*\b{DIM + 1}\b"):
        writer.prepare(DIM + 1)


def test_keys_of_another_type_are_refused(world):
    started(world)
    with pytest.raises(UsageError, match=r"'id' is INT64"):
        world.writer().fit(shape_of("VARCHAR"))


def test_keys_made_by_the_server_add_the_rows_each_time(world):
    shape = shape_of(auto_id=True, fields=())
    rows = [Record(i, "", f"text {i}", {"n": i}) for i in range(5)]
    for count in (5, 10):
        writer = started(world, shape)
        assert not writer.unchanged(rows).any()
        writer.write(batch_of(rows))
        assert writer.count() == count
    with pytest.raises(UsageError, match="auto id"):
        world.writer().fit(shape_of())


def test_a_batch_of_many_requests_is_stored_whole(world):
    shape = shape_of("VARCHAR", fields=())
    writer = started(world, shape, batch_bytes=1 << 17)
    rows = [
        Record(i, f"key {i}", f"{i} " + "ü" * (30_000 if i % 10 == 0 else 5)) for i in range(99)
    ]
    writer.write(batch_of(rows))
    assert writer.count() == 99
    assert world.rows() == expected(rows)
    assert started(world, shape).unchanged(rows).all()


def test_threads_may_look_while_rows_are_written(world):
    writer = started(world)
    rows = records(range(200))
    started(world).write(batch_of(rows[:100]))
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(writer.unchanged, rows[i : i + 25]) for i in range(0, 100, 25)]
        writer.write(batch_of(rows[100:]))
        assert writer.count() == 200
        assert all(len(found.result()) == 25 for found in asked)


def test_text_less_rows(world):
    shape = RecordShape(key=FieldSpec("id", "INT64"), text=None)
    writer = started(world, shape)
    rows = [Record(i, i, None, {"a": i}) for i in range(3)]
    writer.write(batch_of(rows))
    assert world.rows() == {i: {"a": i} for i in range(3)}
    assert started(world, shape).unchanged(rows).all()
