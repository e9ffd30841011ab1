"""Vectors that a source brings: numbers, finite, not all zero, all of one dimension.

In: one value after the other, or a matrix. Out: ``float32``. Promise: the first good vector says
the dimension; every other one that differs, or cannot be searched for, is told with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from vdbcluster.model.arrays import Float32Array
from vdbcluster.records.values import MisfitError, is_missing, shown


class VectorReader:
    """Checks the vectors of one pass through a source."""

    def __init__(self) -> None:
        self.dim = 0

    def vector(self, value: Any) -> Float32Array:
        """One vector from a list of numbers or its JSON text, ``(dim,)``.

        Raises ``MisfitError`` with a reason that goes after "the vector".
        """
        numbers = _numbers(value)
        if self.dim and len(numbers) != self.dim:
            raise MisfitError(_other_dim(len(numbers), self.dim))
        vector = to_float32(numbers)
        if reason := _unusable(vector):
            raise MisfitError(reason)
        self.dim = len(vector)
        return vector

    def stack(self, vectors: Sequence[Float32Array]) -> Float32Array:
        """The vectors as a matrix, also if there is none."""
        return np.stack(vectors) if vectors else np.empty((0, self.dim), np.float32)

    def matrix(self, vectors: Float32Array) -> dict[int, str]:
        """Rows of a matrix that cannot be taken, each with its reason."""
        reasons: dict[int, str] = {}
        for row in np.flatnonzero(~is_usable(vectors)):
            reasons[int(row)] = f"the vector {_unusable(vectors[row])}"
        return reasons

    def lengths(self, lengths: Sequence[int | None]) -> dict[int, str]:
        """Rows whose vectors are missing or of another dimension than the first."""
        reasons: dict[int, str] = {}
        for row, length in enumerate(lengths):
            if not length:
                reasons[row] = "the vector is missing"
            elif not self.dim:
                self.dim = length
            elif length != self.dim:
                reasons[row] = f"the vector {_other_dim(length, self.dim)}"
        return reasons


def to_float32(numbers: Any) -> Float32Array:
    """Numbers of any kind as ``float32``; what is too large becomes infinite, without a warning."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(numbers, dtype=np.float32)


def is_usable(vectors: Float32Array) -> Any:
    """Which rows are finite and not all zero, ``(n,) bool``."""
    return np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)


def _unusable(vector: Float32Array) -> str:
    if np.isnan(vector).any():
        return "holds NaN or a missing number"
    if not np.isfinite(vector).all():
        return "holds a number that is infinite as float32"
    return "" if vector.any() else "is all zero, so it has no direction"


def _other_dim(found: int, dim: int) -> str:
    return f"has the dimension {found:,}, those before it have {dim:,}"


def _numbers(value: Any) -> np.ndarray:
    if is_missing(value) or value in ("", []):
        raise MisfitError("is missing")
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, list):
        raise MisfitError(f"is no list of numbers: {shown(value)}")
    try:
        found = np.asarray(value)
    except (ValueError, OverflowError):
        raise MisfitError(f"is no list of numbers: {shown(value)}") from None
    if found.ndim != 1 or found.dtype.kind not in "iuf":
        reason = "holds a missing number" if None in value else "is no list of numbers"
        raise MisfitError(f"{reason}: {shown(value)}")
    return found


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise MisfitError(f"cannot be read: {shown(text)}; write it as [0.1, 0.2, ...]") from None
