"""``VectorSource.columns``: scalar fields by key, the same in memory and on every backend."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from tests import backends
from tests.backends import Backend
from tests.contract.candidate_worlds import as_keys
from tests.contract.making import INT64_KEYS, VARCHAR_KEYS, connection_to
from vdbcluster.adapters.memory import MemorySource
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.milvus import by_key, source
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.errors import UsageError
from vdbcluster.ports import VectorSource

PLACES = (
    "memory",
    backends.LITE_FILE,
    backends.LITE_SERVER,
    pytest.param(backends.REAL_SERVER, marks=pytest.mark.server),
)
Rows = Sequence[dict[str, Any]]
TYPES = {
    "flag": DataType.BOOL,
    "small": DataType.INT8,
    "big": DataType.INT64,
    "single": DataType.FLOAT,
    "double": DataType.DOUBLE,
    "text": DataType.VARCHAR,
    "tags": DataType.ARRAY,
    "extra": DataType.JSON,
}
ODD = ("Income (k$)", "a.b", "x'\"\\\n", "日本", "", "1st")


def row_of(key: Any, i: int) -> dict[str, Any]:
    """Fields of every type; dynamic ones in every other row."""
    declared = {
        "key": key,
        "flag": i % 2 == 0,
        "small": -i,
        "big": 2**53 + 1 + i,
        "single": float(np.float32(0.1 * i)),
        "double": 0.1 * i,
        "text": f"a\"b'c\\d\n日本 {i}",
        "tags": [i],
        "extra": {"x": i},
    }
    if i % 2:
        return declared
    return declared | {"seen": 2**60 + i, "price": 0.1 * i, "new": True, "word": f"w'\"\\\n{i}"}


@dataclass
class World:
    """One place, and how rows get there; all in the default partition."""

    client: MilvusClient | None = None
    connection: MilvusConnection | None = None
    name: str = ""
    held: MemoryCollection | None = None

    @property
    def nullable(self) -> bool:
        return self.connection is None or self.connection.is_lite

    def make(self, rows: Rows, *, dynamic: bool = True) -> None:
        keys = [row["key"] for row in rows]
        if self.client is None:
            names = dict.fromkeys(name for row in rows for name in row if name != "key")
            columns = {name: [row.get(name) for row in rows] for name in names}
            self.held = MemoryCollection(np.zeros((len(rows), 2)), as_keys(keys), columns=columns)
            return
        schema = self.client.create_schema(enable_dynamic_field=dynamic)
        if isinstance(keys[0], int):
            schema.add_field("key", DataType.INT64, is_primary=True)
        else:
            schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=1000)
        schema.add_field("vec", DataType.FLOAT_VECTOR, dim=2)
        for name, kind in TYPES.items():
            more: dict[str, Any] = {"max_length": 3000} if kind == DataType.VARCHAR else {}
            if kind == DataType.ARRAY:
                more = {"element_type": DataType.INT64, "max_capacity": 4}
            schema.add_field(name, kind, **more, **({"nullable": True} if self.nullable else {}))
        index = self.client.prepare_index_params()
        index.add_index("vec", index_type="FLAT", metric_type="L2")
        self.client.create_collection(self.name, schema=schema, index_params=index)
        self.client.insert(self.name, [{**row, "vec": [0.0, 0.0]} for row in rows])
        self.client.load_collection(self.name)
        self._caught_up()

    def delete(self, key: int) -> None:
        if self.client is None:
            self.held.delete(as_keys([key]))
        else:
            self.client.delete(self.name, filter=f"key == {key}")
            self._caught_up()

    def source(self, below: int | None = None) -> VectorSource:
        if self.client is None:
            chosen = None if below is None else (lambda keys: keys < below)
            return MemorySource(self.held, where=chosen)
        where = "" if below is None else f"key < {below}"
        return MilvusSource(self.connection, Selection(self.name, where=where))

    def _caught_up(self) -> None:
        self.client.query(self.name, "", output_fields=["count(*)"], consistency_level="Strong")


@pytest.fixture(params=PLACES)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    place: str = request.param
    if place == "memory":
        yield World()
        return
    backend: Backend = request.getfixturevalue(backends.FIXTURES[place])
    name = f"t_columns_{uuid.uuid4().hex[:8]}"
    with backends.connected(backend) as client, connection_to(backend) as connection:
        yield World(client, connection, name)
        client.drop_collection(name)


def exactly(found: list[object]) -> list[tuple[type, object]]:
    """True is not 1, and 1 is not 1.0."""
    return [(type(value), value) for value in found]


@pytest.mark.parametrize("keys", [INT64_KEYS, VARCHAR_KEYS], ids=["numbers", "texts"])
@pytest.mark.parametrize("many", [True, False])
def test_values_are_plain_exact_and_in_the_order_of_keys(
    world: World, keys: tuple[Any, ...], many: bool
) -> None:
    """All keys are read by pages, few of them by key."""
    rows = [row_of(key, i) for i, key in enumerate(keys)]
    world.make(rows)
    wanted = [*reversed(rows), rows[0], row_of(keys[2], 2)] if many else [rows[-1], rows[0]]
    names = (*TYPES, "seen", "price", "new", "word", "nowhere")
    found = world.source().columns(as_keys([row["key"] for row in wanted]), names)
    assert list(found) == list(names)
    for name in names:
        assert exactly(found[name]) == exactly([row.get(name) for row in wanted]), name


def test_rows_that_are_gone_or_not_selected_have_no_values(world: World) -> None:
    world.make([row_of(key, key) for key in range(8)])
    world.delete(3)
    keys = as_keys([6, 3, 999, 1])
    assert world.source().columns(keys, ["small"]) == {"small": [-6, None, None, -1]}
    assert world.source(below=5).columns(keys, ["small"]) == {"small": [None, None, None, -1]}
    assert world.source().columns(as_keys([1])[:0], ["small"]) == {"small": []}
    assert world.source().columns(keys, []) == {}


def test_null_values(world: World) -> None:
    if not world.nullable:
        pytest.skip("this server has no null values")
    rows = [row_of(key, key) for key in range(6)]
    for row, name in zip(rows, TYPES, strict=False):
        row[name] = None
    world.make(rows)
    found = world.source().columns(as_keys(list(range(6))), list(TYPES))
    for name in TYPES:
        assert exactly(found[name]) == exactly([row[name] for row in rows]), name


def test_dynamic_fields_of_any_name(world: World) -> None:
    rows = [row_of(key, key) for key in range(4)]
    for place, name in enumerate(ODD):
        rows[place % 4][name] = place
    world.make(rows)
    keys = as_keys(list(range(4)))
    found = world.source().columns(keys, ["big", *ODD])
    for name in ("big", *ODD):
        assert found[name] == [row.get(name) for row in rows], name
    if world.client is not None:
        usual = {"seen", "price", "new", "word"}
        assert world.source().dynamic_fields(keys) == tuple(sorted({*usual, *ODD}))
        assert world.source().dynamic_fields(keys[1:2]) == tuple(sorted(ODD[1::4]))
        assert world.source().texts(keys, ODD[0]) == ["0", None, None, None]


def test_a_name_that_is_no_field_where_none_is_dynamic(world: World) -> None:
    if world.client is None:
        pytest.skip("fields of a collection in memory are all dynamic")
    world.make([row_of(1, 1), row_of(3, 3)], dynamic=False)
    with pytest.raises(UsageError, match="no field 'nowhere'; it has big, double"):
        world.source().columns(as_keys([1]), ["nowhere"])
    assert world.source().dynamic_fields(as_keys([1, 3])) == ()


def test_no_answer_is_too_large(
    lite_file: Backend, collection_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By pages and by key; both ask for no more than fits."""
    with backends.connected(lite_file) as client, connection_to(lite_file) as connection:
        world = World(client, connection, collection_name)
        world.make([row_of(key, key) for key in range(40)])
        monkeypatch.setattr(by_key, "ANSWER_BYTES", 5 * (16 + 2 * 64))
        sizes: list[int] = []
        asked = by_key._ask

        def counted(*args: Any, **named: Any) -> list[Any]:
            sizes.append(len(named["keys"]))
            return asked(*args, **named)

        monkeypatch.setattr(by_key, "_ask", counted)
        monkeypatch.setattr(source, "FEW", 0)
        keys = as_keys(list(range(40)))
        found = world.source().columns(keys, ["big", "seen"])
        assert found["big"] == [2**53 + 1 + i for i in range(40)]
        assert sizes == [5] * 8
