"""What differs between two clusterings of a collection: two runs, or a run and what is stored.

In: two ``Side``, keys and cluster ids. Out: ``Difference``.
Promise: no I/O; every row that either side has is counted in exactly one of ``only_before``,
``only_after``, ``unchanged``, ``moved``, ``to_noise`` and ``from_noise``.

    difference(Side(keys, ids), Side(other_keys, other_ids)).to_json()
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vdbcluster.errors import UsageError
from vdbcluster.matching import lineage
from vdbcluster.model.arrays import Int64Array, Keys
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.matching import Event, Previous
from vdbcluster.pipeline.read import first_of_each, positions


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One clustering: ``keys (n,)`` in any order and ``cluster_id (n,) int64``, -1 for noise.

    Of a key that comes twice, the first counts.
    """

    keys: Keys
    cluster_id: Int64Array

    def ordered(self) -> Side:
        """The same by ascending key, each key once."""
        first = first_of_each(self.keys)
        return Side(self.keys[first], self.cluster_id[first])


@dataclass(frozen=True, slots=True)
class Flow:
    """``rows`` that went from one cluster to another (-1: noise).

    ``share``: of the rows that were in ``before``, the lost ones too.
    """

    before: int
    after: int
    rows: int
    share: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows and clusters on both sides.

    ``moved`` rows went from a cluster to another, ``to_noise`` and ``from_noise`` out of one and
    into one. ``flows``: most rows first. ``ended``, ``begun``: ids of clusters on one side alone,
    ascending. ``events``: see ``matching.lineage``, the first side as what was before.
    """

    rows_before: int
    rows_after: int
    noise_before: int
    noise_after: int
    clusters_before: int
    clusters_after: int
    only_before: int
    only_after: int
    unchanged: int
    moved: int
    to_noise: int
    from_noise: int
    flows: tuple[Flow, ...]
    ended: tuple[int, ...]
    begun: tuple[int, ...]
    events: tuple[Event, ...]

    @property
    def rows_both(self) -> int:
        return self.unchanged + self.moved + self.to_noise + self.from_noise

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        events = [event.to_json() for event in self.events]
        return asdict(self) | {"rows_both": self.rows_both, "events": events}


def difference(before: Side, after: Side) -> Difference:
    """Compare row by row; ``UsageError`` if keys are numbers on one side and texts on the other."""
    before, after = _comparable(before, after)
    at = positions(after.keys, before.keys)
    both = at >= 0
    was, now = before.cluster_id[at[both]], after.cluster_id[both]
    ids_before, sizes_before = _clusters(before.cluster_id)
    ids_after, _ = _clusters(after.cluster_id)
    clustered, stayed = was != NOISE, now != NOISE
    differs = was != now
    return Difference(
        rows_before=len(before.keys),
        rows_after=len(after.keys),
        noise_before=_count(before.cluster_id == NOISE),
        noise_after=_count(after.cluster_id == NOISE),
        clusters_before=len(ids_before),
        clusters_after=len(ids_after),
        only_before=len(before.keys) - len(was),
        only_after=len(after.keys) - len(now),
        unchanged=_count(~differs),
        moved=_count(clustered & stayed & differs),
        to_noise=_count(clustered & ~stayed),
        from_noise=_count(~clustered & stayed),
        flows=_flows(was[differs], now[differs], before.cluster_id),
        ended=tuple(np.setdiff1d(ids_before, ids_after).tolist()),
        begun=tuple(np.setdiff1d(ids_after, ids_before).tolist()),
        events=_events(before.cluster_id, at, after.cluster_id, ids_before, sizes_before),
    )


def _comparable(before: Side, after: Side) -> tuple[Side, Side]:
    """Both in order; a side without a row has keys of no type yet."""
    kinds = {side.keys.dtype == object for side in (before, after) if len(side.keys)}
    if len(kinds) > 1:
        texts = before.keys.dtype == object
        told = ("texts", "numbers") if texts else ("numbers", "texts")
        raise UsageError(
            f"the primary keys of the first are {told[0]}, those of the second {told[1]}, so no "
            "row of one is in the other; compare runs of one collection"
        )
    return before.ordered(), after.ordered()


def _count(which: np.ndarray) -> int:
    return int(np.count_nonzero(which))


def _clusters(labels: Int64Array) -> tuple[Int64Array, Int64Array]:
    return np.unique(labels[labels != NOISE], return_counts=True)


def _flows(was: Int64Array, now: Int64Array, before: Int64Array) -> tuple[Flow, ...]:
    pairs, rows = np.unique(np.stack([was, now], axis=1), axis=0, return_counts=True)
    ids, sizes = np.unique(before, return_counts=True)
    of = dict(zip(ids.tolist(), sizes.tolist(), strict=True))
    flows = [
        Flow(a, b, count, count / of[a])
        for (a, b), count in zip(pairs.tolist(), rows.tolist(), strict=True)
    ]
    return tuple(sorted(flows, key=lambda flow: (-flow.rows, flow.before, flow.after)))


def _events(
    before: Int64Array, at: Int64Array, after: Int64Array, ids: Int64Array, sizes: Int64Array
) -> tuple[Event, ...]:
    labels = np.append(before, NOISE)[at]
    pinned = np.zeros(len(ids), np.bool_)
    return lineage(Previous(labels, at < 0, ids, sizes, pinned), after)
