"""What a clustering says of each cluster: the entries of a catalogue.

In: keys and vectors of the rows, the clustering, what was measured and said of its clusters.
Out: a ``Catalogue`` of live clusters. Promise: no I/O; O(n d) time, two passes over the vectors in
blocks, which may be memory-mapped; beside a block, memory for one vector of each cluster.

    points = Points(rows.vectors, "chord")
    entries_of(rows.keys, points, clustering, stability, texts, run_id=..., now=..., identity=...)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from vdbcluster.graph.distance import ON_BITS, ON_SPHERE, prepare
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array, Keys
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, ClusterText, RowKey, utc_text
from vdbcluster.model.hierarchy import NOISE, Clustering

EXEMPLARS = 5
_BLOCK_VALUES = 1 << 19  # 4 MB in float64
_NO_DIRECTION = 1e-6
"""The mean of unit vectors this short points nowhere."""


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """``vectors (n, d) float32`` as the collection holds them, so that centroids can be searched.

    Not centred. ``metric``: the distance that was clustered by, see ``graph.distance``.
    """

    vectors: Float32Array
    metric: str


@dataclass(frozen=True, slots=True, eq=False)
class Middle:
    """``centroids (c, d) float32``; ``medoids (c,) int64``: rows, -1 for a cluster without any."""

    centroids: Float32Array
    medoids: Int64Array


def entries_of(
    keys: Keys,
    points: Points,
    clustering: Clustering,
    stability: Float64Array | None,
    texts: Mapping[int, ClusterText],
    *,
    run_id: str,
    now: datetime,
    identity: str,
    ids: Int64Array | None = None,
    middle: Middle | None = None,
) -> Catalogue:
    """An entry for each cluster that has rows.

    ``keys (n,)``; ``ids (c,)``: the stable id of each cluster, its label if not given.
    ``stability (c,)``: NaN, or None for all, where it was not measured; ``texts`` go by label.
    Centroids are those of ``middles``, None for distances of bits; ``middle``: if they are known.
    Raises ``ValueError`` if lengths disagree.
    """
    n, c = len(clustering.labels), clustering.n_clusters
    stable = np.arange(c) if ids is None else np.asarray(ids)
    if not len(keys) == len(points.vectors) == n or len(stable) != c:
        raise ValueError(
            f"{n} labels of {c} clusters need as many keys ({len(keys)}), vectors "
            f"({len(points.vectors)}) and ids ({len(stable)})"
        )
    middle = middles(points, clustering) if middle is None else middle
    sizes, seen = clustering.sizes(), utc_text(now)
    entries = []
    for label in np.flatnonzero(sizes).tolist():
        text = texts.get(label, ClusterText())
        entries.append(
            CatalogueEntry(
                id=int(stable[label]),
                size=int(sizes[label]),
                medoid_key=_key(keys, middle.medoids[label]),
                exemplar_keys=tuple(_key(keys, row) for row in _exemplars(clustering, label)),
                centroid=None if points.metric in ON_BITS else middle.centroids[label],
                name=text.name,
                description=text.description,
                keywords=text.keywords,
                persistence=float(clustering.persistence[label]),
                stability=None if stability is None else _measured(stability[label]),
                first_run=run_id,
                first_seen=seen,
                last_run=run_id,
                last_seen=seen,
            )
        )
    return Catalogue(tuple(sorted(entries, key=lambda e: e.id)), run_id, identity)


def middles(points: Points, clustering: Clustering) -> Middle:
    """Centroid and medoid of each cluster.

    The centroid is the mean of all its rows; for ``chord`` and ``angular`` that of its rows at unit
    length, itself at unit length (the medoid's, where the mean points nowhere). The medoid is the
    core row nearest to the mean, a soft one only where there is no other; ties go to the first.
    Nearest to the mean is least in the sum of squared distances to the rows; of bits, in the sum of
    their Hamming distances.
    """
    means = _means(points, clustering)
    medoids = _nearest_rows(points, clustering, means)
    if points.metric in ON_SPHERE:
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        nowhere = (lengths[:, 0] < _NO_DIRECTION) & (medoids >= 0)
        means = means / np.where(lengths < _NO_DIRECTION, 1.0, lengths)
        means[nowhere] = prepare(points.vectors[medoids[nowhere]], points.metric)
    return Middle(means.astype(np.float32), medoids)


def _means(points: Points, clustering: Clustering) -> Float64Array:
    """By products of sparse matrices: sums of slices are slow where clusters are many."""
    from scipy.sparse import csc_array

    sums = np.zeros((clustering.n_clusters, points.vectors.shape[1]))
    for rows, vectors in _blocks(points, clustering.labels):
        found, member_of = np.unique(clustering.labels[rows], return_inverse=True)
        each = np.arange(len(rows) + 1)
        members = csc_array((np.ones(len(rows)), member_of, each), (len(found), len(rows)))
        sums[found] += members @ vectors
    means: Float64Array = sums / np.maximum(clustering.sizes(), 1)[:, None]
    return means


def _nearest_rows(points: Points, clustering: Clustering, means: Float64Array) -> Int64Array:
    """The row nearest to the mean of each cluster, ``(c,)``."""
    best = np.full(clustering.n_clusters, -1, np.int64)
    soft_best = np.ones(len(best), np.bool_)
    least = np.full(len(best), np.inf)
    for rows, vectors in _blocks(points, clustering.labels):
        labels, soft = clustering.labels[rows], clustering.soft[rows]
        vectors -= means[labels]
        away = np.einsum("ij,ij->i", vectors, vectors)
        order = np.lexsort((away, soft, labels))
        found, first = np.unique(labels[order], return_index=True)
        chosen = order[first]
        better = (soft[chosen] < soft_best[found]) | (
            (soft[chosen] == soft_best[found]) & (away[chosen] < least[found])
        )
        found, chosen = found[better], chosen[better]
        best[found], soft_best[found], least[found] = rows[chosen], soft[chosen], away[chosen]
    return best


def _blocks(points: Points, labels: Int64Array) -> Iterator[tuple[Int64Array, Float64Array]]:
    """Positions and vectors of the rows that have a cluster, in order, some megabytes at a time."""
    step = max(1, _BLOCK_VALUES // max(1, points.vectors.shape[1]))
    for start in range(0, len(labels), step):
        rows = start + np.flatnonzero(labels[start : start + step] != NOISE)
        if rows.size:
            block = prepare(points.vectors[rows], points.metric)
            yield rows, block.astype(np.float64)


def _exemplars(clustering: Clustering, label: int) -> Int64Array:
    """Up to ``EXEMPLARS`` rows, evenly spread over those that live longest in the cluster."""
    rows = clustering.exemplars[label] if label < len(clustering.exemplars) else ()
    all_of_them = np.asarray(rows, np.int64)
    if len(all_of_them) <= EXEMPLARS:
        return all_of_them
    return all_of_them[np.linspace(0, len(all_of_them) - 1, EXEMPLARS).round().astype(np.int64)]


def _measured(score: np.float64) -> float | None:
    return None if np.isnan(score) else min(max(float(score), 0.0), 1.0)


def _key(keys: Keys, row: int | np.int64) -> RowKey:
    key = keys[row]
    return key if isinstance(key, str) else int(key)
