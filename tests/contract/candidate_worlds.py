"""Places where rows near a vector are looked for, all with the same rows, behind one face.

In: where (memory, or a Milvus backend), a ``Shape``. Out: a ``World``: its rows go to the
partitions ``_default``, ``p1`` and ``p2`` in turn, and row i has the number ``n = i``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pymilvus import MilvusClient

from tests.contract.making import Shape, make, row_of
from vdbcluster.adapters.memory_candidates import MemoryCandidates
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.milvus.candidates import MilvusCandidates
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.expressions import key_in
from vdbcluster.adapters.milvus.requests import SearchSettings
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.ports.candidates import CandidateSearch

PARTITIONS = ("_default", "p1", "p2")


def as_keys(keys: Sequence[Any]) -> np.ndarray:
    """Keys as the ports want them."""
    if keys and isinstance(keys[0], int):
        return np.array(keys, np.int64)
    found = np.empty(len(keys), object)
    found[:] = keys
    return found


@dataclass
class World(ABC):
    shape: Shape

    @abstractmethod
    def search(self, *, below: int | None = None, partitions: tuple[str, ...] = ()) -> Any:
        """Over the rows with a number below that, in these partitions."""

    @abstractmethod
    def insert(self, key: Any, vector: np.ndarray) -> None: ...

    @abstractmethod
    def delete(self, key: Any) -> None: ...


@dataclass
class MemoryWorld(World):
    held: MemoryCollection = field(init=False)

    def __post_init__(self) -> None:
        shape = self.shape
        self.held = MemoryCollection(shape.vectors[:0], as_keys(shape.keys[:0]), metric="L2")
        for number, partition in enumerate(PARTITIONS):
            mine = slice(number, None, len(PARTITIONS))
            self.held.insert(as_keys(shape.keys[mine]), shape.vectors[mine], partition)

    def search(
        self, *, below: int | None = None, partitions: tuple[str, ...] = ()
    ) -> CandidateSearch:
        numbers = {key: i for i, key in enumerate(self.shape.keys)}

        def where(keys: np.ndarray) -> np.ndarray:
            return np.array([below is None or numbers.get(k, 0) < below for k in keys.tolist()])

        return MemoryCandidates(self.held, partitions=partitions, where=where)

    def insert(self, key: Any, vector: np.ndarray) -> None:
        self.held.insert(as_keys([key]), vector[None])

    def delete(self, key: Any) -> None:
        self.held.delete(as_keys([key]))


@dataclass
class MilvusWorld(World):
    client: MilvusClient
    connection: MilvusConnection
    name: str

    def __post_init__(self) -> None:
        make(self.client, self.name, replace(self.shape, partitions=PARTITIONS))

    def search(
        self, *, below: int | None = None, partitions: tuple[str, ...] = ()
    ) -> CandidateSearch:
        where = "" if below is None else f"n < {below}"
        source = MilvusSource(self.connection, Selection(self.name, "vec", where, partitions))
        return MilvusCandidates(
            self.connection, source, SearchSettings("high", batch=7), "euclidean"
        )

    def insert(self, key: Any, vector: np.ndarray) -> None:
        row = row_of(self.shape, 0) | {"key": key, "vec": vector}
        self.client.insert(self.name, [row])
        self._caught_up()

    def delete(self, key: Any) -> None:
        self.client.delete(self.name, filter=key_in("key", [key]))
        self._caught_up()

    def _caught_up(self) -> None:
        """What is written is visible to weaker reads once a strong one was answered."""
        self.client.query(self.name, "", output_fields=["count(*)"], consistency_level="Strong")
