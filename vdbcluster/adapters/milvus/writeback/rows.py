"""Labels as rows of a collection, there and back.

In: ``LabelBatch``; pages of scalar fields. Out: what the client takes; ``LabelBatch``.
Promise: scores are given in as few digits as tell their float32 apart, so that a dynamic key reads
0.85 and not 0.8500000238418579; a row counts as labelled only if a run has left its id there; what
it holds in fields that came with a later version is ours only beside an assignment.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus.source import ScalarPage
from vdbcluster.errors import RefusedError
from vdbcluster.model.arrays import Float32Array, Int64Array, Keys
from vdbcluster.model.hierarchy import Assignment
from vdbcluster.model.labels import LABEL_FIELDS, LabelBatch, LabelField, LabelFields

_LARGEST = float(np.finfo(np.float32).max)
_ASSIGNMENTS = frozenset(str(known) for known in Assignment)


def as_rows(batch: LabelBatch, fields: LabelFields, *, nulls: bool = True) -> list[dict[str, Any]]:
    """The label fields of each row by name, without its key; None where a row has no such text.

    ``nulls``: a row without a place has None there, else 0, for columns that cannot be null.
    """
    columns = {
        fields.name(which): _listed(which, values, nulls) for which, values in batch.columns()
    }
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def blank_rows(batch: LabelBatch, fields: LabelFields) -> list[dict[str, Any]]:
    """As ``as_rows``, with nothing in any of the fields."""
    names = [fields.name(which) for which, _ in batch.columns()]
    return [dict.fromkeys(names) for _ in range(len(batch))]


def keyed(rows: list[dict[str, Any]], keys: Keys, key: str) -> list[dict[str, Any]]:
    """The rows with their keys under the name ``key``."""
    return [row | {key: value} for row, value in zip(rows, keys.tolist(), strict=True)]


def _listed(which: LabelField, values: np.ndarray, nulls: bool) -> list[Any]:
    found: list[Any] = _shortest(values) if which.type == "FLOAT" else values.tolist()
    optional = which.optional and which.type == "FLOAT"
    return [value or None for value in found] if nulls and optional else found


def _shortest(scores: Float32Array) -> list[float]:
    return [float(text) for text in scores.astype(np.float32).astype(str).tolist()]


def as_labels(page: ScalarPage, fields: LabelFields, *, always_text: bool = False) -> LabelBatch:
    """The labels of a page of our fields, without rows that no run has labelled.

    The page may lack fields that came with a later version; an optional one that no row has is
    None. ``always_text``: its column holds the empty text where no run has given one, which counts
    as none, but for a field that says something by it.
    """
    ours = _ours(page, fields).tolist()
    columns: dict[str, np.ndarray] = {}
    for which in LABEL_FIELDS:
        held = page.values.get(fields.name(which))
        values = _chosen(held, ours)
        if always_text and not which.of_key:  # columns, so that equal values can be told once
            held_by_any = any(_is_set(which, value) for value in set(values))
        else:
            held_by_any = any(value is not None for value in values)
        if not which.optional or held_by_any:
            columns[which.column] = _array(which, values)
    return LabelBatch(keys=page.keys[ours], **columns)


def _chosen(held: list[Any] | None, rows: list[int]) -> list[Any]:
    if held is None:
        return [None] * len(rows)
    return held if len(rows) == len(held) else [held[row] for row in rows]


def _array(which: LabelField, values: list[Any]) -> np.ndarray:
    """What a row lacks is 0 or the empty text, and None for an optional text."""
    if which.type == "INT64":
        return np.array(values, np.int64)
    if which.type == "FLOAT":
        return np.array([_number(value) for value in values], np.float32)
    found = np.empty(len(values), object)
    lacking = None if which.optional else ""
    found[:] = [lacking if value is None else str(value) for value in values]
    return found


def _number(value: Any) -> float:
    """0 for what is none that a field of 32 bits can hold: somebody else's, which is adopted."""
    told = float(value) if isinstance(value, (int, float)) else 0.0
    return told if abs(told) <= _LARGEST else 0.0


def refuse_foreign(page: ScalarPage, fields: LabelFields, collection: str) -> None:
    """``RefusedError`` if a row holds values under our names that no run of ours has left.

    A declared field that was filled with 0, -1, "" or null for want of a label is no such value.
    """
    ours = set(_ours(page, fields).tolist())
    assigned = {row for row in ours if _assigned(page, fields, row)}
    for which, name, values in _held(page, fields):
        kept = assigned if which.later else ours
        if which.suffix in fields.unwritten:
            kept = set()
        for row, value in enumerate(values):
            if row not in kept and _is_set(which, value):
                key = page.keys[row : row + 1].tolist()[0]
                raise RefusedError(
                    f"row {key!r} of {collection!r} already holds {name} = {value!r}, "
                    "which no run of vdbcluster wrote; choose other names with --label-prefix, or "
                    "pass --adopt to overwrite such values"
                )


def _held(page: ScalarPage, fields: LabelFields) -> Iterator[tuple[LabelField, str, list[Any]]]:
    for which in LABEL_FIELDS:
        name = fields.name(which)
        if name in page.values:
            yield which, name, page.values[name]


def _assigned(page: ScalarPage, fields: LabelFields, row: int) -> bool:
    """Whether a run that knew of assignments has labelled the row."""
    values = page.values.get(fields.assignment)
    return values is not None and isinstance(values[row], str) and values[row] in _ASSIGNMENTS


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


def _is_set(which: LabelField, value: Any) -> bool:
    """Whether it is more than what fills a column; -1 is a place as good as any."""
    return value is not None and value not in (0, "") and (value != -1 or which.bare)
