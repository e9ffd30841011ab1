"""Columns of a map as short text, for a page to take apart again.

In: arrays, texts. Out: base64 of little-endian numbers, or of gzip. Promise: the same text each
time; a place is off by at most one 65,535th of the width of the map; ``thinned`` keeps to its
bytes, or keeps none.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.model.arrays import Float32Array, Int64Array

STEPS = 65_535
LEVEL = 6
TRIES = 8
Column = Sequence[str | None]


def quantised(points: Float32Array) -> tuple[list[str], list[list[float]]]:
    """Each axis as base64 of uint16, and the ``[lowest, highest]`` that 0 and 65,535 stand for.

    ``points (n, d)``, finite. One scale for all axes, so that shapes stay.
    """
    if not len(points):
        return [""] * points.shape[1], [[0.0, 1.0]] * points.shape[1]
    wide = points.astype(np.float64)
    low, high = wide.min(axis=0), wide.max(axis=0)
    width = float((high - low).max()) or 1.0
    steps = np.round((wide - low) / width * STEPS).astype("<u2")
    return [encoded(axis) for axis in steps.T], [[float(a), float(a) + width] for a in low]


def encoded(numbers: NDArray[Any]) -> str:
    """Base64 of the bytes as they are."""
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode("ascii")


def packed(column: Column) -> str:
    """Base64 of gzip of JSON; a half surrogate pair becomes ``?``."""
    text = json.dumps(list(column), ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), LEVEL, mtime=0)).decode(
        "ascii"
    )


def unpacked(text: str) -> list[str | None]:
    """What ``packed`` was given."""
    values: list[str | None] = json.loads(gzip.decompress(base64.b64decode(text)))
    return values


def thinned(
    columns: Sequence[Column], order: Int64Array, limit: int
) -> tuple[list[str], Int64Array]:
    """The columns packed, in at most ``limit`` bytes together, and the rows that kept theirs.

    ``order``: the rows, those that stay longest first. The others are None in every column.
    """
    full = [packed(column) for column in columns]
    size = sum(map(len, full))
    if size <= limit or not len(order):  # nothing that could be left out
        return full, np.sort(order)
    costs = _costs(columns)[order].cumsum()
    share = limit / size if size else 0.0
    for _ in range(TRIES):
        kept = order[: int(np.searchsorted(costs, costs[-1] * share, side="right"))]
        found = [packed(_only(column, kept)) for column in columns]
        if sum(map(len, found)) <= limit:
            return found, np.sort(kept)
        share *= 0.98 * limit / sum(map(len, found))
    return [packed([None] * len(column)) for column in columns], order[:0]


def _costs(columns: Sequence[Column]) -> Int64Array:
    """Bytes of each row; those of pictures are not made smaller by gzip, so they count for more."""
    return np.array(
        [
            sum(1 + len((text or "").encode("utf-8", "replace")) for text in row)
            for row in zip(*columns, strict=True)
        ],
        np.int64,
    )


def _only(column: Column, kept: Int64Array) -> list[str | None]:
    left: list[str | None] = [None] * len(column)
    for row in kept.tolist():
        left[row] = column[row]
    return left
