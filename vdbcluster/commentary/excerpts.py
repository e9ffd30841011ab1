"""The few texts of a cluster that a model reads, each under a short handle.

In: a ``Card`` with representatives. Out: ``Excerpt``s in the order they are shown.
Promise: handles are ``r1``, ``r2`` ...; no text twice; the same texts have the same order and
handles, whatever the order and the keys of their rows, so that an unchanged cluster is an unchanged
question. A model never sees a key: it cannot make one up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from vdbcluster.commentary.untrusted import folded, plain
from vdbcluster.model.cards import Card, Shown
from vdbcluster.model.catalogue import RowKey


@dataclass(frozen=True, slots=True)
class Excerpt:
    """``text``: one line, as it is shown; ``key``: of the row that it was taken from."""

    handle: str
    key: RowKey
    text: str


def excerpts(card: Card, most: int, length: int) -> tuple[Excerpt, ...]:
    """At most ``most`` texts of at most ``length`` characters.

    Half are typical ones, a third varied, the others from the border; where one kind has fewer,
    the others have more.
    """
    shown = card.representatives
    if shown is None:
        return ()
    kinds = ((shown.medoid, *shown.central, *shown.dense), shown.diverse, shown.border)
    typical, varied = -(-most // 2), -(-most // 3)
    quotas = (typical, min(varied, most - typical), max(0, most - typical - varied))
    taken = _taken([list(_cut(kind, length)) for kind in kinds], quotas, most)
    ordered = [pair for kind in taken for pair in sorted(kind, key=lambda pair: pair[1])]
    return tuple(Excerpt(f"r{i}", key, text) for i, (key, text) in enumerate(ordered, 1))


def _cut(rows: Iterable[Shown], length: int) -> Iterator[tuple[RowKey, str]]:
    for row in rows:
        if text := plain(row.text or "", length):
            yield row.key, text


def _taken(
    kinds: Sequence[Sequence[tuple[RowKey, str]]], quotas: Sequence[int], most: int
) -> list[list[tuple[RowKey, str]]]:
    """Of each kind its quota, then what else there is until there are ``most``."""
    seen: set[str] = set()
    taken: list[list[tuple[RowKey, str]]] = [[] for _ in kinds]
    for limits in (quotas, [most] * len(kinds)):
        for kind, mine, limit in zip(kinds, taken, limits, strict=True):
            room = min(limit - len(mine), most - sum(map(len, taken)))
            mine += islice(_fresh(kind, seen), max(0, room))
    return taken


def _fresh(rows: Iterable[tuple[RowKey, str]], seen: set[str]) -> Iterator[tuple[RowKey, str]]:
    for key, text in rows:
        if (known := folded(text)) not in seen:
            seen.add(known)
            yield key, text
