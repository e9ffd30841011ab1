"""The rows of a partition cut into ranges of keys, so that several can read them.

In: the keys of a partition, ascending, page by page, as the server gives them. Out: ``KeyRange``s.
Promise: every key there can be is in exactly one range of its partition, those included that come
while it is cut; bounds are compared by the server alone, which is who ordered the keys; rows that
share a key are in one range. Whoever knows some of the keys beforehand cuts by these.

    for part in cut("_default", pages, rows=50_000): source of Selection(where=part.where(key))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from vdbcluster.adapters.milvus.expressions import INT64_MIN, Key, both, key_after, key_between
from vdbcluster.model.arrays import Keys
from vdbcluster.model.collection import KeyField


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Rows of ``partition`` whose key is above ``after`` and at most ``last``; None is no bound."""

    partition: str
    after: Key | None = None
    last: Key | None = None

    def where(self, key: KeyField) -> str:
        """As a filter; empty if there is no bound."""
        lowest = "" if key.type == "VARCHAR" else INT64_MIN
        lower = "" if self.after is None else key_after(key.name, self.after)
        upper = "" if self.last is None else key_between(key.name, lowest, self.last)
        return both(lower, upper)


def cut(partition: str, pages: Iterable[Keys], rows: int) -> Iterator[KeyRange]:
    """Ranges of about ``rows`` keys; the last has no end, and there is one at least."""
    after: Key | None = None
    last: Key | None = None
    held = 0
    for page in pages:
        start = 0
        while held + len(page) - start > rows:  # a range ends only where another row follows
            start += rows - held
            last = _plain(page[start - 1]) if start else last
            held = 0
            if last != after:  # rows of one key
                yield KeyRange(partition, after, last)
                after = last
        held += len(page) - start
        last = _plain(page[-1]) if len(page) else last
    yield KeyRange(partition, after, None)


def between(partition: str, cuts: Keys) -> Iterator[KeyRange]:
    """Ranges that end with each of the cuts, which ascend, and one without an end.

    Rows of a key may come twice if the server does not order keys as the cuts are.
    """
    after: Key | None = None
    for last in map(_plain, cuts):
        yield KeyRange(partition, after, last)
        after = last
    yield KeyRange(partition, after, None)


def _plain(key: Any) -> Key:
    return key if isinstance(key, str) else int(key)
