"""Neighbour graphs for the engine's tests.

In: points, or a draw of hypothesis. Out: valid ``NeighborGraph``s with float32 distances.
Promise: a draw covers what is hard: ties everywhere, exact duplicates, components, rows without
neighbours, more neighbours than rows, missed neighbours, d(i, j) != d(j, i) in the last bits.
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.model.params import HdbscanParams


def from_matrix(matrix: np.ndarray, k: int) -> NeighborGraph:
    """The k nearest of each row of a distance matrix, ties by position, infinite ones left out."""
    n = matrix.shape[0]
    matrix = matrix.astype(np.float32)
    np.fill_diagonal(matrix, np.inf)
    order = np.argsort(matrix, axis=1, kind="stable")[:, :k].astype(np.int32)
    indices = np.full((n, k), PADDING, np.int32)
    distances = np.full((n, k), np.inf, np.float32)
    distances[:, : order.shape[1]] = np.take_along_axis(matrix, order, 1)
    indices[:, : order.shape[1]] = order
    indices[np.isinf(distances)] = PADDING
    return NeighborGraph(indices, distances, "euclidean")


def exact(points: np.ndarray, k: int) -> NeighborGraph:
    """The k nearest neighbours of points by Euclidean distance."""
    square = (points**2).sum(1)
    products = square[:, None] + square[None, :] - 2.0 * points @ points.T
    return from_matrix(np.sqrt(np.maximum(products, 0.0)), k)


def permuted(graph: NeighborGraph, order: np.ndarray) -> NeighborGraph:
    """The same graph with row ``order[i]`` in place i."""
    place = np.empty(graph.n_rows + 1, np.int32)
    place[order] = np.arange(graph.n_rows)
    place[-1] = PADDING
    return NeighborGraph(place[graph.indices[order]], graph.distances[order], graph.metric)


def _matrix(kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
    if kind == "random":  # not even a metric
        return rng.integers(0, 6, (n, n)).astype(float)
    points = {
        "normal": lambda: rng.normal(size=(n, 2)),
        "grid": lambda: rng.integers(0, 5, (n, 2)).astype(float),
        "line": lambda: rng.integers(0, 40, (n, 1)).astype(float),
        "duplicates": lambda: rng.normal(size=(4, 2))[rng.integers(0, 4, n)],
        "blobs": lambda: rng.normal(size=(n, 2)) + 30.0 * rng.integers(0, 4, (n, 1)),
    }[kind]()
    return np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1))


def _spoiled(matrix: np.ndarray, how: str, rng: np.random.Generator) -> np.ndarray:
    """What an approximate search does: it misses pairs, and differs in the last bits."""
    n = matrix.shape[0]
    if how == "missed":
        matrix = np.where(rng.random((n, n)) < 0.2, np.inf, matrix)
    elif how == "alone":
        matrix = np.where(rng.random((n, 1)) < 0.2, np.inf, matrix)
    elif how == "last bits":
        low = matrix.astype(np.float32)
        matrix = np.where(rng.random((n, n)) < 0.5, np.nextafter(low, np.float32(np.inf)), low)
    return matrix


@st.composite
def graphs(draw: st.DrawFn, max_rows: int = 50) -> NeighborGraph:
    """Any valid graph of 2 to ``max_rows`` rows."""
    n = draw(st.integers(2, max_rows))
    k = draw(st.integers(1, 14))
    kind = draw(st.sampled_from(["grid", "line", "duplicates", "normal", "blobs", "random"]))
    how = draw(st.sampled_from(["whole", "missed", "last bits", "alone"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    graph = from_matrix(_spoiled(_matrix(kind, n, rng), how, rng), k)
    graph.validate()
    return graph


def parameters(**fixed: object) -> st.SearchStrategy[HdbscanParams]:
    """Any parameters; ``min_samples`` may exceed what a graph has."""
    drawn = {
        "min_cluster_size": st.sampled_from([2, 3, 5, 10]),
        "min_samples": st.sampled_from([1, 2, 5, 10]),
        "cluster_selection_method": st.sampled_from(["eom", "leaf"]),
        "cluster_selection_epsilon": st.sampled_from([0.0, 0.3, 1.0, 2.0]),
        "max_cluster_size": st.sampled_from([0, 0, 8, 25]),
        "allow_single_cluster": st.booleans(),
    }
    given = {name: st.just(value) for name, value in fixed.items()}
    return st.builds(HdbscanParams, **(drawn | given))


def enough(graph: NeighborGraph, params: HdbscanParams) -> bool:
    """Whether the graph has the neighbours that ``min_samples`` asks for."""
    return min(params.min_samples, graph.n_rows - 1) <= graph.n_neighbors
