"""The same rows kept from one look to the next.

In: ``Duplicates``, what each row was said to be a duplicate of before. Out: ``Duplicates``.
Promise: the sets are the same; a set keeps the row that it kept before, though another may be
nearer to its middle by now, or have a lower key; where nothing was kept before nothing changes.

    as_before(find_duplicates(graph, points), points, graph.metric, before)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vdbcluster.duplicates.result import Duplicates, DuplicateSet
from vdbcluster.duplicates.sets import gathered
from vdbcluster.graph.measure import pair_distances
from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array, Int64Array

KEPT, UNKNOWN = -1, -2
_ALL = {
    "equal vectors": "vector equals that",
    "equal texts": "text equals that",
    "equal vectors and texts": "vector and text equal those",
    "mixed": "in vector or text equal to a row that equals that",
}


def as_before(
    found: Duplicates,
    points: Float32Array,
    metric: str,
    before: Int64Array,
    *,
    never: BoolArray | None = None,
    names: np.ndarray | None = None,
) -> Duplicates:
    """The same sets with the rows that were kept.

    ``points (n, d)`` as ``find_duplicates`` had them. ``before (n,)``: the row that was kept
    instead of each, ``KEPT`` for one that was kept, ``UNKNOWN`` for others. Of several that were
    kept that stays which most of the set pointed to, then the one that is kept now, then the first.
    ``never (n,) bool``: rows that must not be kept. ``names (n,)``: what reasons call the rows.
    """
    n = len(found.duplicate_of)
    barred = np.zeros(n, np.bool_) if never is None else never
    called = np.arange(n) if names is None else names

    def stood(sets: Sequence[DuplicateSet]) -> list[DuplicateSet]:
        chosen = ((each, _choice(each, before, barred)) for each in sets)
        return [
            each if row == each.representative else _about(each, row, points, metric, called)
            for each, row in chosen
        ]

    return gathered(stood(found.exact), stood(found.near), n, found.threshold)


def _choice(each: DuplicateSet, before: Int64Array, barred: BoolArray) -> int:
    members = each.members
    then = before[members]
    votes = np.count_nonzero(then[None, :] == members[:, None], axis=1)
    order = np.lexsort(
        (members, members != each.representative, then != KEPT, -votes, barred[members])
    )
    return int(members[order[0]])


def _about(
    each: DuplicateSet, kept: int, points: Float32Array, metric: str, names: np.ndarray
) -> DuplicateSet:
    """The same set, told from another of its rows."""
    distances = pair_distances(points, np.array([kept]), each.members[None, :], metric)[0]
    distances = distances.astype(np.float64)
    near = each.kind == "near"
    scores = np.clip(1 - distances / each.scale, 0, 1) if near and each.scale > 0 else each.scores
    return replace(
        each,
        representative=kept,
        distances=distances,
        scores=scores,
        reasons=_reasons(each, kept, distances, names),
    )


def _reasons(
    each: DuplicateSet, kept: int, distances: Float64Array, names: np.ndarray
) -> tuple[str, ...]:
    def told(distance: float) -> str:
        if each.kind != "near":
            return f"{_ALL[each.kind]} of row {names[kept]}"
        return (
            f"{distance:.3g} from row {names[kept]}; around here rows are usually "
            f"{each.scale:.3g} apart"
        )

    return tuple(
        "kept, as before" if row == kept else told(distance)
        for row, distance in zip(each.members.tolist(), distances.tolist(), strict=True)
    )
