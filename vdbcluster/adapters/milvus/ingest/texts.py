"""Rows with vectors into a Milvus collection that is made for them.

In: an open connection, ``CollectionSpec``. Out: a ``RowWriter``.
Promise: keys are the caller's own and rows are upserted by key, so that the same rows again add
none; nothing is ever cut: what does not fit a field is refused before it is sent; an existing
collection is used only if its fields fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.errors import BackendError, UsageError
from vdbcluster.model.texts import EmbeddedBatch, TextRow

REQUEST_BYTES = 16 << 20
"""A server takes messages of 64 MB; smaller ones keep its memory and ours in bounds."""


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """The collection to make: a VARCHAR key, a text, metadata, a vector, dynamic field on.

    ``fields`` are VARCHAR fields of their own; all other metadata goes to the dynamic field.
    Lengths are in bytes of UTF-8, as the server counts them.
    """

    name: str
    fields: tuple[str, ...] = ()
    key_field: str = "id"
    text_field: str = "text"
    vector_field: str = "vector"
    metric: str = "COSINE"
    index: str = "AUTOINDEX"
    key_bytes: int = 512
    text_bytes: int = 65_535

    @property
    def lengths(self) -> dict[str, int]:
        """The VARCHAR fields and how many bytes each may hold."""
        return {
            self.key_field: self.key_bytes,
            self.text_field: self.text_bytes,
            **dict.fromkeys(self.fields, self.key_bytes),
        }


class CollectionWriter:
    """``RowWriter`` on one collection."""

    def __init__(self, milvus: MilvusConnection, spec: CollectionSpec) -> None:
        self._milvus = milvus
        self._spec = spec

    def prepare(self, dim: int) -> None:
        """See ``ports.RowWriter``."""
        name = self._spec.name
        exists = self._milvus.ask(
            f"looking for {name!r}",
            lambda client, limit: client.has_collection(name, timeout=limit),
        )
        if exists:
            self._check(dim)
            self._milvus.ask(
                f"loading {name!r}",
                lambda client, limit: client.load_collection(name, timeout=limit),
            )
        else:
            self._milvus.tell(
                f"creating {name!r}", lambda client, limit: self._create(client, dim, limit)
            )

    def upsert(self, batch: EmbeddedBatch) -> None:
        """See ``ports.RowWriter``; requests are bounded by bytes."""
        for entities in _requests([*self._entities(batch)], batch.vectors.shape[1]):
            self._send(entities)

    def finish(self) -> int:
        """See ``ports.RowWriter``: flushes once."""
        name = self._spec.name
        self._milvus.ask(
            f"flushing {name!r}", lambda client, limit: client.flush(name, timeout=limit)
        )
        counted = self._milvus.ask(
            f"counting {name!r}",
            lambda client, limit: client.query(
                name, "", output_fields=["count(*)"], consistency_level="Strong", timeout=limit
            ),
        )
        return int(counted[0]["count(*)"])

    def _send(self, entities: list[dict[str, Any]]) -> None:
        name = self._spec.name
        answer = self._milvus.ask(
            f"writing to {name!r}",
            lambda client, limit: client.upsert(name, entities, timeout=limit),
        )
        if answer["upsert_count"] != len(entities):
            raise BackendError(
                f"writing to {name!r}: {answer['upsert_count']} of {len(entities)} rows stored"
            )

    def _create(self, client: Any, dim: int, limit: float) -> None:
        from pymilvus import DataType

        spec = self._spec
        schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
        for name, length in spec.lengths.items():
            schema.add_field(
                name, DataType.VARCHAR, is_primary=name == spec.key_field, max_length=length
            )
        schema.add_field(spec.vector_field, DataType.FLOAT_VECTOR, dim=dim)
        index = client.prepare_index_params()
        index.add_index(spec.vector_field, index_type=spec.index, metric_type=spec.metric)
        client.create_collection(spec.name, schema=schema, index_params=index, timeout=limit)

    def _check(self, dim: int) -> None:
        """Refuse an existing collection that rows of this kind cannot be put into."""
        name = self._spec.name
        found = self._milvus.ask(
            f"reading the schema of {name!r}",
            lambda client, limit: client.describe_collection(name, timeout=limit),
        )
        problems = [*_misfits(self._spec, found, dim)]
        if problems:
            raise UsageError(
                f"the collection {name!r} exists and does not fit: {'; '.join(problems)}. "
                "Name another collection, or drop this one"
            )

    def _entities(self, batch: EmbeddedBatch) -> Iterator[dict[str, Any]]:
        spec = self._spec
        for row, vector in zip(batch.rows, batch.vectors, strict=True):
            entity = {**row.fields, spec.key_field: row.key, spec.text_field: row.text}
            self._check_row(row, entity)
            yield {**entity, spec.vector_field: vector}

    def _check_row(self, row: TextRow, entity: dict[str, str]) -> None:
        for name, length in self._spec.lengths.items():
            if name not in entity:
                raise UsageError(f"the row {row.key!r} has no field {name!r}")
            size = len(entity[name].encode())
            if size > length:
                raise UsageError(
                    f"the row {row.key[:80]!r} has {size:,} bytes in the field {name!r}, "
                    f"which holds {length:,}; shorten it"
                )


def _misfits(spec: CollectionSpec, found: dict[str, Any], dim: int) -> Iterator[str]:
    """What keeps rows of ``spec`` out of the collection ``found``, field by field."""
    fields = {field["name"]: field for field in found["fields"]}
    for name in spec.lengths:
        if name in fields and fields[name]["type"].name != "VARCHAR":
            yield f"field {name!r} is {fields[name]['type'].name}, not VARCHAR"
        if name not in fields and (name == spec.key_field or not found["enable_dynamic_field"]):
            yield f"field {name!r} is missing"
    key = fields.get(spec.key_field, {})
    if key and not key.get("is_primary"):
        yield f"field {spec.key_field!r} is not the primary key"
    if found["auto_id"]:
        yield "its keys are made by the server (auto id)"
    vector = fields.get(spec.vector_field)
    if vector is None or vector["type"].name != "FLOAT_VECTOR":
        yield f"there is no FLOAT_VECTOR field {spec.vector_field!r}"
    elif int(vector["params"]["dim"]) != dim:
        yield f"field {spec.vector_field!r} has dimension {vector['params']['dim']}, not {dim}"


def _requests(entities: list[dict[str, Any]], dim: int) -> Iterator[list[dict[str, Any]]]:
    """Parts of about ``REQUEST_BYTES``, one row at least."""
    part: list[dict[str, Any]] = []
    size = 0
    for entity in entities:
        bytes_of_row = 4 * dim + sum(
            len(value.encode()) for value in entity.values() if isinstance(value, str)
        )
        if part and size + bytes_of_row > REQUEST_BYTES:
            yield part
            part, size = [], 0
        part.append(entity)
        size += bytes_of_row
    if part:
        yield part
