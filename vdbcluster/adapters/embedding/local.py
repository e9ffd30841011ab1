"""An embedding model that ships inside a package: offline, no key, no download.

In: texts. Out: unit vectors ``(n, 256) float32``.
Promise: no network; thousands of texts a second on one core; memory does not grow with the longest
text of a batch; needs the extra ``vdbcluster[local]``.

The model is WordLlama's static token vectors, averaged over a text: English, good enough to try
things out and for short texts; for other languages or fine distinctions use an API. A text may
have any length.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from vdbcluster.adapters.embedding.batches import slices
from vdbcluster.adapters.embedding.check import EXCERPT, bad_rows, gathered, unfit
from vdbcluster.adapters.embedding.counts import Counts
from vdbcluster.adapters.endpoint.ledger import Ledger, Tokens
from vdbcluster.adapters.endpoint.tokens import plain
from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.records import EmbedUsage
from vdbcluster.ports.embedder import BatchLimits

DIM = 256
AT_ONCE = 65_536
"""Tokens whose vectors are gathered at once: 64 MiB."""


class LocalEmbedder:
    """``Embedder`` with WordLlama's ``l2_supercat``, 256 dimensions; threads may share it."""

    description = "wordllama l2_supercat 256-d, on this machine"
    limits = BatchLimits(texts=512, tokens=AT_ONCE)

    def __init__(self) -> None:
        """Load the model, 0.1 to 1 s; ``UsageError`` if the package is not installed."""
        with _logging_as_it_was():
            try:
                import wordllama
            except ImportError as error:
                raise UsageError(
                    "the local embedder needs the package wordllama; "
                    "pip install 'vdbcluster[local]'"
                ) from error
        # The package looks for its own tokenizer in a folder that is spelt differently from the
        # one it ships, and would go on to download it; as a cache folder its own one is found.
        inside = Path(wordllama.__file__).parent
        model = wordllama.WordLlama.load(cache_dir=inside, dim=DIM, disable_download=True)
        self._tokenizer = model.tokenizer
        self._tokenizer.no_padding()  # else one long text makes all others of its batch as long
        self._table: Float32Array = model.embedding
        self._ledger = Ledger()
        self._counts = Counts(self._ledger)

    @property
    def usage(self) -> EmbedUsage:
        return self._counts.usage

    def tokens(self, text: str) -> int:
        """See ``ports.Embedder``."""
        return plain(text)

    def embed(self, texts: Sequence[str]) -> Float32Array:
        """See ``ports.Embedder``; a text without any known word is refused."""
        faults = {index: why for index, text in enumerate(texts) if (why := unfit(text))}
        fit = [index for index in range(len(texts)) if index not in faults]
        vectors: dict[int, Float32Array] = {}
        for part in slices([plain(texts[index]) for index in fit], self.limits):
            made = self._embed([texts[index] for index in fit[part]])
            bad = bad_rows(made)
            for row, index in enumerate(fit[part]):
                if row in bad:
                    faults[index] = f"{bad[row]}: {texts[index][:EXCERPT]!r}"
                else:
                    vectors[index] = made[row]
        self._counts.add(texts=len(vectors))
        return gathered(vectors, faults, texts, DIM)

    def close(self) -> None:
        """Nothing waits and nothing is held."""

    def _embed(self, texts: Sequence[str]) -> Float32Array:
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        with self._ledger.request(Tokens()) as bill:
            bill.pays(Tokens(sum(len(one.ids) for one in encoded)))
        sums = np.stack([self._mean(one.ids) for one in encoded])
        with np.errstate(invalid="ignore", divide="ignore"):
            sums /= np.linalg.norm(sums, axis=1, keepdims=True)
        return sums

    def _mean(self, ids: Sequence[int]) -> Float32Array:
        known = np.clip(np.asarray(ids, np.int32), 0, len(self._table) - 1)
        total = np.zeros(DIM, np.float32)
        for at in range(0, len(known), AT_ONCE):
            total += self._table[known[at : at + AT_ONCE]].sum(axis=0, dtype=np.float32)
        return total / np.float32(max(1, len(known)))


@contextmanager
def _logging_as_it_was() -> Iterator[None]:
    """The package turns on INFO messages of all libraries when it is imported."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
