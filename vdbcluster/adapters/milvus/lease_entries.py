"""The entries of a lock in Milvus: a tiny collection for each run that holds or wants it.

In: a connection, the collection and prefix that are locked. Out: entries as they are now, and the
steps that change them. Promise: only entries of this lock are touched; a step that changes an entry
names its present state, so that it changes nothing if another was quicker; repeating one does no
harm, so answers may get lost.

    docs_vdbcluster_lock_1f00c3a8b7d2_5be2a07c_60000_1767225600000
    |                    |            |        |     last sign of life: ms by the holder's clock
    |                    |            |        lease in ms
    |                    |            of this run alone
    what was locked      digest of collection and prefix

The collection has no rows, no index and is not loaded. Lite keeps neither descriptions nor
properties, so who the holder is stands in the names of its fields, in hexadecimal.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from vdbcluster.adapters.milvus.client import Call, MilvusConnection, T
from vdbcluster.adapters.milvus.errors import backend_errors, is_missing, is_retriable
from vdbcluster.model.holder import Holder

CALL_SECONDS = 10.0
"""Longest wait for one answer: each of these calls takes milliseconds."""
LONGEST_STEM = 180
PIECE = 200
"""Hexadecimal digits in the name of one field."""
_WHO = "who_"
_SHAPE = re.compile(r"(\w+_vdbcluster_lock_[0-9a-f]{12})_([0-9a-f]{8})_(\d+)_(\d+)")


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """``beat``: 0 until the lock is held, then growing; ``lease``: milliseconds."""

    nonce: str
    beat: int
    lease: int
    stem: str

    @property
    def name(self) -> str:
        return f"{self.stem}_{self.nonce}_{self.lease}_{self.beat}"

    @property
    def seconds(self) -> float:
        """The lease."""
        return self.lease / 1000

    def beating(self, wall: float) -> Entry:
        """The next state of the entry; ``wall``: seconds since 1970."""
        return replace(self, beat=max(self.beat + 1, int(wall * 1000)))

    def fresh(self, wall: float) -> bool:
        """Whether its last sign of life is said to be younger than its lease.

        A hint for how long to look: clocks of two machines may differ by anything.
        """
        return abs(wall * 1000 - self.beat) <= self.lease


def entry_of(name: str) -> Entry | None:
    """What the name of a collection says, if it is an entry of any lock."""
    found = _SHAPE.fullmatch(name)
    return Entry(found[2], int(found[4]), int(found[3]), found[1]) if found else None


def stem_of(collection: str, prefix: str) -> str:
    """How the names of all entries of a lock begin."""
    digest = hashlib.sha256(f"{collection}\n{prefix}".encode()).hexdigest()[:12]
    return f"{collection[:LONGEST_STEM]}_vdbcluster_lock_{digest}"


@dataclass(frozen=True, slots=True)
class Entries:
    """See the module. Raises the client's own errors: ``backend_errors()``.

    ``again``: calls are repeated while that may help.
    """

    milvus: MilvusConnection
    stem: str
    again: bool = True

    def now(self) -> set[Entry]:
        """All entries; Lite may leave out one that is being renamed."""
        names = self._call(lambda client, limit: client.list_collections(timeout=limit))
        found = (entry_of(name) for name in names)
        return {entry for entry in found if entry is not None and entry.stem == self.stem}

    def create(self, holder: Holder) -> Entry:
        """A new entry, which does not hold the lock yet."""
        entry = Entry(secrets.token_hex(4), 0, round(holder.lease * 1000), self.stem)
        self._create(entry, holder)
        return entry

    def renew(self, entry: Entry, holder: Holder, wall: float) -> Entry | None:
        """A sign of life at ``wall``: the entry as it is then; None if somebody took it away."""
        while True:
            fresh = entry.beating(wall)
            try:
                self._rename(entry, fresh)
            except backend_errors() as error:
                if is_retriable(error):
                    raise
            there = self._present(entry)
            if there is None or there == fresh:
                return there
            if there == entry:  # this user may not rename, or this server cannot
                return self._succeed(entry, fresh, holder)
            entry = there  # an earlier answer was lost

    def drop(self, entries: Iterable[Entry]) -> None:
        """Take entries away, if they still are as they are told here."""
        for entry in entries:
            try:
                self._drop(entry.name)
            except backend_errors():
                if entry in self.now():
                    raise

    def leave(self, entry: Entry) -> None:
        """Take the entry away as it is now."""
        self.drop(found for found in sorted(self.now()) if found.nonce == entry.nonce)

    def holder(self, entry: Entry) -> Holder | None:
        """Who made the entry; None if it is gone or cannot be read."""
        try:
            found = self._describe(entry)
        except backend_errors() as error:
            if is_retriable(error):
                raise
            return None
        return _holder(str(field["name"]) for field in found["fields"])

    def hidden(self, entry: Entry) -> bool:
        """Whether an entry that is not listed may be there all the same."""
        try:
            self._describe(entry)
        except backend_errors() as error:
            if is_retriable(error):
                raise
            return not is_missing(error)
        return True

    def _present(self, entry: Entry) -> Entry | None:
        return max((e for e in self.now() if e.nonce == entry.nonce), default=None)

    def _succeed(self, entry: Entry, fresh: Entry, holder: Holder) -> Entry | None:
        """As ``renew``, by a collection anew; ours only if both are there once it is made.

        The old one may have been taken away before, the new one while we were stopped after.
        """
        self._create(fresh, holder)
        ours = {entry, fresh} <= self.now()
        self.drop([entry] if ours else [entry, fresh])
        return fresh if ours else None

    def _create(self, entry: Entry, holder: Holder) -> None:
        def call(client: Any, limit: float) -> None:
            schema = _schema(client, holder)
            client.create_collection(entry.name, schema=schema, num_shards=1, timeout=limit)

        try:
            self._call(call)
        except backend_errors():
            if entry not in self.now():
                raise

    def _rename(self, entry: Entry, fresh: Entry) -> None:
        self._call(
            lambda client, limit: client.rename_collection(entry.name, fresh.name, timeout=limit)
        )

    def _drop(self, name: str) -> None:
        self._call(lambda client, limit: client.drop_collection(name, timeout=limit))

    def _describe(self, entry: Entry) -> Any:
        return self._call(
            lambda client, limit: client.describe_collection(entry.name, timeout=limit)
        )

    def _call(self, call: Call[T]) -> T:
        return self.milvus.raw(
            lambda client, limit: call(client, min(limit, CALL_SECONDS)), again=self.again
        )


def _schema(client: Any, holder: Holder) -> Any:
    from pymilvus import DataType

    schema = client.create_schema(
        auto_id=False, enable_dynamic_field=False, description=f"Lock of vdbcluster: {holder}"
    )
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("none", DataType.FLOAT_VECTOR, dim=2)
    said = holder.to_json().encode().hex()
    for number, start in enumerate(range(0, len(said), PIECE)):
        schema.add_field(f"{_WHO}{number:02}_{said[start : start + PIECE]}", DataType.INT64)
    return schema


def _holder(fields: Iterable[str]) -> Holder | None:
    pieces = sorted(name.removeprefix(_WHO) for name in fields if name.startswith(_WHO))
    said = "".join(piece.partition("_")[2] for piece in pieces)
    try:
        return Holder.from_json(bytes.fromhex(said).decode())
    except ValueError:
        return None
