"""What every embedder's answer is checked for before anybody uses it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vdbcluster.errors import BackendError
from vdbcluster.model.arrays import Float32Array


def checked(vectors: Float32Array, texts: Sequence[str], dim: int | None, who: str) -> Float32Array:
    """``vectors`` if they are ``(len(texts), dim)``, finite, never zero; else ``BackendError``.

    ``dim`` None accepts any dimension. The message names the first text that has no good vector.
    """
    if vectors.ndim != 2 or vectors.shape[0] != len(texts):
        raise BackendError(f"{who} answered {len(vectors)} vectors for {len(texts)} texts")
    if dim is not None and vectors.shape[1] != dim:
        raise BackendError(f"{who} answered vectors of dimension {vectors.shape[1]}, not {dim}")
    for what, bad in (
        ("holds NaN or infinity", ~np.isfinite(vectors).all(axis=1)),
        ("is zero", ~vectors.any(axis=1)),
    ):
        if bad.any():
            row = int(np.argmax(bad))
            raise BackendError(
                f"{who}: the vector of text {row + 1} of {len(texts)} {what}: {texts[row][:60]!r}"
            )
    return vectors
