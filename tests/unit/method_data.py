"""Small clouds of points for the tests of methods, and their neighbour graphs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.model.neighbors import NeighborGraph


def blobs(
    sizes: Sequence[int],
    *,
    seed: int,
    strays: int = 0,
    dimensions: int = 4,
    apart: float = 30,
) -> np.ndarray:
    """Groups ``apart`` along the axes, then ``strays`` anywhere, ``(n, d) float32``."""
    lots = np.random.default_rng(seed)
    centers = apart * np.eye(max(len(sizes), dimensions), dimensions)
    groups = [centers[i] + lots.normal(size=(size, dimensions)) for i, size in enumerate(sizes)]
    groups.append(lots.uniform(-100, 100, (strays, dimensions)))
    return np.concatenate(groups).astype(np.float32)


def graph_of(points: np.ndarray, k: int, metric: str = "euclidean") -> NeighborGraph:
    """The exact neighbours of ``points``, at most k of each."""
    n = len(points)
    k = max(1, min(k, n - 1))
    return NeighborGraph(*exact_neighbors(points, np.arange(n), k, metric), metric)
