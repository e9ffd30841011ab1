"""Rows without a label are found, and no other, whichever way labels are written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from tests import zoo
from tests.contract.sink_worlds import MemoryWorld, MilvusWorld, World, as_dict, batch_of
from tests.contract.test_sink import EMULATED, LITE, MEMORY, REAL, nearby, world  # noqa: F401 - a fixture
from vdbcluster.adapters.memory_unlabelled import MemoryUnlabelled
from vdbcluster.adapters.milvus import unlabelled as unlabelled_rows
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.adapters.milvus.unlabelled import MilvusUnlabelled, lacking
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.model.labels import LabelFields
from vdbcluster.ports import LabelSink
from vdbcluster.ports.unlabelled import UnlabelledRows

pytestmark = pytest.mark.usefixtures("probed_once")


def unlabelled(there: World, sink: LabelSink, **selection: Any) -> UnlabelledRows:
    if isinstance(there, MemoryWorld):
        return MemoryUnlabelled(there.collection, partitions=selection.get("partitions", ()))
    assert isinstance(there, MilvusWorld)
    source = MilvusSource(there.connection, Selection(there.name, zoo.VECTOR, **selection))
    return MilvusUnlabelled(there.connection, source, sink, LabelFields())


def found(rows: UnlabelledRows) -> dict[Any, str]:
    """Where each of them is, by key; each comes once, with a vector."""
    pages = list(rows.pages())
    assert all(page.vectors.shape == (len(page.keys), zoo.DIM) for page in pages)
    assert all(np.isfinite(page.vectors).all() for page in pages)
    every = [(key, page.partition) for page in pages for key in page.keys.tolist()]
    assert len(dict(every)) == len(every)
    return dict(every)


@pytest.mark.parametrize("place", [*MEMORY, *LITE, *EMULATED, REAL[0], REAL[-1]], ids=str)
def test_rows_that_came_since_and_rows_that_lost_their_label(world: World) -> None:  # noqa: F811
    sink, places = world.sink(), dict(zip(world.keys, world.partition_of, strict=True))
    assert found(unlabelled(world, sink)) == places
    sink.prepare()
    world.write_all(sink)
    sink.finish()
    assert found(unlabelled(world, world.sink())) == {}

    world.add(world.new_key, "p2")
    some = world.keys_in("p1")[:3]
    sink.erase(batch_of(some), "p1")
    world.delete(world.keys_in("p2")[:2])
    sink.finish()
    now = dict.fromkeys(some, "p1") | {world.new_key: "p2"}
    rows = unlabelled(world, world.sink())
    assert found(rows) == now
    in_rows = sink.way.name not in ("side-collection", "memory")
    assert ("the filter" in rows.told_by) == in_rows
    chosen = {"partitions": ("p2",)}
    rows = unlabelled(world, world.sink(**chosen), **chosen)
    assert found(rows) == {world.new_key: "p2"}


@nearby
def test_labels_of_some_rows_are_read_alone(world: World) -> None:  # noqa: F811
    sink = world.sink()
    sink.prepare()
    sent = world.write_all(sink)
    sink.finish()
    for some in (world.keys[:5], world.keys[:-3]):
        wanted = batch_of([*some, world.new_key]).keys
        read: dict[Any, Any] = {}
        for batch in world.sink().stored(wanted):
            read |= as_dict(batch)
        assert {key: read[key] for key in some} == {key: sent[key] for key in some}
        assert read.items() <= sent.items()
        if len(some) == 5 and isinstance(world, MilvusWorld) and world.connection.is_lite:
            assert len(read) == 5


@pytest.mark.parametrize("way", ["lite-merge", "side-collection"])
def test_the_filter_of_the_user_holds(lite, way: Any) -> None:
    client, connection = lite
    inserted = zoo.build(client, "t", zoo.by_name("plain-int"), 60)
    chosen = Selection("t", zoo.VECTOR, "a_bool == true")
    sink = choose_sink(connection, chosen, LabelSettings(way=way))
    sink.prepare()
    mine = [k for k, r in zip(inserted.keys, inserted.rows, strict=True) if r["a_bool"]]
    sink.write(batch_of(mine[3:]), zoo.DEFAULT_PARTITION)
    sink.finish()
    source = MilvusSource(connection, chosen)
    rows = MilvusUnlabelled(connection, source, sink, LabelFields())
    assert set(found(rows)) == set(mine[:3])


def test_dynamic_keys_of_every_kind(lite) -> None:
    """Absent, null, empty: what no run has left is no label."""
    client, connection = lite
    held = ["absent", None, "", "run-1", "run-1"]
    make(client, "t", held)
    assert told(connection, "t", "lite-merge") == ({0, 1, 2}, True)


def test_a_filter_that_does_not_add_up_is_not_believed(lite, monkeypatch) -> None:
    """A server that understands it in another way must not have its labels overwritten."""
    client, connection = lite
    make(client, "t", ["absent", "run-1", "", "run-1"])
    assert told(connection, "t", "lite-merge") == ({0, 2}, True)
    for wrong in ("id >= 0", "id < 0", "id >>> 3"):
        monkeypatch.setattr(unlabelled_rows, "lacking", lambda *_, told=wrong: told)
        assert told(connection, "t", "lite-merge") == ({0, 2}, False)


@pytest.mark.parametrize("nullable", [True, False])
def test_declared_fields(lite, nullable: bool) -> None:
    client, connection = lite
    make(client, "t", ["", "run-1", *([None] if nullable else [""])], {"nullable": nullable})
    assert told(connection, "t", "lite-merge") == ({0, 2}, True)
    source = MilvusSource(connection, Selection("t"))
    assert ("is null" in lacking(source.found, "cluster_run_id")) == nullable


def test_null_vectors_are_counted_and_left_out(lite) -> None:
    client, connection = lite
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vec", DataType.FLOAT_VECTOR, dim=zoo.DIM, nullable=True)
    schema.add_field("n", DataType.INT64)  # else Lite would make a row of a label alone
    client.create_collection("t", schema=schema)
    client.insert("t", [{"id": 1, "n": 1, "vec": [0.5] * zoo.DIM}, {"id": 2, "n": 2, "vec": None}])
    client.load_collection("t")
    for way in ("lite-merge", "side-collection"):
        sink = choose_sink(connection, Selection("t"), LabelSettings(way=way))
        source = MilvusSource(connection, Selection("t"))
        pages = list(MilvusUnlabelled(connection, source, sink, LabelFields()).pages())
        assert [page.keys.tolist() for page in pages] == [[1]], way
        assert sum(page.without_vector for page in pages) == 1


def make(
    client: MilvusClient, name: str, runs: list[str | None], declared: dict[str, bool] | None = None
) -> None:
    """Rows 0, 1, ... that hold these run ids; ``absent``: nothing at all."""
    schema = client.create_schema(enable_dynamic_field=declared is None)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vec", DataType.FLOAT_VECTOR, dim=zoo.DIM)
    if declared is not None:
        schema.add_field("cluster_id", DataType.INT64, **declared)
        schema.add_field("cluster_probability", DataType.FLOAT, **declared)
        schema.add_field("cluster_outlier_score", DataType.FLOAT, **declared)
        schema.add_field("cluster_run_id", DataType.VARCHAR, max_length=64, **declared)
        schema.add_field("cluster_assignment", DataType.VARCHAR, max_length=64, **declared)
    index = client.prepare_index_params()
    index.add_index("vec", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)
    blank = {} if declared is None else {
        "cluster_probability": 0.0, "cluster_outlier_score": 0.0, "cluster_assignment": "",
    }  # fmt: skip
    for key, run in enumerate(runs):
        label = {} if run == "absent" else {"cluster_run_id": run, "cluster_id": 0} | blank
        client.insert(name, [{"id": key, "vec": [0.1] * zoo.DIM} | label])


def told(connection: MilvusConnection, name: str, way: Any) -> tuple[set[Any], bool]:
    """The rows that are found, and whether a filter told them."""
    sink = choose_sink(connection, Selection(name), LabelSettings(way=way))
    source = MilvusSource(connection, Selection(name))
    rows = MilvusUnlabelled(connection, source, sink, LabelFields())
    keys = set(found(rows))
    return keys, "the filter" in rows.told_by
