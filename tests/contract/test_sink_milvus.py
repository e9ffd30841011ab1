"""What the ways of writing to Milvus do with every kind of collection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pymilvus import DataType, MilvusClient

from tests import backends, zoo
from tests.backends import Backend
from tests.contract.making import connection_to
from tests.contract.sink_steps import ALLOWED, PLAIN, counted, label_all, select
from tests.contract.sink_worlds import WITH_EXTRAS, as_dict, batch_of, settled, stored
from tests.snapshot import diff, snapshot, structure
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink, side
from vdbcluster.errors import RefusedError
from vdbcluster.model.labels import LabelFields, RowStatus

pytestmark = pytest.mark.usefixtures("probed_once")


@pytest.mark.parametrize("specimen", zoo.ZOO, ids=lambda s: s.name)
def test_nothing_foreign_changes_in_any_collection(
    lite: tuple[MilvusClient, MilvusConnection], collection_name: str, specimen: zoo.Specimen
) -> None:
    client, connection = lite
    zoo.skip_unless_supported(specimen, Backend(backends.LITE_FILE, ""))
    zoo.build(client, collection_name, specimen, rows=60)
    before = snapshot(client, collection_name), structure(client, collection_name)

    sink = label_all(connection, collection_name, LabelSettings())
    sink.finish()
    label_all(connection, collection_name, LabelSettings())

    assert diff(before[0], snapshot(client, collection_name)) == []
    assert structure(client, collection_name) == before[1]
    found = client.query(sink.way.target, "cluster_id == 7", output_fields=["cluster_id"])
    assert found
    assert {row["cluster_id"] for row in found} == {7}


@pytest.mark.server
@pytest.mark.parametrize("name", ["declared-int", "tenants-varchar", "odd-int", "declared-dynamic"])
def test_whole_rows_survive_being_rewritten(
    real_server: Backend, collection_name: str, name: str
) -> None:
    with backends.connected(real_server) as client, connection_to(real_server) as connection:
        zoo.build(client, collection_name, zoo.by_name(name), rows=60)
        before = snapshot(client, collection_name), structure(client, collection_name)

        sink = label_all(connection, collection_name, ALLOWED)

        assert sink.way.name == "guarded-upsert"
        assert diff(before[0], snapshot(client, collection_name)) == []
        assert structure(client, collection_name) == before[1]
        client.drop_collection(collection_name)


@pytest.mark.server
def test_rows_that_share_a_key_are_not_rewritten(
    real_server: Backend, collection_name: str
) -> None:
    with backends.connected(real_server) as client, connection_to(real_server) as connection:
        inserted = zoo.build(client, collection_name, zoo.by_name("duplicates"), rows=120)
        sink = choose_sink(connection, select(collection_name), ALLOWED)
        whole = counted(client, collection_name)
        keys = [
            key
            for key, where in zip(inserted.keys, inserted.partition_of, strict=True)
            if where == zoo.DEFAULT_PARTITION
        ]

        outcome = sink.write(batch_of(keys), zoo.DEFAULT_PARTITION)

        double = [key for i, key in enumerate(inserted.keys) if i % 20 == 0]
        failed = [RowStatus.FAILED if key in double else RowStatus.WRITTEN for key in keys]
        assert outcome.status.tolist() == failed
        assert "more than one row" in outcome.message
        assert counted(client, collection_name) == whole == 120 + inserted.copies
        client.drop_collection(collection_name)


def test_label_column_gets_an_index_that_leaves_the_collection_loadable(
    lite: tuple[MilvusClient, MilvusConnection], collection_name: str
) -> None:
    client, connection = lite
    zoo.build(client, collection_name, zoo.by_name("declared-int"), rows=40)

    sink = label_all(connection, collection_name, LabelSettings())
    sink.finish()
    client.create_alias(collection_name, f"{collection_name}_alias")
    client.create_partition(collection_name, "later")
    sink.prepare()  # neither index nor alias nor partition makes it another collection

    assert client.list_indexes(collection_name, field_name="cluster_id") == ["cluster_id"]
    client.load_collection(collection_name)


def _strict(client: MilvusClient, name: str, *fields: tuple[str, DataType, dict[str, Any]]) -> None:
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field(zoo.VECTOR, DataType.FLOAT_VECTOR, dim=2)
    for field, kind, more in fields:
        schema.add_field(field, kind, **more)
    index = client.prepare_index_params()
    index.add_index(zoo.VECTOR, index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)


@pytest.mark.parametrize(
    ("field", "kind", "more", "why"),
    [
        ("cluster_id", DataType.VARCHAR, {"max_length": 9}, "of type VARCHAR, not INT64"),
        ("cluster_run_id", DataType.VARCHAR, {"max_length": 9}, "too short"),
        ("cluster_probability", DataType.INT64, {}, "not FLOAT or DOUBLE"),
        ("cluster_assignment", DataType.VARCHAR, {"max_length": 4}, "too short"),
        ("cluster_id", DataType.INT64, {"is_partition_key": True}, "the partition key"),
    ],
)
def test_a_field_of_the_users_with_our_name_is_refused(
    lite: tuple[MilvusClient, MilvusConnection],
    collection_name: str,
    field: str,
    kind: DataType,
    more: dict[str, Any],
    why: str,
) -> None:
    client, connection = lite
    _strict(client, collection_name, (field, kind, more))

    with pytest.raises(RefusedError, match=f"{why}.*--label-prefix"):
        choose_sink(connection, select(collection_name), LabelSettings())
    other = LabelSettings(fields=LabelFields("topic_"))
    assert choose_sink(connection, select(collection_name), other).way.name == "side-collection"


def test_foreign_values_under_our_names_are_not_overwritten_unless_adopted(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    inserted = zoo.build(client, collection_name, PLAIN, rows=20)
    row = {zoo.KEY: 10**6, **{k: v for k, v in inserted.rows[0].items() if k != zoo.KEY}}
    client.insert(collection_name, [row | {"cluster_id": 3}])
    selection = select(collection_name)
    if not connection.is_lite:
        assert stored(choose_sink(connection, selection, LabelSettings())) == {}
    settings = LabelSettings(allow_full_upsert=True)

    with pytest.raises(RefusedError, match=r"cluster_id = 3.*--adopt"):
        stored(choose_sink(connection, selection, settings))

    assert stored(choose_sink(connection, selection, replace(settings, adopt=True))) == {}


def test_a_row_of_nothing_but_labels_cannot_come_to_be(
    lite: tuple[MilvusClient, MilvusConnection], collection_name: str
) -> None:
    client, connection = lite
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field(zoo.VECTOR, DataType.FLOAT_VECTOR, dim=2, nullable=True)
    schema.add_field("year", DataType.INT64, default_value=2000)
    index = client.prepare_index_params()
    index.add_index(zoo.VECTOR, index_type="FLAT", metric_type="L2")
    client.create_collection(collection_name, schema=schema, index_params=index)
    client.insert(collection_name, [{"id": i, zoo.VECTOR: [1.0, 2.0]} for i in range(5)])

    sink = choose_sink(connection, select(collection_name), LabelSettings())
    sink.prepare()
    client.delete(collection_name, ids=[3])
    status = settled(sink, batch_of([1, 2, 3]), "_default")

    assert sink.way.name == "side-collection"
    assert "bring it back empty" in sink.way.reason
    assert status == [1, 1, RowStatus.VANISHED]
    assert counted(client, collection_name) == 4


@pytest.mark.parametrize("way", ["add-field", "partial-upsert", "guarded-upsert"])
def test_a_way_that_is_not_safe_is_refused_even_if_asked_for(
    lite: tuple[MilvusClient, MilvusConnection], collection_name: str, way: Any
) -> None:
    client, connection = lite
    zoo.build(client, collection_name, PLAIN, rows=20)

    with pytest.raises(RefusedError, match=f"{way} cannot be used"):
        choose_sink(connection, select(collection_name), LabelSettings(way=way))


def test_writes_stay_with_the_collection_behind_an_alias(
    lite: tuple[MilvusClient, MilvusConnection], collection_name: str
) -> None:
    client, connection = lite
    names = [f"{collection_name}_{i}" for i in range(2)]
    keys = [zoo.build(client, name, PLAIN, rows=20).keys for name in names]
    client.create_alias(names[0], "current")
    sink = choose_sink(connection, select("current"), LabelSettings())
    client.alter_alias(names[1], "current")

    sink.write(batch_of(keys[0]), "_default")

    assert stored(sink) == as_dict(batch_of(keys[0]))
    assert stored(choose_sink(connection, select(names[1]), LabelSettings())) == {}


def test_a_row_moved_to_another_partition_is_not_moved_back(
    lite: tuple[MilvusClient, MilvusConnection], collection_name: str
) -> None:
    client, connection = lite
    inserted = zoo.build(client, collection_name, zoo.by_name("partitions-int"), rows=30)
    sink = choose_sink(connection, select(collection_name), LabelSettings())
    moved = inserted.keys[inserted.partition_of.index("p1")]
    row = {zoo.KEY: moved, **inserted.rows[inserted.keys.index(moved)]}
    client.delete(collection_name, ids=[moved])
    client.insert(collection_name, [row], partition_name="p2")

    outcome = sink.write(batch_of([moved]), "p1")

    assert outcome.status.tolist() == [RowStatus.VANISHED]
    found = client.query(collection_name, f"pk == {moved}", partition_names=["p2"])
    assert len(found) == 1


def test_a_partition_that_was_dropped_takes_its_rows_along(
    lite: tuple[MilvusClient, MilvusConnection], collection_name: str
) -> None:
    client, connection = lite
    inserted = zoo.build(client, collection_name, zoo.by_name("partitions-int"), rows=30)
    sink = choose_sink(connection, select(collection_name), LabelSettings())
    keys = [k for k, p in zip(inserted.keys, inserted.partition_of, strict=True) if p == "p1"]
    client.drop_partition(collection_name, "p1")

    outcome = sink.write(batch_of(keys), "p1")

    assert set(outcome.status.tolist()) == {RowStatus.VANISHED}


def test_a_side_collection_of_somebody_else_is_left_alone(
    lite: tuple[MilvusClient, MilvusConnection], collection_name: str
) -> None:
    client, connection = lite
    zoo.build(client, collection_name, zoo.by_name("bare-int"), rows=20)
    client.create_collection(f"{collection_name}_cluster_labels", dimension=2)
    sink = choose_sink(connection, select(collection_name), LabelSettings())

    for act in (sink.prepare, lambda: stored(sink)):
        with pytest.raises(RefusedError, match="--label-prefix"):
            act()


def test_labels_of_an_earlier_collection_are_not_taken_for_ours(
    lite: tuple[MilvusClient, MilvusConnection], collection_name: str
) -> None:
    client, connection = lite
    specimen = zoo.by_name("bare-int")
    zoo.build(client, collection_name, specimen, rows=20)
    label_all(connection, collection_name, LabelSettings())
    client.drop_collection(collection_name)
    zoo.build(client, collection_name, specimen, rows=20)

    sink = choose_sink(connection, select(collection_name), LabelSettings())

    assert stored(sink) == {}
    label_all(connection, collection_name, LabelSettings())


def test_side_labels_follow_the_filter(
    lite: tuple[MilvusClient, MilvusConnection], collection_name: str
) -> None:
    client, connection = lite
    inserted = zoo.build(client, collection_name, zoo.by_name("bare-int"), rows=40)
    label_all(connection, collection_name, LabelSettings())

    chosen = select(collection_name, where="a_bool == true")
    found = stored(choose_sink(connection, chosen, LabelSettings()))

    true = {k for k, row in zip(inserted.keys, inserted.rows, strict=True) if row["a_bool"]}
    assert found.keys() == true


def test_columns_and_rows_store_the_same(
    lite: tuple[MilvusClient, MilvusConnection],
    collection_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, connection = lite
    found = []
    for name, columns in ((f"{collection_name}_a", True), (f"{collection_name}_b", False)):
        zoo.build(client, name, zoo.by_name("bare-varchar"), rows=60)
        monkeypatch.setattr(side, "sends_columns", lambda _, columns=columns: columns)
        target = label_all(connection, name, LabelSettings(WITH_EXTRAS)).way.target
        rows = client.query(target, "cluster_id >= -1", output_fields=["*"], limit=100)
        found.append([list(dict(row).values()) for row in rows])

    assert found[0] == found[1]
    assert len(found[0]) == 60
