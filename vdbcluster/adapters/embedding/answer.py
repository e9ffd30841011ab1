"""What an endpoint answers, read and checked.

In: the body of an answer to ``/v1/embeddings``. Out: ``Answer``, vectors in the order asked.
Promise: anything that is not one vector of the right dimension for each text is
``WrongAnswerError``, in one line; single rows that are NaN or zero are left to ``bad_rows``.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np

from vdbcluster.adapters.endpoint.body import json_object, not_what
from vdbcluster.adapters.endpoint.trouble import WrongAnswerError
from vdbcluster.model.arrays import Float32Array

WHAT = "no list of embeddings"


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """``vectors (n, d) float32``; ``tokens`` as the server counts them, None if it does not."""

    vectors: Float32Array
    tokens: int | None


def read_answer(body: bytes, expected: int, dim: int | None) -> Answer:
    """``expected`` vectors of ``dim`` (None: any), by their ``index``, not by their place."""
    answer = json_object(body, WHAT)
    items = answer.get("data")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise not_what(body, WHAT)
    vectors = _stacked(_in_order(items, expected))
    if dim is not None and vectors.shape[1] != dim:
        raise WrongAnswerError(f"the answer has vectors of dimension {vectors.shape[1]}, not {dim}")
    return Answer(vectors, told_tokens(answer))


def told_tokens(answer: dict[str, Any]) -> int | None:
    """What the answer says that it took; None if it says nothing of use."""
    usage = answer.get("usage")
    told = usage.get("total_tokens", usage.get("prompt_tokens")) if isinstance(usage, dict) else 0
    return told if isinstance(told, int) and told > 0 else None


def _in_order(items: list[dict[str, Any]], expected: int) -> list[Any]:
    if len(items) != expected:
        raise WrongAnswerError(f"the answer has {len(items)} vectors for {expected} texts")
    if all("index" not in item for item in items):
        return [item.get("embedding") for item in items]
    by_index = {item.get("index"): item.get("embedding") for item in items}
    if set(by_index) != set(range(expected)):
        raise WrongAnswerError(f"the answer has {expected} vectors, but not one for each text")
    return [by_index[index] for index in range(expected)]


def _stacked(embeddings: list[Any]) -> Float32Array:
    try:
        with np.errstate(over="ignore"):  # what is too large for float32 is found as infinity
            vectors = np.stack([_decoded(embedding) for embedding in embeddings])
    except (TypeError, ValueError) as error:
        raise WrongAnswerError(f"the answer has vectors that cannot be read ({error})") from error
    if vectors.ndim != 2 or not vectors.shape[1]:
        raise WrongAnswerError("the answer has vectors that cannot be read (no list of numbers)")
    return vectors


def _decoded(embedding: Any) -> Float32Array:
    """Base64 of little-endian float32, or a list of numbers where the server knows no base64."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float32)
    return np.array(embedding, np.float32)
