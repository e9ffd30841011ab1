"""The terms of each cluster that may become its keywords.

In: ``Vocabulary``, ``Clusters``. Out: ``Pool``: for each cluster at most ``POOL`` terms, those of
the highest class-based TF-IDF among those that enough members have, and what is counted of them.
Promise: deterministic, ties by the place of the term; O(nnz) time and memory.

Class-based TF-IDF (Grootendorst 2022, BERTopic, arXiv 2203.05794): a cluster is one long text;
``tf(t, c) * log(1 + A / f(t))``, A the mean length of these texts and f the frequency of a term in
all of them. Here a text counts ``1 + ln(1 + ln(times))`` for a term (Singhal et al. 1999), not
``times``: one text that repeats a word a thousand times would name its cluster otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from vdbcluster.explain.centroids import Clusters
from vdbcluster.explain.vocabulary import Vocabulary
from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array, Int64Array

POOL = 300
FEW = 4
"""From so many rows a term of a cluster must stand in two of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """``terms (k, p)``: columns of the vocabulary, best first, -1 where a cluster has fewer.

    ``tfidf (k, p)``: their class-based TF-IDF; ``members (k, p)``: rows of the cluster that have
    them; ``frequencies (k, v)`` CSR: dampened counts; ``totals (v,)``: these of all rows, noise
    too; ``df (v,)``: rows of all that have the term.
    """

    terms: Int64Array
    tfidf: Float64Array
    members: Int64Array
    frequencies: csr_array
    totals: Float64Array
    df: Int64Array

    @property
    def there(self) -> BoolArray:
        return np.asarray(self.terms >= 0)

    @property
    def alone(self) -> bool:
        """Whether all texts with a term are of one cluster."""
        own = float(self.frequencies.sum())
        return len(self.terms) == 1 and own >= float(self.totals.sum()) * (1 - 1e-9)


def pool(vocabulary: Vocabulary, found: Clusters) -> Pool:
    """Raises ``ValueError`` unless there is one label for each text."""
    counts = vocabulary.counts
    if counts.shape[0] != len(found.places):
        raise ValueError(f"{counts.shape[0]} texts and {len(found.places)} labels")
    indicator = found.indicator()
    damped = dampened(counts)
    frequencies = csr_array(indicator @ damped)
    frequencies.sort_indices()
    having = csr_array(indicator @ with_values(counts, np.ones(counts.nnz, np.float32)))
    having.sort_indices()
    totals = np.asarray(damped.sum(axis=0), np.float64)
    weights = _weights(frequencies, totals)
    terms, kept = _best(frequencies, weights, having.data, found.sizes)
    return Pool(
        terms,
        np.append(weights, -np.inf)[kept],  # -1, for no term, is the last
        np.append(having.data, 0).astype(np.int64)[kept],
        frequencies,
        totals,
        np.bincount(counts.indices, minlength=counts.shape[1]),
    )


def dampened(counts: csr_array) -> csr_array:
    """``1 + ln(1 + ln(count))``, ``(n, v) float32``."""
    return with_values(counts, 1 + np.log1p(np.log(counts.data.astype(np.float32))))


def with_values(matrix: csr_array, values: Float32Array) -> csr_array:
    """Other values at the same places."""
    return csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def _weights(frequencies: csr_array, totals: Float64Array) -> Float64Array:
    """Class-based TF-IDF at each entry that is stored, ``(nnz,)``."""
    lengths = np.asarray(frequencies.sum(axis=1), np.float64)
    rows = np.repeat(np.arange(len(lengths)), np.diff(frequencies.indptr))
    mean = totals.sum() / max(1, len(lengths))
    idf = np.log1p(mean / np.maximum(totals, 1e-12))
    return np.asarray(frequencies.data / lengths[rows] * idf[frequencies.indices])


def _best(
    frequencies: csr_array, weights: Float64Array, members: Float32Array, sizes: Int64Array
) -> tuple[Int64Array, Int64Array]:
    """Terms of each cluster, and where their entries are stored, both ``(k, p)``."""
    k = len(sizes)
    terms, kept = (np.full((k, POOL), -1, np.int64) for _ in range(2))
    for c in range(k):
        start, end = frequencies.indptr[c : c + 2]
        least = 2 if sizes[c] >= FEW else 1
        entries = start + np.flatnonzero(members[start:end] >= least)
        best = entries[np.argsort(-weights[entries], kind="stable")[:POOL]]
        kept[c, : len(best)] = best
        terms[c, : len(best)] = frequencies.indices[best]
    width = max(1, int((terms >= 0).sum(axis=1).max(initial=0)))
    return terms[:, :width], kept[:, :width]
