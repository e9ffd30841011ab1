"""How well each term of a pool tells its cluster: the ways that ``keywords`` mixes.

In: ``Pool``, and what the way looks at. Out: scores ``(k, p) float64``, the higher the better, -inf
where the pool has no term. Promise: deterministic.

``tfidf``     how much more often the term stands in the cluster than elsewhere (see ``pool``)
``centroid``  how near the texts that have the term lie to the middle of the cluster
``odds``      how much surer it is that it stands there more often: than in the nearest sibling
              (``contrast``), or than in all other texts
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from vdbcluster.explain.centroids import unit
from vdbcluster.explain.pool import Pool, dampened
from vdbcluster.explain.vocabulary import Vocabulary
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array

PRIOR = 0.1
"""Of the informative prior for log odds, as a share of the text of both clusters."""
BLOCK = 4096


def term_vectors(
    vocabulary: Vocabulary, pool: Pool, points: Float32Array
) -> tuple[Int64Array, Float32Array]:
    """Where texts that have a term lie: the terms in use ``(u,)``, and vectors ``(u, d)``.

    The mean of ``points (n, d)`` over the texts with the term, weighted by TF-IDF (of a text of
    length 1, so that a long one weighs no more than a short one), of length 1.
    """
    used = np.unique(pool.terms[pool.there])
    n = vocabulary.counts.shape[0]
    weights = dampened(vocabulary.counts)
    idf = np.log1p(n / np.maximum(pool.df, 1)).astype(np.float32)
    weights.data *= idf[weights.indices]
    rows = np.repeat(np.arange(n), np.diff(weights.indptr))
    lengths = np.sqrt(np.bincount(rows, weights.data**2, minlength=n))
    weights.data /= lengths[rows].astype(np.float32)
    by_term = csr_array(weights[:, used].T)
    return used, unit(np.asarray(by_term @ points, np.float32))


def centroid_scores(
    pool: Pool, vectors: tuple[Int64Array, Float32Array], centers: Float32Array
) -> Float64Array:
    """Cosine of each term's vector with the centroid of the cluster, ``centers (k, d)``."""
    used, where = vectors
    scores = np.full(pool.terms.shape, -np.inf)
    for c, (terms, there) in enumerate(zip(pool.terms, pool.there, strict=True)):
        scores[c, there] = where[np.searchsorted(used, terms[there])] @ centers[c]
    return scores


def odds(pool: Pool, sibling: Int64Array) -> Float64Array:
    """z-scores of the log odds ratio against the sibling, with an informative Dirichlet prior.

    Monroe, Colaresi and Quinn 2008 (Fightin' Words), equations 15 to 23; the prior is how often a
    term stands in all texts. ``sibling (k,)``: places; -1 compares with all other texts.
    """
    own, other = _frequencies(pool, sibling)
    lengths = np.asarray(pool.frequencies.sum(axis=1), np.float64)[:, None]
    alone = (sibling < 0)[:, None]
    other_length = np.where(alone, pool.totals.sum() - lengths, lengths[sibling])
    shares = pool.totals[pool.terms] / pool.totals.sum()
    weight = PRIOR * (lengths + other_length)
    prior = np.maximum(shares * weight, 1e-9)
    a, b = own + prior, np.maximum(other, 0) + prior
    ratio = np.log(a / np.maximum(lengths + weight - a, 1e-9))
    ratio -= np.log(b / np.maximum(other_length + weight - b, 1e-9))
    return np.where(pool.there, ratio / np.sqrt(1 / a + 1 / b), -np.inf)


def shared_weight(pool: Pool) -> Float64Array:
    """Cosine of the class-based TF-IDF of the clusters' pools, ``(k, k)``."""
    k, width = pool.terms.shape
    there = pool.there
    rows = np.repeat(np.arange(k), width).reshape(k, width)
    shape = (k, len(pool.df))
    weights = csr_array((pool.tfidf[there], (rows[there], pool.terms[there])), shape=shape)
    lengths = np.sqrt(np.asarray(weights.power(2).sum(axis=1)))
    both = (weights @ weights.T).toarray()
    return np.asarray(both / np.maximum(np.outer(lengths, lengths), 1e-12))


def _frequencies(pool: Pool, sibling: Int64Array) -> tuple[Float64Array, Float64Array]:
    """Of the terms in their clusters and in the siblings of these, ``(k, p)`` each."""
    k, width = pool.terms.shape
    terms = np.maximum(pool.terms, 0).ravel()
    rows = np.repeat(np.arange(k), width)
    own = np.asarray(pool.frequencies[rows, terms], np.float64).reshape(k, width)
    others = np.asarray(pool.frequencies[sibling[rows], terms], np.float64).reshape(k, width)
    rest = pool.totals[pool.terms] - own
    return own, np.where((sibling < 0)[:, None], rest, others)
