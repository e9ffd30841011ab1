"""Whole rows, read so that every value of a row is that row's own.

In: a ``MilvusClient``, a ``Target``, keys. Out: columns (``FieldData``) as the server sent them.
Promise: strongly consistent; no value of one row stands in another row's place. Milvus 2.3 does
that to ARRAY fields: where two of its segments hold a row, one as it was and one as it is, it drops
the older values of all other kinds and keeps the older arrays, so that the arrays of later rows are
those of earlier ones, and cuts off what is left over (measured on 2.3.5: always where keys are
double, and now and then for a moment after an upsert). Nothing in such an answer shows it.

So where a row has a field of such a kind, rows are read, counted and read again. Both answers must
be the same, and each row be counted once: had a row been there twice at both readings, it would
have been at the count between them.
"""

from __future__ import annotations

import time
from typing import Any

from vdbcluster.adapters.milvus.expressions import key_in
from vdbcluster.adapters.milvus.writeback.payload import SLOTS, digests, keys_of
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.adapters.milvus.writeback.wire import query_columns
from vdbcluster.errors import BackendError
from vdbcluster.model.arrays import Keys

_JSON = 23
_KEPT_APART = frozenset({*SLOTS, _JSON})
_VECTORS_KEPT_APART = frozenset({"float_vector", "binary_vector"})
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds until the rows are read anew, when they were not right."""


def whole_rows(client: Any, limit: float, target: Target, keys: Keys, partition: str) -> list[Any]:
    """All fields of the rows that have these keys; [] if there are none.

    ``BackendError`` if the server keeps showing rows twice, or others never stop to change them.
    """
    for pause in (*PAUSES, 0.0):
        found = query_columns(client, limit, target, keys, partition)
        if not _may_mix(found) or _is_right(found, client, limit, target, keys, partition):
            return found
        time.sleep(pause)
    raise BackendError(
        f"rows of {target.name!r} are not read the same twice: either others change them all the "
        "time, or the server holds them twice, and then mixes up arrays; nothing more was written, "
        "run again"
    )


def _may_mix(columns: list[Any]) -> bool:
    """Whether a field is of a kind of which the server does not drop the older value."""
    return any(
        column.vectors.WhichOneof("data") not in _VECTORS_KEPT_APART
        if column.WhichOneof("field") == "vectors"
        else column.type not in _KEPT_APART
        for column in columns
    )


def _is_right(
    found: list[Any], client: Any, limit: float, target: Target, keys: Keys, partition: str
) -> bool:
    # The first reading has made the server catch up, so these need not wait again.
    counted = client.query(
        target.name,
        key_in(target.key, keys),
        output_fields=["count(*)"],
        partition_names=target.among(partition),
        timeout=limit,
        consistency_level="Eventually",
    )
    if counted[0]["count(*)"] != len(keys_of(found, target.key)):
        return False
    again = query_columns(client, limit, target, keys, partition, "Eventually")
    return digests(found, target.key, ()) == digests(again, target.key, ())
