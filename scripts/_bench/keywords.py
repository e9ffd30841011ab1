"""How well keywords tell clusters: guess the cluster of a text that was held out.

In: texts, vectors, clusters. Out: the share of texts guessed right, from keywords alone.
Of each cluster of ``LEAST`` members or more, a fifth of the members is held out before keywords are
computed. A text is guessed to be of the cluster of whose ten keywords it has the most; where m
clusters tie, the guess is right by 1 / m if the true one is among them; a text without any keyword
is guessed wrong.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scripts._bench.quality_data import SETS, LabelledSet, load
from tests.data import directory

NAMES = (
    "20news",
    "bbc",
    "banking77",
    "clinc150",
    "stackoverflow",
    "livedoor",
    "thucnews",
    "polis",
    "aipubcom",
)
WAYS = ("mixture", "odds", "tfidf", "contrast", "centroid")
HELD_OUT, LEAST = 5, 5
"""One in so many is held out, of clusters with so many members."""
Lists = dict[int, list[str]]


@dataclass(frozen=True)
class Texts:
    """``texts``, ``vectors (n, d)``, ``classes (n,)`` with -1 for none, ``names`` of these."""

    name: str
    texts: list[str]
    vectors: Any
    classes: Any
    names: list[str]


@dataclass(frozen=True)
class Guessed:
    """``right``: share of the held-out texts; ``met``: share that has any keyword."""

    right: float
    met: float


def present(names: Sequence[str]) -> list[LabelledSet]:
    """The sets whose files are there."""
    home = directory()
    known = {which.name: which for which in SETS}
    for name in names:
        if name not in known:
            raise SystemExit(f"there is no set {name!r}; there are: {', '.join(NAMES)}")
    there = [known[name] for name in names]
    return [w for w in there if home and (home / f"{w.table}.parquet").exists()]


def read(which: LabelledSet) -> Texts:
    """Texts, vectors and classes, row by row."""
    from pyarrow import parquet

    vectors, classes = load(which, 0)
    home = directory()
    assert home is not None
    table = parquet.read_table(home / f"{which.table}.parquet").to_pydict()
    label = [str(value) for value in table[which.label]]
    first = {c: int(np.flatnonzero(classes == c)[0]) for c in np.unique(classes[classes >= 0])}
    names = [label[row] for _, row in sorted(first.items())]
    return Texts(which.name, table["text"], vectors, classes, names)


def held_out(labels: Any, seed: int) -> Any:
    """Which rows are held out, ``(n,) bool``."""
    generator = np.random.default_rng(seed)
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels[labels >= 0]):
        members = np.flatnonzero(labels == label)
        if len(members) >= LEAST:
            held[generator.permutation(members)[: len(members) // HELD_OUT]] = True
    return held


def ours(
    tokens: list[list[str]], labels: Any, held: Any, vectors: Any, **how: Any
) -> tuple[Any, ...]:
    """Lists from the rows that were not held out, and the terms of those that were."""
    from vdbcluster.explain.keywords import keywords
    from vdbcluster.explain.vocabulary import Vocabulary, vocabulary

    n_grams = how.pop("n_grams", 2)
    every = vocabulary(tokens, n_grams=n_grams)
    seen = Vocabulary(every.terms, every.counts[~held], every.n_parts)
    points = None if vectors is None else vectors[~held]
    found = keywords(seen, labels[~held], points, **how)
    lists = {label: [keyword.term for keyword in words] for label, words in found.items()}
    hidden = every.counts[held]
    rows = np.split(hidden.indices, hidden.indptr[1:-1])
    return lists, [[every.terms[term] for term in row] for row in rows]


def guess(lists: Lists, documents: Iterable[Iterable[str]], truth: Iterable[int]) -> Guessed:
    """Guess each document by the keywords among its terms."""
    having: dict[str, list[int]] = defaultdict(list)
    for label, words in lists.items():
        for word in words:
            having[word].append(label)
    right, met, n = 0.0, 0, 0
    for terms, true in zip(documents, truth, strict=True):
        votes = Counter(label for term in set(terms) for label in having.get(term, ()))
        most = max(votes.values(), default=0)
        best = [label for label, number in votes.items() if number == most]
        right += (true in best) / max(1, len(best))
        met += bool(votes)
        n += 1
    return Guessed(right / max(1, n), met / max(1, n))
