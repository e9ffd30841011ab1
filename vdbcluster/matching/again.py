"""Clusters without rows of their own that form again: people merged them, or parted them again.

In: ``Previous``, the last clustering as ``Settled``, new labels ``(n,)``, centroids if there are.
Out: which new cluster each of them is, if it is there at all.
Promise: never what is another cluster again, the one that their rows went to least of all; no new
cluster is two of them; only one that is still merged may be there in pieces. Each is found for
itself: it is people who merge, so they are few.

The rows of such a cluster have the id of its *home*: the one that it was merged into. A new cluster
is the former one if it has more than half of its exemplars, and not more than half of those of the
home too: what has both is both together, and that is the home. Its rows must come from the home, or
have been in no cluster, or its centroid be near (the former one may have been part of a third
cluster meanwhile). Where no exemplar is left the centroid alone decides, as for clusters whose rows
were replaced. Of what else comes out of the home, that is a piece of a merged cluster whose
centroid is nearer to that of this one than to that of any live one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vdbcluster.matching.centroids import nearest, nearest_pairs
from vdbcluster.matching.overlap import Settled, overlap
from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.matching import Basis, MatchParams, Previous

NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Returned:
    """``cluster``: the new one; ``id``: of the former; ``heir``: position in ``Settled.ids`` of
    the id that it gets, which is that of its home as long as it is merged into that.
    """

    cluster: int
    id: int
    heir: int
    basis: Basis


def again(
    previous: Previous,
    before: Settled,
    labels: Int64Array,
    sizes: Int64Array,
    middles: tuple[Float64Array, Float64Array] | None,
    params: MatchParams,
) -> tuple[Returned, ...]:
    """The former clusters that are there again, each new cluster at most once.

    ``labels (n,)``, ``sizes (c,)``: the new clusters; ``middles``: centroids of ``before.ids`` and
    of these. Of two that want one cluster the one with the smaller id has it.
    """
    sought = sorted(_ghosts(previous, before), key=lambda ghost: ghost.id)
    if not sought or not len(sizes):
        return ()
    now = _Now(previous, before, labels, sizes)
    found: dict[int, Returned] = {}
    for ghost in sought:
        near = now.near(ghost, *middles, params.reach) if middles and params.reach else NOWHERE
        if len(ghost.exemplars):
            cluster, basis = now.by_exemplars(ghost, near), Basis.EXEMPLARS
        else:
            cluster, basis = near, Basis.CENTROID
        if cluster != NOWHERE:
            found.setdefault(cluster, Returned(cluster, ghost.id, ghost.heir, basis))
    if middles:
        for ghost, cluster in now.pieces([g for g in sought if g.merged], *middles):
            piece = Returned(cluster, ghost.id, ghost.heir, Basis.CENTROID)
            found.setdefault(cluster, piece)
    return tuple(found.values())


@dataclass(frozen=True, slots=True, eq=False)
class _Ghost:
    """``home``, ``heir``: positions in ``Settled.ids``; ``home`` is -1 where nobody knows it."""

    id: int
    home: int
    heir: int
    exemplars: Int64Array
    centroid: Float32Array | None

    @property
    def merged(self) -> bool:
        """Whether it is still merged into its home; it is live by itself if not."""
        return self.heir == self.home


def _ghosts(previous: Previous, before: Settled) -> Iterator[_Ghost]:
    """Those that are merged into a live cluster, and the live ones of size 0."""
    place = {int(i): at for at, i in enumerate(before.ids)}
    for former in previous.former:
        home = place.get(previous.heir(former.id), NOWHERE)
        if home != NOWHERE:
            yield _Ghost(former.id, home, home, former.exemplars, former.centroid)
    for at in np.flatnonzero(previous.sizes == 0) if previous.exemplars else ():
        rows = previous.exemplars[at]
        middle = None if previous.centroids is None else previous.centroids[at]
        own = int(previous.ids[at])
        if own in place:
            yield _Ghost(own, _most(before.labels[rows]), place[own], rows, middle)


def _most(labels: Int64Array, least: float = 0.0) -> int:
    """The cluster of more than the share ``least`` of ``labels``, the most frequent; -1 if none."""
    there, counts = np.unique(labels[labels != NOISE], return_counts=True)
    if not len(there) or counts.max() <= least * len(labels):
        return NOWHERE
    return int(there[np.argmax(counts)])


class _Now:
    """The new clusters, and what they are made of."""

    def __init__(
        self, previous: Previous, before: Settled, labels: Int64Array, sizes: Int64Array
    ) -> None:
        self._labels = labels
        shared = overlap(before.labels, labels, len(before.ids), len(sizes))
        self._fresh: BoolArray = shared.of_new < 0.5 * sizes
        self._origin = np.full(len(sizes), NOWHERE)
        most = shared.share_of_new > 0.5
        self._origin[shared.new[most]] = shared.old[most]
        self._kept_old, self._kept_new = _kept(previous, before, labels, len(sizes))

    def by_exemplars(self, ghost: _Ghost, near: int) -> int:
        """The cluster that has most of them, if it is not another and did not come from elsewhere.

        ``near``: the one whose centroid is near.
        """
        found = _most(self._labels[ghost.exemplars], 0.5)
        if found == NOWHERE or not self._free(ghost)[found]:
            return NOWHERE
        from_home = ghost.home != NOWHERE and self._origin[found] == ghost.home
        return found if from_home or self._fresh[found] or found == near else NOWHERE

    def near(self, ghost: _Ghost, olds: Float64Array, news: Float64Array, reach: float) -> int:
        """The cluster whose centroid is within reach of its own, and of no other nearer."""
        if ghost.centroid is None:
            return NOWHERE
        if ghost.merged:
            points, itself = np.vstack([olds, ghost.centroid]), len(olds)
        else:
            points, itself = olds, ghost.heir
        only = np.arange(len(points)) == itself
        _, new = nearest_pairs(points, news, only, self._free(ghost), reach)
        return int(new[0]) if len(new) else NOWHERE

    def pieces(
        self, ghosts: Sequence[_Ghost], olds: Float64Array, news: Float64Array
    ) -> Iterator[tuple[_Ghost, int]]:
        """New clusters out of the home of one of ``ghosts`` that are nearest to that."""
        known = [ghost for ghost in ghosts if ghost.centroid is not None]
        mine = np.flatnonzero(np.isin(self._origin, [ghost.home for ghost in known]))
        if not len(mine):
            return
        theirs = np.array([ghost.centroid for ghost in known], np.float64)
        points = np.concatenate([olds, theirs])
        places, _ = nearest(news[mine], points, np.full(len(mine), NOWHERE))
        for cluster, place in zip(mine.tolist(), (places - len(olds)).tolist(), strict=True):
            if place < 0:
                continue
            ghost = known[place]
            if self._origin[cluster] == ghost.home and self._free(ghost)[cluster]:
                yield ghost, cluster

    def _free(self, ghost: _Ghost) -> BoolArray:
        """New clusters that are not the home again, nor another by exemplars and rows, ``(c,)``."""
        free = np.ones(len(self._origin), np.bool_)
        taken = (self._kept_old == ghost.home) | (self._origin[self._kept_new] == self._kept_old)
        free[self._kept_new[taken]] = False
        return free


def _kept(
    previous: Previous, before: Settled, labels: Int64Array, c: int
) -> tuple[Int64Array, Int64Array]:
    """Pairs of a live cluster that has rows and the new one with most of its exemplars."""
    live = np.flatnonzero(previous.sizes > 0)
    if not previous.exemplars or not len(live):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    exemplars = [previous.exemplars[at] for at in live]
    of = np.repeat(before.source[live], [len(rows) for rows in exemplars])
    now = labels[np.concatenate(exemplars).astype(np.int64)]
    shared = overlap(of, now, len(before.ids), c)
    there = np.bincount(of, minlength=len(before.ids))
    most = 2 * shared.rows > there[shared.old]
    return shared.old[most], shared.new[most]
