"""Embeddings from any OpenAI-compatible endpoint.

In: texts. Out: vectors ``(n, d) float32`` in the order of the texts.
Promise: retried with jitter on 408, 409, 429, 5xx, time-outs and broken answers, not before
``Retry-After`` says so; stopped at once by what retrying cannot mend (400, 401, 403, 404, 422,
quota used up); every answer is checked; the key is never shown.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import numpy as np
import openai
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from vdbcluster.adapters.embedding.check import checked
from vdbcluster.errors import BackendError, BackendUnavailableError, UsageError, VdbclusterError
from vdbcluster.model.arrays import Float32Array

MAX_TEXTS = 2048
"""OpenAI's limit of texts in one request."""

_FAILURES = (openai.OpenAIError, json.JSONDecodeError)
_MENDS_ITSELF = frozenset({408, 409, 429})


@dataclass(frozen=True, slots=True)
class OpenAISettings:
    """Which endpoint and model, and how patiently it is asked.

    ``base_url`` ends before ``/embeddings``; ``dimensions`` is sent only if it is set;
    ``timeout`` in seconds for one request; ``max_attempts`` counts the first one too;
    ``first_wait`` in seconds bounds the first random pause, each further one may be twice as long;
    ``max_wait`` in seconds: an endpoint that asks for a longer pause is given up.
    """

    model: str
    base_url: str = "https://api.openai.com/v1"
    api_key: str = field(default="", repr=False)
    dimensions: int | None = None
    batch_size: int = 256
    timeout: float = 60.0
    max_attempts: int = 8
    first_wait: float = 1.0
    max_wait: float = 120.0

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= MAX_TEXTS:
            raise UsageError(f"batch_size is {self.batch_size}; it must be 1 to {MAX_TEXTS}")
        if self.max_attempts < 1:
            raise UsageError(f"max_attempts is {self.max_attempts}; it must be at least 1")


class OpenAIEmbedder:
    """``Embedder`` over HTTP; threads may share it."""

    def __init__(self, settings: OpenAISettings) -> None:
        self._settings = settings
        # Local servers want no key, but the client refuses to start without one.
        self._client = openai.OpenAI(
            api_key=settings.api_key or "none",
            base_url=settings.base_url,
            timeout=settings.timeout,
            max_retries=0,
        )
        self._wait = wait_random_exponential(settings.first_wait, max=20.0)
        self._dim = settings.dimensions

    @property
    def description(self) -> str:
        return f"{self._settings.model} at {self._settings.base_url}"

    @property
    def batch_size(self) -> int:
        return self._settings.batch_size

    def embed(self, texts: Sequence[str]) -> Float32Array:
        """See ``ports.Embedder``; all answers must have the dimension of the first."""
        size = self.batch_size
        parts = [self._embed(texts[at : at + size]) for at in range(0, len(texts), size)]
        return np.concatenate(parts) if parts else np.empty((0, self._dim or 0), np.float32)

    def _embed(self, texts: Sequence[str]) -> Float32Array:
        attempts = Retrying(
            retry=retry_if_exception(self._may_mend),
            wait=self._pause,
            stop=stop_after_attempt(self._settings.max_attempts),
            reraise=True,
        )
        try:
            answer = attempts(self._ask, texts)
        except _FAILURES as error:
            raise self._told(error) from error
        vectors = checked(
            _vectors(answer, len(texts), self.description), texts, self._dim, self.description
        )
        self._dim = int(vectors.shape[1])
        return vectors

    def _ask(self, texts: Sequence[str]) -> Any:
        # Asked for by name, base64 comes back undecoded, which spares a list of Python floats.
        return self._client.embeddings.create(
            model=self._settings.model,
            input=list(texts),
            encoding_format="base64",
            dimensions=self._settings.dimensions or openai.omit,
        )

    def _may_mend(self, error: BaseException) -> bool:
        if not isinstance(error, openai.APIStatusError):
            return isinstance(error, openai.APIConnectionError | json.JSONDecodeError)
        if (
            error.code == "insufficient_quota"
            or (_retry_after(error) or 0) > self._settings.max_wait
        ):
            return False
        return error.status_code in _MENDS_ITSELF or error.status_code >= 500

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = _retry_after(error) if isinstance(error, openai.APIStatusError) else None
        return max(asked or 0.0, self._wait(state))

    def _told(self, error: Exception) -> VdbclusterError:
        """Our error for one that stays, in one line and without the key."""
        why = " ".join(str(error).split())[:300]
        if self._settings.api_key:
            why = why.replace(self._settings.api_key, "***")
        where = f"embedding with {self.description}"
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return UsageError(f"{where}: the API key was refused ({why})")
        if isinstance(error, openai.NotFoundError):
            return UsageError(f"{where}: no such model or address ({why})")
        if self._may_mend(error):
            tries = self._settings.max_attempts
            return BackendUnavailableError(f"{where}: gave up after {tries} attempts ({why})")
        return BackendError(f"{where} failed: {why}")


def _vectors(answer: Any, expected: int, who: str) -> Float32Array:
    """The vectors of an answer, by its ``index`` fields rather than by their place."""
    items = getattr(answer, "data", None)
    if not isinstance(items, list):
        raise BackendError(f"{who} answered something that is no list of embeddings")
    if {item.index for item in items} != set(range(expected)) or len(items) != expected:
        raise BackendError(
            f"{who} answered {len(items)} vectors for {expected} texts, or not one for each"
        )
    ordered = sorted(items, key=lambda item: item.index)
    try:
        return np.stack([_decode(item.embedding) for item in ordered])
    except ValueError as error:
        raise BackendError(f"{who} answered vectors that cannot be read ({error})") from error


def _decode(embedding: str | list[float]) -> Float32Array:
    """Base64 of little-endian float32, or a list of numbers where the server knows no base64."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float32)
    return np.array(embedding, np.float32)


def _retry_after(error: openai.APIStatusError) -> float | None:
    """Seconds that the server asks to wait, given as a number or as a date."""
    said = error.response.headers.get("retry-after", "").strip()
    if not said:
        return None
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
