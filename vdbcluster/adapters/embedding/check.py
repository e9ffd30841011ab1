"""What texts and vectors are checked for, the same for every embedder.

    unfit(text)          why a text cannot be embedded at all, or ""
    bad_rows(vectors)    rows that are no usable vectors, with the reason
    gathered(...)        one array, or ``TextsRefusedError`` that carries both

Promise: no I/O; nothing is changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from vdbcluster.model.arrays import Float32Array
from vdbcluster.ports.embedder import TextsRefusedError

EXCERPT = 60
_HALF_PAIR = re.compile("[\ud800-\udfff]")


def unfit(text: str) -> str:
    """Why no model takes this text; empty if it is fine."""
    if not text.strip():
        return "it is empty"
    if _HALF_PAIR.search(text):
        return f"it holds half a surrogate pair: {text[:EXCERPT]!r}"
    return ""


def bad_rows(vectors: Float32Array) -> dict[int, str]:
    """Rows of ``(n, d)`` that are not finite or zero, with the reason."""
    infinite = ~np.isfinite(vectors).all(axis=1)
    zero = ~vectors.any(axis=1)
    found = {int(row): "its vector holds NaN or infinity" for row in np.flatnonzero(infinite)}
    return found | {int(row): "its vector is zero" for row in np.flatnonzero(zero)}


def gathered(
    vectors: Mapping[int, Float32Array], faults: Mapping[int, str], texts: Sequence[str], dim: int
) -> Float32Array:
    """``(len(texts), dim)`` from vectors by index; ``TextsRefusedError`` if there are faults."""
    rows = [vectors[index] for index in sorted(vectors)]
    together = np.stack(rows) if rows else np.empty((0, dim), np.float32)
    if faults:
        raise TextsRefusedError(faults, together, len(texts))
    return together
