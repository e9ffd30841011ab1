"""Labels as rows of a collection, there and back.

In: ``LabelBatch``; pages of scalar fields. Out: what the client takes; ``LabelBatch``.
Promise: scores are given in as few digits as tell their float32 apart, so that a dynamic key reads
0.85 and not 0.8500000238418579; a row counts as labelled only if a run has left its id there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vdbcluster.adapters.milvus.source import ScalarPage
from vdbcluster.errors import RefusedError
from vdbcluster.model.arrays import Float32Array, Int64Array
from vdbcluster.model.labels import LabelBatch, LabelFields


def as_rows(batch: LabelBatch, fields: LabelFields) -> list[dict[str, Any]]:
    """The label fields of each row by name, without its key."""
    columns = zip(
        batch.cluster_id.tolist(),
        _shortest(batch.probability),
        _shortest(batch.outlier_score),
        batch.run_ids.tolist(),
        strict=True,
    )
    return [dict(zip(fields.names, values, strict=True)) for values in columns]


def as_keyed_rows(batch: LabelBatch, fields: LabelFields, key: str) -> list[dict[str, Any]]:
    """As ``as_rows``, with the key under the name ``key``."""
    rows = as_rows(batch, fields)
    for row, value in zip(rows, batch.keys.tolist(), strict=True):
        row[key] = value
    return rows


def _shortest(scores: Float32Array) -> list[float]:
    return [float(text) for text in scores.astype(np.float32).astype(str).tolist()]


def as_labels(page: ScalarPage, fields: LabelFields) -> LabelBatch:
    """The labels of a page that holds all our fields, without rows that no run has labelled."""
    ours = _ours(page, fields)
    probability, score = page.values[fields.probability], page.values[fields.outlier_score]
    labels, runs = page.values[fields.cluster_id], page.values[fields.run_id]
    return LabelBatch(
        page.keys[ours],
        np.array([labels[i] for i in ours], np.int64),
        np.array([probability[i] or 0.0 for i in ours], np.float32),
        np.array([score[i] or 0.0 for i in ours], np.float32),
        np.array([runs[i] for i in ours], object),
    )


def refuse_foreign(page: ScalarPage, fields: LabelFields, collection: str) -> None:
    """``RefusedError`` if a row holds values under our names that no run of ours has left.

    A declared field that was filled with 0, -1, "" or null for want of a label is no such value.
    """
    ours = set(_ours(page, fields).tolist())
    for name, values in page.values.items():
        for row, value in enumerate(values):
            if row not in ours and _is_set(value):
                key = page.keys[row : row + 1].tolist()[0]
                raise RefusedError(
                    f"row {key!r} of {collection!r} already holds {name} = {value!r}, "
                    "which no run of vdbcluster wrote; choose other names with --label-prefix, or "
                    "pass --adopt to overwrite such values"
                )


def _ours(page: ScalarPage, fields: LabelFields) -> Int64Array:
    """Positions of rows that a run has labelled: a whole number as label, and the run's id."""
    labels = page.values.get(fields.cluster_id, [])
    runs = page.values.get(fields.run_id, [])
    return np.array(
        [
            i
            for i, (label, run) in enumerate(zip(labels, runs, strict=False))
            if type(label) is int and isinstance(run, str) and run
        ],
        np.int64,
    )


def _is_set(value: Any) -> bool:
    return value is not None and value not in (0, -1, "")
