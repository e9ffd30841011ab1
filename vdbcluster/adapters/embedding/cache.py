"""Embeddings that were paid for once are kept.

    CachedEmbedder(embedder, folder, identity(settings), warn)

In: texts; a folder that holds ``embeddings.sqlite``. Out: their vectors; only texts that the cache
lacks go to the embedder around which it is, each of them once a call.
Promise: an answer is on disk before ``embed`` goes on, so that a process that is killed at any
moment loses the requests under way and nothing else; processes and threads may share the folder;
texts themselves are not stored; what is read is checked like an answer. A folder that cannot be
used is told at once (``UsageError``); a cache that fails on the way is given up with one warning.

The key of a vector is the BLAKE2 hash of the text and of all that shapes its vector: model,
endpoint, dimensions, prefix, and how long texts are dealt with. The endpoint belongs to it because
many local servers answer to any model's name.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vdbcluster.adapters.embedding.batches import slices
from vdbcluster.adapters.embedding.check import gathered
from vdbcluster.adapters.endpoint.address import identity_of
from vdbcluster.adapters.endpoint.lenient import LenientStore
from vdbcluster.adapters.endpoint.store import Kind, Store, key_of
from vdbcluster.config.ingest import EmbedSettings
from vdbcluster.errors import BackendError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.records import EmbedUsage
from vdbcluster.ports.embedder import BatchLimits, Embedder, TextsRefusedError

FILE = "embeddings.sqlite"
KIND = Kind("embeddings", FILE, "vectors", "vector", 0x76646243, 1, "--embed-cache")


def identity(settings: EmbedSettings) -> str:
    """Everything but the text that its vector depends on."""
    return json.dumps(
        [
            settings.model,
            identity_of(settings.base_url),
            settings.dimensions,
            settings.prefix,
            settings.long_texts,
            settings.max_text_tokens,
        ]
    )


class CachedEmbedder:
    """``Embedder`` around an ``Embedder``; see the module."""

    def __init__(
        self, embedder: Embedder, folder: Path, identity: str, warn: Callable[[str], None]
    ) -> None:
        self._embedder = embedder
        self._folder = folder
        self._store = LenientStore(Store(folder, KIND), warn)
        self._identity = identity
        self._lock = threading.Lock()
        self._cached = 0
        self._dim: int | None = None

    @property
    def description(self) -> str:
        return self._embedder.description

    @property
    def limits(self) -> BatchLimits:
        return self._embedder.limits

    @property
    def usage(self) -> EmbedUsage:
        return replace(self._embedder.usage, cached=self._cached)

    def tokens(self, text: str) -> int:
        """See ``ports.Embedder``."""
        return self._embedder.tokens(text)

    def embed(self, texts: Sequence[str]) -> Float32Array:
        """See ``ports.Embedder``. A text that comes twice in a call counts as cached as well."""
        keys = [self._key(text) for text in texts]
        vectors = self._kept(keys)
        self._check_dimension(vectors.values())
        missing = [(key, text) for key, text in zip(keys, texts, strict=True) if key not in vectors]
        asked = list(dict(missing).items())
        faults: dict[bytes, str] = {}
        for part in slices([self.tokens(text) for _, text in asked], self.limits):
            self._ask(asked[part], vectors, faults)
        with self._lock:
            self._cached += len(texts) - len(asked)
        return gathered(
            {at: vectors[key] for at, key in enumerate(keys) if key in vectors},
            {at: faults[key] for at, key in enumerate(keys) if key in faults},
            texts,
            self._dim or 0,
        )

    def close(self) -> None:
        """See ``ports.Embedder``."""
        self._embedder.close()
        self._store.close()

    def _key(self, text: str) -> bytes:
        return key_of(f"{self._identity}\0{text}")

    def _ask(
        self,
        asked: Sequence[tuple[bytes, str]],
        vectors: dict[bytes, Float32Array],
        faults: dict[bytes, str],
    ) -> None:
        """Add what the model answers to ``vectors`` or ``faults``, and keep the vectors."""
        keys = [key for key, _ in asked]
        try:
            fresh = self._embedder.embed([text for _, text in asked])
        except TextsRefusedError as error:
            fresh = error.vectors
            faults |= {keys[row]: why for row, why in error.faults.items()}
            keys = [key for key in keys if key not in faults]
        if keys:
            self._check_dimension(fresh[:1])
            self._store.put(dict(zip(keys, map(_blob, fresh), strict=True)))
        vectors |= dict(zip(keys, fresh, strict=True))

    def _kept(self, keys: Sequence[bytes]) -> dict[bytes, Float32Array]:
        found = self._store.get(keys).items()
        return {key: vector for key, blob in found if (vector := _vector(blob)) is not None}

    def _check_dimension(self, vectors: Iterable[Float32Array]) -> None:
        with self._lock:
            for vector in vectors:
                self._dim = self._dim or len(vector)
                if len(vector) != self._dim:
                    raise BackendError(
                        f"{self.description} has had vectors of dimension {len(vector)} and of "
                        f"{self._dim}: the cache {self._folder} knows another model by this name; "
                        "delete it, or name another folder with --embed-cache"
                    )


def _blob(vector: Float32Array) -> bytes:
    return vector.astype("<f4").tobytes()


def _vector(blob: object) -> Float32Array | None:
    """The vector of a row, None if it is not one that could have been put."""
    if not isinstance(blob, bytes) or not blob or len(blob) % 4:
        return None
    vector = np.frombuffer(blob, "<f4").astype(np.float32)
    return vector if np.isfinite(vector).all() and vector.any() else None
