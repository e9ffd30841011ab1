"""Rows that are there twice and rows that belong nowhere, of one run.

In: the neighbour graph as it was searched, points, vectors as they came, keys. Out: ``Duplicates``,
``Outliers`` and their numbers; per cluster what a card shows of them; per row what is written.
Promise: nothing is read or written here, but for texts where they are asked for; a second look at
the same rows keeps the same ones.

    found, odd, facts = odd_and_copied(graph, points, vectors, keys, settings, labels=ids)
    kept = standing(found, keys, sink.stored())
    marks(kept, keys), copies_by_cluster(found, kept, keys, ids)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.config.duplicates import DuplicateSettings
from vdbcluster.config.settings import Settings
from vdbcluster.duplicates import (
    DuplicateParams,
    Duplicates,
    DuplicateSet,
    Outliers,
    find_duplicates,
    find_outliers,
    text_digests,
)
from vdbcluster.duplicates.standing import KEPT, UNKNOWN, as_before
from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array, Keys
from vdbcluster.model.cards import Copies, Odd, Shown
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.labels import LabelBatch
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.adapters import Outlets
from vdbcluster.pipeline.aligned import placed
from vdbcluster.pipeline.cards import plain_key
from vdbcluster.ports import VectorSource

TEXTS = 1000
"""Rows whose texts are asked for at a time."""
SHOWN = 5
"""Sets, and odd rows, of a cluster."""
Found = tuple[Duplicates, Outliers, dict[str, Any]]


def odd_and_copied(
    graph: NeighborGraph,
    points: Float32Array,
    vectors: Float32Array,
    keys: Keys,
    settings: DuplicateSettings,
    *,
    labels: Int64Array | None = None,
    probabilities: Float64Array | None = None,
    texts: Iterable[str | None] | None = None,
) -> Found:
    """Duplicates, outliers, and ``facts`` of both: ``duplicates`` and ``outliers``.

    ``graph`` not smoothed; ``points (n, d)`` as they were prepared for it, ``vectors (n, d)`` as
    they came, not centred. ``labels (n,)``: cluster ids as reasons are to call them. ``texts``: of
    all rows, where equal texts are to count; read once, and not kept. O(n (k + d)) time.
    """
    found = find_duplicates(
        graph,
        points,
        digests=None if texts is None else text_digests(texts),
        keys=keys,
        params=DuplicateParams(chance=settings.chance, most=settings.most),
    )
    odd = find_outliers(
        graph, vectors, labels=labels, probabilities=probabilities, duplicates=found, keys=keys
    )
    facts = {
        "duplicates": found.counts() | {"threshold": found.threshold, "texts": texts is not None},
        "outliers": odd.counts(),
    }
    return found, odd, facts


def look(
    outlets: Outlets,
    settings: Settings,
    graph: NeighborGraph,
    points: Float32Array,
    rows: Rows,
) -> Found:
    """``odd_and_copied`` of the rows that were read, with their texts if these are to count."""
    field = text_field(settings, outlets.profile)
    texts = texts_of(outlets.source, rows.keys, field) if field else None
    chosen = settings.duplicates
    return odd_and_copied(graph, points, rows.vectors, rows.keys, chosen, texts=texts)


def text_field(settings: Settings, profile: CollectionProfile) -> str:
    """The field whose texts count, empty if none do; ``UsageError`` if there is none to count."""
    if not settings.duplicates.texts:
        return ""
    if not (found := settings.run.text_field or profile.text_field() or ""):
        raise UsageError(
            f"no field of {profile.name!r} is known to hold texts (--duplicate-texts); name it "
            "with --text-field"
        )
    return found


def texts_of(source: VectorSource, keys: Keys, field: str) -> Iterator[str | None]:
    """The text of each row, some thousand at a time, so that no more are held at once."""
    for start in range(0, len(keys), TEXTS):
        yield from source.texts(keys[start : start + TEXTS], field)


def standing(found: Duplicates, keys: Keys, stored: Iterable[LabelBatch]) -> Int64Array:
    """The row to keep instead of each, -1 for rows to keep: that which labels ``stored`` before
    say, if they do.

    A row whose key is the empty text is never kept while another can be: nobody could name it.
    """
    nameless = np.array([key == "" for key in keys.tolist()], np.bool_)
    return as_before(found, _before(keys, stored), never=nameless)


def _before(keys: Keys, stored: Iterable[LabelBatch]) -> Int64Array:
    """By place, as ``as_before`` takes it; ``UNKNOWN`` also where the row that was kept is gone."""
    place: dict[str | None, int] = {str(key): i for i, key in enumerate(keys.tolist())}
    place[""] = KEPT
    texts = said(keys, stored, None).tolist()
    return np.array([place.get(text, UNKNOWN) for text in texts], np.int64)


def said(keys: Keys, stored: Iterable[LabelBatch], otherwise: str | None = "") -> NDArray[Any]:
    """What labels ``stored`` say of each row, ``(n,) object``, and ``otherwise`` of the others."""
    found = np.full(len(keys), otherwise, object)
    for at, batch in placed(keys, stored):
        if batch.duplicate_of is not None:
            found[at] = [otherwise if text is None else text for text in batch.duplicate_of]
    return found


def marks(duplicate_of: Int64Array, keys: Keys) -> NDArray[Any]:
    """What is written of each row, ``(n,) object`` of ``str``: see ``LabelBatch.duplicate_of``.

    ``duplicate_of (n,)``: as of ``standing``.
    """
    written = np.full(len(keys), "", object)
    rows = np.flatnonzero(duplicate_of >= 0)
    written[rows] = [str(key) for key in keys[duplicate_of[rows]].tolist()]
    return written


def copies_by_cluster(
    found: Duplicates,
    duplicate_of: Int64Array,
    keys: Keys,
    labels: Int64Array,
    most: int = SHOWN,
) -> dict[int, tuple[Copies, ...]]:
    """The largest sets of each cluster by its id, -1 for noise; texts are left out.

    ``duplicate_of (n,)``: as of ``standing``. A set belongs to the cluster of the row that it
    keeps, and has all its rows. Clusters without any are left out.
    """
    sets: dict[int, list[Copies]] = {}
    for each in _outermost(found):
        (kept,) = each.members[duplicate_of[each.members] < 0].tolist()
        mine = sets.setdefault(int(labels[kept]), [])
        if len(mine) < most:
            mine.append(_copies(each, kept, keys))
    return {cluster: tuple(mine) for cluster, mine in sets.items()}


def n_copies(duplicate_of: Int64Array, labels: Int64Array) -> dict[int, int]:
    """How many rows of each cluster could go, -1 for noise; clusters without any are left out."""
    return _counted(labels[duplicate_of >= 0])


def odd_by_cluster(
    found: Outliers, keys: Keys, labels: Int64Array, most: int = SHOWN
) -> dict[int, tuple[Odd, ...]]:
    """The oddest rows of each cluster by its id, -1 for noise; texts are left out."""
    rows: dict[int, list[Odd]] = {}
    for row, reason in zip(found.rows.tolist(), found.reasons, strict=True):
        mine = rows.setdefault(int(labels[row]), [])
        if len(mine) < most:
            mine.append(Odd(plain_key(keys[row]), float(found.scores[row]), reason))
    return {cluster: tuple(mine) for cluster, mine in rows.items()}


def n_odd(found: Outliers, labels: Int64Array) -> dict[int, int]:
    """How many rows of each cluster are outliers or potential ones, -1 for noise."""
    return _counted(labels[found.rows])


def _outermost(found: Duplicates) -> list[DuplicateSet]:
    """Sets that lie in no other, largest first."""
    inside = np.zeros(len(found.duplicate_of), np.bool_)
    for each in found.near:
        inside[each.members] = True
    alone = [each for each in found.exact if not inside[each.members[0]]]
    return sorted([*found.near, *alone], key=lambda each: (-len(each), int(each.members[0])))


def _copies(each: DuplicateSet, kept: int, keys: Keys) -> Copies:
    others = each.members[each.members != kept]
    shown = Shown(plain_key(keys[kept]))
    return Copies(each.kind, shown, tuple(plain_key(key) for key in keys[others]))


def _counted(labels: Int64Array) -> dict[int, int]:
    ids, counts = np.unique(labels, return_counts=True)
    return dict(zip(ids.tolist(), counts.tolist(), strict=True))
