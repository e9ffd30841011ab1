"""The emulation does what the newer servers document, and the proxy what it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import pytest
from pymilvus import DataType, MilvusClient, MilvusException
from pymilvus.client.utils import check_status

from tests import zoo
from tests.backends import Backend, connected
from tests.emulation import Proxy
from tests.snapshot import diff, snapshot
from tests.zoo import Inserted

Emulate = Callable[[str], Proxy]
ALL = ("2.4", "2.5", "2.6", "3.0")
PARTIAL = ("2.6", "3.0")
DECLARED = replace(zoo.by_name("declared-dynamic"), name="declared", nullable=True)
ODD = replace(zoo.by_name("odd-varchar"), name="odd", partitions=("p1",))
LABEL = {"cluster_id": 7}


class World:
    """A specimen behind an emulation, with a client that goes through it."""

    def __init__(self, client: MilvusClient, name: str, specimen: zoo.Specimen) -> None:
        self.client, self.name = client, name
        self.inserted: Inserted = zoo.build(client, name, specimen, rows=60)
        self.before = snapshot(client, name)

    def row(self, i: int) -> dict[str, Any]:
        """A whole row, as inserted, with its key."""
        return {zoo.KEY: self.inserted.keys[i], **self.inserted.rows[i]}

    def key(self, i: int) -> dict[str, Any]:
        return {zoo.KEY: self.inserted.keys[i]}

    def upsert(self, rows: list[dict[str, Any]], i: int = 0, **options: Any) -> Any:
        partition = self.inserted.partition_of[i]
        return self.client.upsert(self.name, rows, partition_name=partition, **options)

    def labels(self) -> dict[Any, int]:
        found = self.client.query(self.name, filter="cluster_id == 7", limit=1000)
        return {row[zoo.KEY]: 7 for row in found}

    def changes(self) -> list[str]:
        return diff(self.before, snapshot(self.client, self.name))


@pytest.fixture
def world(
    emulate: Emulate, connect: Callable[[Backend], MilvusClient], collection_name: str
) -> Any:
    made: list[World] = []

    def make(release: str, specimen: zoo.Specimen) -> World:
        client = connect(emulate(release).backend)
        made.append(World(client, collection_name, specimen))
        return made[-1]

    yield make
    for one in made:
        one.client.drop_collection(one.name)


def test_without_release_every_answer_is_the_servers(
    lite_server: Backend, proxied: Callable[[Backend], Proxy], collection_name: str
) -> None:
    proxy = proxied(lite_server)
    with connected(proxy.backend) as through, connected(lite_server) as straight:
        zoo.build(through, collection_name, ODD, rows=60)

        assert through.get_server_version() == straight.get_server_version()
        assert snapshot(through, collection_name) == snapshot(straight, collection_name)
        assert proxy.calls["Insert"] == 2
        straight.drop_collection(collection_name)


@pytest.mark.parametrize("release", ALL)
def test_version_and_collection_id_are_a_servers(
    release: str, emulated: Any, connect: Any, collection_name: str
) -> None:
    client = connect(emulated(release))
    ids = []
    for _ in range(2):
        client.create_collection(collection_name, dimension=4)
        ids += [client.describe_collection(collection_name)["collection_id"] for _ in range(2)]
        client.drop_collection(collection_name)

    assert client.get_server_version().startswith(f"v{release}")
    assert ids[0] == ids[1] != ids[2] == ids[3]


@pytest.mark.parametrize("release", ALL)
def test_full_upsert_replaces_the_row(release: str, world: Any) -> None:
    there = world(release, ODD)
    i = next(i for i, row in enumerate(there.inserted.rows) if "source" in row)
    row = there.row(i)
    row.pop("source")

    there.upsert([row | LABEL], i)

    assert there.changes() == [_absent(there, i, "source")]
    assert list(there.labels()) == [row[zoo.KEY]]


def _absent(there: World, i: int, name: str) -> str:
    value = there.inserted.rows[i][name]
    where = there.inserted.partition_of[i], there.inserted.keys[i]
    return f'row {where}: "{name}" was str "{value}", is absent'


@pytest.mark.parametrize("release", ["2.4", "2.5"])
@pytest.mark.parametrize("partial", [False, True])
def test_old_servers_want_every_declared_field(release: str, partial: bool, world: Any) -> None:
    there = world(release, ODD)
    incomplete = there.key(0) | LABEL

    with pytest.raises(MilvusException) as refused:
        _upsert_unchecked(there, incomplete, partial)

    assert refused.value.code == 1100
    assert there.changes() == []


def _upsert_unchecked(there: World, row: dict[str, Any], partial: bool) -> None:
    """Send what pymilvus would refuse by itself: an incomplete row in a full upsert."""
    handler = there.client._get_connection()
    request = handler._prepare_row_upsert_request(there.name, [row], partial_update=True)
    request.partial_update = partial
    check_status(handler._stub.Upsert(request).status)


@pytest.mark.parametrize("release", PARTIAL)
@pytest.mark.parametrize("specimen", [ODD, DECLARED], ids=("dynamic", "declared"))
def test_partial_upsert_merges(release: str, specimen: zoo.Specimen, world: Any) -> None:
    there = world(release, specimen)
    first = [i for i in range(60) if there.inserted.partition_of[i] == "_default"]

    there.upsert([there.key(i) | LABEL for i in first], partial_update=True)

    assert there.changes() == []
    assert there.labels().keys() == {there.inserted.keys[i] for i in first}


@pytest.mark.parametrize("release", PARTIAL)
def test_one_missing_row_fails_the_whole_batch(release: str, world: Any) -> None:
    there = world(release, ODD)

    with pytest.raises(MilvusException) as refused:
        there.upsert([there.key(0) | LABEL, {zoo.KEY: "nobody"} | LABEL], partial_update=True)

    assert refused.value.code == 1100
    assert there.changes() == []
    assert there.labels() == {}


@pytest.mark.parametrize("release", PARTIAL)
def test_a_missing_row_is_made_where_nothing_else_is_required(release: str, world: Any) -> None:
    there = world(release, DECLARED)
    ghost = {zoo.KEY: 10**6, zoo.VECTOR: [0.5] * zoo.DIM} | LABEL

    there.upsert([there.key(0) | {zoo.VECTOR: [0.5] * zoo.DIM} | LABEL, ghost], partial_update=True)

    assert there.labels().keys() == {there.inserted.keys[0], 10**6}
    assert f"row ('_default', {10**6}) appeared" in there.changes()


@pytest.mark.parametrize("release", PARTIAL)
def test_partial_upsert_needs_a_loaded_collection(release: str, world: Any) -> None:
    there = world(release, ODD)
    there.client.release_collection(there.name)

    with pytest.raises(MilvusException) as refused:
        there.upsert([there.key(0) | LABEL], partial_update=True)

    assert refused.value.code == 101
    there.client.load_collection(there.name)
    assert there.changes() == []


@pytest.mark.parametrize("release", PARTIAL)
@pytest.mark.parametrize("name", ["bare-int", "partitions-int", "tenants-varchar", "odd-varchar"])
def test_a_field_is_added_and_nothing_else_changes(release: str, name: str, world: Any) -> None:
    there = world(release, zoo.by_name(name))
    there.client.create_alias(there.name, f"{there.name}_alias")
    indexes = there.client.list_indexes(there.name)
    identity = there.client.describe_collection(there.name)["collection_id"]

    there.client.add_collection_field(there.name, "group", DataType.INT64, nullable=True)

    changes = there.changes()
    assert len(changes) == 60
    assert all(line.endswith(': "group" was absent, is null') for line in changes)
    there.upsert([there.key(0) | {"group": 3}], partial_update=True)
    found = there.client.query(there.name, filter="group == 3", output_fields=["group"])
    assert [row[zoo.KEY] for row in found] == [there.inserted.keys[0]]
    assert there.client.list_indexes(there.name) == indexes
    assert there.client.describe_collection(there.name)["collection_id"] == identity
    assert there.client.list_aliases(there.name)["aliases"] == [f"{there.name}_alias"]
    there.client.drop_alias(f"{there.name}_alias")


@pytest.mark.parametrize("release", PARTIAL)
def test_an_added_field_must_be_nullable_and_new(release: str, world: Any) -> None:
    there = world(release, zoo.by_name("bare-int"))
    for field, nullable in (("group", False), ("title", True)):
        with pytest.raises(MilvusException) as refused:
            there.client.add_collection_field(there.name, field, DataType.INT64, nullable=nullable)
        assert refused.value.code == 1100
    assert there.changes() == []


@pytest.mark.parametrize("release", ["2.4", "2.5"])
def test_old_servers_add_no_fields(release: str, world: Any) -> None:
    there = world(release, zoo.by_name("bare-int"))

    with pytest.raises((MilvusException, grpc.RpcError)) as refused:
        there.client.add_collection_field(there.name, "group", DataType.INT64, nullable=True)

    assert "UNIMPLEMENTED" in str(refused.value)


@pytest.mark.parametrize(
    ("release", "partial", "kept"),
    [(release, False, False) for release in ALL] + [("2.6", True, False), ("3.0", True, True)],
)
def test_auto_id_upsert_gives_new_keys_but_for_partial_ones_of_3_0(
    release: str, partial: bool, kept: bool, world: Any
) -> None:
    there = world(release, zoo.by_name("auto-int"))
    key = there.inserted.keys[5]
    row = there.key(5) if partial else there.row(5)

    there.upsert([row | LABEL], partial_update=partial)

    labelled = list(there.labels())
    assert len(labelled) == 1
    assert (labelled == [key]) is kept
    assert len(there.changes()) == (0 if kept else 2)


def _edit(there: World, client: MilvusClient, i: int) -> Callable[[Any], None]:
    def edit(request: Any) -> None:
        client.upsert(there.name, [there.row(i) | {"title": "edited meanwhile"}])

    return edit


@pytest.mark.parametrize(("release", "lost"), [("2.6", True), ("3.0", False)])
def test_only_3_0_keeps_an_edit_between_read_and_write(
    release: str, lost: bool, world: Any, emulate: Emulate, connect: Any
) -> None:
    there = world(release, zoo.by_name("plain-int"))
    proxy = emulate(release)
    proxy.before("merge", _edit(there, connect(proxy.backend), 4))

    there.upsert([there.key(4) | LABEL], partial_update=True)

    assert any("edited meanwhile" in line for line in there.changes()) is not lost
    assert there.labels().keys() == {there.inserted.keys[4]}


def test_calls_fail_as_often_as_they_were_told_to(world: Any, emulate: Emulate) -> None:
    there, proxy = world("2.4", zoo.by_name("plain-int")), emulate("2.4")
    proxy.fail_next("Delete", 1100, "not now", times=2)

    for _ in range(2):
        with pytest.raises(MilvusException, match="not now"):
            there.client.delete(there.name, ids=[there.inserted.keys[0]])
    assert there.changes() == []

    there.client.delete(there.name, ids=[there.inserted.keys[0]])
    assert len(there.changes()) == 1


def test_a_lost_answer_was_obeyed_and_the_server_is_gone_until_mended(
    world: Any, emulate: Emulate, lite_server: Backend, connect: Any
) -> None:
    there, proxy = world("2.4", zoo.by_name("plain-int")), emulate("2.4")
    proxy.cut_after("Delete", 2)

    there.client.delete(there.name, ids=[there.inserted.keys[0]])
    with pytest.raises((MilvusException, grpc.RpcError)):
        there.client.delete(there.name, ids=[there.inserted.keys[1]], timeout=5)
    assert proxy.gone
    straight = connect(lite_server)
    assert len(diff(there.before, snapshot(straight, there.name))) == 2

    proxy.mend()
    assert len(there.changes()) == 2


def test_a_callback_runs_once_just_before_its_call(
    world: Any, emulate: Emulate, connect: Any
) -> None:
    there, proxy = world("2.6", zoo.by_name("plain-int")), emulate("2.6")
    other = connect(proxy.backend)
    seen: list[int] = []

    def delete(request: Any) -> None:
        seen.append(request.num_rows)
        other.delete(there.name, ids=[there.inserted.keys[9]])

    proxy.before("Upsert", delete, nth=2)
    for i in (1, 2, 3):
        there.upsert([there.key(i) | LABEL], partial_update=True)

    assert seen == [1]
    assert there.changes() == [f"row ('_default', {there.inserted.keys[9]}) is gone"]
