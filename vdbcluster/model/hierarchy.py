"""What the density hierarchy is made of: spanning tree, condensed tree, clustering, certificate.

Words and numbering follow hdbscan, so that its documentation explains ours: rows are ``0..n-1``,
the root of the condensed tree is ``n``, clusters are ``> n``, lambda is ``1 / distance``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from vdbcluster.model.arrays import (
    BoolArray,
    Float32Array,
    Float64Array,
    Int32Array,
    Int64Array,
)

NOISE = -1


class Assignment(StrEnum):
    """How a row came to its label."""

    CORE = "core"
    """By the method itself: the density of HDBSCAN, the centre of k-means."""
    SOFT = "soft"
    """It was noise, and was given to the cluster of its neighbours; its raw label is -1."""
    NOISE = "noise"


@dataclass(frozen=True, slots=True, eq=False)
class ExtraEdges:
    """Known pairs beside the neighbour graph: a longer search of some rows, bridges.

    ``left``, ``right``: ``(m,) int32`` row positions; ``distances``: ``(m,) float32``, finite.
    Direction, order and repetition do not matter; of two distances of a pair the lesser holds.
    """

    left: Int32Array
    right: Int32Array
    distances: Float32Array

    def __len__(self) -> int:
        return int(self.left.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class SpanningTree:
    """A minimum spanning tree of the mutual reachability graph, edges ascending by weight.

    ``left``, ``right``: ``(n - 1,) int32`` row positions; ``weights``: ``(n - 1,) float64``.
    ``joined``: ``(n - 1,) bool``, True for edges that the graph lacks and the ``join`` rule added.
    """

    left: Int32Array
    right: Int32Array
    weights: Float64Array
    joined: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class CondensedTree:
    """The condensed tree as parallel arrays, one entry per row or cluster that leaves a parent.

    ``parent``, ``child``, ``child_size``: ``int64``; ``lambda_val``: ``float64``.
    """

    parent: Int64Array
    child: Int64Array
    lambda_val: Float64Array
    child_size: Int64Array


@dataclass(frozen=True, slots=True, eq=False)
class Hierarchy:
    """Everything that ``extract`` needs, and what ``certify`` looks at.

    ``n_components`` counts the connected components of the graph before any joining.
    ``core_distances``: ``(n,) float64``.
    """

    n_rows: int
    n_components: int
    core_distances: Float64Array
    spanning_tree: SpanningTree
    condensed_tree: CondensedTree


@dataclass(frozen=True, slots=True, eq=False)
class Clustering:
    """Labels per row and scores per cluster.

    ``labels``: ``(n,) int64``, ``-1`` is noise and nothing else; clusters are ``0..c-1``.
    ``probabilities``: ``(n,) float64`` in [0, 1], 0 for noise.
    ``outlier_scores``: ``(n,) float64`` in [0, 1], GLOSH.
    ``persistence``: ``(c,) float64`` in [0, 1].
    ``exemplars``: for each cluster the row positions that live longest in it.
    ``soft``: ``(n,) bool``, True for rows that the method left as noise and a later stage gave to
    the cluster of their neighbours; never True where the label is -1.
    ``paths``: for each row the clusters that it is in from coarse to fine, such as ``3/12/40``;
    ``(n,) object`` of ``str``, empty where it is in none; None where the method has one layer and
    large clusters were not gone into.
    """

    labels: Int64Array
    probabilities: Float64Array
    outlier_scores: Float64Array
    persistence: Float64Array
    exemplars: tuple[Int64Array, ...]
    soft: BoolArray
    paths: np.ndarray | None = None

    @property
    def raw_labels(self) -> Int64Array:
        """Labels as before soft assignment, ``(n,) int64``."""
        return np.where(self.soft, NOISE, self.labels)

    @property
    def assignment(self) -> np.ndarray:
        """How each row came to its label, ``(n,) object`` of ``Assignment``."""
        return assignment_of(self.labels, self.soft)

    @property
    def n_clusters(self) -> int:
        return int(self.persistence.shape[0])

    @property
    def n_noise(self) -> int:
        return int(np.count_nonzero(self.labels == NOISE))

    def sizes(self) -> Int64Array:
        """Number of rows of each cluster, ``(c,) int64``."""
        return np.bincount(self.labels[self.labels >= 0], minlength=self.n_clusters)


def no_clusters(n: int) -> Clustering:
    """``n`` rows of noise, each as far in as out."""
    nothing, none = np.zeros(n), np.zeros(n, np.bool_)
    return Clustering(np.full(n, NOISE, np.int64), nothing, nothing, np.empty(0), (), none)


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """How much of the spanning tree is proven equal to that of HDBSCAN on the full vectors.

    ``proven``: ``(n - 1,) bool`` for each merge in order of weight; ``blocking``: ``int64`` rows
    whose neighbour lists are too short to prove the rest. Holds only for exact neighbours.
    """

    proven: BoolArray
    blocking: Int64Array

    @property
    def share(self) -> float:
        """Share of merges that are proven, 1.0 where there is nothing to prove."""
        return float(self.proven.mean()) if self.proven.size else 1.0


def assignment_of(labels: Int64Array, soft: BoolArray) -> np.ndarray:
    """How each row came to its label, ``(n,) object`` of ``Assignment``."""
    found = np.full(labels.shape[0], Assignment.CORE, object)
    found[soft] = Assignment.SOFT
    found[labels == NOISE] = Assignment.NOISE
    return found
