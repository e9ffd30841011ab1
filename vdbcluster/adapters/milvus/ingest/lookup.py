"""Rows of a collection by key: which are there, where, and what they hold.

In: an open ``Target``, keys. Out: keys, partitions, rows. Promise: strongly consistent; keys of any
content; answers too large for one message are asked for by halves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vdbcluster.adapters.milvus.by_key import rows_by_key
from vdbcluster.adapters.milvus.decode import bytes_per_vector, keys_array, keys_of, vectors_of
from vdbcluster.adapters.milvus.expressions import Key, in_batches
from vdbcluster.adapters.milvus.selection import Selection
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.collection import VectorField


def keys_there(target: Target, keys: Sequence[Key]) -> set[Key]:
    """Which of the keys have a row."""
    return set().union(*(target.find(part) for part in _parts(target, keys)))


def partitions_of(target: Target, keys: Sequence[Key]) -> dict[Key, str]:
    """Where the rows of those keys are that exist; "" where there is only one place to be."""
    if not target.many_partitions:
        return dict.fromkeys(keys_there(target, keys), "")
    found: dict[Key, str] = {}
    for part in _parts(target, keys):
        here = target.find(part)
        for name in _partitions(target):
            if not here:
                break
            held = target.find(sorted(here), partitions=(name,)) & here
            found |= dict.fromkeys(held, name)
            here -= held
    return found


def rows_of(
    target: Target, keys: Sequence[Key], fields: Sequence[str]
) -> dict[Key, Mapping[str, Any]]:
    """The named fields of the rows that exist."""
    pages = _pages(target, keys, fields)
    return {row[target.key]: row for rows in pages for row in rows}


def stored_vectors(
    target: Target, keys: Sequence[Key], field: VectorField
) -> dict[Key, Float32Array]:
    """The vector of each row that exists and has one, ``(dim,) float32``."""
    found: dict[Key, Float32Array] = {}
    for rows in _pages(target, keys, [field.name], bytes_per_vector(field)):
        vectors, present = vectors_of(rows, field)
        held = zip(keys_of(rows, target.profile.key).tolist(), vectors, present, strict=True)
        found |= {key: vector for key, vector, there in held if there}
    return found


def _pages(
    target: Target, keys: Sequence[Key], fields: Sequence[str], row_bytes: int = 0
) -> Iterator[list[Any]]:
    key = target.profile.key
    return rows_by_key(
        target.milvus,
        Selection(target.name),
        key,
        keys_array(keys, key),
        fields,
        row_bytes=row_bytes,
        consistency="Strong",
    )


def _parts(target: Target, keys: Sequence[Key]) -> list[list[Key]]:
    array = keys_array(keys, target.profile.key)
    return [array[part].tolist() for part in in_batches(array)]


def _partitions(target: Target) -> list[str]:
    """Asked for each time: somebody may have made another one."""
    names = target.milvus.ask(
        f"listing the partitions of {target.name!r}",
        lambda client, limit: client.list_partitions(target.name, timeout=limit),
    )
    return sorted(names)
