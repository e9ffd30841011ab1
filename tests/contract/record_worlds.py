"""Collections that records are written to, and what stands in them, for the contract suite.

In: a backend's fixtures, or nothing for memory. Out: a ``World``: writers on one collection, its
rows as plain dictionaries, and somebody else who changes them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pymilvus import MilvusClient

from vdbcluster.adapters.memory_records import MemoryRecords, MemoryRecordWriter
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.expressions import key_in
from vdbcluster.adapters.milvus.ingest import MilvusRecordWriter, WriterSettings
from vdbcluster.model.records import FieldSpec, Record, RecordBatch, RecordShape
from vdbcluster.ports.records import RecordWriter

DIM = 8
INT64_KEYS = (-(2**63), -(2**63) + 1, -(2**53) - 1, -1, 0, 1, 2**31, 2**53 + 1, 2**63 - 2)
VARCHAR_KEYS = (
    *("", " ", '"', "'", "\\", "\\\\", "\\n", "\n", "\r\t", "a\"b'c\\d\ne", 'end\\"', "\\u0041"),
    *("%", "{k}", "$meta", "or 1 == 1", '" or id != "', "é", "e\u0301", "日本語", "\u2028", "😀"),
    "k" * 250,
)


class World(ABC):
    """``rows``: by key, all fields but key and vector; null and absent are the same."""

    @abstractmethod
    def writer(self, **settings: Any) -> RecordWriter: ...

    @abstractmethod
    def rows(self) -> dict[Any, dict[str, Any]]: ...

    @abstractmethod
    def vectors(self) -> dict[Any, np.ndarray]: ...

    @abstractmethod
    def touch(self, key: Any, **fields: Any) -> None:
        """Somebody else gives a row more fields."""


@dataclass
class MemoryWorld(World):
    collection: MemoryRecords = field(default_factory=MemoryRecords)

    def writer(self, **settings: Any) -> RecordWriter:
        return MemoryRecordWriter(self.collection)

    def rows(self) -> dict[Any, dict[str, Any]]:
        return {key: present(row.fields) for key, row in self.collection.rows.items()}

    def vectors(self) -> dict[Any, np.ndarray]:
        return {key: row.vector for key, row in self.collection.rows.items()}

    def touch(self, key: Any, **fields: Any) -> None:
        self.collection.rows[key].fields.update(fields)


@dataclass
class MilvusWorld(World):
    client: MilvusClient
    connection: MilvusConnection
    name: str

    def writer(self, **settings: Any) -> MilvusRecordWriter:
        return MilvusRecordWriter(self.connection, WriterSettings(self.name, **settings))

    def rows(self) -> dict[Any, dict[str, Any]]:
        found = self._all()
        hidden = {self._key, *self._vectors}
        return {
            row[self._key]: present({n: v for n, v in row.items() if n not in hidden})
            for row in found
        }

    def vectors(self) -> dict[Any, np.ndarray]:
        name = self._vectors[0]
        return {row[self._key]: np.array(row[name], np.float32) for row in self._all()}

    def touch(self, key: Any, **fields: Any) -> None:
        row = next(dict(row) for row in self._all() if row[self._key] == key)
        self.client.upsert(self.name, [row | fields])

    def _all(self) -> list[Any]:
        return list(
            self.client.query(
                self.name,
                filter="",
                output_fields=["*"],
                limit=16_384,
                consistency_level="Strong",
            )
        )

    @property
    def _fields(self) -> list[Mapping[str, Any]]:
        return list(self.client.describe_collection(self.name)["fields"])

    @property
    def _key(self) -> str:
        return str(next(f["name"] for f in self._fields if f.get("is_primary")))

    @property
    def _vectors(self) -> list[str]:
        return [f["name"] for f in self._fields if f["type"].name.endswith("_VECTOR")]

    def delete(self, keys: Sequence[Any]) -> None:
        self.client.delete(self.name, filter=key_in(self._key, keys))


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def shape_of(key: str = "INT64", **changes: Any) -> RecordShape:
    """A key, a text, a column of every type of which one may be null, the rest dynamic."""
    fields = (
        FieldSpec("whole", "INT64"),
        FieldSpec("ratio", "DOUBLE"),
        FieldSpec("yes", "BOOL"),
        FieldSpec("title", "VARCHAR", 200),
        FieldSpec("tree", "JSON"),
        FieldSpec("maybe", "INT64", nullable=True),
    )
    made: dict[str, Any] = {
        "key": FieldSpec("id", key, 300),  # type: ignore[arg-type]
        "text": FieldSpec("text", "VARCHAR"),
        "fields": fields,
    }
    return RecordShape(**(made | changes))


def records(keys: Sequence[Any], first: int = 1) -> tuple[Record, ...]:
    """Rows that fit ``shape_of``, every value odd in its own way."""
    texts = ("", "plain", 'q"uo\\te\n', "日本語 😀", "x" * 3000)
    trees = ({"a": [1, 1.0, None, True, {"b": {}}]}, {}, {"big": 2**62 + 1, "": 5e-324}, [1, "2"])
    return tuple(
        Record(
            number=first + i,
            key=key,
            text=texts[i % len(texts)],
            fields={
                "whole": (0, -(2**63) + 1, 2**63 - 1, i)[i % 4],
                "ratio": (0.1, -1.7e308, 5e-324, float(i))[i % 4],
                "yes": i % 2 == 0,
                "title": f"title {i} ü",
                "tree": trees[i % len(trees)],
                "maybe": None if i % 3 else i,
                "source": f"file {i}",
                "n 1.0 é": [i, float(i), None, {"q\"'": True}],
            },
            content=bytes([i % 256]),
        )
        for i, key in enumerate(keys)
    )


def vectors_for(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def batch_of(rows: Sequence[Record], seed: int = 0) -> RecordBatch:
    return RecordBatch(tuple(rows), vectors_for(len(rows), seed))


def expected(rows: Sequence[Record]) -> dict[Any, dict[str, Any]]:
    return {row.key: present({**row.fields, "text": row.text}) for row in rows}
