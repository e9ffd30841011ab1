"""Searches by vector: what is sent, what comes back, and how large both may be.

In: a source's selection, vectors, how many hits are wanted. Out: ``Hits``.
Promise: messages stay below the server's limits, by number, by bytes sent and by hits received;
what is too large or too slow all the same is asked for by halves.

    requests = VectorRequests(connection, source, SearchSettings("high"))
    hits = requests.ask(vectors, 50)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.decode import keys_array, to_bytes
from vdbcluster.adapters.milvus.effort import Effort, search_params
from vdbcluster.adapters.milvus.errors import backend_errors, is_too_large, is_too_slow, translate
from vdbcluster.adapters.milvus.source import MilvusSource
from vdbcluster.model.arrays import BoolArray, Float32Array, Int64Array, Keys

MAX_HITS = 16384
"""The server's limit of hits for one vector."""

_REQUEST_BYTES = 32 * 1024 * 1024
_ANSWER_HITS = 1_000_000


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """``batch``: vectors in a call. ``threads``: calls at once, worth more than 2 on a cluster."""

    effort: Effort = "medium"
    batch: int = 500
    threads: int = 2


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """``returned (m,)``: how many hits each of m vectors has; ``keys``, ``scores``: all in a row.

    ``scores``: as the server gives them, see ``distances``.
    """

    keys: Keys
    scores: Float32Array
    returned: Int64Array

    def present(self, limit: int) -> BoolArray:
        """Where the hits lie in a table ``(m, limit)``, row by row."""
        return np.asarray(np.arange(limit) < self.returned[:, None])

    def __add__(self, other: Hits) -> Hits:
        return Hits(
            np.concatenate([self.keys, other.keys]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.returned, other.returned]),
        )


class VectorRequests:
    """See the module; threads may share it."""

    def __init__(
        self,
        connection: MilvusConnection,
        source: MilvusSource,
        settings: SearchSettings,
        metric: str = "",
    ) -> None:
        """``metric``: as the database calls it; empty for that of the index."""
        self._connection = connection
        self._selection = source.selection
        self._key = source.key
        self._field = source.vector
        self._settings = settings
        self._metric = metric or str(source.vector.metric)

    @property
    def description(self) -> str:
        """Engine, index and effort."""
        return f"milvus {self._field.index or 'no index'}, effort {self._settings.effort}"

    def step(self, limit: int) -> int:
        """Vectors in a call."""
        by_bytes = _REQUEST_BYTES // (4 * self._field.dim)
        return max(1, min(self._settings.batch, MAX_HITS, by_bytes, _ANSWER_HITS // limit))

    def ask(self, vectors: Float32Array, limit: int) -> Hits:
        """The ``limit`` nearest rows of each of ``vectors (m, d)``, m at least 1."""
        if len(vectors) > self.step(limit):
            return self._halves(vectors, limit)
        try:
            answer = self._connection.raw(
                lambda client, seconds: self._call(client, seconds, vectors, limit)
            )
        except backend_errors() as error:
            if len(vectors) == 1 or not (is_too_large(error) or is_too_slow(error)):
                raise translate(error, f"searching {self._selection.collection!r}") from error
            return self._halves(vectors, limit)
        return self._unpack(answer)

    def _halves(self, vectors: Float32Array, limit: int) -> Hits:
        half = len(vectors) // 2
        return self.ask(vectors[:half], limit) + self.ask(vectors[half:], limit)

    def _call(self, client: Any, seconds: float, vectors: Float32Array, limit: int) -> Any:
        vectors = np.ascontiguousarray(vectors)
        floats = self._field.type == "FLOAT_VECTOR"
        params = search_params(self._field, limit, self._settings.effort)
        return client.search(
            self._selection.collection,
            data=list(vectors) if floats else to_bytes(vectors, self._field),
            anns_field=self._field.name,
            filter=self._selection.where,
            limit=limit,
            search_params={"metric_type": self._metric, "params": params},
            partition_names=list(self._selection.partitions) or None,
            consistency_level="Bounded",
            timeout=seconds,
        )

    def _unpack(self, answer: Sequence[Any]) -> Hits:
        return Hits(
            keys_array([key for hits in answer for key in hits.ids], self._key),
            np.concatenate([np.asarray(hits.distances, np.float32) for hits in answer]),
            np.array([len(hits) for hits in answer], np.int64),
        )
