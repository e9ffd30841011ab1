"""What is to be written: the new labels against those that are stored.

In: keys, clustering, labels stored now. Out: ``LabelPlan``; only rows that differ will be written.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.labels import LabelBatch, LabelPlan
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.read import positions


def plan_labels(
    rows: Rows, clustering: Clustering, stored: Iterable[LabelBatch], run_id: str
) -> LabelPlan:
    """Compare with what is stored.

    A row is unchanged if id, probability and outlier score are all equal as stored (float32); its
    ``run_id`` then stays that of the run that wrote it, so that a second run writes nothing.
    """
    n = len(rows)
    new = LabelBatch(
        keys=rows.keys,
        cluster_id=clustering.labels,
        probability=clustering.probabilities.astype(np.float32),
        outlier_score=_finite(clustering.outlier_scores),
        run_ids=np.full(n, run_id, object),
    )
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
    return LabelPlan(new, rows.partition_of, rows.partitions, had_label, old_cluster_id, changed)


def _finite(scores: Float64Array) -> Float32Array:
    """As float32; hdbscan's own scores are NaN beside duplicates, which no database takes."""
    return np.nan_to_num(scores, nan=0.0).astype(np.float32)


def same_labels(new: LabelBatch, stored: LabelBatch) -> BoolArray:
    """Row by row: whether all that a search UI filters by is equal, ``(m,) bool``."""
    equal: BoolArray = (
        (new.cluster_id == stored.cluster_id)
        & (new.probability == stored.probability)
        & (new.outlier_score == stored.outlier_score)
    )
    return equal
