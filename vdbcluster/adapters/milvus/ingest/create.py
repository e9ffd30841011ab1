"""A new collection, and what it takes to open one.

In: an open connection, the shape of the rows. Out: an empty collection that is indexed and loaded.
Promise: interrupted anywhere, the next run finds what is missing and adds it.

Label fields. Where columns can be null (Lite, servers from 2.5) rows can have label columns before
anybody has clustered them. On a server they are declared from the start: a label is then a typed
column with an index of its own, and ``vdbcluster run`` need not change the schema. Not on Lite,
whose upsert merges dynamic keys as well as columns. Not on older servers: a column that cannot be
null would have to be filled on every insert, with a -1 that says "noise" of rows that nobody has
clustered, and written over on every change.

Index. AUTOINDEX on a server, which is a graph there, kept by the server. FLAT in Lite: exact, and
quicker than its HNSW up to some 25,000 rows (546 against 332 searches a second over 10,000 rows).
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.errors import backend_errors, translate
from vdbcluster.adapters.milvus.profile import is_loaded
from vdbcluster.adapters.milvus.writeback.fields import length
from vdbcluster.adapters.milvus.writeback.own import SCRATCH
from vdbcluster.errors import BackendError, BackendUnavailableError
from vdbcluster.model.collection import KeyField, KeyType
from vdbcluster.model.labels import LabelFields
from vdbcluster.model.records import FieldSpec, RecordShape

NULLS_SINCE = (2, 5)
ANY_JSON_SINCE = (2, 4)
_PARAMS: dict[str, dict[str, int]] = {
    "HNSW": {"M": 16, "efConstruction": 200},
    "IVF_FLAT": {"nlist": 1024},
    "IVF_SQ8": {"nlist": 1024},
}
"""What servers want to be told about an index that is asked for by name."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """``nulls``: columns can be null. ``any_json``: JSON columns take more than objects."""

    nulls: bool
    any_json: bool


def abilities(milvus: MilvusConnection, *, try_out: bool) -> Abilities:
    """What columns of a new collection can be, tried in a scratch collection of no rows' worth.

    If not ``try_out``, nothing is written, and the version is taken at its word.
    """
    if milvus.is_lite:
        return Abilities(nulls=True, any_json=True)
    version = tuple(int(part) for part in re.findall(r"\d+", milvus.server.version)[:2])
    expected = Abilities(version >= NULLS_SINCE, version >= ANY_JSON_SINCE)
    if not try_out:
        return expected
    name = f"{SCRATCH}_{int(time.time())}_{secrets.token_hex(4)}"
    try:
        nulls = milvus.tell("trying what columns can be", partial(_keeps_null, name=name))
        return Abilities(nulls, _takes_list(milvus, name))
    finally:
        milvus.ask(
            f"dropping the scratch collection {name!r}",
            lambda client, limit: client.drop_collection(name, timeout=limit),
        )


def _keeps_null(client: Any, limit: float, *, name: str) -> bool:
    """Make the scratch collection; old servers do so without a word about null."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("tree", DataType.JSON)
    schema.add_field("value", DataType.INT64, nullable=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    client.create_collection(name, schema=schema, timeout=limit)
    described = client.describe_collection(name, timeout=limit)
    return any(field.get("nullable") for field in described["fields"])


def _takes_list(milvus: MilvusConnection, name: str) -> bool:
    row = {"id": 1, "tree": [1], "value": 1, "vector": [0.5, 2.0]}
    try:
        milvus.raw(lambda client, limit: client.upsert(name, [row], timeout=limit))
    except backend_errors() as error:
        told = translate(error, "trying what JSON columns take")
        if isinstance(told, BackendUnavailableError):
            raise told from error
        return False
    return True


def fit_new(shape: RecordShape, able: Abilities) -> tuple[RecordShape, tuple[str, ...]]:
    """The shape as the server can make it, and what had to be done for that."""
    loose: list[FieldSpec] = []
    notes: list[str] = []
    for spec in shape.fields:
        if spec.nullable and not able.nulls:
            why = f"rows may lack {spec.name!r}, which they cannot do in a column of this server"
        elif spec.type == "JSON" and not able.any_json:
            why = f"JSON columns of this server take objects alone, {spec.name!r} may be a list"
        else:
            continue
        loose.append(spec)
        notes.append(f"{why}: it goes to the dynamic field")
    kept = tuple(spec for spec in shape.fields if spec not in loose)
    return replace(shape, fields=kept, loose=(*shape.loose, *loose)), tuple(notes)


def create(
    milvus: MilvusConnection, name: str, shape: RecordShape, dim: int, labels: LabelFields | None
) -> bool:
    """Make the collection, with columns for ``labels`` if given; False if somebody else has.

    After a lost answer it also says False: better to take our own for somebody else's.
    """

    def call(client: Any, limit: float) -> bool:
        if client.has_collection(name, timeout=limit):
            return False
        schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
        _add_fields(schema.add_field, shape, dim)
        if labels is not None:
            _add_labels(schema.add_field, labels, _key_field(shape))
        client.create_collection(name, schema=schema, timeout=limit)
        return True

    return milvus.ask(f"creating {name!r}", call)


def _add_fields(add: Callable[..., Any], shape: RecordShape, dim: int) -> None:
    from pymilvus import DataType

    key = shape.key
    add(
        key.name,
        DataType[key.type],
        is_primary=True,
        auto_id=shape.auto_id,
        **_length(key),
    )
    for spec in shape.declared[1:]:
        nullable = {"nullable": True} if spec.nullable else {}
        add(spec.name, DataType[spec.type], **_length(spec), **nullable)
    add(shape.vector_name, DataType.FLOAT_VECTOR, dim=dim)


def _key_field(shape: RecordShape) -> KeyField:
    kind: KeyType = "VARCHAR" if shape.key.type == "VARCHAR" else "INT64"
    return KeyField(shape.key.name, kind, shape.auto_id, shape.key.max_length)


def _add_labels(add: Callable[..., Any], labels: LabelFields, key: KeyField) -> None:
    from pymilvus import DataType

    for which in labels.wanted:
        add(labels.name(which), DataType[which.type], nullable=True, **length(which, key))


def _length(spec: FieldSpec) -> dict[str, int]:
    return {"max_length": spec.max_length} if spec.type == "VARCHAR" else {}


def has_index(milvus: MilvusConnection, name: str, field: str) -> bool:
    found = milvus.ask(
        f"reading the index of {field!r} in {name!r}",
        lambda client, limit: client.list_indexes(name, field_name=field, timeout=limit),
    )
    return bool(found)


def make_index(milvus: MilvusConnection, name: str, field: str, kind: str, metric: str) -> None:
    """Index an empty collection, or one that has lost its index; loading waits until it is built.

    ``kind`` empty: the default of the backend, see the module.
    """
    chosen = kind or ("FLAT" if milvus.is_lite else "AUTOINDEX")

    def call(client: Any, limit: float) -> None:
        index = client.prepare_index_params()
        index.add_index(
            field, index_type=chosen, metric_type=metric, params=_PARAMS.get(chosen, {})
        )
        client.create_index(name, index, timeout=limit, sync=False)

    try:
        milvus.ask(f"indexing {field!r} of {name!r}", call)
    except BackendError:
        if not has_index(milvus, name, field):  # another ingest may have been faster
            raise


def load(milvus: MilvusConnection, name: str) -> None:
    """Load the collection, if it is not."""
    if not is_loaded(milvus, name):
        milvus.ask(
            f"loading {name!r}",
            lambda client, limit: client.load_collection(name, timeout=limit),
        )


def wait_for_index(milvus: MilvusConnection, name: str, field: str, seconds: float) -> int:
    """Wait until all rows that are sealed are indexed; how many still are not, at the end.

    Until then a server answers from a stopgap that it makes while rows come in.
    """
    deadline = time.monotonic() + seconds
    while True:
        pending = _pending(milvus, name, field)
        if not pending or time.monotonic() > deadline:
            return pending
        time.sleep(0.25)


def _pending(milvus: MilvusConnection, name: str, field: str) -> int:
    def call(client: Any, limit: float) -> int:
        names = client.list_indexes(name, field_name=field, timeout=limit)
        found = client.describe_index(name, names[0], timeout=limit) if names else {}
        return int((found or {}).get("pending_index_rows") or 0)

    return milvus.ask(f"reading the index of {field!r} in {name!r}", call)
