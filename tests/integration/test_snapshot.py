"""The specimens are what they say, and the snapshot sees every kind of change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pymilvus import MilvusClient

from tests import zoo
from tests.backends import REAL_SERVER, Backend
from tests.snapshot import diff, encode, snapshot, structure
from tests.zoo import Specimen

ON_REAL_SERVER = frozenset({"auto-varchar", "tenants-int", "odd-int", "odd-varchar", "duplicates"})


@pytest.mark.parametrize("specimen", zoo.ZOO, ids=lambda specimen: specimen.name)
def test_specimen_is_read_as_it_was_inserted(
    backend: Backend, client: MilvusClient, collection_name: str, specimen: Specimen
) -> None:
    zoo.skip_unless_supported(specimen, backend)
    if backend.name == REAL_SERVER and specimen.name not in ON_REAL_SERVER:
        pytest.skip("takes seconds there, and shows nothing that the other specimens do not")
    inserted = zoo.build(client, collection_name, specimen, rows=120)

    found = snapshot(client, collection_name, exclude=(zoo.KEY, *zoo.LABEL_FIELDS))

    place = ["*"] * 120 if specimen.partition_key else inserted.partition_of
    assert found.keys() == set(zip(place, inserted.keys, strict=True))
    for where, row in zip(zip(place, inserted.keys, strict=True), inserted.rows, strict=True):
        assert found[where] == encode(_as_read(row), exclude=(zoo.KEY, *zoo.LABEL_FIELDS))
    counted = client.query(collection_name, filter="", output_fields=["count(*)"])
    assert counted[0]["count(*)"] == len(inserted) + inserted.copies


def _as_read(row: dict[str, Any]) -> dict[str, Any]:
    """Floats that went through 32 bits; all else is read exactly as it was inserted."""
    vectors = {n: np.float32(row[n]).tolist() for n in (zoo.VECTOR, zoo.SECOND_VECTOR) if n in row}
    single = row["a_float"]
    return {**row, **vectors, "a_float": None if single is None else float(np.float32(single))}


CHANGES: dict[str, Any] = {
    "dynamic key added": {"new": None},
    "dynamic key changed in type only": {"whole": 3},
    "nested value": {"nested": {"a": [1, {"b": 0}]}},
    "integer field": {"a_int64": 5},
    "text field": {"title": "é"},
    "json field": {"a_json": {"a": 1.0}},
    "array field": {"numbers": [1]},
    "vector in its last bit": None,
}


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_every_kind_of_change_is_seen(
    lite_server: Backend, connect: Any, collection_name: str, change: str
) -> None:
    client = connect(lite_server)
    inserted = zoo.build(client, collection_name, zoo.by_name("partitions-int"), rows=12)
    row = {"whole": 3.0, "nested": {"a": [1, {"b": None}]}, **inserted.rows[4]}
    client.upsert(collection_name, [row], partition_name=inserted.partition_of[4])
    before = snapshot(client, collection_name)
    assert diff(before, snapshot(client, collection_name)) == []

    changed = {**row, **(CHANGES[change] or {"vec": _nudged(row["vec"])})}
    client.upsert(collection_name, [changed], partition_name=inserted.partition_of[4])

    lines = diff(before, snapshot(client, collection_name))
    assert len(lines) == 1
    assert repr(inserted.keys[4]) in lines[0]
    client.drop_collection(collection_name)


def _nudged(vector: list[float]) -> list[float]:
    import numpy as np

    return [float(np.nextafter(np.float32(vector[0]), np.float32(9))), *vector[1:]]


def test_rows_that_go_come_or_move_are_seen(
    lite_server: Backend, connect: Any, collection_name: str
) -> None:
    client = connect(lite_server)
    inserted = zoo.build(client, collection_name, zoo.by_name("partitions-int"), rows=12)
    before = snapshot(client, collection_name)

    client.delete(collection_name, ids=[inserted.keys[0]])
    client.upsert(collection_name, [inserted.rows[1]], partition_name="p3")
    client.insert(collection_name, [{**inserted.rows[2], "pk": 9999}])

    lines = diff(before, snapshot(client, collection_name))
    key = inserted.keys
    assert sorted(lines) == sorted(
        [
            f"row ('_default', {key[0]}) is gone",
            f"row ('p1', {key[1]}) is gone",
            f"row ('p3', {key[1]}) appeared",
            "row ('_default', 9999) appeared",
        ]
    )
    client.drop_collection(collection_name)


def test_labels_are_not_seen_and_structure_tells_the_rest(
    lite_server: Backend, connect: Any, collection_name: str
) -> None:
    client = connect(lite_server)
    inserted = zoo.build(client, collection_name, zoo.by_name("plain-int"), rows=12)
    before, around = snapshot(client, collection_name), structure(client, collection_name)

    client.upsert(collection_name, [{**inserted.rows[3], "cluster_id": 7}])
    assert diff(before, snapshot(client, collection_name)) == []
    assert structure(client, collection_name) == around

    client.create_partition(collection_name, "later")
    assert structure(client, collection_name) != around
    client.drop_collection(collection_name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (1, "1"),
        (0.0, -0.0),
        (None, {}),
        ([], {}),
        ("é", "e\u0301"),
        (b"1", "1"),
    ],
    ids=repr,
)
def test_encoding_tells_types_apart(one: Any, other: Any) -> None:
    assert encode({"x": one}) != encode({"x": other})
    assert encode({"x": one}) == encode({"x": one})
