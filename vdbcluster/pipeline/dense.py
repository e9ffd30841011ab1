"""The densest small groups of a collection: what is said again and again.

In: neighbour graph, prepared points and keys of the rows; a source of texts. Out: ``Group``s, the
best first. Promise: nothing is written; texts are read of the members of the groups listed and of
some other rows, drawn by lot, that keywords are told from; never of all rows.

    found = dense_rows(rows.keys, graph, points, settings)
    groups = told(found, words, settings, observer)          # keywords and texts
    ranked(groups)                                           # or, once somebody has judged them,
    ranked(groups, {groups[0].card.id: commentary})
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vdbcluster.config.explain import ExplainSettings
from vdbcluster.config.settings import Settings
from vdbcluster.duplicates import (
    DuplicateParams,
    find_duplicates,
    text_digests,
    without_duplicates,
)
from vdbcluster.errors import UsageError
from vdbcluster.explain.keywords import keywords
from vdbcluster.explain.vocabulary import vocabulary
from vdbcluster.hierarchy.groups import DenseGroup, GroupParams, dense_groups
from vdbcluster.hierarchy.ranking import ranking
from vdbcluster.model.arrays import Float32Array, Int64Array, Keys
from vdbcluster.model.cards import Card, Commentary, Keyword, Representatives, Shown
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.pipeline.cards import plain_key
from vdbcluster.pipeline.copies import texts_of
from vdbcluster.ports import Observer, VectorSource
from vdbcluster.ports.tokens import Tokenizer

NAMED = 3
"""Keywords that stand for a name where nobody gave one."""


@dataclass(frozen=True, slots=True)
class Group:
    """A dense group as a card, whose id counts groups by density from 1, and all its members.

    ``density``: how many times nearer its rows have their neighbours than rows usually have;
    ``persistence`` in [0, 1]; ``radius``: median distance to the medoid. ``members``: with their
    texts, the medoid first, the others by key. ``score``: see ``hierarchy.ranking``.
    """

    card: Card
    density: float
    persistence: float
    radius: float
    members: tuple[Shown, ...]
    score: float = 0.0

    @property
    def name(self) -> str:
        """As it was called, or its first keywords; empty if there are none."""
        if self.card.commentary is not None:
            return self.card.commentary.name
        return ", ".join(self.card.terms[:NAMED])

    @property
    def interestingness(self) -> int | None:
        """0 to 100; None where it was not judged."""
        return None if self.card.commentary is None else self.card.commentary.interestingness

    def to_json(self) -> dict[str, Any]:
        """Plain values: the card, and what it lacks."""
        return {
            **self.card.to_json(),
            "name": self.name,
            "density": self.density,
            "persistence": self.persistence,
            "radius": self.radius,
            "score": self.score,
            "interestingness": self.interestingness,
            "members": [{"key": one.key, "text": one.text} for one in self.members],
        }


@dataclass(frozen=True, slots=True, eq=False)
class DenseRows:
    """``groups`` of places among ``keys (m,)``, densest first; ``points (m, d)``.

    ``copies``: rows that were left out because others say the same. ``unlisted``: groups beyond the
    number that is wanted.
    """

    keys: Keys
    points: Float32Array
    groups: tuple[DenseGroup, ...]
    copies: int
    unlisted: int


@dataclass(frozen=True, slots=True)
class Words:
    """Where texts come from (``field`` empty: from nowhere), and who cuts them into terms."""

    source: VectorSource
    field: str
    tokenizer: Tokenizer


def dense_rows(
    keys: Keys,
    graph: NeighborGraph,
    points: Float32Array,
    settings: Settings,
    texts: Iterable[str | None] | None = None,
) -> DenseRows:
    """Find the groups; ``graph`` not smoothed. ``texts``: of all rows, where equal ones are copies.

    Raises ``ValueError`` if the graph has fewer neighbours than ``min_samples``.
    """
    wanted, chosen = settings.dense, settings.duplicates
    n = len(keys)
    if wanted.distinct:
        digests = None if texts is None else text_digests(texts)
        params = DuplicateParams(chance=chosen.chance, most=chosen.most)
        found = find_duplicates(graph, points, digests=digests, keys=keys, params=params)
        graph, kept = without_duplicates(graph, found.duplicate_of)
        keys, points = keys[kept], points[kept]
    params_of_groups = GroupParams(
        min_cluster_size=wanted.min_cluster_size,
        min_samples=wanted.min_samples,
        max_cluster_size=wanted.max_cluster_size,
    )
    groups = dense_groups(graph, points, params_of_groups)
    listed = groups[: wanted.n_groups or len(groups)]
    return DenseRows(keys, points, listed, n - len(keys), len(groups) - len(listed))


def told(
    found: DenseRows, words: Words, settings: Settings, observer: Observer
) -> tuple[Group, ...]:
    """The groups with their texts and keywords, in the same order.

    Raises ``UsageError`` if no row has a text in the field.
    """
    labels = np.full(len(found.keys), NOISE, np.int64)
    for number, group in enumerate(found.groups, 1):
        labels[group.members] = number
    rows = _rows_to_read(labels, settings)
    texts = _texts(found.keys[rows], words, observer)
    terms = _keywords(found.points[rows], labels[rows], texts, words.tokenizer, settings.explain)
    for note in words.tokenizer.notes:
        observer.warn(note)
    text_of = dict(zip(rows.tolist(), texts, strict=True))
    return tuple(
        _group(number, group, found.keys, text_of, terms.get(number, ()))
        for number, group in enumerate(found.groups, 1)
    )


def ranked(
    groups: Sequence[Group], said: Mapping[int, Commentary] | None = None
) -> tuple[Group, ...]:
    """Best first, by density and by what was ``said`` of them, by the id of the card."""
    judged = [
        replace(one, card=replace(one.card, commentary=(said or {}).get(one.card.id)))
        for one in groups
    ]
    interest = [
        np.nan if one.interestingness is None else float(one.interestingness) for one in judged
    ]
    order, scores = ranking(np.array([one.density for one in judged]), np.array(interest))
    return tuple(replace(judged[place], score=float(scores[place])) for place in order.tolist())


def _rows_to_read(labels: Int64Array, settings: Settings) -> Int64Array:
    """Members, and some of the others, ascending."""
    others, most = np.flatnonzero(labels == NOISE), settings.dense.background
    if len(others) > most:
        lots = np.random.default_rng(settings.run.seed)
        others = lots.choice(others, most, replace=False)
    return np.sort(np.concatenate([np.flatnonzero(labels != NOISE), others]))


def _texts(keys: Keys, words: Words, observer: Observer) -> list[str | None]:
    if not words.field:
        observer.note("no field is known to hold texts; name it with --text-field")
        return [None] * len(keys)
    texts: list[str | None] = []
    with observer.stage("texts", len(keys)) as progress:
        for text in texts_of(words.source, keys, words.field):
            texts.append(text)
            progress.advance(1)
    if texts and not any(texts):
        raise UsageError(
            f"no row has a text in the field {words.field!r}; name another with --text-field"
        )
    return texts


def _keywords(
    points: Float32Array,
    labels: Int64Array,
    texts: list[str | None],
    tokenizer: Tokenizer,
    settings: ExplainSettings,
) -> Mapping[int, tuple[Keyword, ...]]:
    if not any(texts):
        return {}
    counted = vocabulary(tokenizer.terms(texts), n_grams=settings.n_grams)
    how, most = settings.keywords, settings.n_keywords
    return keywords(counted, labels, points, how=how, n_terms=most)


def _group(
    number: int,
    group: DenseGroup,
    keys: Keys,
    text_of: Mapping[int, str | None],
    terms: tuple[Keyword, ...],
) -> Group:
    others = [row for row in group.members.tolist() if row != group.medoid]
    members = tuple(Shown(plain_key(keys[row]), text_of[row]) for row in (group.medoid, *others))
    card = Card(number, len(group), keywords=terms, representatives=Representatives(members[0]))
    return Group(card, group.density, group.persistence, group.radius, members)
