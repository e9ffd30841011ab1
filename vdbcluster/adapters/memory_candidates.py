"""``CandidateSearch`` over a ``MemoryCollection``, by comparing every pair.

In: a ``MemoryCollection``, a selection of it. Out: keys of near rows, vectors of keys. Promise:
exact, ties in order of key; rows inserted or deleted between two calls are seen by the second.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.adapters.memory_collection import MemoryView
from vdbcluster.model.arrays import BoolArray, Float32Array, Keys

_BLOCK_CELLS = 4_000_000


class MemoryCandidates(MemoryView):
    """See ``ports.candidates``."""

    @property
    def description(self) -> str:
        return "brute force in memory, exact"

    def propose(self, vectors: Float32Array, limit: int) -> tuple[Keys, BoolArray]:
        """See the port; by the metric of the collection."""
        held = self.collection
        rows = np.flatnonzero(self.selected() & np.isfinite(held.vectors).all(axis=1))
        rows = rows[np.argsort(held.keys[rows], kind="stable")]
        found = min(limit, len(rows))
        keys = np.full((len(vectors), limit), held.keys[0] if len(held) else 0, held.keys.dtype)
        present = np.broadcast_to(np.arange(limit) < found, keys.shape).copy()
        step = max(1, _BLOCK_CELLS // max(1, len(rows)))
        for start in range(0, len(vectors) if found else 0, step):
            part = slice(start, start + step)
            far = self._distances(vectors[part], held.vectors[rows])
            keys[part, :found] = held.keys[rows[np.argsort(far, axis=1, kind="stable")[:, :found]]]
        return keys, present

    def vectors(self, keys: Keys) -> Float32Array:
        """See the port."""
        held = self.collection
        at = held.positions(keys)
        at[at >= 0] = np.where(self.selected()[at[at >= 0]], at[at >= 0], -1)
        found = np.full((len(keys), held.vectors.shape[1]), np.nan, np.float32)
        found[at >= 0] = held.vectors[at[at >= 0]]
        return found

    def _distances(self, queries: Float32Array, base: Float32Array) -> np.ndarray:
        left, right = queries.astype(np.float64), base.astype(np.float64)
        if self.collection.metric in ("COSINE", "IP"):
            left /= np.linalg.norm(left, axis=1, keepdims=True)
            right = right / np.linalg.norm(right, axis=1, keepdims=True)
        squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)
        return np.asarray(squares - 2 * (left @ right.T))
