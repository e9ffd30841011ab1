"""Stable ids: which new cluster is which old one.

In: ``Previous``, new labels ``(n,)``. Out: ``Matching``.
Promise: same clusters, same ids, whatever the numbering of the new labels; equal candidates are
told apart by the older (smaller) id and by the smallest key among the rows of a cluster.

1. What people joined stays joined: a new cluster that is again one that was joined into an id (see
   ``again``) has that id, beside the one that inherits it below. Where nothing is known of what was
   joined, all new clusters that each have more than half of their known rows (rows that were in a
   cluster before) from that id are one cluster. What people parted again has its own id back.
2. By rows: of all pairs that ``MatchParams`` admits, the assignment that keeps the most pinned ids,
   and then the most rows.
3. What rows cannot tell, because they were replaced (on either side fewer than ``share`` of the
   rows of the cluster are in a cluster in both): by exemplars, of which more than half must be in
   the new cluster, and then by the nearest centroid within ``reach``.
4. The others are new: ids from ``next_id`` on, largest cluster first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vdbcluster.matching.again import Returned, again
from vdbcluster.matching.centroids import centroids_of_groups, nearest_pairs
from vdbcluster.matching.lineage import lineage
from vdbcluster.matching.overlap import Overlap, Settled, overlap, settle
from vdbcluster.matching.pairing import best_pairs
from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array, Int64Array, Keys
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.matching import Basis, Matching, MatchParams, Previous

DEFAULTS = MatchParams()
_BASES = tuple(Basis)


def match(
    previous: Previous,
    labels: Int64Array,
    *,
    keys: Keys | None = None,
    centroids: Float32Array | None = None,
    params: MatchParams = DEFAULTS,
) -> Matching:
    """Give the clusters ``0 .. c - 1`` of ``labels (n,)`` their stable ids.

    ``keys (n,)``: what orders the rows, for ties; without them the position does, which is the
    same where rows come by ascending key. ``centroids (c, d)`` of the new clusters; without them,
    or those of ``previous``, step 3 ends with the exemplars.

    Raises ``ValueError`` if lengths differ or a number below c has no row.
    """
    if len(labels) != previous.n_rows:
        raise ValueError(f"{len(labels)} rows have a new label, {previous.n_rows} an old one")
    before = settle(previous)
    now = _numbered(labels, keys, before)
    middles = None
    if centroids is not None and previous.centroids is not None:
        middles = _centroids(previous, before, centroids, labels, now)
    heirs = _Heirs.none(len(now.sizes))
    returned = again(previous, before, now.labels, now.sizes, middles, params)
    for one in returned:
        heirs.add(one.heir, one.cluster, one.basis)
    _inherit(previous, before, _without(now, returned), middles, params, heirs)
    ids, next_id = _with_new_ids(before, now, heirs, previous.first_free)
    own = ids.copy()
    own[[one.cluster for one in returned]] = [one.id for one in returned]
    events = lineage(previous, np.append(ids, NOISE)[now.labels])
    basis = tuple(_BASES[code] for code in heirs.basis[now.group])
    return Matching(ids[now.group], own[now.group], basis, events, next_id)


@dataclass(frozen=True, slots=True, eq=False)
class _Now:
    """The new clustering, numbered ``0 .. g - 1`` by the smallest key, joined as people want it.

    ``labels (n,)``; ``sizes (g,)``; ``group (c,)``: number of each cluster as it was given.
    """

    labels: Int64Array
    sizes: Int64Array
    group: Int64Array


@dataclass(frozen=True, slots=True, eq=False)
class _Heirs:
    """``old (g,)``: position of the old cluster that each inherits, -1; ``basis (g,)``: by what.

    Filled step by step.
    """

    old: Int64Array
    basis: Int64Array

    @staticmethod
    def none(g: int) -> _Heirs:
        return _Heirs(np.full(g, -1, np.int64), np.full(g, _BASES.index(Basis.NEW), np.int64))

    def add(self, old: Int64Array | int, new: Int64Array | int, basis: Basis) -> None:
        self.old[new] = old
        self.basis[new] = _BASES.index(basis)


def _inherit(
    previous: Previous,
    before: Settled,
    now: _Now,
    middles: tuple[Float64Array, Float64Array] | None,
    params: MatchParams,
    heirs: _Heirs,
) -> None:
    """By rows, then by exemplars, then by centroids."""
    _by_rows(before, now, params, heirs)
    _by_exemplars(previous, before, now, _unclear(before, now, params, heirs), heirs)
    if middles is not None and params.reach > 0:
        unclear = _unclear(before, now, params, heirs)
        pairs = nearest_pairs(*middles, unclear.old, unclear.new, params.reach)
        heirs.add(*pairs, Basis.CENTROID)


def _without(now: _Now, returned: Sequence[Returned]) -> _Now:
    """The same clusters, but those that are spoken for have no rows to count."""
    if not returned:
        return now
    taken = np.isin(now.labels, [one.cluster for one in returned])
    return replace(now, labels=np.where(taken, NOISE, now.labels))


def _numbered(labels: Int64Array, keys: Keys | None, before: Settled) -> _Now:
    order = np.arange(len(labels)) if keys is None else np.argsort(keys, kind="stable")
    order = order[labels[order] != NOISE]
    numbers, first = np.unique(labels[order], return_index=True)
    c = len(numbers)
    if c and (numbers[0] != 0 or numbers[-1] != c - 1):
        lacking = np.setdiff1d(np.arange(numbers[-1] + 1), numbers)
        raise ValueError(f"cluster {int(min(lacking, default=numbers[0]))} has no rows")
    rank = np.empty(c, np.int64)
    rank[np.argsort(first)] = np.arange(c)
    group = _joined(before, np.append(rank, NOISE)[labels], c)[rank]
    renumbered = np.append(group, NOISE)[labels]
    sizes = np.bincount(renumbered[renumbered >= 0], minlength=int(group.max(initial=-1)) + 1)
    return _Now(renumbered, sizes, group)


def _joined(before: Settled, labels: Int64Array, c: int) -> Int64Array:
    """Group of each cluster ``(c,)``, numbered by the first cluster of each."""
    shared = overlap(before.labels, labels, len(before.ids), c)
    mine = (shared.share_of_new > 0.5) & before.whole[shared.old]
    first = np.full(len(before.ids), c)
    np.minimum.at(first, shared.old[mine], shared.new[mine])
    leader = np.arange(c)
    leader[shared.new[mine]] = first[shared.old[mine]]
    return np.unique(leader, return_inverse=True)[1].astype(np.int64)


def _by_rows(before: Settled, now: _Now, params: MatchParams, heirs: _Heirs) -> None:
    shared = _shared(before, now)
    pinned = before.pinned[shared.old]
    edited = pinned | before.joined[shared.old]
    both = np.minimum(shared.share_of_old, shared.share_of_new) >= params.share
    admitted = both | (edited & (shared.share_of_old >= params.pinned_share))
    old, new = shared.old[admitted], shared.new[admitted]
    taken = best_pairs(old, new, shared.rows[admitted], pinned[admitted])
    heirs.add(old[taken], new[taken], Basis.ROWS)


def _shared(before: Settled, now: _Now) -> Overlap:
    return overlap(before.labels, now.labels, len(before.ids), len(now.sizes))


@dataclass(frozen=True, slots=True, eq=False)
class _Unclear:
    """Clusters without a partner and with too few rows to tell: ``old (m,)``, ``new (g,) bool``."""

    old: BoolArray
    new: BoolArray


def _unclear(before: Settled, now: _Now, params: MatchParams, heirs: _Heirs) -> _Unclear:
    shared = _shared(before, now)
    old = shared.of_old < params.share * np.maximum(before.sizes, 1)
    old[heirs.old[heirs.old >= 0]] = False
    return _Unclear(old, (shared.of_new < params.share * now.sizes) & (heirs.old < 0))


def _by_exemplars(
    previous: Previous, before: Settled, now: _Now, unclear: _Unclear, heirs: _Heirs
) -> None:
    if not previous.exemplars:
        return
    of = np.repeat(before.source, [len(rows) for rows in previous.exemplars])
    rows = np.concatenate(previous.exemplars).astype(np.int64)
    shared = overlap(of, now.labels[rows], len(before.ids), len(now.sizes))
    there = np.bincount(of, minlength=len(before.ids))
    most = 2 * shared.rows > there[shared.old]
    admitted = most & unclear.old[shared.old] & unclear.new[shared.new]
    old, new = shared.old[admitted], shared.new[admitted]
    taken = best_pairs(old, new, shared.rows[admitted], before.pinned[old])
    heirs.add(old[taken], new[taken], Basis.EXEMPLARS)


def _centroids(
    previous: Previous, before: Settled, given: Float32Array, labels: Int64Array, now: _Now
) -> tuple[Float64Array, Float64Array]:
    """Of the old clusters ``(m, d)`` and the new ones ``(g, d)``, as they are joined now."""
    assert previous.centroids is not None
    wanted = (len(now.group), previous.centroids.shape[1])
    if given.shape != wanted:
        raise ValueError(f"centroids are {given.shape}; they must be {wanted}")
    sizes = np.bincount(labels[labels >= 0], minlength=len(now.group))
    olds = centroids_of_groups(previous.centroids, before.source, previous.sizes, len(before.ids))
    return olds, centroids_of_groups(given, now.group, sizes, len(now.sizes))


def _with_new_ids(before: Settled, now: _Now, heirs: _Heirs, free: int) -> tuple[Int64Array, int]:
    """Ids ``(g,)`` and the next free one; new ones by size, then by the smallest key."""
    ids = np.append(before.ids, NOISE)[heirs.old]
    new = np.flatnonzero(heirs.old < 0)
    new = new[np.argsort(-now.sizes[new], kind="stable")]
    ids[new] = free + np.arange(len(new))
    return ids, free + len(new)
