"""What is to be written: the new labels against those that are stored.

In: keys, clustering, labels stored now. Out: ``LabelPlan``; only rows that differ will be written.
Promise: no path outlives the clustering that it belongs to. Where the new one has none and rows
still carry one, the plan has an empty path for every row, so that what is stale is written over.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array, Int8Array, Int64Array
from vdbcluster.model.hierarchy import NOISE, Assignment, Clustering
from vdbcluster.model.labels import LABEL_FIELDS, LabelBatch, LabelField, LabelPlan
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.read import positions


def plan_labels(
    rows: Rows,
    clustering: Clustering,
    stored: Iterable[LabelBatch],
    run_id: str,
    *,
    ids: Int64Array | None = None,
) -> LabelPlan:
    """Compare with what is stored; ``ids (c,)`` are written in place of the labels, if given.

    A row is unchanged if all but the run id is equal as stored (scores as float32); its ``run_id``
    then stays that of the run that wrote it, so that a second run writes nothing.
    """
    n = len(rows)
    new = LabelBatch(
        keys=rows.keys,
        cluster_id=clustering.labels if ids is None else np.append(ids, NOISE)[clustering.labels],
        probability=clustering.probabilities.astype(np.float32),
        outlier_score=_finite(clustering.outlier_scores),
        run_ids=np.full(n, run_id, object),
        assignment=_texts(clustering.assignment),
        path=None if clustering.paths is None else _texts(clustering.paths),
    )
    stale: set[LabelField] = set()
    had_label = np.zeros(n, bool)
    old_cluster_id = np.zeros(n, np.int64)
    changed = np.ones(n, bool)
    for batch in stored:
        at = positions(batch.keys, rows.keys)
        known = at >= 0
        at, batch = at[known], batch.take(known)
        had_label[at] = True
        old_cluster_id[at] = batch.cluster_id
        changed[at] = ~same_labels(new.take(at), batch)
        stale |= set(new.lacking()) - set(batch.lacking())
    new = new.blanked(stale)
    return LabelPlan(new, rows.partition_of, rows.partitions, had_label, old_cluster_id, changed)


def plan_arrays(plan: LabelPlan) -> dict[str, np.ndarray]:
    """What the record of a run keeps of a plan, by name.

    ``assignment``: ``int8``, 0 core, 1 soft, 2 noise. ``path`` only where there are paths.
    """
    new = plan.new
    arrays = {
        "keys": new.keys,
        "cluster_id": new.cluster_id,
        "probability": new.probability,
        "outlier_score": new.outlier_score,
        "assignment": _codes(new.assignment),
        "had_label": plan.had_label,
        "old_cluster_id": plan.old_cluster_id,
    }
    return arrays if new.path is None else arrays | {"path": new.path}


def _codes(assignment: np.ndarray) -> Int8Array:
    """The place of each value among those of ``Assignment``."""
    found = np.zeros(len(assignment), np.int8)
    for code, value in enumerate(Assignment):
        found[assignment == value] = code
    return found


def _finite(scores: Float64Array) -> Float32Array:
    """As float32; hdbscan's own scores are NaN beside duplicates, which no database takes."""
    return np.nan_to_num(scores, nan=0.0).astype(np.float32)


def _texts(values: np.ndarray) -> np.ndarray:
    """Plain ``str``, one object for all that are equal."""
    plain: dict[str, str] = {}
    found = np.empty(len(values), object)
    found[:] = [plain.setdefault(value, str(value)) for value in values]
    return found


def same_labels(new: LabelBatch, stored: LabelBatch) -> BoolArray:
    """Row by row: whether all that a search UI filters by is equal, ``(m,) bool``.

    An optional field that one of the two does not hold is empty there.
    """
    equal = np.ones(len(new), np.bool_)
    blank = np.full(len(new), "", object)
    for which in LABEL_FIELDS:
        if which.column != "run_ids":
            ours, theirs = getattr(new, which.column), getattr(stored, which.column)
            equal &= (blank if ours is None else ours) == (blank if theirs is None else theirs)
    return equal
