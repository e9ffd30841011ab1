"""Who turns texts into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vdbcluster.model.arrays import Float32Array


class Embedder(Protocol):
    """One embedding model with its settings: the same text gives the same vector."""

    @property
    def description(self) -> str:
        """Model and where it runs, in a few words, without secrets."""
        ...

    @property
    def batch_size(self) -> int:
        """The number of texts that ``embed`` likes to get at once."""
        ...

    def embed(self, texts: Sequence[str]) -> Float32Array:
        """Vectors ``(len(texts), d) float32``, finite, none zero, in the order of ``texts``.

        Raises ``BackendError`` where the model's answer is not that, ``BackendUnavailableError``
        where it cannot be reached, ``UsageError`` where key, model or address are wrong.
        """
        ...
