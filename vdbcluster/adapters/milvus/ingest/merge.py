"""Rows that exist brought up to date on a server that cannot update single fields.

In: the rows' new values. Out: nothing; they are stored. Promise: a row is read whole and strongly
consistent right before it is sent back to the partition that it was found in; fields that are not
named (labels, foreign columns, foreign dynamic keys) go back byte for byte. What remains: a change
by somebody else in the 30 ms between reading and writing 200 rows is lost. A row that is gone by
then is stored anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus.decode import keys_array
from vdbcluster.adapters.milvus.errors import backend_errors, is_too_large, translate
from vdbcluster.adapters.milvus.expressions import Key
from vdbcluster.adapters.milvus.ingest.payload import scalar_column, vector_column
from vdbcluster.adapters.milvus.ingest.rows import Filling, Row
from vdbcluster.adapters.milvus.ingest.sending import Placed
from vdbcluster.adapters.milvus.writeback.duplicates import duplicated
from vdbcluster.adapters.milvus.writeback.payload import (
    RESENDABLE,
    SLOTS,
    for_sending,
    keys_of,
    splice_members,
)
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.adapters.milvus.writeback.whole import whole_rows
from vdbcluster.adapters.milvus.writeback.wire import upsert_columns
from vdbcluster.errors import RefusedError
from vdbcluster.model.arrays import Float32Array

MERGED_ROWS = 200
"""Rows that are read and sent back in one go: few, because others may write meanwhile."""


class Merger:
    """Writes into rows of one collection."""

    def __init__(self, target: Target, filling: Filling) -> None:
        self._target = target
        self._filling = filling
        self._doing = f"updating rows of {target.name!r}"

    def merge(self, rows: list[Placed], vectors: Float32Array, partition: str) -> list[Placed]:
        """Update rows that were found in ``partition``; those that are gone by now come back.

        Raises ``RefusedError`` where whole rows cannot be sent back, or share their key.
        """
        check_resendable(self._target.name, self._filling)
        twice = duplicated(self._target, [row.key for _, row in rows])
        if twice:
            raise RefusedError(
                f"{len(twice):,} rows that have changed share their key with others (the first is "
                f"{min(twice)!r}), and an update would leave one of them; delete the copies first"
            )
        gone: list[Placed] = []
        for start in range(0, len(rows), MERGED_ROWS):
            gone += self._some(rows[start : start + MERGED_ROWS], vectors, partition)
        return gone

    def _some(self, rows: list[Placed], vectors: Float32Array, partition: str) -> list[Placed]:
        call = partial(self._pass, rows=rows, vectors=vectors, partition=partition)
        try:
            there = self._target.milvus.raw(call)
        except backend_errors() as error:
            if len(rows) == 1 or not is_too_large(error):
                raise translate(error, self._doing) from error
            middle = len(rows) // 2
            return [
                *self._some(rows[:middle], vectors, partition),
                *self._some(rows[middle:], vectors, partition),
            ]
        return [placed for placed in rows if placed[1].key not in there]

    def _pass(
        self, client: Any, limit: float, *,
        rows: list[Placed], vectors: Float32Array, partition: str,
    ) -> set[Key]:  # fmt: skip
        """Read and send back; the keys of the rows that were there."""
        keys = keys_array([row.key for _, row in rows], self._target.profile.key)
        found = whole_rows(client, limit, self._target, keys, partition)
        order = keys_of(found, self._target.key) if found else []
        if order:
            by_key = {placed[1].key: placed for placed in rows}
            mine = [by_key[key] for key in order]
            columns = merged(found, mine, vectors, self._filling)
            upsert_columns(client, limit, self._target, columns, len(order), partition)
        return set(order)


def check_resendable(collection: str, filling: Filling) -> None:
    """``RefusedError`` if rows of the collection cannot be sent back as they were read."""
    layout = filling.layout
    odd = [c.name for c in layout.columns.values() if c.type not in RESENDABLE]
    odd += [v.name for v in layout.vectors if v.type not in RESENDABLE]
    odd += list(layout.computed)
    if odd:
        raise RefusedError(
            f"rows of {collection!r} are to be changed, but this server can only replace whole "
            f"rows, and the field {odd[0]!r} cannot be sent back as it was read; delete the rows "
            "that have changed first, or use a server of 2.6 or later"
        )


def merged(
    found: Sequence[Any], rows: Sequence[Placed], vectors: Float32Array, filling: Filling
) -> list[Any]:
    """The columns ``found`` with the values of ``rows``, in their order, in place of theirs."""
    positions = np.array([position for position, _ in rows], np.int64)
    mine = [row for _, row in rows]
    named: set[str] = set().union(*(row.columns for row in mine))
    return [_column(column, mine, vectors[positions], named, filling) for column in found]


def _column(
    column: Any, rows: Sequence[Row], vectors: Float32Array, named: set[str], filling: Filling
) -> Any:
    name = column.field_name
    if column.is_dynamic:
        return _spliced(column, rows)
    if name == filling.vector.name:
        return vector_column(vectors, filling.vector)
    if name not in named:
        return for_sending(column)
    known = filling.layout.columns[name]
    old = _values(column, known.type, len(rows))
    new = [row.columns.get(name, was) for row, was in zip(rows, old, strict=True)]
    return scalar_column(known, new)


def _spliced(column: Any, rows: Sequence[Row]) -> Any:
    sent = for_sending(column)
    data = sent.scalars.json_data.data
    spliced = [splice_members(raw, row.dynamic) for raw, row in zip(data, rows, strict=True)]
    del data[:]
    data.extend(spliced)
    return sent


def _values(column: Any, kind: str, rows: int) -> list[Any]:
    """The values of a scalar column, None for null, whether nulls are padded or left out."""
    slot = {"JSON": "json_data", "ARRAY": "array_data"}.get(kind) or SLOTS[column.type]
    values = list(getattr(column.scalars, slot).data)
    if not column.valid_data:
        return values
    padded = len(values) == rows
    held = iter(values)
    padded_out = [next(held) if padded or is_valid else None for is_valid in column.valid_data]
    return [
        value if is_valid else None
        for value, is_valid in zip(padded_out, column.valid_data, strict=True)
    ]
