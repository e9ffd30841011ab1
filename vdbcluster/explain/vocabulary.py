"""The terms of a set of texts, and how often each stands in each text.

In: for each text its terms in order, "" where something was left out. Out: ``Vocabulary``.
Promise: n-grams are of neighbouring terms, never across a "" or from one text to the next; memory
goes with the number of terms that stand in the texts; terms ascend. Singular and plural are one
term, as are ``e-mail`` and ``email``, in the form that stands most often.

    found = vocabulary([["machine", "learning", "", "cats"], ["machine", "learning"]], min_df=2)
    found.terms == ("learning", "machine", "machine learning")
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy.sparse import csr_array

from vdbcluster.model.arrays import BoolArray, Int64Array

MOST_TERMS = 100_000
_TIGHT = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)
"""Characters of scripts that put no spaces between words."""
_JOINTS = re.compile(r"[\s_'\u2019-]+")
_PLURAL = re.compile(r"(?:(?<=[sxz])es|(?<=[cs]h)es|(?<=[^s])s)$")
_LATIN = re.compile(r"[a-z]+$")


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """``terms (v,)`` ascending, each once; ``counts (n, v) int32`` CSR, sorted, no zeros stored.

    ``n_parts (v,) int64``: how many words a term has been joined of, 1 for a word.
    """

    terms: tuple[str, ...]
    counts: csr_array
    n_parts: Int64Array

    def __post_init__(self) -> None:
        if not self.counts.shape[1] == len(self.terms) == len(self.n_parts):
            shapes = f"counts of {self.counts.shape[1]}, sizes of {len(self.n_parts)}"
            raise ValueError(f"{len(self.terms)} terms, {shapes}")


def vocabulary(
    tokens: Sequence[Sequence[str]],
    *,
    n_grams: int = 2,
    min_df: int = 2,
    max_df: float = 0.9,
    most_terms: int = MOST_TERMS,
) -> Vocabulary:
    """Count terms, and runs of up to ``n_grams`` of them, in ``n`` texts.

    A term counts if ``min_df`` texts or more have it, and at most the share ``max_df`` of all; if
    more than ``most_terms`` do, those that the most texts have. Raises ``ValueError`` for an
    ``n_grams`` or ``min_df`` below 1, and for a ``max_df`` outside (0, 1].
    """
    if n_grams < 1 or min_df < 1 or not 0 < max_df <= 1:
        raise ValueError(f"n_grams {n_grams}, min_df {min_df}, max_df {max_df} cannot be")
    texts = np.repeat(np.arange(len(tokens)), np.fromiter(map(len, tokens), np.int64, len(tokens)))
    raw, names = _encoded(tokens)
    said = _Said(texts, raw, _merged(raw, names), names)
    limits = (min_df, max(min_df, max_df * len(tokens)))
    starts = np.flatnonzero(said.words >= 0)
    grams = said.words[starts]
    columns: list[_Columns] = []
    for size in range(1, n_grams + 1):
        if size > 1:
            starts, grams = _longer(said, starts, grams, size - 1)
        found, frequent = _counted(said, starts, grams, size, limits)
        columns.append(found)
        starts, grams = starts[frequent], grams[frequent]
    return _assembled(columns, len(tokens), most_terms)


def joined(parts: Sequence[str]) -> str:
    """Neighbouring terms as one, with a space where their scripts write one."""
    text = parts[0]
    for part in parts[1:]:
        tight = _TIGHT.match(text[-1]) or _TIGHT.match(part[0])
        text = f"{text}{part}" if tight else f"{text} {part}"
    return text


def guise(term: str) -> str:
    """What is the same for ``top-up``, ``top up`` and ``topups``."""
    bare = _JOINTS.sub("", term)
    if len(bare) > 3 and _LATIN.match(bare):
        return _PLURAL.sub("", f"{bare[:-3]}y" if bare.endswith("ies") else bare)
    return bare


@dataclass(frozen=True, slots=True)
class _Said:
    """Every term in turn ``(t,)``: its text, its number, that of its guise; -1 is a break."""

    texts: Int64Array
    raw: Int64Array
    words: Int64Array
    names: list[str]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Counts of the terms of one size as triples, all ``(m,)``; ``names`` of the terms."""

    names: list[str]
    size: int
    texts: Int64Array
    terms: Int64Array
    counts: Int64Array


