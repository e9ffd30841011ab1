"""Marks of duplicates: room for every key, and collections that earlier versions have made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from tests import backends, zoo
from tests.contract.making import connection_to
from tests.contract.sink_steps import ALLOWED, label_all, labelled_without, select
from tests.contract.sink_worlds import batch_of, stored
from tests.emulation import Proxy
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.profile import profile
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.errors import RefusedError
from vdbcluster.model.collection import KeyField
from vdbcluster.model.labels import LABEL_FIELDS, LabelFields

pytestmark = pytest.mark.usefixtures("probed_once")
Lite = tuple[MilvusClient, MilvusConnection]
FIELDS = LabelFields(extras=("duplicate_of",))
MARKS = LabelSettings(FIELDS, allow_full_upsert=True)
LONG = 9_000
COLUMN = "cluster_duplicate_of"
COPY = [f.column for f in LABEL_FIELDS].index("duplicate_of")
"""Its place among the labels of a row."""


def make(client: MilvusClient, name: str, *, dynamic: bool, **columns: int) -> list[str]:
    """A collection with keys of up to ``LONG`` characters, VARCHAR columns by length; its keys."""
    schema = client.create_schema(auto_id=False, enable_dynamic_field=dynamic)
    schema.add_field(zoo.KEY, DataType.VARCHAR, is_primary=True, max_length=LONG)
    schema.add_field(zoo.VECTOR, DataType.FLOAT_VECTOR, dim=2)
    for column, length in columns.items():
        schema.add_field(column, DataType.VARCHAR, max_length=length)
    index = client.prepare_index_params()
    index.add_index(zoo.VECTOR, index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)
    keys = ["k" * LONG, "b", "c", "d"]
    client.insert(
        name, [{zoo.KEY: k, zoo.VECTOR: [1.0, 2.0]} | dict.fromkeys(columns, "") for k in keys]
    )
    return keys


def room(connection: MilvusConnection, name: str) -> int | None:
    found = profile(connection, name).scalar(COLUMN)
    return None if found is None else found.max_length


def test_the_field_is_as_long_as_a_key() -> None:
    (which,) = (f for f in LABEL_FIELDS if f.of_key)
    for key, longest in (
        (KeyField("id", "INT64", auto_id=False), len(str(-(2**63)))),
        (KeyField("id", "VARCHAR", auto_id=False, max_length=70), 70),
        (KeyField("id", "VARCHAR", auto_id=False), 65_535),
    ):
        assert {which.sized(key).max_length, which.sized(key).min_length} == {longest}
    others = [f for f in LABEL_FIELDS if not f.of_key]
    assert [
        f.sized(KeyField("id", "VARCHAR", auto_id=False, max_length=7)) for f in others
    ] == others


@pytest.mark.parametrize("dynamic", [True, False])
def test_long_keys_are_marked(lite: Lite, collection_name: str, dynamic: bool) -> None:
    client, connection = lite
    keys = make(client, collection_name, dynamic=dynamic)
    sink = label_all(connection, collection_name, MARKS)
    assert sink.way.name == ("lite-merge" if dynamic else "side-collection")
    assert stored(sink)["d"][COPY] in ("", *keys)
    batch = batch_of(keys, run="second")
    copies = np.array(["", "k" * LONG, "", "k" * LONG], object)
    sink.write(replace(batch, duplicate_of=copies), "_default")
    assert {key: label[COPY] for key, label in stored(sink).items()} == dict(
        zip(keys, copies, strict=True)
    )
    if not dynamic:
        assert room(connection, sink.way.target) == LONG


def test_a_column_that_is_added_has_room_for_keys(
    emulate: Callable[[str], Proxy], collection_name: str
) -> None:
    backend = emulate("2.6").backend
    with backends.connected(backend) as client, connection_to(backend) as connection:
        make(client, collection_name, dynamic=False)
        assert label_all(connection, collection_name, MARKS).way.name == "add-field"
        assert room(connection, collection_name) == LONG
        client.drop_collection(collection_name)


def test_a_column_of_the_users_that_would_cut_keys_short_is_refused(
    lite: Lite, collection_name: str
) -> None:
    client, connection = lite
    make(client, collection_name, dynamic=True, **{COLUMN: LONG - 1})
    with pytest.raises(RefusedError, match=r"too short: 8999 characters of 9000.*--label-prefix"):
        choose_sink(connection, select(collection_name), MARKS)
    other = replace(MARKS, fields=LabelFields("topic_", ("duplicate_of",)))
    assert choose_sink(connection, select(collection_name), other).way.name == "lite-merge"
    label_all(connection, collection_name, ALLOWED)


def test_a_column_of_the_users_that_is_long_enough_is_used(
    lite: Lite, collection_name: str
) -> None:
    client, connection = lite
    make(client, collection_name, dynamic=True, **{COLUMN: LONG})
    assert label_all(connection, collection_name, MARKS).way.name == "lite-merge"


def test_a_side_collection_without_the_column_serves_runs_that_do_not_mark(
    lite: Lite, collection_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, connection = lite
    zoo.build(client, collection_name, zoo.by_name("bare-int"), rows=20)
    side = labelled_without(connection, collection_name, monkeypatch, lambda f: f.of_key)
    assert room(connection, side) is None

    plain = label_all(connection, collection_name, LabelSettings())
    assert (plain.way.name, plain.way.stale) == ("side-collection", "")
    paths = LabelSettings(LabelFields(extras=("path",)))
    assert label_all(connection, collection_name, paths).way.target == side
    with pytest.raises(RefusedError, match=rf"has no field '{COLUMN}'; drop it"):
        choose_sink(connection, select(collection_name), MARKS)
    client.drop_collection(side)
    found: Any = label_all(connection, collection_name, MARKS)
    assert room(connection, found.way.target) == 20
