"""Places where catalogues are kept, behind one face, and catalogues to keep there.

In: a place, a kind of key. Out: a ``World``: an empty collection and catalogues of its clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from pymilvus import MilvusClient

from tests.contract.making import INT64_KEYS, VARCHAR_KEYS, Shape, make, some_vectors
from vdbcluster.adapters.memory_catalogue import MemoryCatalogue
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.milvus.catalogue import MilvusCatalogue
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.profile import profile
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, ClusterState, RowKey
from vdbcluster.ports.catalogue import ClusterCatalogue

DIM = 4
KeyKind = Literal["INT64", "VARCHAR"]
ODD_KEYS: dict[KeyKind, Sequence[RowKey]] = {"INT64": INT64_KEYS, "VARCHAR": VARCHAR_KEYS}
ODD_TEXT = 'a "quoted" \\ text\nof two lines, 日本語 😀'


class World(Protocol):
    keys: KeyKind

    def catalogue(self) -> ClusterCatalogue: ...

    def identity(self) -> str: ...

    def recreate(self) -> None: ...


class MemoryWorld:
    def __init__(self, keys: KeyKind) -> None:
        self.keys = keys
        self._collection = MemoryCollection(np.zeros((0, DIM)))
        self._catalogue = MemoryCatalogue(self._collection)

    def catalogue(self) -> ClusterCatalogue:
        return self._catalogue

    def identity(self) -> str:
        return self._collection.identity

    def recreate(self) -> None:
        self._collection.recreate()


@dataclass
class MilvusWorld:
    keys: KeyKind
    client: MilvusClient
    connection: MilvusConnection
    name: str
    metric: str = "COSINE"

    def __post_init__(self) -> None:
        self._make()

    def catalogue(self) -> MilvusCatalogue:
        return catalogue_on(self.connection, self.name)

    def identity(self) -> str:
        return profile(self.connection, self.name).identity

    def recreate(self) -> None:
        self.client.drop_collection(self.name)
        self._make()

    def behind(self) -> list[str]:
        """Collections that make up the catalogue."""
        return [n for n in self.client.list_collections() if n.startswith(f"{self.name}_clusters")]

    def _make(self) -> None:
        keys = ODD_KEYS[self.keys][:3]
        make(self.client, self.name, Shape(keys, some_vectors(3, DIM), self.metric))


def catalogue_on(connection: MilvusConnection, name: str) -> MilvusCatalogue:
    found = profile(connection, name)
    return MilvusCatalogue(Target(connection, found), found.vectors[0])


def catalogue_of(
    identity: str, keys: Sequence[Any], run: str = "20260301T030000-abc123", seed: int = 0
) -> Catalogue:
    """One cluster for each key, every second id left out, some retired, some with odd texts."""
    vectors = some_vectors(len(keys), DIM)
    rng = np.random.default_rng(seed)
    entries = [
        CatalogueEntry(
            id=2 * i,
            size=0 if i % 5 == 4 else int(rng.integers(1, 2**40)),
            medoid_key=key,
            exemplar_keys=tuple(keys[i : i + 5]),
            centroid=vectors[i],
            name=f"{run} {i}" if i % 2 else ODD_TEXT,
            description=ODD_TEXT * (i % 3),
            keywords=() if i % 4 == 0 else ("first", ODD_TEXT, ""),
            persistence=float(rng.random()),
            stability=None if i % 3 == 0 else float(rng.random()),
            state=ClusterState.RETIRED if i % 5 == 4 else ClusterState.LIVE,
            pinned=i % 2 == 0,
            hidden=i % 3 == 0,
            lineage='[{"run": "r", "event": "born", "share": 1.0}]' if i % 2 else "[]",
            first_run="first",
            first_seen="2026-01-01T00:00:00Z",
            last_run=run,
            last_seen="2026-03-01T03:00:00Z",
        )
        for i, key in enumerate(keys)
    ]
    return Catalogue(tuple(entries), run, identity)


def shown(catalogue: Catalogue | None) -> Any:
    """Everything in a catalogue, in a form that can be compared."""
    if catalogue is None:
        return None
    entries = [
        [
            getattr(entry, name) if name != "centroid" else _listed(entry.centroid)
            for name in CatalogueEntry.__dataclass_fields__
        ]
        for entry in catalogue.entries
    ]
    return entries, catalogue.run_id, catalogue.identity


def _listed(centroid: np.ndarray | None) -> list[float] | None:
    return None if centroid is None else centroid.tolist()
