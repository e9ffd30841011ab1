"""What the stages find about the clusters of a run: words, rows that show them, copies, fields.

In: members, their neighbourhood, texts. Out: ``Findings`` of whole clusters, and cards of clusters
within them. Promise: nothing is written; what was not asked for is not looked at.

    terms = terms_of(tokenizer, texts, observer)
    found = found_words(terms, members.labels, members.vectors, settings)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vdbcluster.config.explain import ExplainSettings
from vdbcluster.explain.keywords import keywords
from vdbcluster.explain.representatives import representatives
from vdbcluster.explain.vocabulary import vocabulary
from vdbcluster.model.arrays import Float32Array, Int64Array
from vdbcluster.model.cards import Card, Keyword
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.pipeline.cards import Findings, Showing, Texts, cards_of, nearest_clusters
from vdbcluster.pipeline.members import Members, Neighborhood
from vdbcluster.pipeline.paths import families, path_table
from vdbcluster.ports import Observer
from vdbcluster.ports.tokens import Tokenizer

CONTRAST_TERMS = 5
Terms = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Words:
    """Keywords by cluster, and what sets each apart from its nearest sibling."""

    keywords: Mapping[int, tuple[Keyword, ...]]
    contrast: Mapping[int, tuple[Keyword, ...]]


NO_WORDS = Words({}, {})


def terms_of(tokenizer: Tokenizer, texts: Texts | None, observer: Observer) -> Terms | None:
    """The terms of each row; None where there are no texts."""
    if texts is None:
        return None
    with observer.stage("words", len(texts)) as progress:
        terms = tokenizer.terms(texts)
        progress.advance(len(texts))
    for note in tokenizer.notes:
        observer.warn(note)
    return terms


def found_words(
    terms: Terms | None, labels: Int64Array, vectors: Float32Array, settings: ExplainSettings
) -> Words:
    """``labels (n,)``, -1 is noise; ``vectors (n, d)``."""
    if terms is None:
        return NO_WORDS
    counted = vocabulary(terms, n_grams=settings.n_grams)
    how, most = settings.keywords, settings.n_keywords
    return Words(
        keywords(counted, labels, vectors, how=how, n_terms=most),
        keywords(counted, labels, vectors, how="contrast", n_terms=CONTRAST_TERMS),
    )


def shown(
    members: Members, near: Neighborhood, words: Words, settings: ExplainSettings
) -> Findings:
    """Words, representatives and siblings of each cluster."""
    return Findings(
        keywords=words.keywords,
        places=representatives(
            members.vectors,
            members.labels,
            members.labelled.probability,
            near.graph.distances,
            n=settings.n_representatives,
        ),
        siblings=nearest_clusters(members.vectors, members.labels, words.contrast),
    )


def inner_cards(
    members: Members, terms: Terms | None, show: Showing, settings: ExplainSettings
) -> list[Card]:
    """Cards of the clusters within clusters, told from their siblings within the same one.

    There are none of layers, whose paths do not begin with the cluster of the row.
    """
    if members.labelled.path is None:
        return []
    first = path_table(members.labelled.path, 1)[:, 0]
    if ((first != NOISE) & (first != members.labels)).any():
        return []
    cards: list[Card] = []
    for family in families(members.labelled.path):
        own = None if terms is None else [terms[i] for i in family.rows]
        vectors = members.vectors[family.rows]
        words = found_words(own, family.labels, vectors, settings)
        found = Findings(
            keywords=words.keywords,
            places=representatives(vectors, family.labels, n=settings.n_representatives),
            siblings=nearest_clusters(vectors, family.labels, words.contrast),
        )
        cluster = int(members.labels[family.rows[0]])
        inner = cards_of(show.among(family.rows), family.labels, found)
        cards += [card.inside(cluster, f"{family.path}/{card.id}") for card in inner]
    return sorted(cards, key=lambda card: [int(step) for step in card.path.split("/")])
