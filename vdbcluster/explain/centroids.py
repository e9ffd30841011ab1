"""Where clusters are, and which lies next to which.

In: labels, points. Out: ``Clusters``: ids, members, centroids, siblings. Promise: ids ascend, noise
is none of them; deterministic, ties by the smaller id; memory of (k, d) and of blocks of (b, k).

Points are compared by direction after the mean of all rows is taken from them: embeddings of many
models point one way, and all their cosines are near 1 otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vdbcluster.model.arrays import Float32Array, Int64Array
from vdbcluster.model.hierarchy import NOISE

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BLOCK = 512
NO_SIBLING = -1


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """``ids (k,)`` ascending; ``places (n,)``: of each row its place among ``ids``, -1 for noise;
    ``sizes (k,)``.
    """

    ids: Int64Array
    places: Int64Array
    sizes: Int64Array

    def __len__(self) -> int:
        return len(self.ids)

    def indicator(self) -> csr_array:
        """``(k, n) float32``, 1 where a row is in a cluster."""
        from scipy.sparse import csr_array  # a third of a second to import

        rows = np.flatnonzero(self.places >= 0)
        ones = np.ones(len(rows), np.float32)
        shape = (len(self.ids), len(self.places))
        return csr_array((ones, (self.places[rows], rows)), shape=shape)


def clusters(labels: Int64Array) -> Clusters:
    """Of ``labels (n,)``, -1 is noise."""
    ids, places, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    n_noise = int(np.searchsorted(ids, NOISE, side="right"))
    places = np.maximum(places.astype(np.int64) - n_noise, -1)
    return Clusters(ids[n_noise:], places, sizes[n_noise:])


def directions(points: Float32Array) -> Float32Array:
    """``points (n, d)`` without their mean, of length 1; rows at the mean stay zero."""
    centered = points - points.mean(axis=0, dtype=np.float64).astype(np.float32)
    return unit(centered)


def unit(vectors: Float32Array) -> Float32Array:
    """Rows of length 1; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)


def centroids(found: Clusters, points: Float32Array) -> Float32Array:
    """Mean direction of each cluster ``(k, d) float32``, of length 1; ``points (n, d)``."""
    return unit(np.asarray(found.indicator() @ points, np.float32))


def siblings(centers: Float32Array, n: int = 1) -> Int64Array:
    """The ``n`` nearest other clusters of each by cosine, ``(k, n)`` places, nearest first.

    ``NO_SIBLING`` where there are not so many. ``centers (k, d)`` of length 1.
    """
    k = len(centers)
    found = np.full((k, n), NO_SIBLING, np.int64)
    width = min(n, k - 1)
    for start in range(0, k, BLOCK) if width > 0 else ():
        near = centers[start : start + BLOCK] @ centers.T
        own = np.arange(len(near))
        near[own, start + own] = -np.inf
        found[start : start + BLOCK, :width] = np.argsort(-near, axis=1, kind="stable")[:, :width]
    return found
