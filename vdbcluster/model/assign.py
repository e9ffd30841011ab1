"""Rows that came after a run: what is kept to judge them by, what is seen of them, what they get.

In: arrays of a run, neighbours of rows that were not in it. Out: ``Reference``, ``Surroundings``,
``Assigned``. Promise: plain arrays, so that a run can keep a reference without its graph.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vdbcluster.model.arrays import BoolArray, Float32Array, Int32Array, Int64Array
from vdbcluster.model.hierarchy import assignment_of
from vdbcluster.model.neighbors import check_lists


@dataclass(frozen=True, slots=True)
class AssignParams:
    """When a row joins a cluster, and when rows are one; shares are of 1.

    ``min_support``: share of its neighbourhood that a row needs in a cluster to join it.
    ``clear_support``: share from which it is core there, if it is dense enough as well.
    ``inner``, ``outer``: quantiles of the core distances in a cluster: of its core rows, beyond
    which a row is not core; of all its rows, beyond which it is noise.
    ``min_stability``: the least mean Jaccard coefficient of a forming cluster.
    """

    min_support: float = 0.3
    clear_support: float = 0.5
    inner: float = 0.95
    outer: float = 0.99
    min_stability: float = 0.6

    def __post_init__(self) -> None:
        for name in ("min_support", "clear_support", "inner", "outer", "min_stability"):
            if not 0 <= (share := getattr(self, name)) <= 1:
                raise ValueError(f"{name} is {share}; it must lie between 0 and 1")


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The ``n`` rows of a run, as far as later rows are judged by them.

    ``labels (n,) int64``: cluster id, not necessarily dense, -1 for noise; ``probabilities (n,)
    float32``; ``soft (n,) bool``. On the neighbour graph as it was searched, not smoothed:
    ``core_distances (n,) float32`` to the ``min_samples``-th neighbour, +inf where there are fewer,
    and ``support (n,) float32``, the share of its neighbourhood in its own cluster (``assign``).
    Both are NaN for rows that were assigned later: these set no bounds.
    Raises ``ValueError`` for arrays of different length.
    """

    labels: Int64Array
    probabilities: Float32Array
    soft: BoolArray
    core_distances: Float32Array
    support: Float32Array
    n_neighbors: int
    min_samples: int
    metric: str

    def __post_init__(self) -> None:
        arrays = (self.labels, self.probabilities, self.soft, self.core_distances, self.support)
        if len({array.shape for array in arrays}) != 1 or self.labels.ndim != 1:
            raise ValueError(f"arrays of one length n, not {[array.shape for array in arrays]}")

    @property
    def n_rows(self) -> int:
        return int(self.labels.shape[0])

    def take(self, rows: BoolArray | Int64Array) -> Reference:
        """A selection of its rows (mask or positions)."""
        return replace(
            self,
            labels=self.labels[rows],
            probabilities=self.probabilities[rows],
            soft=self.soft[rows],
            core_distances=self.core_distances[rows],
            support=self.support[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """The k nearest of ``m`` rows among all rows there are, whether labelled or not.

    ``indices (m, k) int32``: positions in a ``Reference``, or behind its ``n`` rows for any row
    that is not in it (each its own position); -1 is padding. ``distances (m, k) float32``:
    ascending, +inf for padding. Self is left out. Raises ``ValueError`` for other shapes or dtypes.
    """

    indices: Int32Array
    distances: Float32Array

    def __post_init__(self) -> None:
        check_lists(self.indices, self.distances)

    @property
    def n_rows(self) -> int:
        return int(self.indices.shape[0])

    def take(self, rows: BoolArray | Int64Array) -> Surroundings:
        """Those of a selection of rows (mask or positions)."""
        return Surroundings(self.indices[rows], self.distances[rows])

    def rows(self, start: int, stop: int) -> Surroundings:
        """Those of rows that follow one another, without a copy."""
        return Surroundings(self.indices[start:stop], self.distances[start:stop])

    def nearest(self, k: int) -> Surroundings:
        """The first k neighbours of each row."""
        return Surroundings(self.indices[:, :k], self.distances[:, :k])


@dataclass(frozen=True, slots=True, eq=False)
class Assigned:
    """What ``m`` rows got: ``labels (m,) int64`` of the reference, -1 for noise.

    ``probabilities (m,) float32`` in [0, 1], 0 for noise; ``outlier_scores (m,) float32`` in
    [0, 1]; ``soft (m,) bool``; ``support (m,) float32``: share of the neighbourhood in the cluster
    that has most of it, noise rows too; ``core_distances (m,) float32``.
    """

    labels: Int64Array
    probabilities: Float32Array
    outlier_scores: Float32Array
    soft: BoolArray
    support: Float32Array
    core_distances: Float32Array

    @property
    def assignment(self) -> np.ndarray:
        """How each row came to its label, ``(m,) object`` of ``Assignment``."""
        return assignment_of(self.labels, self.soft)
