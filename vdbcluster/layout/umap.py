"""UMAP, fed with the neighbour graph at hand: the one place that calls it.

In: ``NeighborGraph``, ``Embedding`` (what is asked for), by choice where to begin. Out: points.
Promise: neighbours are never searched; the same seed gives the same points, on one thread; without
a seed all threads are used, and no two results are alike.

UMAP: McInnes, Healy and Melville 2018. It wants the row itself in front of its neighbours, and a
matrix of vectors, of which it reads no more than where the parts of a graph that does not hang
together lie to each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from warnings import catch_warnings, filterwarnings

import numpy as np

from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.neighbors import NeighborGraph

NEIGHBORS = 15
"""Of UMAP, the row itself included: its own default."""
_KNOWN_WARNINGS = (
    "Tensorflow not installed",  # for a kind of layout that is not used
    r"precomputed_knn\[2\]",  # new rows are not laid out
    "A few of your vertices were disconnected",
    "A large number of your vertices were disconnected",
    "Spectral initialisation failed",  # it goes on from a random one
    "Graph is not fully connected",
)


@dataclass(frozen=True, slots=True)
class Embedding:
    """What UMAP is asked for.

    ``seed``: None for all threads. ``min_dist``: how near points may come, of a spread of 1.
    ``epochs``: None leaves them to UMAP, 500 up to 10,000 rows, 200 above. ``rate``: how far an
    epoch moves points at first. ``init``: where points begin where nobody says.
    """

    dimensions: int
    seed: int | None
    min_dist: float = 0.1
    neighbors: int = NEIGHBORS
    epochs: int | None = None
    rate: float = 1.0
    init: Literal["spectral", "pca", "random"] = "spectral"


def embedded(
    graph: NeighborGraph,
    vectors: Float32Array,
    asked: Embedding,
    start: Float32Array | None = None,
) -> Float32Array:
    """The rows in ``(n, dimensions) float32``, NaN for those that the graph leaves alone.

    ``vectors (n, d)``: see the module. ``start (n, dimensions)``: finite; UMAP stretches it to a
    square. n at least four times the dimensions, and some rows must have neighbours.
    """
    n = graph.n_rows
    width = min(asked.neighbors, graph.n_neighbors + 1, n - 1)
    own = np.arange(n, dtype=np.int32)[:, None]
    indices = np.hstack((own, graph.indices[:, : width - 1]))
    distances = np.hstack((np.zeros((n, 1), np.float32), graph.distances[:, : width - 1]))
    with catch_warnings():
        for text in _KNOWN_WARNINGS:
            filterwarnings("ignore", text)
        from umap import UMAP  # takes seconds

        model = UMAP(
            n_neighbors=width,
            n_components=asked.dimensions,
            min_dist=asked.min_dist,
            precomputed_knn=(indices, distances),
            random_state=asked.seed,
            n_jobs=-1 if asked.seed is None else 1,
            n_epochs=asked.epochs,
            learning_rate=asked.rate,
            init=asked.init if start is None else start,
        )
        points = model.fit_transform(vectors if start is None else _shape_of(n))
    return np.ascontiguousarray(points, np.float32)


def _shape_of(n: int) -> Float32Array:
    """What stands for the vectors where nothing of them is read but how many there are."""
    return np.zeros((n, 1), np.float32)
