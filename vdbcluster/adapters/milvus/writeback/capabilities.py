"""What a server can do with rows that exist, found out by trying.

In: a connection and the kind of key that the rows have. Out: ``Capabilities``.
Promise: ``probe`` tries in a scratch collection of our own, which it drops, along with those that a
crashed probe has left; the user's collections are not touched. ``expect`` writes nothing at all: it
asks what can be asked without harm and takes the version as a hint.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.errors import (
    backend_errors,
    failure_of,
    is_not_loaded,
    translate,
)
from vdbcluster.adapters.milvus.writeback.index import index_labels
from vdbcluster.adapters.milvus.writeback.own import SCRATCH, SCRATCH_NAME
from vdbcluster.adapters.milvus.writeback.sending import is_final
from vdbcluster.model.collection import KeyField

STALE_SECONDS = 600
PARTIAL_SINCE = (2, 6, 2)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """``add_field``: a nullable field can be added to an existing collection.

    ``merges``: an upsert of a few fields leaves the others, and the key, as they are, and fails for
    a row that is not there. ``replaces``: an upsert of the whole row keeps its key.
    ``unique_keys``: two rows cannot have the same key. ``index_kind``: the scalar index that a
    loaded collection can be given, and still be loaded anew, if any. ``proven``: tried, not
    expected.
    """

    add_field: bool
    merges: bool
    replaces: bool
    unique_keys: bool
    index_kind: str | None
    proven: bool


def expect(milvus: MilvusConnection) -> Capabilities:
    """What the server will probably turn out to be able to do."""
    return Capabilities(
        add_field=not milvus.is_lite and _knows_add_field(milvus),
        merges=milvus.is_lite or _version(milvus.server.version) >= PARTIAL_SINCE,
        replaces=True,
        unique_keys=milvus.is_lite,
        index_kind=None,
        proven=False,
    )


NOTHING = Capabilities(
    add_field=False, merges=False, replaces=False, unique_keys=False, index_kind=None, proven=True
)


def probe(
    milvus: MilvusConnection, key: KeyField, dynamic: bool, whole_rows: bool = True
) -> Capabilities:
    """Try it on a scratch collection with the same kind of key. Takes some seconds on servers.

    ``whole_rows``: whether writing whole rows may come into question. If not, a server that
    refuses a partial upsert at once is asked no more, and nothing needs to be loaded.
    Raises ``UsageError`` if this user may not create a collection.
    """
    drop_stale(milvus)
    name = f"{SCRATCH}_{int(time.time())}_{secrets.token_hex(4)}"
    scratch = _Scratch(milvus, name, key, dynamic)
    try:
        milvus.tell("trying what the server can do with rows", scratch.create)
        if not whole_rows and scratch.refuses_partial():
            return NOTHING
        milvus.tell("loading the scratch collection", scratch.open)
        return Capabilities(
            merges=scratch.merges(),
            replaces=scratch.replaces(),
            unique_keys=scratch.unique_keys(),
            add_field=scratch.add_field(),
            index_kind=scratch.index_kind(),
            proven=True,
        )
    finally:
        _drop(milvus, name)


def drop_stale(milvus: MilvusConnection) -> None:
    """Drop scratch collections of probes that did not live to do it."""
    names = milvus.ask(
        "listing the collections", lambda client, limit: client.list_collections(timeout=limit)
    )
    for name in names:
        found = SCRATCH_NAME.fullmatch(name)
        if found and int(found[1]) < time.time() - STALE_SECONDS:
            _drop(milvus, name)


def _drop(milvus: MilvusConnection, name: str) -> None:
    milvus.ask(
        f"dropping the scratch collection {name!r}",
        lambda client, limit: client.drop_collection(name, timeout=limit),
    )


class _Scratch:
    """A collection of one row, and what happens to that row."""

    def __init__(self, milvus: MilvusConnection, name: str, key: KeyField, dynamic: bool) -> None:
        self._milvus = milvus
        self._name = name
        self._kind = key
        self._dynamic = dynamic
        self._key: Any = None

    def create(self, client: Any, limit: float) -> None:
        from pymilvus import DataType

        schema = client.create_schema(
            auto_id=self._kind.auto_id, enable_dynamic_field=self._dynamic
        )
        length = {"max_length": 64} if self._kind.type == "VARCHAR" else {}
        schema.add_field("id", DataType[self._kind.type], is_primary=True, **length)
        schema.add_field("kept", DataType.INT64)
        schema.add_field("changed", DataType.INT64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
        client.create_collection(self._name, schema=schema, timeout=limit)
        self._key = client.insert(self._name, [self._row(0)], timeout=limit)["ids"][0]

    def open(self, client: Any, limit: float) -> None:
        """Index and load, so that rows can be read."""
        index = client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="L2")
        client.create_index(self._name, index, timeout=limit, sync=False)  # loading waits for it
        client.load_collection(self._name, timeout=limit)

    def refuses_partial(self) -> bool:
        """Whether a partial upsert fails for another reason than that nothing is loaded yet."""
        try:
            self._milvus.raw(lambda c, t: self._upsert(c, t, self._partial(self._key, 0)))
        except backend_errors() as error:
            raise_if_final(error)
            return not is_not_loaded(error)
        return False

    def merges(self) -> bool:
        """Whether a partial upsert changes what it names, and nothing else, of rows that exist."""
        if not self._goes(lambda c, t: self._upsert(c, t, self._partial(self._key, 1))):
            return False
        if self._rows() != [self._read_row(1)]:
            return False
        absent: Any = "absent" if self._kind.type == "VARCHAR" else int(self._key) + 1
        return not self._goes(lambda c, t: self._upsert(c, t, self._partial(absent, 1)))

    def replaces(self) -> bool:
        """Whether an upsert of the whole row leaves one row with the same key."""
        whole = self._row(2) | {"id": self._key}
        sent = self._goes(lambda c, t: c.upsert(self._name, [whole], timeout=t))
        return sent and self._rows() == [self._read_row(2)]

    def unique_keys(self) -> bool:
        """Whether inserting the same key again leaves one row.

        Automatic keys cannot be inserted here, but newer servers let a collection allow it.
        """
        if self._kind.auto_id:
            return self._milvus.is_lite
        if not self._goes(lambda c, t: c.insert(self._name, [self._row(3)], timeout=t)):
            return True
        counted = self._query(["count(*)"])
        return int(counted[0]["count(*)"]) == 1

    def add_field(self) -> bool:
        return self._goes(
            lambda c, t: c.add_collection_field(
                self._name, "added", _int64(), timeout=t, nullable=True
            )
        )

    def index_kind(self) -> str | None:
        kind = index_labels(self._milvus, self._name, "changed")
        loads = self._goes(lambda c, t: c.load_collection(self._name, timeout=t))
        return kind if loads else None

    def _row(self, changed: int) -> dict[str, Any]:
        row = {"kept": 1, "changed": changed, "vector": [0.5, 2.0]}
        if self._dynamic:
            row["dynamic"] = "kept"
        if not self._kind.auto_id:
            row["id"] = "row" if self._kind.type == "VARCHAR" else 1
        return row

    def _read_row(self, changed: int) -> dict[str, Any]:
        return self._row(changed) | {"id": self._key}

    def _partial(self, key: Any, changed: int) -> dict[str, Any]:
        return {"id": key, "changed": changed}

    def _upsert(self, client: Any, limit: float, row: dict[str, Any]) -> None:
        client.upsert(self._name, [row], timeout=limit, partial_update=True)

    def _rows(self) -> list[dict[str, Any]]:
        found = self._query(["*"])
        return [{**row, "vector": [float(x) for x in row["vector"]]} for row in found]

    def _query(self, fields: list[str]) -> list[Any]:
        found: list[Any] = self._milvus.ask(
            "reading the scratch collection",
            lambda client, limit: client.query(
                self._name,
                filter="kept == 1",
                output_fields=fields,
                consistency_level="Strong",
                timeout=limit,
            ),
        )
        return found

    def _goes(self, call: Callable[[Any, float], Any]) -> bool:
        """Whether the server does it; that it stays away is no answer."""
        try:
            self._milvus.raw(call)
        except backend_errors() as error:
            raise_if_final(error)
            return False
        return True


def raise_if_final(error: Exception) -> None:
    """That a server stays away, or refuses the user, says nothing about what it can do."""
    translated = translate(error, "trying what the server can do with rows")
    if is_final(error, translated):
        raise translated from error


def _int64() -> Any:
    from pymilvus import DataType

    return DataType.INT64


def _knows_add_field(milvus: MilvusConnection) -> bool:
    """Asked of a collection that cannot exist, so that nothing can happen."""
    name = f"{SCRATCH}_none_{secrets.token_hex(8)}"
    try:
        milvus.raw(
            lambda c, t: c.add_collection_field(name, "added", _int64(), timeout=t, nullable=True)
        )
    except backend_errors() as error:
        return failure_of(error).status != "UNIMPLEMENTED"
    return False


def _version(text: str) -> tuple[int, ...]:
    """``v2.6.4-dev`` -> (2, 6, 4); nothing that looks like a version -> ()."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else ()
