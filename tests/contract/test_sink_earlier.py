"""Labels that an earlier version wrote, which knew neither assignments nor paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pymilvus import DataType, MilvusClient

from tests import backends, zoo
from tests.contract.making import connection_to
from tests.contract.sink_steps import ALLOWED, PLAIN, label_all, select
from tests.contract.sink_worlds import PLAIN_FIELDS, WITH_EXTRAS, batch_of, stored
from tests.emulation import Proxy
from tests.snapshot import diff, snapshot
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.profile import identity
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.adapters.milvus.writeback.own import labels_of
from vdbcluster.errors import RefusedError, UsageError
from vdbcluster.model.labels import LabelFields

pytestmark = pytest.mark.usefixtures("probed_once")
Lite = tuple[MilvusClient, MilvusConnection]
KNOWN = zoo.LABEL_FIELDS[:4]
LABEL = dict(zip(KNOWN, (3, 0.5, 0.25, "run-0"), strict=True))
READ = (3, 0.5, 0.25, "run-0", "", "", "", 0.0, 0.0)
DECLARED = replace(zoo.by_name("declared-int"), labels=len(KNOWN))
MIXED = replace(zoo.by_name("declared-dynamic"), labels=len(KNOWN))
PATHS = LabelSettings(WITH_EXTRAS, allow_full_upsert=True)


def labelled(client: MilvusClient, name: str, specimen: zoo.Specimen) -> list[Any]:
    """Twenty rows of the specimen with labels of the earlier version; their keys."""
    filled = zoo.build(client, name, specimen, rows=20)
    client.upsert(name, [row | LABEL for row in filled.rows])
    return filled.keys


@pytest.mark.parametrize("specimen", [PLAIN, MIXED], ids=lambda s: s.name)
def test_rows_of_the_earlier_version_are_read_and_labelled_anew(
    client: MilvusClient,
    connection: MilvusConnection,
    collection_name: str,
    specimen: zoo.Specimen,
) -> None:
    keys = labelled(client, collection_name, specimen)
    before = snapshot(client, collection_name)
    sink = choose_sink(connection, select(collection_name), ALLOWED)
    assert stored(sink) == dict.fromkeys(keys, READ)
    assert [batch.path for batch in sink.stored()] == [None]

    label_all(connection, collection_name, PATHS)

    assert diff(before, snapshot(client, collection_name)) == []


@pytest.mark.parametrize(
    "held", [{"cluster_path": "home/work"}, {"cluster_assignment": "due on Monday"}]
)
def test_values_of_the_users_under_names_that_are_new_to_us_are_refused(
    lite: Lite, collection_name: str, held: dict[str, Any]
) -> None:
    client, connection = lite
    filled = zoo.build(client, collection_name, PLAIN, rows=20)
    client.upsert(collection_name, [row | LABEL for row in filled.rows])
    client.upsert(collection_name, [filled.rows[7] | LABEL | held])

    sink = choose_sink(connection, select(collection_name), ALLOWED)

    told = rf"row {filled.keys[7]} .* already holds {next(iter(held))} = .*--adopt"
    with pytest.raises(RefusedError, match=told):
        stored(sink)
    adopting = choose_sink(connection, select(collection_name), replace(ALLOWED, adopt=True))
    assert set(stored(adopting)[filled.keys[7]]) >= set(held.values())


def test_columns_of_the_earlier_version_are_no_room(lite: Lite, collection_name: str) -> None:
    client, connection = lite
    labelled(client, collection_name, DECLARED)

    sink = choose_sink(connection, select(collection_name), ALLOWED)

    assert sink.way.name == "side-collection"
    assert "no field 'cluster_assignment'" in sink.way.reason
    assert f"hold labels of earlier runs in {', '.join(KNOWN)}, and" in sink.way.stale


@pytest.mark.parametrize(
    ("release", "specimen", "fields", "way", "added"),
    [
        ("2.5", DECLARED, PLAIN_FIELDS, "side-collection", []),
        ("2.5", MIXED, WITH_EXTRAS, "guarded-upsert", []),
        ("2.6", DECLARED, PLAIN_FIELDS, "add-field", ["cluster_assignment"]),
        (
            "2.6",
            MIXED,
            WITH_EXTRAS,
            "add-field",
            ["cluster_assignment", "cluster_path", "cluster_duplicate_of"],
        ),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_ladder_over_columns_of_the_earlier_version(
    emulate: Callable[[str], Proxy],
    collection_name: str,
    release: str,
    specimen: zoo.Specimen,
    fields: LabelFields,
    way: str,
    added: list[str],
) -> None:
    backend = emulate(release).backend
    with backends.connected(backend) as client, connection_to(backend) as connection:
        keys = labelled(client, collection_name, specimen)
        before, names = snapshot(client, collection_name), _fields(client, collection_name)
        settings = replace(ALLOWED, fields=fields)
        sink = choose_sink(connection, select(collection_name), settings, dry_run=True)
        if sink.way.name != "side-collection":
            assert stored(sink) == dict.fromkeys(keys, READ)

        sink = label_all(connection, collection_name, settings)

        assert sink.way.name == way
        assert stored(choose_sink(connection, select(collection_name), settings)) == stored(sink)
        assert _fields(client, collection_name) == [*names, *added]
        assert diff(before, snapshot(client, collection_name)) == []
        for made in {collection_name, sink.way.target}:
            client.drop_collection(made)


def _fields(client: MilvusClient, name: str) -> list[str]:
    return [field["name"] for field in client.describe_collection(name)["fields"]]


def test_an_assignment_in_a_dynamic_key_is_not_promoted_to_a_column(
    emulate: Callable[[str], Proxy], collection_name: str
) -> None:
    backend = emulate("2.6").backend
    with backends.connected(backend) as client, connection_to(backend) as connection:
        labelled(client, collection_name, MIXED)
        label_all(connection, collection_name, LabelSettings(way="partial-upsert"))

        assert label_all(connection, collection_name, LabelSettings()).way.name == "partial-upsert"
        assert "cluster_assignment" not in _fields(client, collection_name)
        client.drop_collection(collection_name)


def _side_of_the_earlier_version(client: MilvusClient, connection: Any, name: str) -> str:
    side, zeros = f"{name}_cluster_labels", labels_of(identity(connection, name))
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field(zoo.KEY, DataType.INT64, is_primary=True)
    for field, kind in zip(KNOWN, ("INT64", "FLOAT", "FLOAT", "VARCHAR"), strict=True):
        schema.add_field(
            field, DataType[kind], **({"max_length": 128} if kind == "VARCHAR" else {})
        )
    schema.add_field(zeros, DataType.FLOAT_VECTOR, dim=2)
    index = client.prepare_index_params()
    index.add_index(zeros, index_type="FLAT", metric_type="L2")
    client.create_collection(side, schema=schema, index_params=index)
    client.insert(side, [{zoo.KEY: key, zeros: [0.0, 0.0], **LABEL} for key in (3, 10)])
    return side


@pytest.mark.slow_on_server
def test_a_side_collection_of_the_earlier_version_is_read_and_not_written(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    zoo.build(client, collection_name, zoo.by_name("bare-int"), rows=20)
    side = _side_of_the_earlier_version(client, connection, collection_name)
    looked = choose_sink(connection, select(collection_name), LabelSettings(), dry_run=True)
    told = f"{side}' was made by an earlier version .*drop_collection.*run again"
    assert stored(looked) == dict.fromkeys((3, 10), READ)

    with pytest.raises(RefusedError, match=told):
        choose_sink(connection, select(collection_name), LabelSettings())
    assert "made by an earlier version" in looked.way.stale
    client.drop_collection(side)
    label_all(connection, collection_name, LabelSettings())
    label_all(connection, collection_name, PATHS)


def test_paths_that_nobody_made_room_for_are_an_error(lite: Lite, collection_name: str) -> None:
    client, connection = lite
    filled = zoo.build(client, collection_name, zoo.by_name("declared-int"), rows=20)
    sink = choose_sink(connection, select(collection_name), LabelSettings())
    assert sink.way.name == "lite-merge"

    with pytest.raises(UsageError, match="no room for 'cluster_path'"):
        sink.write(batch_of(filled.keys, extras=True), "_default")

    asked = choose_sink(connection, select(collection_name), PATHS)
    assert asked.way.name == "side-collection"
    assert "no field 'cluster_path'" in asked.way.reason


def test_a_column_of_the_users_with_the_name_of_a_path_is_left_alone(
    lite: Lite, collection_name: str
) -> None:
    client, connection = lite
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field(zoo.KEY, DataType.INT64, is_primary=True)
    schema.add_field(zoo.VECTOR, DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("cluster_path", DataType.INT64)
    index = client.prepare_index_params()
    index.add_index(zoo.VECTOR, index_type="FLAT", metric_type="L2")
    client.create_collection(collection_name, schema=schema, index_params=index)
    rows = [{zoo.KEY: i, zoo.VECTOR: [1.0, 2.0], "cluster_path": i} for i in range(9)]
    client.insert(collection_name, rows)
    before = snapshot(client, collection_name, exclude=zoo.LABEL_FIELDS)

    assert label_all(connection, collection_name, LabelSettings()).way.name == "lite-merge"

    assert diff(before, snapshot(client, collection_name, exclude=zoo.LABEL_FIELDS)) == []
    with pytest.raises(RefusedError, match=r"of type INT64, not VARCHAR.*--label-prefix"):
        choose_sink(connection, select(collection_name), PATHS)
