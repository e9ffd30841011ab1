"""Clusters that are like a cluster, by their centroids.

In: entries of a catalogue. Out: ``Near``, the most alike first. Promise: exact; clusters without a
centroid are like none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vdbcluster.model.arrays import Float64Array
from vdbcluster.model.catalogue import CatalogueEntry


@dataclass(frozen=True, slots=True)
class Near:
    """A cluster like another; ``cosine`` of the centroids about the mean of all of them."""

    entry: CatalogueEntry
    cosine: float


def nearest(
    entry: CatalogueEntry, entries: Sequence[CatalogueEntry], limit: int
) -> tuple[Near, ...]:
    """The other live clusters whose centroids lie in the direction of this one's.

    Cosine about the mean of all rows that are clustered, as siblings on cards are measured: vectors
    of many models all point one way, and about zero every cluster would be like every other.
    """
    held = [e for e in entries if e.centroid is not None]
    if entry.centroid is None or not held:
        return ()
    centers = np.stack([_of(e) for e in held])
    sizes = np.array([max(1, e.size) for e in held], np.float64)
    mean = sizes @ centers / sizes.sum() if len(held) > 2 else np.zeros(centers.shape[1])
    moved, own = _unit(centers - mean), _unit((_of(entry) - mean)[None])[0]
    cosines = moved @ own
    order = [i for i in np.argsort(-cosines, kind="stable") if held[i].id != entry.id]
    return tuple(Near(held[i], float(np.clip(cosines[i], -1, 1))) for i in order[:limit])


def _of(entry: CatalogueEntry) -> Float64Array:
    assert entry.centroid is not None
    return entry.centroid.astype(np.float64)


def _unit(vectors: Float64Array) -> Float64Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0))
