"""Texts that are longer than the model takes, by a declared rule.

    fault      the text is refused, with the reason
    truncate   its start is embedded, up to the end of a word
    split      all its parts are embedded; the text's vector is their mean, weighted by their
               lengths in tokens, and as long as they are on (weighted) average: 1 for unit vectors

In: texts. Out: ``Piece``s to embed; afterwards one vector or one reason per text.
Promise: what is cut depends on the text, the limit and the server's refusals, never on what was
embedded before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vdbcluster.adapters.embedding.check import EXCERPT
from vdbcluster.adapters.endpoint.tokens import cut, parts, plain
from vdbcluster.model.arrays import Float32Array

Rule = Literal["fault", "truncate", "split"]
SHORTEST = 16
"""A server that refuses fewer tokens than this does not mean the length."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is sent for text ``owner`` of a call: all of it, or a part if ``shortened``."""

    owner: int
    text: str
    shortened: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of a piece: a ``vector (d,)``, or None and the reason."""

    piece: Piece
    vector: Float32Array | None
    reason: str = ""


def pieces(owner: int, text: str, limit: int, rule: Rule) -> list[Piece] | str:
    """What to send for a text of which the model takes ``limit`` tokens; or why it is refused."""
    length = plain(text)
    if length <= limit:
        return [Piece(owner, text)]
    if rule == "fault":
        return (
            f"it has about {length} tokens, the model takes {limit}; --long-texts can truncate or "
            f"split it, --embed-text-tokens sets the limit: {text[:EXCERPT]!r}"
        )
    made = [cut(text, limit)] if rule == "truncate" else parts(text, limit)
    return [Piece(owner, part, shortened=True) for part in made]


def smaller(piece: Piece, rule: Rule, why: str) -> list[Piece] | str:
    """What to send instead of a piece that the server refused as too long; or the reason."""
    length = plain(piece.text)
    if rule == "fault" or length <= SHORTEST:
        return f"the server refuses it as too long ({why}): {piece.text[:EXCERPT]!r}"
    half = (length + 1) // 2
    made = [cut(piece.text, half)] if rule == "truncate" else parts(piece.text, half)
    return [replace(piece, text=part, shortened=True) for part in made]


def joined(outcomes: Iterable[Outcome]) -> tuple[dict[int, Float32Array], dict[int, str]]:
    """Vectors and reasons by owner, from all pieces of a call."""
    by_owner: dict[int, list[Outcome]] = {}
    for outcome in outcomes:
        by_owner.setdefault(outcome.piece.owner, []).append(outcome)
    vectors: dict[int, Float32Array] = {}
    faults: dict[int, str] = {}
    for owner, mine in by_owner.items():
        vector = _mean(mine)
        if vector is None:
            faults[owner] = next((o.reason for o in mine if o.reason), "its parts cancel out")
        else:
            vectors[owner] = vector
    return vectors, faults


def shortened(outcomes: Iterable[Outcome]) -> int:
    """How many texts were not embedded as they are."""
    return len({outcome.piece.owner for outcome in outcomes if outcome.piece.shortened})


def _mean(mine: Sequence[Outcome]) -> Float32Array | None:
    vectors = [outcome.vector for outcome in mine if outcome.vector is not None]
    if len(vectors) < len(mine):
        return None
    if len(vectors) == 1:
        return vectors[0]
    stacked = np.stack(vectors).astype(np.float64)
    weights = np.array([plain(outcome.piece.text) for outcome in mine], np.float64)
    weights /= weights.sum()
    mean = weights @ stacked
    norm = float(np.linalg.norm(mean))
    if not norm:
        return None
    length = float(weights @ np.linalg.norm(stacked, axis=1))
    return (mean * (length / norm)).astype(np.float32)
