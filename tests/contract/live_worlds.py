"""Places where labelled rows are searched and browsed, all with the same rows, behind one face.

In: where (memory, or a backend and a way of writing), a kind of key. Out: a ``World``: rows of odd
keys with labels in partitions, and ``LiveCollection``s over them. Row i has ``n = i``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from pymilvus import MilvusClient

from tests.contract.candidate_worlds import PARTITIONS, as_keys
from tests.contract.making import INT64_KEYS, VARCHAR_KEYS, Shape, make, some_vectors
from vdbcluster.adapters.memory import MemorySink
from vdbcluster.adapters.memory_collection import MemoryCollection, Where
from vdbcluster.adapters.memory_live import MemoryLive
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.live import MilvusLive
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.errors import UsageError
from vdbcluster.model.labels import LabelBatch, LabelFields, WayName
from vdbcluster.ports import LabelSink
from vdbcluster.ports.live import LiveCollection

KEYS: dict[str, Sequence[Any]] = {
    "INT64": (*INT64_KEYS, *range(100, 150)),
    "VARCHAR": (*VARCHAR_KEYS, *(f"key {i}" for i in range(25))),
}
FIELDS = LabelFields(extras=("duplicate_of",))


def shape_of(kind: str, metric: str) -> Shape:
    keys = KEYS[kind]
    return Shape(keys, some_vectors(len(keys)), metric, partitions=PARTITIONS, dynamic=True)


def labels_of(shape: Shape, run: str = "20260301T030000-abc123") -> tuple[LabelBatch, np.ndarray]:
    """Of most rows, and the numbers of these: cluster ``i % 4 - 1``, every tenth row without one.

    Every row of cluster 2 is a copy of row 3.
    """
    numbers = np.array([i for i in range(len(shape.keys)) if i % 10 != 9])
    clusters = numbers % 4 - 1
    kept = np.where(clusters == 2, str(shape.keys[3]), "").astype(object)
    kept[numbers == 3] = ""
    batch = LabelBatch(
        keys=as_keys([shape.keys[i] for i in numbers]),
        cluster_id=clusters.astype(np.int64),
        probability=np.full(len(numbers), 0.5, np.float32),
        outlier_score=np.full(len(numbers), 0.25, np.float32),
        run_ids=np.full(len(numbers), run, object),
        assignment=np.where(clusters < 0, "noise", np.where(numbers % 3, "core", "soft")).astype(
            object
        ),
        duplicate_of=kept,
    )
    return batch, numbers


class World(Protocol):
    shape: Shape

    def live(self, *, below: int | None = None, partitions: tuple[str, ...] = ()) -> Any: ...

    def write(self, run: str = "20260301T030000-abc123") -> None: ...


@dataclass
class MemoryWorld:
    shape: Shape
    held: MemoryCollection = field(init=False)

    def __post_init__(self) -> None:
        shape = self.shape
        columns = {"n": [], "text": [], "extra": []}
        self.held = MemoryCollection(
            shape.vectors[:0], as_keys(shape.keys[:0]), metric=shape.metric, columns=columns
        )
        for number, partition in enumerate(PARTITIONS):
            mine = list(range(number, len(shape.keys), len(PARTITIONS)))
            values = {
                "n": mine,
                "text": [f"text-{i}" for i in mine],
                "extra": [None if i % 2 else i for i in mine],
            }
            keys = as_keys([shape.keys[i] for i in mine])
            self.held.insert(keys, shape.vectors[mine], partition, values)

    def live(self, *, below: int | None = None, partitions: tuple[str, ...] = ()) -> LiveCollection:
        where = None if below is None else self._where(f"n < {below}")
        return MemoryLive(self.held, partitions=partitions, where=where, parse=self._where)

    def _where(self, text: str) -> Where:
        """``n < 5`` alone is understood."""
        name, _, number = text.partition("<")
        if name.strip() != "n" or not number.strip().isdigit():
            raise UsageError(f"no filter: {text!r}")
        numbers = {key: i for i, key in enumerate(self.shape.keys)}
        return lambda keys: np.array([numbers[k] < int(number) for k in keys.tolist()], np.bool_)

    def write(self, run: str = "20260301T030000-abc123") -> None:
        _write(MemorySink(self.held), self.shape, run)


@dataclass
class MilvusWorld:
    shape: Shape
    client: MilvusClient
    connection: MilvusConnection
    name: str
    way: WayName

    def __post_init__(self) -> None:
        make(self.client, self.name, self.shape)

    def live(self, *, below: int | None = None, partitions: tuple[str, ...] = ()) -> LiveCollection:
        where = "" if below is None else f"n < {below}"
        chosen = Selection(self.name, where=where, partitions=partitions)
        return MilvusLive(self.connection, chosen, FIELDS)

    def write(self, run: str = "20260301T030000-abc123") -> None:
        settings = LabelSettings(FIELDS, self.way, allow_full_upsert=True)
        sink = choose_sink(self.connection, Selection(self.name), settings)
        assert sink.way.name == self.way
        _write(sink, self.shape, run)
        MilvusSource(self.connection, Selection(self.name)).count()  # what follows sees it all


def _write(sink: LabelSink, shape: Shape, run: str) -> None:
    sink.prepare()
    batch, numbers = labels_of(shape, run)
    for place, partition in enumerate(PARTITIONS):
        sink.write(batch.take(numbers % len(PARTITIONS) == place), partition)
    sink.finish()
    assert sum(len(found) for found in sink.stored()) == len(batch)
