"""Taking labels away, in every way of writing: nothing finds them, and no row is harmed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymilvus import MilvusClient

from tests import backends, zoo
from tests.contract.making import connection_to
from tests.contract.sink_steps import ALLOWED, PLAIN, counted, label_all, select
from tests.contract.sink_worlds import (
    WITH_EXTRAS,
    MilvusWorld,
    World,
    as_dict,
    batch_of,
    settled,
    stored,
)
from tests.contract.test_sink import everywhere, nearby, world  # noqa: F401 - a fixture
from tests.emulation import Proxy
from tests.snapshot import Snapshot, diff, labels
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.errors import CollectionChangedError
from vdbcluster.model.labels import RowStatus

pytestmark = pytest.mark.usefixtures("probed_once")
FINDS = (
    "cluster_id == {id}",
    "cluster_id >= 0",
    "cluster_id in [{id}]",
    'cluster_run_id == "run-1"',
    'cluster_assignment in ["core", "soft", "noise"]',
)


def own(there: World) -> Snapshot:
    """Our fields of every row, where there is something in them; empty where labels live apart."""
    if not isinstance(there, MilvusWorld):
        return {}
    return labels(there.client, there.name)


def found_by(there: MilvusWorld, target: str, where: str) -> set[Any]:
    found = there.client.query(
        target, where, output_fields=[zoo.KEY], limit=1000, consistency_level="Strong"
    )
    return {row[zoo.KEY] for row in found}


@everywhere
def test_what_is_erased_is_told_by_nobody(world: World) -> None:  # noqa: F811
    """Rows of ``p1`` are as they were before they were labelled, byte for byte."""
    foreign, before, sink = world.foreign(), own(world), world.sink(WITH_EXTRAS)
    sink.prepare()
    sent = world.write_all(sink, extras=True)
    sink.finish()
    gone = world.keys_in("p1")
    kept = {key: label for key, label in sent.items() if key not in gone}

    status = settled_erasing(sink, world, gone)

    assert status == [RowStatus.WRITTEN] * len(gone)
    assert stored(sink) == kept
    assert stored(world.sink(WITH_EXTRAS)) == kept
    assert diff(foreign, world.foreign()) == []
    now = own(world)
    for where, row in now.items():
        assert where[1] not in gone or row == before[where]
    if isinstance(world, MilvusWorld):
        for where in FINDS:
            ids = found_by(world, sink.way.target, where.format(id=sent[gone[0]][0]))
            assert ids.isdisjoint(gone), where
            assert ids <= set(kept)


def settled_erasing(sink: Any, there: World, keys: list[Any]) -> list[int]:
    outcome = sink.erase(batch_of(keys, extras=True), "p1")
    assert sink.finish().size == 0
    told: list[int] = outcome.status.tolist()
    return told


@pytest.mark.slow_on_server
@everywhere
def test_the_world_moves_on_while_labels_go(world: World) -> None:  # noqa: F811
    """Deleted rows stay deleted, an updated row keeps its update."""
    sink = world.sink()
    sink.prepare()
    sent = world.write_all(sink)
    sink.finish()
    batch = batch_of(world.keys_in("p1"))
    gone = batch.keys.tolist()[3:9:2]
    world.delete(gone)
    world.update(batch.keys[4])
    world.add(world.new_key, "p1")
    foreign = world.foreign()

    outcome = sink.erase(batch, "p1")
    sink.finish()

    told = dict(zip(batch.keys.tolist(), outcome.status.tolist(), strict=True))
    away = {RowStatus.VANISHED, RowStatus.WRITTEN} if _apart(sink) else {RowStatus.VANISHED}
    assert {told.pop(key) for key in gone} <= away
    assert set(told.values()) == {RowStatus.WRITTEN}
    assert stored(sink) == {k: label for k, label in sent.items() if k not in batch.keys}
    assert diff(foreign, world.foreign()) == []


def _apart(sink: Any) -> bool:
    return bool(sink.way.name == "side-collection")


@nearby
def test_what_has_no_label_can_be_erased_and_be_labelled_again(world: World) -> None:  # noqa: F811
    foreign, before, sink = world.foreign(), own(world), world.sink()
    sink.prepare()
    batch = batch_of(world.keys_in("p1"))

    for _ in range(2):
        assert set(sink.erase(batch, "p1").status.tolist()) == {RowStatus.WRITTEN}
        sink.finish()
        assert stored(sink) == {}
    assert own(world) == before
    assert set(settled(sink, batch, "p1")) == {RowStatus.WRITTEN}
    assert stored(sink) == as_dict(batch)
    assert diff(foreign, world.foreign()) == []


@nearby
def test_a_text_that_is_none_leaves_the_row_without(world: World) -> None:  # noqa: F811
    """A label of before paths and assignments came is put back without them."""
    sink = world.sink(WITH_EXTRAS)
    sink.prepare()
    old = batch_of(world.keys_in("p1"), "run-0")
    old.assignment[:] = None
    sink.write(old, "p1")
    sink.finish()
    before = own(world)
    world.write_all(sink, extras=True)

    sink.write(old.blanked((f for f in old.lacking() if not f.bare), None), "p1")
    sink.finish()

    texts = old.texts_only()
    assert {k: v for k, v in stored(sink).items() if k in old.keys} == as_dict(texts)
    now = own(world)
    assert [now[where] for where in before if where[0] == "p1"] == [
        row for where, row in before.items() if where[0] == "p1"
    ]


@nearby
def test_nothing_is_erased_in_a_collection_created_anew(world: World) -> None:  # noqa: F811
    connection = getattr(world, "connection", None)
    if connection is not None and connection.is_lite and not connection.address.is_file:
        pytest.skip("a Lite server process gives a collection no identity of its own")
    sink = world.sink()
    sink.prepare()
    world.recreate()

    with pytest.raises(CollectionChangedError):
        sink.erase(batch_of(world.keys_in("p1")), "p1")


@pytest.mark.parametrize("name", [s.name for s in zoo.ZOO])
def test_every_kind_of_collection_is_as_before(
    lite: tuple[MilvusClient, MilvusConnection], collection_name: str, name: str
) -> None:
    client, connection = lite
    specimen = zoo.by_name(name)
    zoo.skip_unless_supported(specimen, backends.Backend(backends.LITE_FILE, ""))
    filled = zoo.build(client, collection_name, specimen, rows=40)
    _erase_all_again(client, connection, collection_name, LabelSettings(), filled)


@pytest.mark.parametrize("name", ["declared-int", "nullable", "declared-dynamic", "two-vectors"])
@pytest.mark.parametrize("release", ["2.5", "2.6"])
def test_columns_of_the_users_are_as_before_on_servers(
    emulate: Callable[[str], Proxy], collection_name: str, release: str, name: str
) -> None:
    """By whole rows on 2.5, by partial upserts on 2.6."""
    backend = emulate(release).backend
    with backends.connected(backend) as client, connection_to(backend) as connection:
        filled = zoo.build(client, collection_name, zoo.by_name(name), rows=40)
        _erase_all_again(client, connection, collection_name, ALLOWED, filled)
        client.drop_collection(collection_name)


def _erase_all_again(
    client: MilvusClient,
    connection: MilvusConnection,
    name: str,
    settings: LabelSettings,
    filled: zoo.Inserted,
) -> None:
    before = labels(client, name)
    sink = label_all(connection, name, settings)
    labelled = labels(client, name)
    assert labelled != before or sink.way.name == "side-collection"

    for place in sorted(set(filled.partition_of)):
        mine = [k for k, p in zip(filled.keys, filled.partition_of, strict=True) if p == place]
        outcome = sink.erase(batch_of(mine), place)
        assert set(outcome.status.tolist()) == {RowStatus.WRITTEN}, outcome.message
    sink.finish()

    assert stored(choose_sink(connection, select(name), settings)) == {}
    assert labels(client, name) == before
    assert counted(client, name) == len(filled)


def test_labels_in_dynamic_keys_hold_null_in_lite(
    lite: tuple[MilvusClient, MilvusConnection], collection_name: str
) -> None:
    """A merge cannot take a key away; all filters of Lite take null for absent."""
    client, connection = lite
    filled = zoo.build(client, collection_name, PLAIN, rows=20)
    sink = label_all(connection, collection_name, LabelSettings())
    sink.erase(batch_of(filled.keys[:1]), zoo.DEFAULT_PARTITION)
    key = filled.keys[0]

    row = client.query(collection_name, f"pk == {key}", output_fields=["*"])[0]
    assert {name: row[name] for name in zoo.LABEL_FIELDS} == dict.fromkeys(zoo.LABEL_FIELDS)
    for where, there in (("exists cluster_id", False), ("cluster_id is null", True)):
        found = client.query(collection_name, where, output_fields=[zoo.KEY], limit=100)
        assert (key in {row[zoo.KEY] for row in found}) == there
