"""Which clusters are near which, what lies in them, and where noise lies.

In: labels, vectors, paths. Out: ``Nearness``, ``Box``es, counts. Promise: no I/O; deterministic;
memory of one vector for each cluster and of ``MOST`` squared.

The joins are those of average linkage over 1 - cosine of the centroids, about the mean of all rows
(``explain.centroids``), and the order of the leaves the one that puts near ones beside each other
(Bar-Joseph et al. 2001). That is a picture of where clusters lie, and not the density tree that
they were cut from: smoothing, merging and voting have come after that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from vdbcluster.explain.centroids import centroids, clusters, directions
from vdbcluster.model.arrays import Float32Array, Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.report import Box, Nearness

MOST = 150
"""Clusters that a picture of them all has room for."""
FEWEST = 3
"""Clusters of which some can be more alike than others."""
BESIDE = 5
NOISE_BLOCK = 4096
Titled = Callable[[str], str]


def nearness(labels: Int64Array, vectors: Float32Array) -> Nearness | None:
    """Of the ``MOST`` largest clusters; None where there are fewer than ``FEWEST``."""
    found = clusters(labels)
    if len(found) < FEWEST:
        return None
    chosen = np.sort(np.argsort(-found.sizes, kind="stable")[:MOST])
    centers = centroids(found, directions(vectors))[chosen]
    cosines = np.clip(centers @ centers.T, -1, 1)
    cosines = (cosines + cosines.T) / 2
    np.fill_diagonal(cosines, 1)
    tree = linkage(squareform(1 - cosines.astype(float), checks=False), "average", True)
    order = leaves_list(tree)
    return Nearness(
        ids=tuple(found.ids[chosen][order].tolist()),
        cosines=np.asarray(cosines[np.ix_(order, order)], np.float32),
        joins=_joins(tree, order),
        left_out=len(found) - len(chosen),
    )


def _joins(tree: np.ndarray, order: Int64Array) -> tuple[tuple[int, int, float], ...]:
    """With the leaves counted in the order of the picture."""
    place = np.arange(2 * len(order) - 1)
    place[order] = np.arange(len(order))
    return tuple((int(place[int(a)]), int(place[int(b)]), float(h)) for a, b, h, _ in tree)


def noise_beside(labels: Int64Array, vectors: Float32Array) -> tuple[tuple[int, int], ...]:
    """Clusters whose centre is nearest to rows of noise: id and rows, most first."""
    found = clusters(labels)
    noise = np.flatnonzero(labels == NOISE)
    if not len(found) or not len(noise):
        return ()
    points = directions(vectors)
    centers = centroids(found, points)
    counts = np.zeros(len(found), np.int64)
    for start in range(0, len(noise), NOISE_BLOCK):
        near = points[noise[start : start + NOISE_BLOCK]] @ centers.T
        counts += np.bincount(near.argmax(axis=1), minlength=len(found))
    order = np.argsort(-counts, kind="stable")[:BESIDE]
    return tuple((int(found.ids[c]), int(counts[c])) for c in order if counts[c])


def boxes(labels: Int64Array, paths: np.ndarray | None, titled: Titled) -> tuple[Box, ...]:
    """Clusters, those within them by their paths, and noise last; by size, ties by path.

    ``paths (n,)`` of ``str``, empty for rows in none; without them clusters hold nothing.
    ``titled``: what a path is called.
    """
    texts = labels.astype(str).astype(object) if paths is None else paths
    rows = np.flatnonzero(labels != NOISE)
    kept = [(str(texts[row]) or str(labels[row])).split("/") for row in rows.tolist()]
    found = _within("", rows, kept, labels, titled)
    n_noise = len(labels) - len(rows)
    noise = (Box("-1", NOISE, n_noise, "noise"),) if n_noise else ()
    return (*found, *noise)


def _within(
    above: str, rows: Iterable[int], paths: list[list[str]], labels: Int64Array, titled: Titled
) -> tuple[Box, ...]:
    """The boxes of rows whose paths, less ``above``, are ``paths``."""
    members: dict[str, tuple[list[int], list[list[str]]]] = {}
    for row, steps in zip(rows, paths, strict=True):
        if steps:
            mine, rest = members.setdefault(steps[0], ([], []))
            mine.append(row)
            rest.append(steps[1:])
    found = []
    for step, (mine, rest) in members.items():
        path = f"{above}/{step}" if above else step
        ids, counts = np.unique(labels[mine], return_counts=True)
        inner = _within(path, mine, rest, labels, titled)
        found.append(Box(path, int(ids[counts.argmax()]), len(mine), titled(path), inner))
    return tuple(sorted(found, key=lambda box: (-box.size, box.path)))
