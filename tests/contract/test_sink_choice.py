"""Which way of writing is chosen, and that choosing leaves no trace."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from pymilvus import DataType, MilvusClient

from tests import backends, zoo
from tests.backends import Backend
from tests.contract.making import connection_to
from tests.contract.sink_steps import ALLOWED, PLAIN, label_all, select
from tests.contract.sink_worlds import batch_of, stored
from tests.emulation import Proxy
from tests.snapshot import diff, snapshot
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.adapters.milvus.writeback.capabilities import probe
from vdbcluster.adapters.milvus.writeback.own import SCRATCH
from vdbcluster.model.collection import KeyField

pytestmark = pytest.mark.usefixtures("probed_once")


@pytest.mark.parametrize(
    ("release", "name", "settings", "way"),
    [
        ("2.4", "plain-int", LabelSettings(), "side-collection"),
        ("2.5", "plain-int", LabelSettings(), "side-collection"),
        ("2.5", "plain-int", ALLOWED, "guarded-upsert"),
        ("2.5", "declared-int", ALLOWED, "guarded-upsert"),
        ("2.5", "nullable", ALLOWED, "guarded-upsert"),
        ("2.5", "two-vectors", ALLOWED, "guarded-upsert"),
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


def test_a_field_whose_answer_was_lost_is_added_all_the_same(
    emulate: Callable[[str], Proxy], collection_name: str
) -> None:
    proxy = emulate("2.6")
    backend = proxy.backend
    with backends.connected(backend) as client, connection_to(backend) as connection:
        zoo.build(client, collection_name, zoo.by_name("bare-int"), rows=40)
        sink = choose_sink(connection, select(collection_name), LabelSettings())

        def other_run(_: object) -> None:
            client.add_collection_field(
                collection_name, "cluster_id", DataType.INT64, nullable=True
            )

        proxy.before("AddCollectionField", other_run)
        sink.prepare()

        assert not proxy.errors
        assert sink.write(batch_of([3, 10]), "_default").status.tolist() == [1, 1]
        assert len(stored(sink)) == 2
        client.drop_collection(collection_name)


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
