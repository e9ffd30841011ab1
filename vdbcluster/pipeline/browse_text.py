"""What people type, as a vector of the collection.

In: how to open the configured embedder, the vector field. Out: vectors ``(d,) float32``, or the
reason why there are none. Promise: the same text is embedded once as long as it is remembered; a
model whose vectors do not fit the collection is found out before anybody searches, and one that was
away is tried again.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vdbcluster.errors import BackendUnavailableError, UsageError, VdbclusterError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.collection import VectorField
from vdbcluster.ports.embedder import Embedder, TextsRefusedError

REMEMBERED = 256
AGAIN = 30.0
"""Seconds after which a model that failed is tried again."""
PROBE = "hello"
FLOATS = ("FLOAT_VECTOR", "FLOAT16_VECTOR", "BFLOAT16_VECTOR")


class NoTextSearchError(VdbclusterError):
    """Texts cannot be searched for here; the message says why."""


@dataclass(frozen=True, slots=True)
class TextState:
    """``reason``: why texts cannot be searched for, empty if they can."""

    available: bool
    reason: str
    embedder: str


class TextSearch:
    """See the module; threads may share it."""

    def __init__(
        self,
        open_embedder: Callable[[], Embedder],
        field: Callable[[], VectorField],
        prefix: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``prefix``: put before each text, for models that want one before questions."""
        self._open, self._field, self._prefix, self._clock = open_embedder, field, prefix, clock
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._embedder: Embedder | None = None
        self._state: tuple[float, TextState] | None = None
        self._known: OrderedDict[str, Float32Array] = OrderedDict()

    def state(self) -> TextState:
        """Whether texts can be searched for; asks the model the first time, and after failures.

        While one who asks waits for a model that failed, others are told that it did.
        """
        held = self._state
        if held is None:
            self._opening.acquire()
        elif not self._is_old(held) or not self._opening.acquire(blocking=False):
            return held[1]
        try:
            held = self._state
            if held is None or self._is_old(held):
                held = self._state = (self._clock(), self._tried())
            return held[1]
        finally:
            self._opening.release()

    def _is_old(self, held: tuple[float, TextState]) -> bool:
        return not held[1].available and self._clock() - held[0] > AGAIN

    def vector(self, text: str) -> Float32Array:
        """Raises ``NoTextSearchError`` where there is no search, ``UsageError`` for a text that the
        model does not take.
        """
        state = self.state()
        if not state.available or self._embedder is None:
            raise NoTextSearchError(f"texts cannot be searched for: {state.reason}")
        with self._lock:
            if text in self._known:
                self._known.move_to_end(text)
                return self._known[text]
        found = self._embed(self._embedder, text)
        with self._lock:
            self._known[text] = found
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found

    def close(self) -> None:
        """Let go of the model."""
        if self._embedder is not None:
            self._embedder.close()

    def _embed(self, embedder: Embedder, text: str) -> Float32Array:
        try:
            found: Float32Array = embedder.embed([self._prefix + text])[0]
        except TextsRefusedError as error:
            raise UsageError(f"the text cannot be searched for: {error.faults[0]}") from error
        if found.shape != (self._field().dim,):
            self._state = None
            raise NoTextSearchError(self._misfit(embedder, len(found), self._field()))
        return np.ascontiguousarray(found, np.float32)

    def _tried(self) -> TextState:
        try:
            field = self._field()
            if field.type not in FLOATS:
                return TextState(False, f"{field.name!r} holds no float vectors", "")
            embedder = self._embedder = self._embedder or self._open()
            dim = len(embedder.embed([self._prefix + PROBE])[0])
        except BackendUnavailableError as error:
            return TextState(False, str(error), _told(self._embedder))
        except VdbclusterError as error:
            return TextState(False, str(error), _told(self._embedder))
        if dim != field.dim:
            return TextState(False, self._misfit(embedder, dim, field), embedder.description)
        return TextState(True, "", embedder.description)

    def _misfit(self, embedder: Embedder, dim: int, field: VectorField) -> str:
        return (
            f"{embedder.description} gives {dim} values and {field.name!r} holds {field.dim}; "
            "name the model that the collection was filled by with --embedder, --embed-base-url "
            "and --embed-model"
        )


def _told(embedder: Embedder | None) -> str:
    return embedder.description if embedder is not None else ""
