"""What a collection is: everything that ``inspect`` shows and the other stages decide by.

In: a connection and the name (or an alias) of a collection. Out: ``CollectionProfile``.
Promise: only reads; an unknown name is answered with the names that exist.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.errors import backend_errors, is_missing, is_not_loaded, translate
from vdbcluster.errors import UsageError
from vdbcluster.model.collection import (
    CollectionProfile,
    KeyField,
    KeyType,
    ScalarField,
    VectorField,
)

DENSE_TYPES = (
    "FLOAT_VECTOR",
    "FLOAT16_VECTOR",
    "BFLOAT16_VECTOR",
    "INT8_VECTOR",
    "BINARY_VECTOR",
)
"""Vector types that can be clustered; a sparse field is listed with dimension 0."""

_NOT_PARAMS = frozenset(
    {
        "index_type",
        "metric_type",
        "field_name",
        "index_name",
        "total_rows",
        "indexed_rows",
        "pending_index_rows",
        "state",
    }
)


def profile(connection: MilvusConnection, collection: str, exact: bool = True) -> CollectionProfile:
    """Describe ``collection``; an alias is resolved to the collection behind it.

    ``rows`` is the strong count, duplicate keys counted; if not ``exact`` it may lag by some
    seconds, but is had at once. Of a collection that is not loaded it is the server's statistics,
    which lag behind (0 before the first flush).
    Raises ``UsageError`` if there is no such collection.
    """
    described = _describe(connection, collection)
    name = str(described["collection_name"])
    fields = described["fields"]
    return CollectionProfile(
        server=connection.server,
        name=name,
        identity=identity_of(connection, described),
        rows=_rows(connection, name, "Strong" if exact else "Bounded"),
        key=_key(fields, bool(described.get("auto_id"))),
        vectors=tuple(_vectors(connection, name, fields)),
        scalars=tuple(_scalars(fields)),
        dynamic=bool(described.get("enable_dynamic_field")),
        partitions=_partitions(connection, name),
        partition_key=next((f["name"] for f in fields if f.get("is_partition_key")), None),
        loaded=is_loaded(connection, name),
        aliases=_aliases(connection, name),
    )


def identity(connection: MilvusConnection, collection: str) -> str:
    """As ``CollectionProfile.identity``, at the cost of one call.

    Raises ``CollectionChangedError`` if there is no such collection.
    """
    described = connection.ask(
        f"describing {collection!r}",
        lambda client, limit: client.describe_collection(collection, timeout=limit),
    )
    return identity_of(connection, described)


def identity_of(connection: MilvusConnection, described: Mapping[str, Any]) -> str:
    """Id and creation time on servers; on Lite, which has neither, the schema and its file's age.

    A Lite server process shows no file: there a collection that is dropped and created anew with
    the very same schema cannot be told from the old one.
    """
    number = int(described.get("collection_id") or 0)
    if number:
        return f"{number}@{int(described.get('created_timestamp') or 0)}"
    shape = sorted(
        (field["name"], int(field["type"]), sorted(field["params"].items()))
        for field in described["fields"]
    )
    digest = hashlib.sha256(repr(shape).encode()).hexdigest()[:16]
    return f"{digest}@{_file_age(connection, str(described['collection_name']))}"


def is_loaded(connection: MilvusConnection, collection: str) -> bool:
    state = connection.ask(
        f"asking whether {collection!r} is loaded",
        lambda client, limit: client.get_load_state(collection, timeout=limit),
    )
    return str(getattr(state["state"], "name", state["state"])) == "Loaded"


def count_rows(
    connection: MilvusConnection,
    collection: str,
    where: str = "",
    partitions: Sequence[str] = (),
    strong: bool = True,
) -> int:
    """``count(*)``: duplicate keys counted. Raises ``BackendError`` if it is not loaded."""
    answer = connection.ask(
        f"counting the rows of {collection!r}",
        lambda client, limit: client.query(
            collection,
            filter=where,
            output_fields=["count(*)"],
            partition_names=list(partitions) or None,
            consistency_level="Strong" if strong else "Bounded",
            timeout=limit,
        ),
    )
    return int(answer[0]["count(*)"])


def _describe(connection: MilvusConnection, collection: str) -> Mapping[str, Any]:
    try:
        described = connection.raw(
            lambda client, limit: client.describe_collection(collection, timeout=limit)
        )
    except backend_errors() as error:
        if is_missing(error):
            raise UsageError(_unknown(connection, collection)) from error
        raise translate(error, f"describing {collection!r}") from error
    return cast("Mapping[str, Any]", described)


def _unknown(connection: MilvusConnection, collection: str) -> str:
    names = sorted(
        connection.ask(
            "listing the collections", lambda client, limit: client.list_collections(timeout=limit)
        )
    )
    if not names:
        return f"there is no collection {collection!r}; {connection.address.shown} has none at all"
    close = difflib.get_close_matches(collection, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    listed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"there is no collection {collection!r}; {hint}existing: {listed}"


def _rows(connection: MilvusConnection, name: str, consistency: str) -> int:
    try:
        answer = connection.raw(
            lambda client, limit: client.query(
                name,
                filter="",
                output_fields=["count(*)"],
                consistency_level=consistency,
                timeout=limit,
            )
        )
        return int(answer[0]["count(*)"])
    except backend_errors() as error:
        if not is_not_loaded(error):
            raise translate(error, f"counting the rows of {name!r}") from error
    statistics = connection.ask(
        f"counting the rows of {name!r}",
        lambda client, limit: client.get_collection_stats(name, timeout=limit),
    )
    return int(statistics["row_count"])


def _key(fields: Sequence[Mapping[str, Any]], auto_id: bool) -> KeyField:
    found = next(field for field in fields if field.get("is_primary"))
    length = found["params"].get("max_length")
    return KeyField(
        name=found["name"],
        type=cast("KeyType", _type(found)),
        auto_id=auto_id or bool(found.get("auto_id")),
        max_length=int(length) if length else None,
    )


def _vectors(
    connection: MilvusConnection, name: str, fields: Sequence[Mapping[str, Any]]
) -> Iterator[VectorField]:
    for found in fields:
        if not _type(found).endswith("_VECTOR"):
            continue
        index = _index(connection, name, found["name"])
        yield VectorField(
            name=found["name"],
            type=_type(found),
            dim=int(found["params"].get("dim", 0)),
            metric=index.get("metric_type"),
            index=index.get("index_type"),
            index_params={k: v for k, v in index.items() if k not in _NOT_PARAMS},
            nullable=bool(found.get("nullable")),
            unindexed_rows=int(index.get("pending_index_rows") or 0),
        )


def _scalars(fields: Sequence[Mapping[str, Any]]) -> Iterator[ScalarField]:
    for found in fields:
        if found.get("is_primary") or _type(found).endswith("_VECTOR"):
            continue
        length = found["params"].get("max_length")
        yield ScalarField(
            name=found["name"],
            type=_type(found),
            nullable=bool(found.get("nullable")),
            max_length=int(length) if length else None,
            partition_key=bool(found.get("is_partition_key")),
        )


def _type(found: Mapping[str, Any]) -> str:
    return str(getattr(found["type"], "name", found["type"]))


def _index(connection: MilvusConnection, name: str, field: str) -> Mapping[str, Any]:
    def ask(client: Any, limit: float) -> Mapping[str, Any]:
        names = client.list_indexes(name, field_name=field, timeout=limit)
        found = client.describe_index(name, names[0], timeout=limit) if names else None
        return found or {}

    return connection.ask(f"reading the index of {field!r} in {name!r}", ask)


def _partitions(connection: MilvusConnection, name: str) -> tuple[str, ...]:
    names = connection.ask(
        f"listing the partitions of {name!r}",
        lambda client, limit: client.list_partitions(name, timeout=limit),
    )
    return tuple(names)


def _aliases(connection: MilvusConnection, name: str) -> tuple[str, ...]:
    database = connection.address.chosen_database  # 2.3.5 looks nowhere else for it in this call
    found = connection.ask(
        f"listing the aliases of {name!r}",
        lambda client, limit: client.list_aliases(name, timeout=limit, db_name=database),
    )
    return tuple(sorted(found.get("aliases") or ()))


def _file_age(connection: MilvusConnection, name: str) -> int:
    """When the schema of a collection in a Lite file was written, in nanoseconds; else 0."""
    address = connection.address
    if not address.is_file:
        return 0
    base = address.path
    if address.database not in ("", "default"):
        base = base / "databases" / address.database
    schema = base / "collections" / name / "schema.json"
    return schema.stat().st_mtime_ns if schema.exists() else 0
