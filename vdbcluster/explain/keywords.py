"""The terms that tell each cluster, in several ways behind one interface.

In: ``Vocabulary`` of the texts, labels, points. Out: for each cluster its ``Keyword``s, best first.
Promise: deterministic; noise has none but counts as what lies elsewhere; O(nnz) memory, and that of
the vectors of the terms in use.

    found = keywords(vocabulary(tokens), labels, points)
    found[7][0] == Keyword("shipping", score=4.2, members=31, share=0.62, elsewhere=0.01)

``tfidf``     class-based TF-IDF (Grootendorst 2022)
``odds``      log odds against all other texts, with an informative Dirichlet prior (Monroe 2008)
``contrast``  the same against the nearest sibling: what sets the two apart
``centroid``  words whose texts lie nearest the middle of the cluster
``mixture``   ``odds * centroid ** (1 / 4)``: with ``odds``, from which it does not differ beyond
              chance, the best of what was tried at telling the cluster of a text that was held out
              (``scripts/bench_keywords``); to mix ``contrast`` or ``tfidf`` in made it worse
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from vdbcluster.explain import scoring
from vdbcluster.explain.centroids import Clusters, centroids, clusters, directions, siblings
from vdbcluster.explain.diversify import distinct, mmr
from vdbcluster.explain.pool import Pool, pool
from vdbcluster.explain.vocabulary import Vocabulary
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array
from vdbcluster.model.cards import Keyword

How = Literal["mixture", "tfidf", "odds", "contrast", "centroid"]
LOOKED_AT = 5
"""Terms that are looked at for each keyword wanted."""
TRADE = 0.9
"""Of relevance against diversity; 1 is relevance alone."""
MIDDLE = 0.25
"""Power of the cosine with the centroid in the mixture."""


def keywords(
    vocabulary: Vocabulary,
    labels: Int64Array,
    points: Float32Array | None = None,
    *,
    how: How = "mixture",
    n_terms: int = 10,
    trade: float = TRADE,
) -> dict[int, tuple[Keyword, ...]]:
    """At most ``n_terms`` of each cluster, by its label, labels ascending.

    ``labels (n,)``: -1 is noise. ``points (n, d)``: what was clustered, or the embeddings of the
    texts; rows are compared by direction. Without them siblings are those of the most terms in
    common, terms are not spread by meaning, and ``mixture`` is ``odds``. ``trade``:
    see ``diversify.mmr``. One cluster that is all there is has nothing to be told from: ``tfidf``.
    Raises ``ValueError`` where the lengths differ, for an unknown ``how``, and for ``centroid``
    without points.
    """
    _check(labels, points, how)
    found = clusters(labels)
    terms = pool(vocabulary, found)
    if not terms.there.any():
        return {int(label): () for label in found.ids}
    where = _Where.of(vocabulary, terms, found, points)
    scores = _scores(terms, where, how)
    return {
        int(label): tuple(
            _keyword(vocabulary, found, terms, c, place, float(scores[c, place]))
            for place in _chosen(vocabulary, terms, c, scores[c], where, (n_terms, trade))
        )
        for c, label in enumerate(found.ids)
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Where:
    """``sibling (k,)`` places; ``centers (k, d)``, ``terms (u,)``, ``vectors (u, d)`` or None."""

    sibling: Int64Array
    centers: Float32Array | None = None
    terms: Int64Array | None = None
    vectors: Float32Array | None = None

    @staticmethod
    def of(
        vocabulary: Vocabulary, terms: Pool, found: Clusters, points: Float32Array | None
    ) -> _Where:
        if points is None:
            return _Where(_akin(terms))
        rows = directions(points)
        centers = centroids(found, rows)
        used, vectors = scoring.term_vectors(vocabulary, terms, rows)
        return _Where(siblings(centers)[:, 0], centers, used, vectors)


def _check(labels: Int64Array, points: Float32Array | None, how: str) -> None:
    if how not in get_args(How):
        raise ValueError(f"how is {how!r}; it must be one of {', '.join(get_args(How))}")
    if points is None and how == "centroid":
        raise ValueError("centroid words need points")
    if points is not None and len(points) != len(labels):
        raise ValueError(f"{len(points)} points and {len(labels)} labels")


def _akin(terms: Pool) -> Int64Array:
    """The cluster with the most terms in common, weighted: for want of vectors."""
    k = len(terms.terms)
    near = np.asarray(scoring.shared_weight(terms))
    near[np.arange(k), np.arange(k)] = -np.inf
    best = np.argmax(near, axis=1)
    return np.where(near[np.arange(k), best] > 0, best, -1)


def _scores(terms: Pool, where: _Where, how: How) -> Float64Array:
    if how == "centroid":
        return _middle(terms, where)
    if how == "tfidf" or terms.alone:
        return terms.tfidf
    if how == "contrast":
        return scoring.odds(terms, where.sibling)
    odds = scoring.odds(terms, np.full(len(terms.terms), -1))
    if how == "odds" or where.centers is None:
        return odds
    near = np.clip(_middle(terms, where), 0, 1) ** MIDDLE
    return np.where(odds > 0, np.maximum(odds, 0) * near, odds)


def _middle(terms: Pool, where: _Where) -> Float64Array:
    assert where.terms is not None
    assert where.vectors is not None
    assert where.centers is not None
    return scoring.centroid_scores(terms, (where.terms, where.vectors), where.centers)


def _chosen(
    vocabulary: Vocabulary,
    terms: Pool,
    c: int,
    scores: Float64Array,
    where: _Where,
    wanted: tuple[int, float],
) -> Int64Array:
    """Places in the pool of one cluster, the best first."""
    n_terms, trade = wanted
    best = np.argsort(-scores, kind="stable")[: LOOKED_AT * n_terms]
    best = best[np.isfinite(scores[best])]
    columns = terms.terms[c, best]
    left = distinct(
        [vocabulary.terms[column] for column in columns],
        terms.members[c, best].tolist(),
        vocabulary.n_parts[columns].tolist(),
    )
    best = best[left]
    vectors = None
    if where.vectors is not None and where.terms is not None:
        vectors = where.vectors[np.searchsorted(where.terms, terms.terms[c, best])]
    return best[mmr(scores[best], vectors, n_terms, trade)]


def _keyword(
    vocabulary: Vocabulary, found: Clusters, terms: Pool, c: int, place: int, score: float
) -> Keyword:
    column = int(terms.terms[c, place])
    members, size = int(terms.members[c, place]), int(found.sizes[c])
    others = len(found.places) - size
    return Keyword(
        vocabulary.terms[column],
        score,
        members,
        members / size,
        (int(terms.df[column]) - members) / max(1, others),
    )
