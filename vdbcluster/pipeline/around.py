"""The nearest of any rows among all rows that a collection holds now.

In: ``Kept``, keys and vectors, a ``CandidateSearch``. Out: ``Surroundings``.
Promise: the search proposes, ``graph.measure`` measures, on vectors prepared as those of the run:
distances compare with the run's, whoever searched. O(m k) searches and fetches for m rows, memory
for those of one batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vdbcluster.graph.distance import ON_SPHERE, prepare
from vdbcluster.graph.measure import nearest
from vdbcluster.model.arrays import Float32Array, Int64Array, Keys
from vdbcluster.model.assign import Surroundings
from vdbcluster.model.neighbors import PADDING
from vdbcluster.pipeline.kept import Kept
from vdbcluster.pipeline.read import first_of_each, positions
from vdbcluster.ports import Observer
from vdbcluster.ports.candidates import CandidateSearch

BATCH, BATCH_BYTES = 250, 64 << 20
"""Rows whose candidates are fetched at once: so many, and less if the vectors would be more."""
_SLACK = 4
"""Candidates beyond k and self, for keys that do not count."""
_IF_CENTERED = 4
"""So many times k are proposed where the run compared centred vectors, and the database does not:
on 3,406 texts in multilingual e5 these held 98 % of the k nearest (twice k: 93 %)."""


def surroundings(
    kept: Kept,
    keys: Keys,
    vectors: Float32Array,
    new_keys: Keys,
    search: CandidateSearch,
    observer: Observer,
) -> Surroundings:
    """The nearest of the rows with these keys and vectors, in positions of the run.

    ``new_keys (m,)`` ascending: position n + i is that of ``new_keys[i]``; rows that came later
    still have positions behind these. Vectors must be usable (``read.usable``).
    """
    k = kept.reference.n_neighbors
    if not len(keys):
        return Surroundings(np.empty((0, k), np.int32), np.empty((0, k), np.float32))
    places = _Places(kept.keys, new_keys)
    indices = np.full((len(keys), k), PADDING, np.int32)
    distances = np.full((len(keys), k), np.inf, np.float32)
    with observer.stage("neighbours", len(keys)) as progress:
        step = _batch(_wanted(kept, k), vectors.shape[1])
        for start in range(0, len(keys), step):
            part = slice(start, min(start + step, len(keys)))
            found = _nearest(kept, keys[part], vectors[part], search, k)
            indices[part] = places.of(found[0])
            indices[part][np.isinf(found[1])] = PADDING
            distances[part] = found[1]
            progress.advance(part.stop - part.start)
    return Surroundings(indices, distances)


@dataclass
class _Places:
    """Positions of keys: those of the run, then the new ones, then strangers as they come."""

    known: Keys
    new: Keys
    strangers: dict[Any, int] = field(default_factory=dict)

    def of(self, keys: Keys) -> Int64Array:
        flat = keys.ravel()
        n = len(self.known)
        found = positions(flat, self.known)
        later = positions(flat, self.new)
        found = np.where((found == PADDING) & (later != PADDING), n + later, found)
        for at in np.flatnonzero(found == PADDING).tolist():
            key = flat[at]
            found[at] = self.strangers.setdefault(key, n + len(self.new) + len(self.strangers))
        return found.reshape(keys.shape)


def _wanted(kept: Kept, k: int) -> int:
    """Candidates for each row."""
    return (k if kept.mean is None else _IF_CENTERED * k) + 1 + _SLACK


def _batch(wanted: int, dim: int) -> int:
    return max(1, min(BATCH, BATCH_BYTES // (4 * dim * wanted)))


def _nearest(
    kept: Kept, keys: Keys, vectors: Float32Array, search: CandidateSearch, k: int
) -> tuple[Keys, Float32Array]:
    """Keys and distances of the k nearest, ``(m, k)``; a key at +inf has no meaning."""
    metric = kept.reference.metric
    proposed, present = search.propose(vectors, _wanted(kept, k))
    present &= proposed != keys[:, None]
    found = np.sort(proposed[present])
    found = found[first_of_each(found)] if len(found) else found
    base = search.vectors(found)
    fit = np.isfinite(base).all(axis=1) & ((metric not in ON_SPHERE) | base.any(axis=1))
    found, base = found[fit], base[fit]
    points = prepare(np.concatenate([vectors, base]), metric, mean=kept.mean)
    at = positions(proposed.ravel(), found).reshape(proposed.shape)
    candidates = np.where(present & (at != PADDING), at + len(keys), PADDING)
    near, distances = nearest(points, np.arange(len(keys)), candidates, k, metric)
    if not len(found):
        return proposed[:, :1].repeat(k, axis=1), distances
    return found[np.where(near == PADDING, 0, near - len(keys))], distances
