"""Recursion: the large clusters of a clustering are clustered again, each for itself.

In: labels ``(n,)`` and a way to split the rows of one cluster. Out: ``Recursion``: for each row the
inner cluster that it is in, level by level. Promise: an inner cluster lies in one cluster; what has
fewer rows than ``min_size`` is not gone into, nothing deeper than ``depth``; a cluster stays whole
unless two inner ones are found, so that every level says something new.

    found = recurse(labels, lambda rows: split(points[rows], metric, graph_of, recipe_of),
                    depth=2, min_size=500)
    found.levels[i] == [1, 2]     # row i: inner cluster 1 of its cluster, and in that 2

``split`` is what happens within one cluster: its members are seen from their own mean, which takes
away what all of them have in common, they get a neighbour graph of their own, and that is clustered
by a recipe made for so many rows. Memory is O(m d + m k) for the m rows of one cluster at a time.

By the recipe's method that is the graph smoothed by its slow walks (``auto``), or a layout of the
members by UMAP (``umap+hdbscan``). The walks are the default, because they measured better than
UMAP at about a twentieth of the time (``scripts/bench_recursion``), and they do not depend on the
order of the rows beyond ties. UMAP does: it is seeded and runs on one thread, so that the same
rows in the same order have the same labels, but in another order they have others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vdbcluster.graph.distance import ON_SPHERE, blocks, directions
from vdbcluster.methods.interface import cluster_with
from vdbcluster.model.arrays import Float32Array, Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.members import by_size
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import Recipe

Split = Callable[[Int64Array], Int64Array]
"""Positions of the rows of a cluster, ascending, ``(m,)``; out: labels ``(m,)``, -1 for noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Recursion:
    """``levels (n, depth) int64``: number of the inner cluster within what it lies in, by size,
    ties by first row; -1 where the row is in none, and then in none further in.

    ``entered``: clusters that were large enough to be gone into, at any level; ``split``: those
    that came apart.
    """

    levels: Int64Array
    entered: int
    split: int


def recurse(
    labels: Int64Array,
    split: Split,
    *,
    depth: int,
    min_size: int,
    done: Callable[[int], None] = lambda _: None,
) -> Recursion:
    """Go into every cluster of ``labels (n,)`` with ``min_size`` rows or more, to a ``depth``.

    ``done`` is told the size of every such cluster once it is done with. Raises ``ValueError`` if
    ``depth`` or ``min_size`` is below 1, or ``split`` gives another number of labels than of rows.
    """
    if depth < 1 or min_size < 1:
        raise ValueError(f"depth is {depth} and min_size {min_size}; 1 is the least for both")
    going = _Going(np.full((len(labels), depth), NOISE), split, min_size)
    for rows in large(labels, min_size):
        going.into(rows, 0)
        done(len(rows))
    return Recursion(going.levels, going.entered, going.split_up)


def large(labels: Int64Array, min_size: int) -> list[Int64Array]:
    """The rows of each cluster of at least ``min_size``, ascending; clusters by their label."""
    order = np.argsort(labels, kind="stable")
    order = order[np.searchsorted(labels[order], 0) :]
    ends = np.flatnonzero(np.diff(labels[order])) + 1
    return [rows for rows in np.split(order, ends) if len(rows) >= max(1, min_size)]


@dataclass
class _Going:
    """The levels as far as they are known."""

    levels: Int64Array
    split: Split
    min_size: int
    entered: int = 0
    split_up: int = 0

    def into(self, rows: Int64Array, level: int) -> None:
        """Split one cluster, and what comes of it."""
        inner = np.asarray(self.split(rows), np.int64)
        if inner.shape != rows.shape:
            raise ValueError(f"{len(rows)} rows were split into labels of shape {inner.shape}")
        self.entered += 1
        inner = by_size(inner)
        if inner.max(initial=NOISE) < 1:
            return
        self.split_up += 1
        self.levels[rows, level] = inner
        if level + 1 < self.levels.shape[1]:
            for members in large(inner, self.min_size):
                self.into(rows[members], level + 1)


def split(
    points: Float32Array,
    metric: str,
    graph_of: Callable[[Float32Array], NeighborGraph],
    recipe_of: Callable[[int, int], Recipe],
    *,
    centered: bool = True,
) -> Int64Array:
    """Labels ``(m,)`` of the members of one cluster, clustered by themselves; -1 is noise.

    ``points (m, d)`` as ``graph.distance.prepare`` made them for ``metric``; ``graph_of`` searches
    among them, ``recipe_of`` says what to do with so many rows with so many neighbours each.
    ``centered``: see them from their own mean, where the metric goes by direction. Raises as
    ``cluster_with``.
    """
    seen = from_their_mean(points) if centered and metric in ON_SPHERE else points
    graph = graph_of(seen)
    recipe = recipe_of(graph.n_rows, graph.n_neighbors)
    return cluster_with(graph, seen, recipe).labels


def from_their_mean(points: Float32Array) -> Float32Array:
    """Directions of the rows from their mean, ``(m, d) float32``; one at the mean stays zero."""
    mean = points.mean(axis=0, dtype=np.float64)
    seen = np.empty(points.shape, np.float32)
    for rows in blocks(points):
        seen[rows] = directions(points[rows].astype(np.float64) - mean)
    return seen
