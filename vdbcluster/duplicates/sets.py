"""Exact and near duplicates, with the row to keep of each set.

In: ``NeighborGraph`` as it was searched, prepared vectors ``(n, d)``, by choice digests of texts.
Out: ``Duplicates``.
Promise: equal rows are one set however many there are; sets do not depend on the order of rows;
with ``rank`` neither does what is kept; distances times a constant change nothing.

    find_duplicates(graph, points, digests=text_digests(texts)).duplicate_of

Equal texts count as they are told: leave ``digests`` out where the text is only a title.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vdbcluster.duplicates.exact import equal_texts, equal_vectors, joined
from vdbcluster.duplicates.near import NearSearch, NearSet
from vdbcluster.duplicates.result import Duplicates, DuplicateSet, Kind
from vdbcluster.duplicates.scale import inverse_dimensions, thresholds, usual_distance
from vdbcluster.graph.measure import pair_distances
from vdbcluster.model.arrays import BoolArray, Float32Array, Int64Array
from vdbcluster.model.members import members_of
from vdbcluster.model.neighbors import NeighborGraph


@dataclass(frozen=True, slots=True)
class DuplicateParams:
    """When rows are near duplicates; see ``scale`` and ``near`` for what the numbers mean.

    ``chance``: how many rows mere chance may put as near (> 0). ``most``: whatever chance says, a
    near duplicate lies within this share of the usual distance (0 to 1; 0 finds no near ones).
    ``outside``: the usual distance is that to this many-th neighbour outside the set (>= 1).
    ``largest``: more rows that differ than that are a cluster, not one set of near duplicates.
    """

    chance: float = 0.001
    most: float = 0.5
    outside: int = 5
    largest: int = 100

    def __post_init__(self) -> None:
        if not self.chance > 0:
            raise ValueError(f"chance is {self.chance}; it must be above 0")
        if not 0 <= self.most < 1:
            raise ValueError(f"most is {self.most}; it must be at least 0 and below 1")
        if self.outside < 1:
            raise ValueError(f"outside is {self.outside}; it must be at least 1")


DEFAULTS = DuplicateParams()


def find_duplicates(
    graph: NeighborGraph,
    points: Float32Array,
    *,
    digests: np.ndarray | None = None,
    rank: Int64Array | None = None,
    keys: np.ndarray | None = None,
    params: DuplicateParams = DEFAULTS,
) -> Duplicates:
    """Sets of rows that are there more than once.

    ``points (n, d) float32`` as ``graph.distance.prepare`` made them for the graph's metric, a
    memory map will do; ``digests (n,) object`` as of ``text_digests``; ``rank (n,)``: the order of
    the rows' keys, without repeats, by default their position; ``keys (n,)``: what reasons call the
    rows, by default their positions. Of an exact set the row of lowest rank is kept, of a near set
    the row nearest its mean. Raises ``ValueError`` if lengths differ.
    """
    n = graph.n_rows
    for what, there in (("points", points), ("digests", digests), ("rank", rank), ("keys", keys)):
        if there is not None and len(there) != n:
            raise ValueError(f"the graph has {n} rows, but there are {len(there)} {what}")
    names = np.arange(n) if keys is None else keys
    order = np.arange(n) if rank is None else np.asarray(rank, np.int64)
    vectors = equal_vectors(points)
    texts = np.arange(n) if digests is None else equal_texts(digests)
    units = vectors if digests is None else joined(vectors, texts)
    rows = _first_by_rank(units, order)
    inverse = inverse_dimensions(graph)
    shares = thresholds(inverse, params.chance, params.outside, params.most)
    search = NearSearch(
        graph,
        points,
        units,
        rows,
        vectors == vectors[rows[units]],
        order,
        thresholds=shares,
        usual=usual_distance(graph, inverse, params.outside),
        outside=params.outside,
        largest=params.largest,
    )
    members = members_of(units)
    exact = [
        _exact_set(members[unit], int(rows[unit]), vectors, texts, points, graph.metric, names)
        for unit in np.flatnonzero(np.bincount(units, minlength=len(rows)) > 1)
    ]
    near = [_near_set(found, rows, members, names) for found in search.sets()]
    return gathered(exact, near, n, float(np.median(shares)) if n else params.most)


def _first_by_rank(units: Int64Array, rank: Int64Array) -> Int64Array:
    order = np.argsort(rank, kind="stable")
    found = np.empty(units.max(initial=-1) + 1, np.int64)
    found[units[order[::-1]]] = order[::-1]  # the last to be written is the first by rank
    return found


def _exact_set(
    members: Int64Array,
    kept: int,
    vectors: Int64Array,
    texts: Int64Array,
    points: Float32Array,
    metric: str,
    names: np.ndarray,
) -> DuplicateSet:
    same_vector, same_text = vectors[members] == vectors[kept], texts[members] == texts[kept]
    distances = np.zeros(len(members))
    moved = np.flatnonzero(~same_vector)
    if moved.size:
        distances[moved] = pair_distances(
            points, np.array([kept]), members[moved][None, :], metric
        )[0]
    return DuplicateSet(
        kind=_kind(same_vector, same_text),
        members=members,
        representative=kept,
        distances=distances,
        scores=np.ones(len(members)),
        reasons=tuple(
            "kept" if row == kept else _what_is_equal(bool(vector), bool(text), names[kept])
            for row, vector, text in zip(members, same_vector, same_text, strict=True)
        ),
    )


def _kind(same_vector: BoolArray, same_text: BoolArray) -> Kind:
    if same_vector.all():
        return "equal vectors and texts" if same_text.all() else "equal vectors"
    return "equal texts" if same_text.all() else "mixed"


def _what_is_equal(vector: bool, text: bool, kept: object) -> str:
    if vector and text:
        return f"vector and text equal those of row {kept}"
    if vector or text:
        return f"{'vector' if vector else 'text'} equals that of row {kept}"
    return f"equals another row that equals row {kept}, in vector or text"


def _near_set(
    found: NearSet, rows: Int64Array, members: list[Int64Array], names: np.ndarray
) -> DuplicateSet:
    inside = [members[unit] for unit in found.units]
    sizes = [len(group) for group in inside]
    order = np.argsort(np.concatenate(inside), kind="stable")
    kept = int(rows[found.centre])
    distances = np.repeat(found.distances, sizes)[order]
    own = np.repeat(found.units == found.centre, sizes)[order]
    scores = 1 - distances / found.scale if found.scale > 0 else np.ones(len(order))
    all_rows = np.concatenate(inside)[order]
    return DuplicateSet(
        kind="near",
        members=all_rows,
        representative=kept,
        distances=distances,
        scores=np.clip(scores, 0.0, 1.0),
        reasons=tuple(
            "kept: nearest to the middle of its set"
            if row == kept
            else _how_near(names[kept], bool(equal), float(distance), found.scale)
            for row, equal, distance in zip(all_rows, own, distances, strict=True)
        ),
        scale=found.scale,
    )


def _how_near(kept: object, equal: bool, distance: float, scale: float) -> str:
    if equal:
        return f"equals row {kept}"
    return f"{distance:.3g} from row {kept}; around here rows are usually {scale:.3g} apart"


def gathered(
    exact: Sequence[DuplicateSet], near: Sequence[DuplicateSet], n: int, share: float
) -> Duplicates:
    """All sets as one result for ``n`` rows; ``share``: its threshold."""
    duplicate_of, scores = np.full(n, -1, np.int64), np.full(n, np.nan)
    for each in (*exact, *near):  # near sets hold whole exact sets, and have the last word
        duplicate_of[each.members] = each.representative
        scores[each.members] = each.scores
        duplicate_of[each.representative] = -1
        scores[each.representative] = np.nan
    return Duplicates(_largest_first(exact), _largest_first(near), duplicate_of, scores, share)


def _largest_first(sets: Sequence[DuplicateSet]) -> tuple[DuplicateSet, ...]:
    return tuple(sorted(sets, key=lambda each: (-len(each), int(each.members[0]))))


__all__ = ["DEFAULTS", "DuplicateParams", "find_duplicates", "gathered"]
