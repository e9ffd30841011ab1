"""What the ways of writing to Milvus do with every kind of collection, and which one is chosen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from tests import backends, zoo
from tests.backends import Backend
from tests.contract.making import connection_to
from tests.contract.sink_worlds import as_dict, batch_of, stored
from tests.emulation import Proxy
from tests.snapshot import diff, snapshot, structure
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.adapters.milvus.writeback.capabilities import SCRATCH, probe
from vdbcluster.errors import BackendUnavailableError, CollectionChangedError, RefusedError
from vdbcluster.model.collection import KeyField
from vdbcluster.model.labels import LabelBatch, LabelFields, RowStatus
from vdbcluster.ports import LabelSink

pytestmark = pytest.mark.usefixtures("probed_once")
ALLOWED = LabelSettings(allow_full_upsert=True)
PLAIN = zoo.by_name("plain-int")


@pytest.fixture
def connection(backend: Backend) -> Iterator[MilvusConnection]:
    with connection_to(backend) as opened:
        yield opened


@pytest.fixture
def lite(lite_file: Backend) -> Iterator[tuple[MilvusClient, MilvusConnection]]:
    with backends.connected(lite_file) as client, connection_to(lite_file) as opened:
        yield client, opened


def select(name: str, **more: Any) -> Selection:
    return Selection(name, zoo.VECTOR, **more)


def label_all(connection: MilvusConnection, name: str, settings: LabelSettings) -> LabelSink:
    """What a run does: read keys by partition, write, finish; every label must come back."""
    sink = choose_sink(connection, select(name), settings)
    sink.prepare()
    sent: dict[Any, Any] = {}
    for page in MilvusSource(connection, select(name)).pages():
        batch = batch_of(page.keys.tolist())
        outcome = sink.write(batch, page.partition)
        assert set(outcome.status.tolist()) <= {RowStatus.WRITTEN}, outcome.message
        sent |= as_dict(batch)
    assert stored(sink) == sent
    return sink


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
        whole = _counted(client, collection_name)
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
        assert _counted(client, collection_name) == whole == 120 + inserted.copies
        client.drop_collection(collection_name)


def _counted(client: MilvusClient, name: str) -> int:
    found = client.query(name, "", output_fields=["count(*)"], consistency_level="Strong")
    return int(found[0]["count(*)"])


@pytest.mark.parametrize(
    ("release", "name", "settings", "way"),
    [
        ("2.4", "plain-int", LabelSettings(), "side-collection"),
        ("2.5", "plain-int", LabelSettings(), "side-collection"),
        ("2.5", "plain-int", ALLOWED, "guarded-upsert"),
        ("2.5", "declared-int", ALLOWED, "guarded-upsert"),
        ("2.5", "bare-int", ALLOWED, "side-collection"),
        ("2.5", "auto-int", ALLOWED, "side-collection"),
        ("2.6", "plain-int", LabelSettings(), "add-field"),
        ("2.6", "bare-varchar", LabelSettings(), "add-field"),
        ("2.6", "declared-int", LabelSettings(), "partial-upsert"),
        ("2.6", "auto-int", ALLOWED, "side-collection"),
        ("3.0", "auto-int", LabelSettings(), "add-field"),
    ],
)
def test_way_on_emulated_servers(
    emulate: Callable[[str], Proxy],
    release: str,
    name: str,
    settings: LabelSettings,
    way: str,
    collection_name: str,
) -> None:
    backend = emulate(release).backend
    with backends.connected(backend) as client, connection_to(backend) as connection:
        zoo.build(client, collection_name, zoo.by_name(name), rows=40)
        before = snapshot(client, collection_name)
        expected = choose_sink(connection, select(collection_name), settings, dry_run=True)

        sink = label_all(connection, collection_name, settings)
        again = choose_sink(connection, select(collection_name), settings)

        assert sink.way.name == way
        assert expected.way.name in (way, "add-field"), expected.way
        assert stored(again) == stored(sink)
        assert diff(before, snapshot(client, collection_name)) == []
        for made in {collection_name, sink.way.target}:
            client.drop_collection(made)


def test_labels_in_dynamic_keys_are_not_promoted_to_fields(
    emulate: Callable[[str], Proxy], collection_name: str
) -> None:
    backend = emulate("2.6").backend
    with backends.connected(backend) as client, connection_to(backend) as connection:
        zoo.build(client, collection_name, PLAIN, rows=40)
        forced = replace(LabelSettings(), way="partial-upsert")
        label_all(connection, collection_name, forced)

        assert label_all(connection, collection_name, LabelSettings()).way.name == "partial-upsert"
        client.drop_collection(collection_name)


def test_dry_run_writes_nothing_anywhere(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    zoo.build(client, collection_name, PLAIN, rows=20)
    names = set(client.list_collections())

    sink = choose_sink(connection, select(collection_name), LabelSettings(), dry_run=True)

    assert stored(sink) == {}
    assert "expected" in sink.way.reason
    assert set(client.list_collections()) == names


def test_probe_cleans_up_after_itself_and_after_a_crash(
    lite: tuple[MilvusClient, MilvusConnection],
) -> None:
    client, connection = lite
    crashed = f"{SCRATCH}_{int(time.time()) - 10_000}_0123abcd"
    running = f"{SCRATCH}_{int(time.time())}_0123abcd"
    foreign = f"{SCRATCH}_of_mine"
    for name in (crashed, running, foreign):
        client.create_collection(name, dimension=2)

    found = probe(connection, KeyField("id", "INT64", auto_id=False), dynamic=True)

    assert found.merges
    assert found.unique_keys
    assert not found.add_field
    assert set(client.list_collections()) == {running, foreign}


@pytest.mark.server
def test_what_the_real_server_can_do(real_server: Backend) -> None:
    with backends.connected(real_server) as client, connection_to(real_server) as connection:
        found = probe(connection, KeyField("id", "VARCHAR", auto_id=False, max_length=9), False)

        assert (found.merges, found.add_field, found.unique_keys) == (False, False, False)
        assert found.replaces
        assert found.index_kind is None  # one made on a loaded collection breaks its next loading
        assert not [name for name in client.list_collections() if name.startswith(SCRATCH)]


def test_label_column_gets_an_index_that_leaves_the_collection_loadable(
    lite: tuple[MilvusClient, MilvusConnection], collection_name: str
) -> None:
    client, connection = lite
    zoo.build(client, collection_name, zoo.by_name("declared-int"), rows=40)

    label_all(connection, collection_name, LabelSettings()).finish()

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
    outcome = sink.write(batch_of([1, 2, 3]), "_default")

    assert sink.way.name == "side-collection"
    assert "bring it back empty" in sink.way.reason
    assert outcome.status.tolist() == [1, 1, RowStatus.VANISHED]
    assert _counted(client, collection_name) == 4


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


@pytest.fixture
def behind(
    proxied: Callable[[Backend], Proxy], lite_server: Backend, collection_name: str
) -> Iterator[tuple[Proxy, MilvusClient, LabelSink, LabelBatch]]:
    """A proxy, a client past it, a sink through it, and labels for the whole collection."""
    proxy = proxied(lite_server)
    with backends.connected(lite_server) as client, connection_to(proxy.backend) as connection:
        inserted = zoo.build(client, collection_name, PLAIN, rows=300)
        sink = choose_sink(connection, select(collection_name), LabelSettings())
        sink.prepare()
        yield proxy, client, sink, batch_of(inserted.keys)
        client.drop_collection(collection_name)


Behind = tuple[Proxy, MilvusClient, LabelSink, LabelBatch]


def test_a_rate_limit_is_waited_for(behind: Behind) -> None:
    proxy, _, sink, batch = behind
    proxy.fail_next("Upsert", 8, "rate limit exceeded", times=2)

    outcome = sink.write(batch, "_default")

    assert set(outcome.status.tolist()) == {RowStatus.WRITTEN}
    assert stored(sink) == as_dict(batch)


def test_a_batch_that_is_too_large_is_halved(behind: Behind) -> None:
    proxy, _, sink, batch = behind
    proxy.fail_next("Upsert", 65535, "received message larger than max (70000000 vs. 67108864)")
    before = proxy.calls["Upsert"]

    outcome = sink.write(batch, "_default")

    assert set(outcome.status.tolist()) == {RowStatus.WRITTEN}
    assert proxy.calls["Upsert"] - before == 5  # 3 of 100 rows, one again as two halves


def test_a_server_that_goes_away_is_an_error_and_the_rest_can_be_written_later(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vdbcluster.adapters.milvus.errors.ATTEMPTS", 2)
    proxy, _, sink, batch = behind
    proxy.cut_after("Upsert", 2)

    with pytest.raises(BackendUnavailableError):
        sink.write(batch, "_default")
    proxy.mend()

    assert 100 <= len(stored(sink)) <= 200
    assert set(sink.write(batch, "_default").status.tolist()) == {RowStatus.WRITTEN}
    assert stored(sink) == as_dict(batch)


def test_rows_deleted_at_the_last_moment_fail_alone(behind: Behind) -> None:
    proxy, client, sink, batch = behind
    gone = batch.keys[[5, 50, 99]].tolist()
    name = sink.way.target
    proxy.before("Upsert", lambda _: client.delete(name, ids=gone))

    outcome = sink.write(batch, "_default")

    vanished = batch.keys[outcome.status == RowStatus.VANISHED].tolist()
    assert sorted(vanished) == sorted(gone)
    assert _counted(client, name) == 297


def test_a_collection_dropped_in_mid_write_is_not_created_anew(behind: Behind) -> None:
    proxy, client, sink, batch = behind
    name = sink.way.target
    proxy.before("Upsert", lambda _: client.drop_collection(name), nth=2)

    with pytest.raises(CollectionChangedError):
        sink.write(batch, "_default")

    assert name not in client.list_collections()
    zoo.create(client, name, PLAIN)


def test_an_update_right_after_a_rewrite_is_seen_and_stays(
    emulate: Callable[[str], Proxy], collection_name: str
) -> None:
    """Right after our write it is seen and stays; right before, nobody can tell."""
    proxy = emulate("2.5")
    backend = proxy.backend
    with backends.connected(backend) as client, connection_to(backend) as connection:
        inserted = zoo.build(client, collection_name, PLAIN, rows=40)
        sink = choose_sink(connection, select(collection_name), ALLOWED)
        row = {zoo.KEY: inserted.keys[7], **inserted.rows[7], "title": "late"}

        def update(_: object) -> None:
            client.upsert(collection_name, [row])

        # Of the queries of one batch (count, read, read again) the last comes after the write.
        proxy.before("Query", update, nth=3)
        outcome = sink.write(batch_of(inserted.keys), "_default")

        changed = np.flatnonzero(outcome.status == RowStatus.CHANGED)
        assert changed.tolist() == [7]
        assert "changed by somebody else" in outcome.message
        found = client.query(collection_name, f"pk == {row[zoo.KEY]}", output_fields=["title"])
        assert found[0]["title"] == "late"
        client.drop_collection(collection_name)
