"""Rows that are asked for by key.

In: a connection, a selection, keys. Out: pages of rows, vectors not yet decoded.
Promise: keys of any content; a row that is gone or not selected is absent; neither a request nor an
answer is too large: batches are bounded by number, by length of the keys and by bytes expected, and
one whose answer is too large all the same is asked for by halves.

    for rows in rows_by_key(connection, selection, key, keys, ("title",)): ...
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.errors import backend_errors, is_too_large, translate
from vdbcluster.adapters.milvus.expressions import both, in_batches, key_in
from vdbcluster.adapters.milvus.selection import Selection
from vdbcluster.adapters.milvus.stream import MAX_ROWS, page_rows
from vdbcluster.model.arrays import Keys
from vdbcluster.model.collection import KeyField

ANSWER_BYTES = 16 << 20
_KEYS = 1000
_SCALAR_BYTES = 64


def rows_by_key(
    connection: MilvusConnection,
    chosen: Selection,
    key: KeyField,
    keys: Keys,
    fields: Sequence[str],
    *,
    row_bytes: int = _SCALAR_BYTES,
    consistency: str = "",
) -> Iterator[list[Any]]:
    """Key and ``fields`` of the rows that have one of ``keys``, in any order.

    Where a key occurs twice, one row of it comes or several. ``row_bytes``: what a row is expected
    to take in an answer. ``consistency``: as the client calls it, empty for the collection's own.
    """
    most = min(_KEYS, page_rows(row_bytes, ANSWER_BYTES))
    ask = partial(_ask, chosen=chosen, key=key.name, fields=fields, consistency=consistency)
    for batch in in_batches(keys, most):
        waiting = [keys[batch]]
        while waiting:
            part = waiting.pop()
            try:
                yield connection.raw(partial(ask, keys=part))
            except backend_errors() as error:
                if len(part) == 1 or not is_too_large(error):
                    raise translate(error, f"reading rows of {chosen.collection!r}") from error
                half = len(part) // 2
                waiting += [part[half:], part[:half]]


def _ask(
    client: Any,
    limit: float,
    *,
    chosen: Selection,
    key: str,
    fields: Sequence[str],
    consistency: str,
    keys: Keys,
) -> list[Any]:
    found: list[Any] = client.query(
        chosen.collection,
        both(key_in(key, keys), chosen.where),
        output_fields=[key, *fields],
        partition_names=list(chosen.partitions) or None,
        limit=MAX_ROWS,  # to be said: without a limit 2.3.5 loses a row for each duplicate key
        timeout=limit,
        **({"consistency_level": consistency} if consistency else {}),
    )
    return found
