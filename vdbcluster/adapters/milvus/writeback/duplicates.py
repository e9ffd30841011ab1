"""Keys that more than one row has: a server's upsert keeps one of those rows and drops the rest.

In: keys whose rows exist. Out: the keys that must not be upserted.
Promise: a key that is not returned had one row, or none any more, when it was counted. Source of
the method: a query shows one row for each key, ``count(*)`` counts them all, so only a count tells
(measured on 2.3.5).
"""

from __future__ import annotations

from vdbcluster.adapters.milvus.expressions import Key
from vdbcluster.adapters.milvus.writeback.target import Target

DUPLICATE = (
    "{keys:,} keys have more than one row (the first is {first!r}), and an upsert would keep only "
    "one of them; such rows are left alone, a side collection can label them (--way "
    "side-collection)"
)


def duplicated(target: Target, keys: list[Key]) -> set[Key]:
    """Which of ``keys`` have several rows: one count if each has one, else by halving."""
    if not keys or target.count(keys) == len(keys):
        return set()
    return _halved(target, keys)


def _halved(target: Target, keys: list[Key]) -> set[Key]:
    if len(keys) == 1:
        return set(keys) if target.count(keys) > 1 else set()
    middle = len(keys) // 2
    halves = (keys[:middle], keys[middle:])
    # The strong count before has made the server catch up, so these need not wait again; where
    # they find nothing all the same, it had not.
    suspects = [half for half in halves if target.count(half, "Eventually") != len(half)]
    suspects = suspects or [half for half in halves if target.count(half) != len(half)]
    return set().union(*(_halved(target, half) for half in suspects))


def message(keys: set[Key]) -> str:
    """One line for the user."""
    return DUPLICATE.format(keys=len(keys), first=min(keys))
