"""Places where labels are written, all with the same rows, behind one face.

In: a ``Place`` (backend, way of writing, kind of key). Out: a ``World``: a collection of odd keys
(quotes and the like, or both ends of INT64) in three partitions, what other clients do to it
meanwhile, and sinks on it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pytest
from pymilvus import MilvusClient

from tests import backends, zoo
from tests.contract.making import connection_to
from tests.snapshot import Snapshot, snapshot, structure
from vdbcluster.adapters.memory import MemorySink
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.expressions import key_in
from vdbcluster.adapters.milvus.source import Selection
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.model.labels import MAP_FIELDS, LabelBatch, LabelFields, RowStatus, WayName
from vdbcluster.ports import LabelSink

ROWS = 90
KeyKind = Literal["VARCHAR", "INT64"]
SPECIMENS: dict[KeyKind, zoo.Specimen] = {
    "VARCHAR": zoo.by_name("partitions-varchar"),
    "INT64": replace(zoo.by_name("partitions-int"), partitions=("p1", "p2"), odd_keys=True),
}
Labels = dict[Any, tuple[int, float, float, str, str, str, str, float, float]]
PLAIN_FIELDS = LabelFields()
WITH_EXTRAS = LabelFields(extras=("path", "duplicate_of"))
WITH_MAP = LabelFields(extras=MAP_FIELDS)


@dataclass(frozen=True)
class Place:
    backend: str
    way: WayName
    keys: KeyKind = "VARCHAR"

    def __str__(self) -> str:
        return f"{self.backend}-{self.way}{'-int' if self.keys == 'INT64' else ''}"


def batch_of(
    keys: Sequence[Any],
    run: str = "run-1",
    seed: int = 0,
    *,
    extras: bool = False,
    places: bool = False,
) -> LabelBatch:
    """Labels drawn by lot, noise among them; with ``extras`` every third is a copy of the first,
    with ``places`` every fourth has none on the map.
    """
    rng = np.random.default_rng(seed)
    array = np.array(keys, np.int64) if isinstance(keys[0], int) else np.empty(len(keys), object)
    array[:] = keys
    ids = rng.integers(-1, 9, len(keys))
    drawn = rng.choice(["core", "soft"], len(keys)).astype(object)
    deep = np.array([f"{i // 3}/{i}" if i >= 0 else "" for i in ids.tolist()], object)
    return LabelBatch(
        array,
        ids,
        rng.random(len(keys), np.float32),
        rng.random(len(keys), np.float32),
        np.full(len(keys), run, object),
        np.where(ids < 0, "noise", drawn),
        deep if extras else None,
        _copies(keys) if extras else None,
        *(_places(len(keys), rng) if places else ()),
    )


def _copies(keys: Sequence[Any]) -> np.ndarray:
    found = np.full(len(keys), "", object)
    found[2::3] = str(keys[0])
    return found


def _places(rows: int, rng: np.random.Generator) -> list[np.ndarray]:
    found = rng.normal(0, 10, (2, rows)).astype(np.float32)
    found[:, 3::4] = 0
    return list(found)


def as_dict(batch: LabelBatch) -> Labels:
    whole = batch.blanked(batch.lacking())
    values = zip(*(column.tolist() for _, column in whole.columns()), strict=True)
    return dict(zip(batch.keys.tolist(), values, strict=True))


def stored(sink: LabelSink) -> Labels:
    found: Labels = {}
    for batch in sink.stored():
        found |= as_dict(batch)
    return found


def settled(sink: LabelSink, batch: LabelBatch, partition: str) -> list[int]:
    """Write and finish: what became of each row."""
    outcome = sink.write(batch, partition)
    gone = set(sink.finish().tolist())
    told = zip(batch.keys.tolist(), outcome.status.tolist(), strict=True)
    return [RowStatus.VANISHED if key in gone else status for key, status in told]


@dataclass
class World(ABC):
    keys: list[Any]
    partition_of: list[str]

    @property
    def new_key(self) -> Any:
        """A key that no row has."""
        return 10**9 + 7 if isinstance(self.keys[0], int) else "quite new"

    def keys_in(self, partition: str) -> list[Any]:
        return [k for k, p in zip(self.keys, self.partition_of, strict=True) if p == partition]

    @property
    def partitions(self) -> list[str]:
        return sorted(set(self.partition_of))

    def write_all(
        self,
        sink: LabelSink,
        run: str = "run-1",
        seed: int = 0,
        *,
        extras: bool = False,
        places: bool = False,
    ) -> Labels:
        """Label every row, partition by partition; what was sent."""
        sent: Labels = {}
        for partition in self.partitions:
            batch = batch_of(self.keys_in(partition), run, seed, extras=extras, places=places)
            outcome = sink.write(batch, partition)
            assert set(outcome.status.tolist()) == {1}, outcome.message
            sent |= as_dict(batch)
        return sent

    @abstractmethod
    def sink(self, fields: LabelFields = PLAIN_FIELDS, **selection: Any) -> LabelSink: ...

    @abstractmethod
    def foreign(self) -> Snapshot:
        """Everything about every row that is not ours."""

    @abstractmethod
    def collections(self) -> set[str]:
        """Names of all collections that there are."""

    @abstractmethod
    def delete(self, keys: Sequence[Any]) -> None: ...

    @abstractmethod
    def update(self, key: Any) -> None:
        """Another client changes a foreign field of a row, keeping all else."""

    @abstractmethod
    def add(self, key: Any, partition: str) -> None: ...

    @abstractmethod
    def recreate(self) -> None: ...


@dataclass
class MemoryWorld(World):
    collection: MemoryCollection

    def sink(self, fields: LabelFields = PLAIN_FIELDS, **selection: Any) -> LabelSink:
        return MemorySink(self.collection, partitions=selection.get("partitions", ()))

    def foreign(self) -> Snapshot:
        held = self.collection
        rows = zip(held.partition_of, held.keys, held.vectors, held.columns["title"], strict=True)
        return {(p, key): vector.tobytes() + title.encode() for p, key, vector, title in rows}

    def collections(self) -> set[str]:
        return {self.collection.name}

    def delete(self, keys: Sequence[Any]) -> None:
        self.collection.delete(batch_of(keys).keys)

    def update(self, key: Any) -> None:
        row = self.collection.keys.tolist().index(key)
        self.collection.columns["title"][row] = "updated"

    def add(self, key: Any, partition: str) -> None:
        vector = np.ones((1, self.collection.vectors.shape[1]), np.float32)
        self.collection.insert(batch_of([key]).keys, vector, partition, {"title": ["new"]})

    def recreate(self) -> None:
        self.collection.recreate()


@dataclass
class MilvusWorld(World):
    client: MilvusClient
    connection: MilvusConnection
    name: str
    way: WayName
    rows: dict[Any, dict[str, Any]] = field(repr=False)
    specimen: zoo.Specimen

    def sink(self, fields: LabelFields = PLAIN_FIELDS, **selection: Any) -> LabelSink:
        chosen = Selection(self.name, zoo.VECTOR, **selection)
        settings = LabelSettings(fields, way=self.way, allow_full_upsert=True)
        sink = choose_sink(self.connection, chosen, settings)
        assert sink.way.name == self.way
        return sink

    def foreign(self) -> Snapshot:
        told = structure(self.client, self.name).encode()
        return {**snapshot(self.client, self.name), ("", ""): told}

    def collections(self) -> set[str]:
        return set(self.client.list_collections())

    def delete(self, keys: Sequence[Any]) -> None:
        # Not by ids: the client does not escape them.
        self.client.delete(self.name, filter=key_in(zoo.KEY, keys))

    def update(self, key: Any) -> None:
        where = self.partition_of[self.keys.index(key)]
        found = self.client.query(
            self.name,
            filter="",
            output_fields=["*"],
            limit=1000,
            partition_names=[where],
            consistency_level="Strong",
        )
        row = next(dict(row) for row in found if row[zoo.KEY] == key)
        self.client.upsert(self.name, [row | {"title": "updated"}], partition_name=where)

    def add(self, key: Any, partition: str) -> None:
        row = next(iter(self.rows.values())) | {zoo.KEY: key}
        self.client.insert(self.name, [row], partition_name=partition)

    def recreate(self) -> None:
        self.client.drop_collection(self.name)
        zoo.create(self.client, self.name, self.specimen)


def memory_world(place: Place) -> MemoryWorld:
    specimen = SPECIMENS[place.keys]
    keys = zoo.make_keys(specimen, ROWS)
    places = (zoo.DEFAULT_PARTITION, *specimen.partitions)
    vectors, _ = zoo.blobs(ROWS)
    collection = MemoryCollection(vectors[:0], columns={"title": []})
    partition_of = [places[i % len(places)] for i in range(ROWS)]
    for part in places:
        mine = [i for i in range(ROWS) if partition_of[i] == part]
        own = batch_of([keys[i] for i in mine]).keys
        collection.insert(own, vectors[mine], part, {"title": [f"title {i}" for i in mine]})
    return MemoryWorld(keys, partition_of, collection)


def milvus_world(
    client: MilvusClient, connection: MilvusConnection, name: str, place: Place
) -> MilvusWorld:
    specimen = SPECIMENS[place.keys]
    filled = zoo.build(client, name, specimen, ROWS)
    rows = dict(zip(filled.keys, filled.rows, strict=True))
    return MilvusWorld(
        filled.keys, filled.partition_of, client, connection, name, place.way, rows, specimen
    )


@contextmanager
def opened_world(place: Place, request: pytest.FixtureRequest, name: str) -> Iterator[World]:
    """The world of ``place``, its collection called ``name``; what was made in it goes."""
    if place.backend == "memory":
        yield memory_world(place)
        return
    if place.backend in backends.FIXTURES:
        backend = request.getfixturevalue(backends.FIXTURES[place.backend])
    else:
        backend = request.getfixturevalue("emulate")(place.backend).backend
    with backends.connected(backend) as client, connection_to(backend) as connection:
        yield milvus_world(client, connection, name, place)
        for made in client.list_collections():
            if made.startswith(name):
                client.drop_collection(made)
