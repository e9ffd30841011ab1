"""An embedding model that ships inside a package: offline, no key, no download.

In: texts. Out: unit vectors ``(n, 256) float32``.
Promise: no network; thousands of texts a second on one core; needs the extra ``vdbcluster[local]``.

The model is WordLlama's static token vectors, averaged over a text: English, good enough to try
things out and for short texts; for other languages or fine distinctions use an API.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vdbcluster.adapters.embedding.check import checked
from vdbcluster.errors import UsageError
from vdbcluster.model.arrays import Float32Array

DIM = 256


class LocalEmbedder:
    """``Embedder`` with WordLlama's ``l2_supercat``, 256 dimensions."""

    description = "wordllama l2_supercat 256-d, on this machine"
    batch_size = 512

    def __init__(self) -> None:
        """Load the model, 0.1 to 1 s; ``UsageError`` if the package is not installed."""
        try:
            import wordllama
        except ImportError as error:
            raise UsageError(
                "the local embedder needs the package wordllama; pip install 'vdbcluster[local]'"
            ) from error
        # The package looks for its own tokenizer in a folder that is spelt differently from the
        # one it ships, and would go on to download it; as a cache folder its own one is found.
        inside = Path(wordllama.__file__).parent
        self._model = wordllama.WordLlama.load(cache_dir=inside, dim=DIM, disable_download=True)

    def embed(self, texts: Sequence[str]) -> Float32Array:
        """See ``ports.Embedder``; a text without any known word is refused."""
        with np.errstate(invalid="ignore", divide="ignore"):
            vectors = np.asarray(self._model.embed(list(texts), norm=True), np.float32)
        return checked(vectors, texts, DIM, self.description)
