"""Distances that the neighbour graph may hold, all made from one squared Euclidean kernel.

In: vectors ``(n, d) float32`` and the name of a metric. Out: the matrix on which that metric is
a function of the squared Euclidean distance, and the function.
Promise: ``d(i, j) == d(j, i)`` to the last bit, identical rows are at exactly 0, smaller is nearer.

=============  =============================================  ==========================
metric         is                                             prepared rows
=============  =============================================  ==========================
``euclidean``  ``|x - y|`` (never squared)                    as they are
``chord``      ``|x/|x| - y/|y||`` = ``sqrt(2 - 2 cos)``      of unit length
``angular``    angle between x and y in radians, ``[0, pi]``  of unit length
``hamming``    number of positions that differ                0 and 1
``jaccard``    ``1 - |x and y| / |x or y|``, 0 if both empty  0 and 1
=============  =============================================  ==========================

Chord and angle come from the difference of unit vectors rather than from the cosine: ``1 - cos``
cancels in float32 near duplicates, the difference does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from vdbcluster.model.arrays import Float32Array, Float64Array

METRICS = ("euclidean", "chord", "angular", "hamming", "jaccard")
ON_SPHERE = ("chord", "angular")
ON_BITS = ("hamming", "jaccard")

_BLOCK_VALUES = 1 << 22  # 16 MB of float32 at a time
_UNIT = 1e-6
"""A row is taken as of unit length if it is so to this relative error."""
NARROW = 0.6
_NOT_A_DIRECTION = 1e-6
"""A centred row this short beside its original is the mean itself plus rounding."""


def check_metric(metric: str) -> None:
    """``ValueError`` if the metric is not one of ``METRICS``."""
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r}; it must be one of {', '.join(METRICS)}")


def prepare(
    vectors: Float32Array,
    metric: str,
    *,
    mean: Float64Array | None = None,
    out: Float32Array | None = None,
) -> Float32Array:
    """The ``(n, d) float32`` matrix that ``measure``, ``exact_neighbors`` and searches work on.

    ``mean (d,)``: what to subtract before normalising again (``chord`` and ``angular`` only), as
    ``mean_direction`` gives it: of embeddings that all point one way it leaves what sets them
    apart. Rows equal to it stay zero, at distance 1 from the others (chord) and 0 from each other.
    ``out``: where to put the result, for instance a memory map; may be ``vectors`` itself.
    Works in blocks. What is prepared already stays as it is, to the last bit, and without ``out``
    it is not copied; ``mean`` is for vectors that were not centred before.

    Raises ``ValueError`` for an unknown metric, for NaN and infinities, for zero vectors where a
    direction is needed, and for values other than 0 and 1 where bits are needed.
    """
    check_metric(metric)
    if mean is not None and metric not in ON_SPHERE:
        raise ValueError(f"centering is for {' and '.join(ON_SPHERE)}, not for {metric}")
    source = np.ascontiguousarray(vectors, dtype=np.float32)
    _refuse_unfit(source, metric)
    if metric in ON_SPHERE and (mean is not None or not _all_unit(source)):
        target = np.empty(source.shape, np.float32) if out is None else out
        _to_sphere(source, target, mean)
        return target
    if out is None or out.ctypes.data == source.ctypes.data:
        return source
    out[:] = source
    return out


def mean_direction(vectors: Float32Array) -> Float64Array:
    """The mean of the rows at unit length, ``(d,) float64``. Raises as ``prepare`` does."""
    source = np.asarray(vectors, np.float32)
    _refuse_unfit(source, "chord")
    total = np.zeros(source.shape[1])
    for rows in blocks(source):
        block = source[rows].astype(np.float64)
        total += (block / _lengths(block)).sum(axis=0)
    return total / max(1, len(source))


def center(vectors: Float32Array) -> Float32Array:
    """Unit vectors of what sets rows apart from their mean direction, ``(n, d) float32``."""
    return prepare(vectors, "chord", mean=mean_direction(vectors))


def is_narrow(mean: Float64Array) -> bool:
    """Whether vectors with this mean direction point one way so much that it drowns the rest.

    It is longer than ``NARROW``. Of embeddings of texts it was 0.16 to 0.47 with one model
    (MiniLM), 0.88 to 0.95 with another (multilingual e5).
    """
    return float(np.linalg.norm(mean)) > NARROW


def from_squared(
    squared: Float32Array, metric: str, common: Float32Array | None = None
) -> Float32Array:
    """The metric from squared Euclidean distances of prepared rows, ``float32`` of any shape.

    ``common``: for ``jaccard``, the number of ones that both rows have, in the same shape.
    Monotone for every metric but ``jaccard``.
    """
    if metric == "hamming":
        return squared
    if metric == "jaccard" and common is not None:
        either = squared + common
        shares: Float32Array = np.zeros_like(squared)
        np.divide(squared, either, out=shares, where=either > 0)
        return shares
    length: Float32Array = np.sqrt(squared)
    if metric == "angular":
        length = 2 * np.arcsin(np.minimum(length / 2, np.float32(1)))
    return length


def blocks(vectors: Float32Array) -> Iterator[slice]:
    """Slices of rows, each of about 16 MB."""
    step = max(1, _BLOCK_VALUES // max(1, vectors.shape[1]))
    for start in range(0, len(vectors), step):
        yield slice(start, min(start + step, len(vectors)))


def directions(block: Float64Array) -> Float64Array:
    """Rows at unit length; those too short to have a direction (mere rounding) become zero."""
    length = _lengths(block)
    flat = length < _NOT_A_DIRECTION
    unit: Float64Array = np.where(flat, 0.0, block / np.where(flat, 1.0, length))
    return unit


def _refuse_unfit(vectors: Float32Array, metric: str) -> None:
    for rows in blocks(vectors):
        block = vectors[rows]
        _refuse(~np.isfinite(block).all(axis=1), rows, "NaN or an infinity")
        if metric in ON_BITS:
            _refuse(
                ((block != 0) & (block != 1)).any(axis=1),
                rows,
                f"values other than 0 and 1, which {metric} needs",
            )
        if metric in ON_SPHERE:
            _refuse(~block.any(axis=1), rows, f"only zeros, which has no direction for {metric}")


def _refuse(bad: Any, rows: slice, what: str) -> None:
    if bad.any():
        found = np.flatnonzero(bad) + rows.start
        shown = ", ".join(str(row) for row in found[:5]) + (", ..." if len(found) > 5 else "")
        raise ValueError(f"{len(found)} or more vectors hold {what}: rows {shown}")


def _all_unit(vectors: Float32Array) -> bool:
    return all(
        bool((np.abs(_lengths(vectors[rows].astype(np.float64)) - 1) <= _UNIT).all())
        for rows in blocks(vectors)
    )


def _lengths(block: Float64Array) -> Float64Array:
    lengths: Float64Array = np.sqrt(np.einsum("ij,ij->i", block, block))[:, None]
    return lengths


def _to_sphere(source: Float32Array, target: Float32Array, mean: Float64Array | None) -> None:
    for rows in blocks(source):
        block = source[rows].astype(np.float64)
        length = _lengths(block)
        block /= np.where(np.abs(length - 1) <= _UNIT, 1.0, length)
        if mean is not None:
            block = directions(block - mean)
        target[rows] = block
