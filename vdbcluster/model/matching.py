"""What a new clustering is matched with, and what comes of it: stable ids and their history.

In: what the catalogue and the rows say of the last clustering, as ``Previous``.
Out: ``Matching``: the stable id of each new cluster and what became of every old one.
Promise: plain values; an event is JSON as it is (``to_json``).

    previous = Previous.first(n_rows)                      # nothing was clustered before
    previous = Previous.of(labels, absent)                 # labels alone, no catalogue
    previous = Previous(labels, absent, ids, sizes, ...)   # both
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from vdbcluster.model.arrays import BoolArray, Float32Array, Int64Array
from vdbcluster.model.hierarchy import NOISE

NO_IDS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Former:
    """A cluster that people merged into another, whose rows have that id now.

    What tells it if it forms again: ``exemplars``, positions of those still there (the medoid
    counts as one), and ``centroid (d,)``, None if unknown.
    """

    id: int
    exemplars: Int64Array
    centroid: Float32Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Previous:
    """The last clustering, seen from the ``n`` rows of now.

    ``labels (n,) int64``: stable id that the row had, -1 if it was noise; of no meaning where
    ``absent (n,) bool``: rows that are new, or whose label was lost. A label that is neither live
    nor led to a live id by ``aliases`` counts as absent.
    ``ids (m,) int64``: live clusters, ascending, also those without a row left; ``sizes (m,)``:
    rows when they were last written; ``pinned (m,) bool``: ids that a person wants kept.
    ``centroids (m, d)``: of the same preparation as those of the new clusters, None if unknown.
    ``exemplars``: for each live cluster the positions of its exemplars that are still there
    (the medoid counts as one), or empty.
    ``retired``: ids that ended; ``next_id``: no id below it is ever given anew.
    ``aliases``: what people joined, from the id that was given up to the one it went into;
    ``former``: what is known of these. Of those of which nothing is known, all that comes out of
    the joined cluster stays joined. A live id of size 0 is one that people took out of such a join.

    Raises ``ValueError`` for arrays that do not fit each other, ids that do not ascend or are
    negative, an id both live and retired, aliases in a circle.
    """

    labels: Int64Array
    absent: BoolArray
    ids: Int64Array
    sizes: Int64Array
    pinned: BoolArray
    centroids: Float32Array | None = None
    exemplars: tuple[Int64Array, ...] = ()
    retired: Int64Array = field(default_factory=lambda: NO_IDS)
    next_id: int = 0
    aliases: Mapping[int, int] = field(default_factory=dict)
    former: tuple[Former, ...] = ()

    def __post_init__(self) -> None:
        n, m = self.labels.shape[0], self.ids.shape[0]
        lengths = {
            "absent": (self.absent.shape[0], n),
            "sizes": (self.sizes.shape[0], m),
            "pinned": (self.pinned.shape[0], m),
            "centroids": (m if self.centroids is None else self.centroids.shape[0], m),
            "exemplars": (len(self.exemplars) or m, m),
        }
        for name, (found, wanted) in lengths.items():
            if found != wanted:
                raise ValueError(f"{name} has {found} entries; it must have {wanted}")
        if m and (self.ids[0] < 0 or (np.diff(self.ids) <= 0).any()):
            raise ValueError("live ids must be 0 or more, ascending, each of them once")
        both = np.intersect1d(self.ids, self.retired)
        if both.size:
            raise ValueError(f"id {int(both[0])} is both live and retired")
        for start in self.aliases:
            self.heir(start)

    @staticmethod
    def first(n: int) -> Previous:
        """``n`` rows, none of which was ever clustered."""
        return Previous.of(np.full(n, NOISE, np.int64), np.ones(n, np.bool_))

    @staticmethod
    def of(labels: Int64Array, absent: BoolArray | None = None) -> Previous:
        """Labels alone: every id that a row has is live, of the size that it has now."""
        absent = np.zeros(labels.shape[0], np.bool_) if absent is None else absent
        ids, sizes = np.unique(labels[~absent & (labels != NOISE)], return_counts=True)
        return Previous(labels, absent, ids, sizes, np.zeros(ids.shape[0], np.bool_))

    @property
    def n_rows(self) -> int:
        return int(self.labels.shape[0])

    @property
    def first_free(self) -> int:
        """The smallest id that nobody ever had, as far as anything here tells."""
        joined = np.array([*self.aliases.keys(), *self.aliases.values()], np.int64)
        told = np.concatenate([self.ids, self.retired, self.labels[~self.absent], joined])
        used = int(told.max(initial=-1))
        return max(self.next_id, used + 1)

    def heir(self, cluster: int) -> int:
        """The id that a person gave this one up for, at the end of the chain; itself if none."""
        passed = [cluster]
        while passed[-1] in self.aliases:
            passed.append(self.aliases[passed[-1]])
            if passed[-1] in passed[:-1]:
                raise ValueError(f"the aliases of id {cluster} go in a circle")
        return passed[-1]


@dataclass(frozen=True, slots=True)
class MatchParams:
    """When an id passes on.

    ``share``: by rows, to a cluster that has at least this share of the rows of the old one and
    whose own rows come at least to this share from it. Rows that are new, gone, or noise on either
    side do not count: a cluster may grow or shrink as it likes.
    ``pinned_share``: what an id that is pinned, or that people joined others into, needs of its
    own rows; nothing is asked of the new cluster.
    ``reach``: by centroid, within this share of the distance from the old centroid to the nearest
    other old one; at most a half, so that no other old one is nearer. 0: never by centroid.

    Raises ``ValueError`` for values out of range.
    """

    share: float = 0.3
    pinned_share: float = 0.1
    reach: float = 0.5

    def __post_init__(self) -> None:
        for name, top in (("share", 1.0), ("pinned_share", 1.0), ("reach", 0.5)):
            value = getattr(self, name)
            low = 0.0 if name == "reach" else 1e-9
            if not low <= value <= top:
                bounds = f"from 0 to {top}" if name == "reach" else f"above 0, at most {top}"
                raise ValueError(f"{name} is {value}; it must be {bounds}")


class Basis(StrEnum):
    """What an id was passed on by."""

    ROWS = "rows"
    EXEMPLARS = "exemplars"
    CENTROID = "centroid"
    NEW = "new"
    """By nothing: the id is new."""


class EventKind(StrEnum):
    """What became of an id. The first seven are states: of each id there is exactly one.

    The last two come beside the state of an id whose rows were parted or joined.
    """

    UNCHANGED = "unchanged"
    """As many rows as before; ``kept`` says whether they are the same."""
    GROWN = "grown"
    SHRUNK = "shrunk"
    BORN = "born"
    """A new id; ``parts`` are the old ids that rows came from, if any."""
    SPLIT_FROM = "split-from"
    """A new id, most of whose rows that were clustered come from ``parts[0]``."""
    DIED = "died"
    """Retired; ``parts`` are the ids that rows went to, if any."""
    MERGED_INTO = "merged-into"
    """Retired; most of its rows that are clustered are in ``parts[0]``."""
    SPLIT_INTO = "split-into"
    """``parts``: itself, unless it is retired, and the new ids that split from it."""
    MERGED_FROM = "merged-from"
    """``parts``: itself, unless it is new, and the retired ids that merged into it."""


ENDS = (EventKind.DIED, EventKind.MERGED_INTO)
BEGINS = (EventKind.BORN, EventKind.SPLIT_FROM)


@dataclass(frozen=True, slots=True)
class Part:
    """``rows`` shared with another id; ``share`` of all rows of the event's own cluster.

    Of its rows before for kinds that look ahead (died, merged-into, split-into), of its rows now
    for those that look back.
    """

    id: int
    rows: int
    share: float


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that became of one id; ``parts`` largest first, ties by id.

    ``before``, ``after``: its rows when it was last written and now, 0 for born and for retired;
    ``kept``: rows that were and are in it.
    """

    kind: EventKind
    id: int
    before: int
    after: int
    kept: int
    parts: tuple[Part, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return asdict(self) | {"kind": self.kind.value}


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """Stable ids of the clusters ``0 .. c - 1`` of a new clustering.

    ``ids (c,) int64``: distinct, but for clusters that a person joined; ``basis``: what each was
    passed on by. ``own (c,) int64``: the same, but where a cluster is again one, or a piece of
    one, that a person joined into that id, the id that was given up. ``events``: ascending by id,
    the state of an id before its other events. ``next_id``: to be kept for the next time, so that
    no id is ever given twice.
    """

    ids: Int64Array
    own: Int64Array
    basis: tuple[Basis, ...]
    events: tuple[Event, ...]
    next_id: int

    def relabelled(self, labels: Int64Array) -> Int64Array:
        """Stable ids in place of ``labels (n,)`` of the new clustering; -1 stays."""
        renamed: Int64Array = np.append(self.ids, NOISE)[labels]
        return renamed
