"""Ten keywords that say ten things.

In: terms of one cluster, best first, with scores and similarities. Out: places of those chosen.
Promise: no two that are one word in two guises or a part of one another; deterministic.

    distinct(["cats", "cat", "black cat"], [9, 8, 3], [2, 1, 1]) == [0]
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from vdbcluster.explain.vocabulary import guise
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array

ABSORBED = 0.8
"""An n-gram stands for its parts where this share of their texts has all of it."""


def distinct(terms: Sequence[str], members: Sequence[int], n_parts: Sequence[int]) -> list[int]:
    """Places of the terms that are left, in order, when the worse of two that say one thing goes.

    ``terms``: best first; ``members``: how many texts of the cluster have each; ``n_parts``: words
    that each has been joined of. An n-gram takes the place of a part that seldom stands without it.
    """
    left: list[int] = []
    guises: set[str] = set()
    for place in _standing(terms, members, n_parts):
        form = guise(terms[place])
        if form in guises or any(_nested(place, other, terms, n_parts) for other in left):
            continue
        guises.add(form)
        left.append(place)
    return left


def mmr(scores: Float64Array, vectors: Float32Array | None, n: int, trade: float) -> Int64Array:
    """Places of ``n`` of ``m`` terms by maximal marginal relevance, the first chosen first.

    Carbonell and Goldstein 1998: ``trade`` times the score ``(m,)`` (as a share of the best), less
    ``1 - trade`` times the cosine with the nearest of those chosen. ``vectors (m, d)`` of length 1;
    None, or a ``trade`` of 1, takes the best.
    """
    if vectors is None or trade >= 1 or len(scores) <= 1:
        return np.argsort(-scores, kind="stable")[:n]
    relevance = trade * scores / max(float(np.abs(scores).max()), 1e-12)
    nearest = np.zeros(len(scores))
    chosen: list[int] = []
    for _ in range(min(n, len(scores))):
        gain = relevance - (1 - trade) * nearest
        gain[chosen] = -np.inf
        best = int(np.argmax(gain))
        chosen.append(best)
        nearest = np.maximum(nearest, vectors @ vectors[best])
    return np.asarray(chosen, np.int64)


def _standing(terms: Sequence[str], members: Sequence[int], n_parts: Sequence[int]) -> list[int]:
    """Places; an n-gram comes in place of its first part, or not at all if a part tells more texts.

    ``bowling green`` stands for both its words, ``rate calculated`` does not for ``rate``.
    """
    before: dict[int, list[int]] = {}
    for whole in (place for place in range(len(terms)) if n_parts[place] > 1):
        parts = [
            place
            for place in range(len(terms))
            if n_parts[place] < n_parts[whole] and _within(terms[place], terms[whole])
        ]
        if all(members[whole] >= ABSORBED * members[part] for part in parts):
            before.setdefault(min([whole, *parts]), []).append(whole)
    order = ([*before.get(p, ()), *[p] * (n_parts[p] == 1)] for p in range(len(terms)))
    return list(dict.fromkeys(chain.from_iterable(order)))


def _nested(place: int, other: int, terms: Sequence[str], n_parts: Sequence[int]) -> bool:
    if n_parts[place] == n_parts[other] == 1:
        return False
    short, long = sorted((terms[place], terms[other]), key=len)
    return _within(short, long)


def _within(part: str, whole: str) -> bool:
    """Whether it stands in it as words do; where no spaces are written, anywhere."""
    if " " in whole:
        return f" {part} " in f" {whole} "
    return part in whole
