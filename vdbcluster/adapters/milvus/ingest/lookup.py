"""Rows of a collection by key: which are there, where, and what they hold.

In: an open ``Target``, keys. Out: keys, partitions, rows. Promise: strongly consistent; keys of any
content; answers too large for one message are asked for by halves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from vdbcluster.adapters.milvus.decode import keys_array, keys_of, vectors_of
from vdbcluster.adapters.milvus.errors import backend_errors, is_too_large, translate
from vdbcluster.adapters.milvus.expressions import Key, in_batches, key_in
from vdbcluster.adapters.milvus.writeback.target import MAX_ANSWER, Target
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.collection import VectorField

T = TypeVar("T")

ANSWER_BYTES = 16 << 20
"""Bytes of vectors asked for at once."""


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
    found: dict[Key, Mapping[str, Any]] = {}
    for part in _parts(target, keys):
        found |= _halving(target, part, fields, lambda rows: {row[target.key]: row for row in rows})
    return found


def stored_vectors(
    target: Target, keys: Sequence[Key], field: VectorField
) -> dict[Key, Float32Array]:
    """The vector of each row that exists and has one, ``(dim,) float32``."""

    def decode(rows: Any) -> dict[Key, Float32Array]:
        vectors, present = vectors_of(rows, field)
        held = zip(keys_of(rows, target.profile.key).tolist(), vectors, present, strict=True)
        return {key: vector for key, vector, there in held if there}

    step = max(1, ANSWER_BYTES // (4 * field.dim))
    found: dict[Key, Float32Array] = {}
    for part in _parts(target, keys):
        for start in range(0, len(part), step):
            found |= _halving(target, part[start : start + step], [field.name], decode)
    return found


def _halving(
    target: Target, keys: list[Key], fields: Sequence[str], decode: Callable[[Any], dict[Key, T]]
) -> dict[Key, T]:
    """One query, or two of half as many rows where the answer is too large."""
    ask = partial(_ask, target=target, keys=keys, fields=fields)
    try:
        return decode(target.milvus.raw(ask))
    except backend_errors() as error:
        if len(keys) == 1 or not is_too_large(error):
            raise translate(error, f"reading rows of {target.name!r}") from error
    middle = len(keys) // 2
    return _halving(target, keys[:middle], fields, decode) | _halving(
        target, keys[middle:], fields, decode
    )


def _ask(
    client: Any, limit: float, *, target: Target, keys: list[Key], fields: Sequence[str]
) -> Any:
    return client.query(
        target.name,
        key_in(target.key, keys),
        output_fields=[target.key, *fields],
        limit=MAX_ANSWER,
        consistency_level="Strong",
        timeout=limit,
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
