"""Who turns texts into vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vdbcluster.errors import BackendError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.records import EmbedUsage


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much one call may hold: texts, and tokens by ``Embedder.tokens``."""

    texts: int
    tokens: int


class TextsRefusedError(BackendError):
    """Some texts of a call have no vector (empty, too long for the model, NaN); the others do.

    ``faults`` maps the index of a text in the call to the reason; ``vectors`` are those of all
    other texts, ``(len(texts) - len(faults), d) float32``, in their order: nothing is lost that
    was paid for.
    """

    def __init__(self, faults: Mapping[int, str], vectors: Float32Array, total: int) -> None:
        first = min(faults)
        super().__init__(f"text {first + 1} of {total} cannot be embedded: {faults[first]}")
        self.faults = dict(faults)
        self.vectors = vectors


class Embedder(Protocol):
    """One embedding model with its settings: the same text gives the same vector.

    Threads may share it.
    """

    @property
    def description(self) -> str:
        """Model and where it runs, in a few words, without secrets."""
        ...

    @property
    def limits(self) -> BatchLimits:
        """The size of a call that suits the model."""
        ...

    @property
    def usage(self) -> EmbedUsage:
        """What was taken until now."""
        ...

    def tokens(self, text: str) -> int:
        """An estimate of the text's tokens, for batches, budgets and the forecast."""
        ...

    def embed(self, texts: Sequence[str]) -> Float32Array:
        """Vectors ``(len(texts), d) float32``, finite, none zero, in the order of ``texts``.

        A call may be larger than ``limits``; it is divided then. Raises ``TextsRefusedError``
        where single texts have no vector, ``BackendError`` where the model's answer is no such
        array, ``BackendUnavailableError`` where it cannot be reached, ``UsageError`` where key,
        model or address are wrong, ``BudgetError`` where the call would pass a limit of the user.
        """
        ...

    def close(self) -> None:
        """End calls that wait, in other threads, with ``BackendError``; let go of everything."""
        ...
