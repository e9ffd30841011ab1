"""A search as those who use the collection send it, to see how long it takes now.

In: an open connection, the collection and its vector field. Out: a function that searches once.
Promise: one vector, ten keys, not repeated if it fails, given up after some seconds; what fails is
a ``VdbclusterError``.
"""

from __future__ import annotations

from itertools import cycle
from typing import Any

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.throttled import Readers
from vdbcluster.errors import BackendError

HITS = 10
VECTORS = 16
"""Rows whose vectors are searched for in turn: always the same one would stay in every cache."""
SECONDS = 5.0
"""After which a search counts as failed: a writer that waits for it should not wait long."""


def readers_of(
    milvus: MilvusConnection, collection: str, vector_field: str, written: str
) -> Readers:
    """Those who search ``collection`` while ``written`` is written to, the same or another one.

    In Lite rows that were written are searched one by one until a flush, which takes half a second
    there; servers allow one flush in ten seconds, and index by themselves.
    """

    def settle() -> None:
        milvus.tell(
            f"flushing {written!r}",
            lambda client, limit: client.flush(written, timeout=limit),
        )

    read = LikeOthers(milvus, collection, vector_field)
    return Readers(read, settle if milvus.is_lite else None)


class LikeOthers:
    """Call it to search once."""

    def __init__(self, milvus: MilvusConnection, collection: str, vector_field: str) -> None:
        self._milvus, self._name, self._field = milvus, collection, vector_field
        self._vectors: Any = None

    def __call__(self) -> None:
        if self._vectors is None:
            self._vectors = cycle(self._milvus.tell(self._doing, self._some))
        vector = next(self._vectors)
        self._milvus.tell(self._doing, lambda client, limit: self._search(client, limit, vector))

    @property
    def _doing(self) -> str:
        return f"searching {self._name!r} as others do"

    def _some(self, client: Any, limit: float) -> list[Any]:
        rows = client.query(
            self._name,
            filter="",
            limit=VECTORS,
            output_fields=[self._field],
            timeout=min(limit, SECONDS),
        )
        found = [_sendable(row[self._field]) for row in rows if row.get(self._field) is not None]
        if not found:
            raise BackendError(f"no row of {self._name!r} has a vector to search for")
        return found

    def _search(self, client: Any, limit: float, vector: Any) -> None:
        client.search(
            self._name,
            data=[vector],
            anns_field=self._field,
            limit=HITS,
            timeout=min(limit, SECONDS),
        )


def _sendable(value: Any) -> Any:
    """A binary vector is read in a list of its own."""
    return value[0] if isinstance(value, list) and value and isinstance(value[0], bytes) else value
