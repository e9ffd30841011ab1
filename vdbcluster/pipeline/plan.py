"""What is to be written: the new labels against those that are stored.

In: keys, clustering, labels stored now. Out: ``LabelPlan``; only rows that differ will be written.
Promise: no path outlives the clustering that it belongs to. Where the new one has none and rows
still carry one, the plan has an empty path for every row, so that what is stale is written over.
The same holds for what rows are duplicates of; where that is marked, every row says so or has an
empty text, so that a search can ask for the rows to keep. Places on a map stay where the new one
has none: a place says nothing that a label could contradict.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.layout import coordinates
from vdbcluster.model.arrays import (
    BoolArray,
    Float32Array,
    Float64Array,
    Int32Array,
    Int64Array,
    Keys,
)
from vdbcluster.model.hierarchy import NOISE, Clustering
from vdbcluster.model.labels import LABEL_FIELDS, LabelBatch, LabelPlan
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.aligned import placed


def plan_labels(
    rows: Rows,
    clustering: Clustering,
    stored: Iterable[LabelBatch],
    run_id: str,
    *,
    ids: Int64Array | None = None,
    duplicate_of: NDArray[Any] | None = None,
    places: Float32Array | None = None,
) -> LabelPlan:
    """Compare with what is stored; ``ids (c,)`` are written in place of the labels, if given.

    ``duplicate_of (n,) object``: as in ``LabelBatch``; None where duplicates are not marked.
    ``places (n, 2)``: on the map, NaN for rows without one; None where they are not to be written.
    A row is unchanged if all but the run id is equal as stored (scores as float32); its ``run_id``
    then stays that of the run that wrote it, so that a second run writes nothing.
    """
    n = len(rows)
    map_x, map_y = (None, None) if places is None else coordinates(places)
    new = LabelBatch(
        keys=rows.keys,
        cluster_id=clustering.labels if ids is None else np.append(ids, NOISE)[clustering.labels],
        probability=clustering.probabilities.astype(np.float32),
        outlier_score=_finite(clustering.outlier_scores),
        run_ids=np.full(n, run_id, object),
        assignment=_texts(clustering.assignment),
        path=None if clustering.paths is None else _texts(clustering.paths),
        duplicate_of=duplicate_of,
        map_x=map_x,
        map_y=map_y,
    )
    return compared(new, rows.partition_of, rows.partitions, stored)


def compared(
    new: LabelBatch,
    partition_of: Int32Array,
    partitions: tuple[str, ...],
    stored: Iterable[LabelBatch],
) -> LabelPlan:
    """The plan to write ``new`` (its keys ascend) over what is stored."""
    old, had_label = _aligned(new.keys, stored)
    left = set(new.lacking()) - set(old.lacking())
    whole = new.blanked(left).holding({f for f in left if f.bare}, old)
    changed = ~(had_label & same_labels(whole, old)) | _unsaid(new, old)
    return LabelPlan(whole, partition_of, partitions, had_label, old, changed)


def _unsaid(new: LabelBatch, old: LabelBatch) -> BoolArray:
    """Rows that lack a field which is to say something, if only by being empty, ``(n,) bool``."""
    found = np.zeros(len(new), np.bool_)
    for which, _ in new.columns():
        if which.of_key:
            held = getattr(old, which.column)
            found |= True if held is None else np.array([value is None for value in held], bool)
    return found


def _aligned(keys: Keys, stored: Iterable[LabelBatch]) -> tuple[LabelBatch, BoolArray]:
    """Labels of ``keys``, blank where none is stored, and which have one."""
    found, had_label = LabelBatch.blank(keys), np.zeros(len(keys), bool)
    plain: dict[str, str] = {}
    for at, batch in placed(keys, stored):
        had_label[at] = True
        found = found.blanked(set(found.lacking()) - set(batch.lacking()), None)
        for which, values in batch.columns():
            ours = getattr(found, which.column)
            ours[at] = _texts(values, plain) if values.dtype == object else values
    return found, had_label


def _finite(scores: Float64Array) -> Float32Array:
    """As float32; hdbscan's own scores are NaN beside duplicates, which no database takes."""
    return np.nan_to_num(scores, nan=0.0).astype(np.float32)


def _texts(values: np.ndarray, plain: dict[str, str] | None = None) -> np.ndarray:
    """Plain ``str``, one object for all that are equal, also of what ``plain`` holds already.

    None stays None.
    """
    plain = {} if plain is None else plain
    found = np.empty(len(values), object)
    found[:] = [v if v is None else plain.setdefault(v, str(v)) for v in values]
    return found


def same_labels(new: LabelBatch, stored: LabelBatch) -> BoolArray:
    """Row by row: whether all that a search UI filters by is equal, ``(m,) bool``.

    A text that one of the two does not hold is empty there.
    """
    equal = np.ones(len(new), np.bool_)
    ours, theirs = new.texts_only(), stored.texts_only()
    for which in LABEL_FIELDS:
        if which.column != "run_ids":
            equal &= getattr(ours, which.column) == getattr(theirs, which.column)
    return equal
