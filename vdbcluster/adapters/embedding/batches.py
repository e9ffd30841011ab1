"""Dividing a call into requests.

In: the tokens of each text. Out: slices that keep the order and respect ``BatchLimits``.
Promise: each slice has at least one text, even if that one alone passes the limit of tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vdbcluster.ports.embedder import BatchLimits


def slices(tokens: Sequence[int], limits: BatchLimits) -> Iterator[slice]:
    """Consecutive slices of as many texts as fit."""
    start = held = 0
    for at, count in enumerate(tokens):
        if at > start and (at - start >= limits.texts or held + count > limits.tokens):
            yield slice(start, at)
            start, held = at, 0
        held += count
    if start < len(tokens):
        yield slice(start, len(tokens))
