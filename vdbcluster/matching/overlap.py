"""Counting: the last clustering in its final ids, and how many rows two clusterings share.

In: ``Previous``. Out: ``Settled``, in which the joins that people made are carried out.
In: two labellings of the same rows. Out: ``Overlap``, sparse; noise and absent rows are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.model.arrays import BoolArray, Float64Array, Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.matching import Previous


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """The last clustering by position in ``ids (m,)``, which are live and nobody's alias.

    ``labels (n,)``: position of the row's cluster, -1 where it was noise or had no label.
    ``joined (m,) bool``: people joined others into it; ``whole (m,) bool``: of some of these
    nothing is known that would tell them from it. ``gone``: pairs (alias, heir) of live ids that
    were joined since. ``source (live,)``: position in ``ids`` of each live id of ``Previous``.
    """

    labels: Int64Array
    ids: Int64Array
    sizes: Int64Array
    pinned: BoolArray
    joined: BoolArray
    whole: BoolArray
    source: Int64Array
    gone: tuple[tuple[int, int], ...]


def settle(previous: Previous) -> Settled:
    """Carry out the aliases; those that lead to an id that is not live are passed over."""
    live = {int(i) for i in previous.ids}
    heirs = {start: previous.heir(start) for start in previous.aliases}
    heirs = {start: end for start, end in heirs.items() if end in live and start != end}
    own = np.array([heirs.get(int(i), int(i)) for i in previous.ids], np.int64)
    ids, source = np.unique(own, return_inverse=True)
    sizes = np.bincount(source, previous.sizes, minlength=len(ids)).astype(np.int64)
    pinned = np.bincount(source, previous.pinned, minlength=len(ids)) > 0
    gone = tuple((int(i), int(end)) for i, end in zip(previous.ids, own, strict=True) if i != end)
    labels = _positions(previous, heirs, ids)
    known = {former.id for former in previous.former}
    whole = np.isin(ids, [end for start, end in heirs.items() if start not in known])
    joined = np.isin(ids, list(heirs.values()))
    return Settled(labels, ids, sizes, pinned, joined, whole, source, gone)


def _positions(previous: Previous, heirs: dict[int, int], ids: Int64Array) -> Int64Array:
    known, inverse = np.unique(previous.labels, return_inverse=True)
    ends = np.array([heirs.get(int(i), int(i)) for i in known], np.int64)
    places = positions(ends, ids)[inverse]
    places[previous.absent] = NOISE
    return places


def positions(wanted: Int64Array, ids: Int64Array) -> Int64Array:
    """Where each of ``wanted`` is in ``ids``, which ascend; -1 where it is not."""
    if not len(ids):
        return np.full(wanted.shape, -1, np.int64)
    found = np.searchsorted(ids, wanted)
    found[found == len(ids)] = 0
    return np.where(ids[found] == wanted, found, -1)


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Pairs of an old and a new cluster with rows in common, ascending; all ``(p,) int64``.

    ``of_old (m,)``, ``of_new (c,)``: rows of each cluster that are in a cluster on both sides.
    """

    old: Int64Array
    new: Int64Array
    rows: Int64Array
    of_old: Int64Array
    of_new: Int64Array

    @property
    def share_of_old(self) -> Float64Array:
        """``(p,)``: of the rows of the old cluster that are in a cluster now."""
        share: Float64Array = self.rows / self.of_old[self.old]
        return share

    @property
    def share_of_new(self) -> Float64Array:
        """``(p,)``: of the rows of the new cluster that were in a cluster before."""
        share: Float64Array = self.rows / self.of_new[self.new]
        return share


def overlap(old: Int64Array, new: Int64Array, m: int, c: int) -> Overlap:
    """Count pairs of ``old (n,)`` in ``0 .. m - 1`` and ``new (n,)`` in ``0 .. c - 1``."""
    both = (old >= 0) & (new >= 0)
    pairs, rows = np.unique(old[both] * c + new[both], return_counts=True)
    left, right = np.divmod(pairs, max(c, 1))
    of_old = np.bincount(left, rows, minlength=m).astype(np.int64)
    of_new = np.bincount(right, rows, minlength=c).astype(np.int64)
    return Overlap(left, right, rows, of_old, of_new)
