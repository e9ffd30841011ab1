"""Rows near vectors that need not be rows themselves: ``CandidateSearch`` over Milvus.

In: a connection and a source. Out: keys of near rows; vectors of keys.
Promise: searched by the index and fetched by key, both within the selection as it is now; nothing
else is read. Rows that were inserted, deleted or moved out of the selection between two calls are
seen by the second, as soon as the server shows them.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.distances import UNIT_TOLERANCE
from vdbcluster.adapters.milvus.requests import MAX_HITS, SearchSettings, VectorRequests
from vdbcluster.adapters.milvus.source import MilvusSource
from vdbcluster.errors import RefusedError
from vdbcluster.model.arrays import BoolArray, Float32Array, Keys

NATURAL = {
    "euclidean": "L2",
    "chord": "COSINE",
    "angular": "COSINE",
    "hamming": "HAMMING",
    "jaccard": "JACCARD",
}
"""The metric of an index that orders rows as a distance does."""
_ALIKE = {"L2", "COSINE", "IP"}
"""Those that order vectors of length 1 in the same way."""


class MilvusCandidates:
    """See the module and ``ports.candidates``."""

    def __init__(
        self,
        connection: MilvusConnection,
        source: MilvusSource,
        settings: SearchSettings,
        metric: str,
    ) -> None:
        """``metric``: the distance that is to be measured, see ``graph.distance``.

        Raises ``RefusedError`` if the index proposes by another; so do the methods, if it proposes
        by another unless vectors have length 1, and there is one that has not.
        """
        self._source = source
        self._name, wanted = metric, NATURAL[metric]
        self._index = source.vector.metric or wanted
        self._of_unit_length = self._index != wanted
        if self._of_unit_length and not {self._index, wanted} <= _ALIKE:
            raise self._refused("")
        self._requests = VectorRequests(connection, source, settings, self._index)

    @property
    def description(self) -> str:
        return self._requests.description

    def propose(self, vectors: Float32Array, limit: int) -> tuple[Keys, BoolArray]:
        """See the port; at most as many as a server gives, 16,384."""
        self._check(vectors)
        is_text = self._source.key.type == "VARCHAR"
        shape, found = (len(vectors), limit), min(limit, MAX_HITS)
        keys = np.full(shape, "", object) if is_text else np.zeros(shape, np.int64)
        present = np.zeros(shape, np.bool_)
        step = self._requests.step(found)
        for start in range(0, len(vectors), step):
            part = slice(start, start + step)
            hits = self._requests.ask(vectors[part], found)
            present[part] = hits.present(limit)
            keys[part][present[part]] = hits.keys
        return keys, present

    def vectors(self, keys: Keys) -> Float32Array:
        """See the port; where a key occurs twice, any of its rows."""
        wanted, place = np.unique(keys, return_inverse=True)
        at = {key: row for row, key in enumerate(wanted.tolist())}
        found = np.full((len(wanted), self._source.vector.dim), np.nan, np.float32)
        for page in self._source.vectors(wanted):
            self._check(page.vectors)
            found[[at[key] for key in page.keys.tolist()]] = page.vectors
        return found[place]

    def _check(self, vectors: Float32Array) -> None:
        if self._of_unit_length and len(vectors):
            off = np.abs(np.linalg.norm(vectors, axis=1) - 1)
            if float(off.max()) > UNIT_TOLERANCE:
                raise self._refused(", which is the same for vectors of length 1 alone")

    def _refused(self, unless: str) -> RefusedError:
        name = self._source.vector.name
        return RefusedError(
            f"the index of {name!r} searches by {self._index}, and the last run compared by "
            f"{self._name}{unless}: new rows cannot be assigned, run vdbcluster run"
        )