def _encoded(tokens: Sequence[Sequence[str]]) -> tuple[Int64Array, list[str]]:
    """The number of each term in turn, -1 for a break; and the name of each number."""
    numbers: dict[str, int] = {"": -1}
    every = chain.from_iterable(tokens)
    found = [numbers.setdefault(term, len(numbers) - 1) for term in every]
    return np.asarray(found, np.int64), list(numbers)[1:]


def _merged(raw: Int64Array, names: list[str]) -> Int64Array:
    """One number for all forms of a word."""
    guises: dict[str, int] = {}
    own = [guises.setdefault(guise(name) or name, len(guises)) for name in names]
    return np.asarray([*own, -1], np.int64)[raw]


def _longer(
    said: _Said, starts: Int64Array, grams: Int64Array, size: int
) -> tuple[Int64Array, Int64Array]:
    """Runs of ``size`` terms, which begin at ``starts``, each with the term behind it."""
    fits = starts + size < len(said.words)
    starts, grams = starts[fits], grams[fits]
    behind = said.words[starts + size]
    goes_on = (behind >= 0) & (said.texts[starts] == said.texts[starts + size])
    starts, grams, behind = starts[goes_on], grams[goes_on], behind[goes_on]
    pairs = grams * (said.words.max(initial=0) + 1) + behind
    return starts, np.unique(pairs, return_inverse=True)[1].astype(np.int64)


def _counted(
    said: _Said, starts: Int64Array, grams: Int64Array, size: int, limits: tuple[int, float]
) -> tuple[_Columns, BoolArray]:
    """The terms within the limits; and which of ``grams`` may be part of a longer one."""
    n_grams = int(grams.max(initial=0)) + 1
    pairs, counts = np.unique(said.texts[starts] * n_grams + grams, return_counts=True)
    rows, terms = np.divmod(pairs, n_grams)
    df = np.bincount(terms, minlength=n_grams)
    wanted = (df >= limits[0]) & (df <= limits[1])
    kept = wanted[terms]
    places = np.cumsum(wanted) - 1
    names = _names(said, starts[wanted[grams]], grams[wanted[grams]], size)
    columns = _Columns(names, size, rows[kept], places[terms[kept]], counts[kept])
    return columns, np.asarray((df >= limits[0])[grams])


def _names(said: _Said, starts: Int64Array, grams: Int64Array, size: int) -> list[str]:
    """Of each of ``grams``, ascending, the form in which it stands most often."""
    parts = [said.raw[starts + part] for part in range(size)]
    order = np.lexsort((*parts[::-1], grams))
    rows = np.column_stack([grams, *parts])[order]
    if not len(rows):
        return []
    new = np.flatnonzero(np.r_[True, (rows[1:] != rows[:-1]).any(axis=1)])
    often = np.diff(np.r_[new, len(rows)])
    forms = rows[new]
    best = np.lexsort((np.arange(len(forms)), -often, forms[:, 0]))
    firsts = best[np.unique(forms[best, 0], return_index=True)[1]]
    return [joined([said.names[part] for part in form[1:]]) for form in forms[firsts]]


def _assembled(columns: list[_Columns], n: int, most_terms: int) -> Vocabulary:
    """One matrix; a word and a joined pair that read the same become one term."""
    numbers: dict[str, int] = {}
    sizes: list[int] = []
    places = []
    for each in columns:
        sizes += [each.size for name in each.names if name not in numbers]
        own = [numbers.setdefault(name, len(numbers)) for name in each.names]
        places.append(np.asarray(own, np.int64)[each.terms])
    counts = csr_array(
        (
            np.concatenate([each.counts for each in columns]).astype(np.int32),
            (np.concatenate([each.texts for each in columns]), np.concatenate(places)),
        ),
        shape=(n, len(numbers)),
    )
    return _chosen(list(numbers), np.asarray(sizes, np.int64), counts, most_terms)


def _chosen(names: list[str], sizes: Int64Array, counts: csr_array, most: int) -> Vocabulary:
    """By name; of too many those that the most texts have, ties by name."""
    order = np.asarray(sorted(range(len(names)), key=names.__getitem__), np.int64)
    df = np.bincount(counts.indices, minlength=len(names))[order]
    order = order[np.sort(np.argsort(-df, kind="stable")[:most])]
    chosen = csr_array(counts[:, order])
    chosen.sort_indices()
    return Vocabulary(tuple(names[term] for term in order), chosen, sizes[order])
