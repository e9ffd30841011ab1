"""Rows on their way to the server, in requests that it takes.

In: rows with their positions among the vectors. Out: nothing; they are stored, or it is an error.
Promise: a request is bounded by bytes and halved where the server finds it too large all the same;
rows in one request have the same columns, so that none gets a value that it does not bring;
``upsert`` may be repeated after a lost answer, ``insert`` never is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus.errors import backend_errors, is_too_large, translate
from vdbcluster.adapters.milvus.ingest.payload import entities, wire_columns
from vdbcluster.adapters.milvus.ingest.rows import Filling, Row
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.adapters.milvus.writeback.wire import insert_columns, send_columns, sends_columns
from vdbcluster.errors import BackendError
from vdbcluster.model.arrays import Float32Array

Placed = tuple[int, Row]
"""A row and the position of its vector."""
Place = Mapping[str, str]
"""``{"partition_name": ...}``, or nothing where the server knows the place."""


def requests(rows: Sequence[Placed], vector_bytes: int, limit: int) -> Iterator[list[Placed]]:
    """Rows of the same columns together, in parts of ``limit`` bytes, one row at least."""
    alike: dict[tuple[str, ...], list[Placed]] = {}
    for placed in rows:
        alike.setdefault(tuple(sorted(placed[1].columns)), []).append(placed)
    for group in alike.values():
        yield from _cut(group, vector_bytes, limit)


def _cut(rows: list[Placed], vector_bytes: int, limit: int) -> Iterator[list[Placed]]:
    part: list[Placed] = []
    size = 0
    for placed in rows:
        more = placed[1].size + vector_bytes
        if part and size + more > limit:
            yield part
            part, size = [], 0
        part.append(placed)
        size += more
    if part:
        yield part


class Sender:
    """Sends rows to one collection; ``vectors`` are those of the whole batch."""

    def __init__(self, target: Target, filling: Filling, batch_bytes: int) -> None:
        self._target = target
        self._filling = filling
        self._batch_bytes = batch_bytes
        self._doing = f"writing to {target.name!r}"

    def upsert(
        self, rows: Sequence[Placed], vectors: Float32Array, place: Place, *, merge: bool = False
    ) -> None:
        """Put rows; ``merge``: into those that are there, on a server that merges when asked to."""
        call = partial(self._upsert, vectors=vectors, place=place, merge=merge)
        for part in self.parts(rows):
            self._send(part, call)

    def insert(self, rows: Sequence[Placed], vectors: Float32Array) -> None:
        """Add rows, each once."""
        for part in self.parts(rows):
            self._send(part, partial(self._insert, vectors=vectors), again=False)

    def parts(self, rows: Sequence[Placed]) -> Iterator[list[Placed]]:
        """See ``requests``."""
        return requests(rows, 4 * self._filling.vector.dim, self._batch_bytes)

    def _send(self, part: list[Placed], call: Any, again: bool = True) -> None:
        try:
            stored = self._target.milvus.raw(partial(call, part), again=again)
        except backend_errors() as error:
            if len(part) == 1 or not is_too_large(error):
                raise translate(error, self._doing) from error
            middle = len(part) // 2
            self._send(part[:middle], call, again)
            self._send(part[middle:], call, again)
            return
        if stored != len(part):
            raise BackendError(f"{self._doing}: {stored} of {len(part)} rows stored; run again")

    def _upsert(
        self, part: list[Placed], client: Any, limit: float, *,
        vectors: Float32Array, place: Place, merge: bool,
    ) -> int:  # fmt: skip
        rows, mine = _picked(part, vectors)
        if not sends_columns(client):
            data = entities(rows, mine, self._filling)
            options = {"partial_update": True} if merge else {}
            answer = client.upsert(self._target.name, data, timeout=limit, **place, **options)
            return int(answer["upsert_count"])
        columns = wire_columns(rows, mine, self._filling)
        database = self._target.milvus.address.database
        return send_columns(
            client, limit, database, self._target.name, columns, len(rows), place, partial=merge
        )

    def _insert(
        self, part: list[Placed], client: Any, limit: float, *, vectors: Float32Array
    ) -> int:
        rows, mine = _picked(part, vectors)
        name, database = self._target.name, self._target.milvus.address.database
        if sends_columns(client):
            columns = wire_columns(rows, mine, self._filling)
            return insert_columns(client, limit, database, name, columns, len(rows))
        data = entities(rows, mine, self._filling)
        return int(client.insert(name, data, retry_times=0)["insert_count"])


def _picked(part: list[Placed], vectors: Float32Array) -> tuple[list[Row], Float32Array]:
    rows = [row for _, row in part]
    return rows, vectors[np.array([position for position, _ in part], np.int64)]
