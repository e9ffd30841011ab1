"""Neighbours found by Milvus: ``NeighborSearch`` over the rows that were streamed.

In: a source's selection and its ``Rows``. Out: positions in those rows, and true distances.
Promise: self is removed by key, never by place; keys that were not streamed (inserted meanwhile)
and second rows of one key are dropped; a row whose hits ran out for that reason is asked again
for more. Messages stay below the server's limits; too large or too slow ones are halved.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.distances import (
    distance_name,
    is_near,
    not_found,
    refine_near,
    require_unit_length,
    to_distances,
)
from vdbcluster.adapters.milvus.effort import is_exhaustive
from vdbcluster.adapters.milvus.requests import MAX_HITS, VectorRequests
from vdbcluster.adapters.milvus.requests import SearchSettings as SearchSettings
from vdbcluster.adapters.milvus.source import MilvusSource
from vdbcluster.model.arrays import Float32Array, Int32Array, Int64Array, Keys
from vdbcluster.model.neighbors import PADDING
from vdbcluster.model.rows import Rows

_SLACK = 4
"""Hits beyond k and self, for keys that do not count."""
DEFAULTS = SearchSettings()


@dataclass(frozen=True, slots=True, eq=False)
class _Hits:
    """``positions (m, limit) int32``, -1 for a stranger; ``scores``; how many came, ``(m,)``."""

    positions: Int32Array
    scores: Float32Array
    returned: Int64Array


class MilvusNeighbors:
    """See the module."""

    def __init__(
        self,
        connection: MilvusConnection,
        source: MilvusSource,
        rows: Rows,
        settings: SearchSettings = DEFAULTS,
    ) -> None:
        """Raises ``UsageError`` where the metric gives no distance: IP on vectors of any length."""
        self._field = source.vector
        self._rows = rows
        self._threads = settings.threads
        self._requests = VectorRequests(connection, source, settings)
        self._name = distance_name(self._field.metric)
        self._metric = str(self._field.metric)
        self._position = key_positions(rows.keys)
        if self._metric == "IP":
            require_unit_length(rows.vectors)

    @property
    def description(self) -> str:
        return self._requests.description

    @property
    def metric(self) -> str:
        """``euclidean``, ``chord``, ``hamming`` or ``jaccard``."""
        return self._name

    @property
    def measured(self) -> bool:
        return False

    @property
    def exact(self) -> bool:
        return is_exhaustive(self._field)

    def search(self, which: Int64Array, n_neighbors: int) -> tuple[Int32Array, Float32Array]:
        """See ``ports.NeighborSearch``."""
        limit = min(n_neighbors + 1 + _SLACK, MAX_HITS)
        step = self._requests.step(limit)
        batches = [which[start : start + step] for start in range(0, len(which), step)]
        indices = np.full((len(which), n_neighbors), PADDING, dtype=np.int32)
        distances = np.full((len(which), n_neighbors), np.inf, dtype=np.float32)
        with ThreadPoolExecutor(self._threads, "milvus-search") as pool:
            done = pool.map(lambda batch: self._batch(batch, n_neighbors, limit), batches)
            for number, (found, far) in enumerate(done):
                place = slice(number * step, number * step + len(found))
                indices[place], distances[place] = found, far
        return indices, distances

    def _batch(self, which: Int64Array, k: int, limit: int) -> tuple[Int32Array, Float32Array]:
        """Neighbours of one call's rows; those left short by dropped hits are asked for again."""
        hits = self._ask(which, limit)
        indices, distances = self._clean(which, hits, k)
        short = (indices[:, -1] == PADDING) & (hits.returned >= limit)
        if short.any() and limit < MAX_HITS:
            again = self._batch(which[short], k, min(2 * limit, MAX_HITS))
            indices[short], distances[short] = again
        return indices, distances

    def _ask(self, which: Int64Array, limit: int) -> _Hits:
        found = self._requests.ask(self._rows.vectors[which], limit)
        present = found.present(limit)
        positions = np.full(present.shape, PADDING, dtype=np.int32)
        scores = np.full(present.shape, not_found(self._metric), dtype=np.float32)
        positions[present] = self._position(found.keys)
        scores[present] = found.scores
        return _Hits(positions, scores, found.returned)

    def _clean(self, which: Int64Array, hits: _Hits, k: int) -> tuple[Int32Array, Float32Array]:
        """Drop self, strangers and repetitions; sort by distance, then position; cut at ``k``."""
        indices = hits.positions
        distances = to_distances(self._metric, hits.scores)
        self._refine(which, indices, distances)
        distances[(indices == PADDING) | (indices == which[:, None])] = np.inf
        _drop_repeated(indices, distances)
        order = np.lexsort((indices, distances), axis=-1)[:, :k]
        indices = np.take_along_axis(indices, order, axis=1)
        distances = np.take_along_axis(distances, order, axis=1)
        indices[np.isinf(distances)] = PADDING
        missing = ((0, 0), (0, k - indices.shape[1]))
        return (
            np.pad(indices, missing, constant_values=PADDING),
            np.pad(distances, missing, constant_values=np.inf),
        )

    def _refine(self, which: Int64Array, indices: Int32Array, distances: Float32Array) -> None:
        """Compute near pairs again from the vectors that we hold anyway."""
        lengths = np.linalg.norm(self._rows.vectors[which], axis=1)
        near = is_near(self._metric, distances, lengths) & (indices != PADDING)
        row, column = np.nonzero(near & (indices != which[:, None]))
        if not row.size:
            return
        for start, stop in pairwise([*range(0, row.size, 16384), row.size]):
            part = slice(start, stop)
            place = (row[part], column[part])
            distances[place] = refine_near(
                self._metric,
                distances[place],
                self._rows.vectors[which[row[part]]],
                self._rows.vectors[indices[place]],
            )


def _drop_repeated(indices: Int32Array, distances: Float32Array) -> None:
    """Leave only the nearest of several hits with one key, in place."""
    order = np.lexsort((distances, indices), axis=-1)
    ordered = np.take_along_axis(indices, order, axis=1)
    repeated = np.zeros(indices.shape, dtype=bool)
    np.put_along_axis(repeated, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    distances[repeated] = np.inf


def key_positions(keys: Keys) -> Any:
    """A function from keys ``(p,)`` to positions ``(p,) int32``, -1 for a key that is not there."""
    if keys.dtype == object:
        place = {key: position for position, key in enumerate(keys.tolist())}

        def of_strings(wanted: Keys) -> Int32Array:
            return np.array([place.get(key, PADDING) for key in wanted.tolist()], dtype=np.int32)

        return of_strings

    def of_numbers(wanted: Keys) -> Int32Array:
        if not len(keys):
            return np.full(len(wanted), PADDING, dtype=np.int32)
        found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[found] == wanted, found, PADDING).astype(np.int32)

    return of_numbers
