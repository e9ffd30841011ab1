"""From what Milvus calls a distance to a true distance; the one place where that happens.

In: metric and scores as the server returns them. Out: a name and distances, smaller is nearer.
Promise: the result is a metric: Euclidean for L2 (Milvus returns its square), the chord
``sqrt(2 - 2 cos)`` for COSINE and for IP on vectors of length one; Hamming and Jaccard are as they
come. Density trees are not invariant to squaring, so none of these may be skipped.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Float32Array, Float64Array

UNIT_TOLERANCE = 1e-3
_NEAR = 1e-3
"""Below this squared distance (of vectors of length one) float32 scores hold no digit to trust."""

_NAMES = {
    "L2": "euclidean",
    "COSINE": "chord",
    "IP": "chord",
    "HAMMING": "hamming",
    "JACCARD": "jaccard",
}


def distance_name(metric: str | None) -> str:
    """Our name of the distance. Raises ``UsageError`` for a metric that gives none."""
    name = _NAMES.get(metric or "")
    if name is None:
        raise UsageError(
            f"searching by the metric {metric} gives no distance to cluster by; "
            "use --neighbors local"
        )
    return name


def to_distances(metric: str, scores: Float32Array) -> Float32Array:
    """Distances of the same shape. ``+inf`` stays ``+inf``, NaN becomes it: not found."""
    exact = scores.astype(np.float64)
    if metric == "L2":
        found = np.sqrt(np.maximum(exact, 0.0))
    elif metric in ("COSINE", "IP"):
        # A similarity of minus infinity stands for "not found".
        found = np.sqrt(np.maximum(2.0 - 2.0 * exact, 0.0))
    else:
        found = exact
    return np.nan_to_num(found, nan=np.inf, posinf=np.inf).astype(np.float32)


def not_found(metric: str) -> float:
    """The score that ``to_distances`` turns into ``+inf``."""
    return -np.inf if metric in ("COSINE", "IP") else np.inf


def require_unit_length(vectors: Float32Array) -> None:
    """Raise ``UsageError`` unless all vectors are of length one, as IP needs to be a distance."""
    for start in range(0, len(vectors), 16384):
        lengths = np.linalg.norm(vectors[start : start + 16384], axis=1)
        off = np.abs(lengths - 1.0)
        if off.size and off.max() > UNIT_TOLERANCE:
            raise UsageError(
                f"the inner product (IP) is a distance only for vectors of length 1, and there is "
                f"one of length {lengths[int(off.argmax())]:.4g}; use --neighbors local"
            )


def refine_near(
    metric: str, distances: Float32Array, queries: Float32Array, found: Float32Array
) -> Float32Array:
    """Distances ``(p,)`` of near pairs, computed again from their vectors ``(p, d)`` in float64.

    Near duplicates cancel in float32: without this, equal vectors appear 3e-4 apart.
    """
    first, second = queries.astype(np.float64), found.astype(np.float64)
    if metric != "L2":
        first, second = _unit(first), _unit(second)
    exact = np.linalg.norm(first - second, axis=1)
    return np.where(np.isfinite(exact), exact, distances).astype(np.float32)


def is_near(metric: str, distances: Float32Array, lengths: Float32Array) -> np.ndarray:
    """Which distances ``(m, k)`` are worth ``refine_near``; ``lengths (m,)`` of the queries."""
    if metric not in ("L2", "COSINE", "IP"):
        return np.zeros(distances.shape, dtype=bool)
    scale = np.square(lengths)[:, None] if metric == "L2" else 1.0
    return np.asarray(np.square(distances) <= _NEAR * scale)


def _unit(vectors: Float64Array) -> Float64Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0))
