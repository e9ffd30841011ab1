"""What became of every id, from the labels of last time and those of now.

In: ``Previous``, stable labels ``(n,)``. Out: events, ascending by id, the state of an id first.
Promise: each id that was or is live has exactly one state; parted and joined ids have a second
event that names the parts. After MONIC (Spiliopoulou, Ntoutsi, Theodoridis and Schult 2006), but
with ids that pass on one to one.

A new id split from the old one that more than half of its known rows come from (rows that were in
a cluster before), a retired id merged into the one that has more than half of its rows that are in
a cluster now; in both cases these must be ``EVIDENCE`` of all its rows, or it was simply born, or
died. Ids that people joined since the last time have merged by their word, whatever their rows do;
one that they took out of a join, and that has no rows yet, begins anew, or died.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from vdbcluster.matching.overlap import Overlap, Settled, overlap, positions, settle
from vdbcluster.model.arrays import Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.matching import Event, EventKind, Part, Previous

EVIDENCE = 0.1
LISTED = 0.05
"""Parts below this share are not listed with what was born or died."""


def lineage(previous: Previous, labels: Int64Array) -> tuple[Event, ...]:
    """Events between ``previous`` and the stable ``labels (n,)`` of now, -1 for noise.

    Raises ``ValueError`` if the lengths differ.
    """
    if len(labels) != previous.n_rows:
        raise ValueError(f"{len(labels)} rows have a new label, {previous.n_rows} an old one")
    before = settle(previous)
    ids, sizes = np.unique(labels[labels != NOISE], return_counts=True)
    shared = overlap(before.labels, positions(labels, ids), len(before.ids), len(ids))
    history = _History(before, ids, sizes, shared)
    events = [*history.states(), *history.parted(), *history.joined(), *_by_hand(previous, before)]
    return tuple(sorted(events, key=lambda event: (event.id, _ORDER[event.kind])))


_ORDER = {kind: place for place, kind in enumerate(EventKind)}


class _Shares:
    """Of each id: the ids on the other side, and the rows shared with them, most first."""

    def __init__(self, ids: Int64Array, others: Int64Array, rows: Int64Array) -> None:
        order = np.lexsort((others, -rows, ids))
        self._ids, self._others, self._rows = ids[order], others[order], rows[order]

    def of(self, i: int) -> list[tuple[int, int]]:
        begin, end = np.searchsorted(self._ids, (i, i + 1))
        return list(
            zip(self._others[begin:end].tolist(), self._rows[begin:end].tolist(), strict=True)
        )


class _History:
    def __init__(
        self, before: Settled, ids: Int64Array, sizes: Int64Array, shared: Overlap
    ) -> None:
        self.before = dict(zip(before.ids.tolist(), before.sizes.tolist(), strict=True))
        self.after = dict(zip(ids.tolist(), sizes.tolist(), strict=True))
        old, new = before.ids[shared.old], ids[shared.new]
        same = old == new
        self.kept = dict(zip(old[same].tolist(), shared.rows[same].tolist(), strict=True))
        self.went, self.came = _Shares(old, new, shared.rows), _Shares(new, old, shared.rows)
        self.born = {i for i in self.after if not self.before.get(i)}
        retired = self.before.keys() - self.after
        self.split_from = _main(self.born, self.came, self.after)
        self.merged_into = _main(retired, self.went, self.before)

    def states(self) -> list[Event]:
        return [self._state(i) for i in self.before.keys() | self.after.keys()]

    def _state(self, i: int) -> Event:
        if i in self.born:
            kind = EventKind.SPLIT_FROM if i in self.split_from else EventKind.BORN
            return self._event(kind, i, _listed(self.came.of(i), self.after[i]))
        if i not in self.after:
            kind = EventKind.MERGED_INTO if i in self.merged_into else EventKind.DIED
            return self._event(kind, i, _listed(self.went.of(i), self.before[i]))
        more = self.after[i] - self.before[i]
        kinds = (EventKind.UNCHANGED, EventKind.GROWN, EventKind.SHRUNK)
        return self._event(kinds[(more > 0) - (more < 0)], i, ())

    def parted(self) -> list[Event]:
        return [
            self._event(EventKind.SPLIT_INTO, i, self._parts(i, others, self.went, self.before))
            for i, others in _grouped(self.split_from).items()
        ]

    def joined(self) -> list[Event]:
        return [
            self._event(EventKind.MERGED_FROM, i, self._parts(i, others, self.came, self.after))
            for i, others in _grouped(self.merged_into).items()
        ]

    def _parts(
        self, i: int, others: set[int], shares: _Shares, sizes: dict[int, int]
    ) -> tuple[Part, ...]:
        return tuple(_part(j, rows, sizes[i]) for j, rows in shares.of(i) if j == i or j in others)

    def _event(self, kind: EventKind, i: int, parts: tuple[Part, ...]) -> Event:
        before, after = self.before.get(i, 0), self.after.get(i, 0)
        return Event(kind, i, before, after, self.kept.get(i, 0), parts)


def _main(ids: set[int], shares: _Shares, sizes: dict[int, int]) -> dict[int, int]:
    """For each id the other one that has most of it, where the rows are evidence enough."""
    found = {}
    for i in ids:
        pairs = shares.of(i)
        other, most = pairs[0] if pairs else (i, 0)
        if 2 * most > sum(rows for _, rows in pairs) and most >= EVIDENCE * sizes[i]:
            found[i] = other
    return found


def _grouped(other_of: dict[int, int]) -> dict[int, set[int]]:
    groups: dict[int, set[int]] = defaultdict(set)
    for i, other in other_of.items():
        groups[other].add(i)
    return groups


def _listed(pairs: list[tuple[int, int]], size: int) -> tuple[Part, ...]:
    parts = (_part(j, rows, size) for j, rows in pairs)
    return tuple(part for part in parts if part.share >= LISTED)


def _part(i: int, rows: int, size: int) -> Part:
    return Part(i, rows, min(1.0, rows / max(size, 1)))


def _by_hand(previous: Previous, before: Settled) -> list[Event]:
    sizes = dict(zip(previous.ids.tolist(), previous.sizes.tolist(), strict=True))
    return [
        Event(EventKind.MERGED_INTO, i, sizes[i], 0, 0, (Part(heir, sizes[i], 1.0),))
        for i, heir in before.gone
    ]
