"""Dense groups: not everything sorted, but the densest small groups listed.

In: ``NeighborGraph``, prepared vectors ``(n, d)``, ``GroupParams``. Out: ``DenseGroup``s, densest
first.
Promise: no row is in two groups; most rows are in none; what a group is does not depend on the
order of rows, nor on the unit of distance.

    for group in dense_groups(graph, points): print(group.density, group.members)

A group is a leaf of the condensed tree (Campello et al. 2013; leaves as in McInnes, Healy and
Astels 2017), with sizes so small that leaves are single statements rather than topics. Siblings
whose centroids lie no farther apart than those of two samples of one group would are one group that
noise has cut in two; they are put together again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.graph.measure import pair_distances
from vdbcluster.hierarchy.engine import build
from vdbcluster.hierarchy.selection import ClusterTree, cluster_tree
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array
from vdbcluster.model.hierarchy import Hierarchy
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams

_LEAST = 1e-3
"""Core distances below this share of the usual one count as it, so that densities stay finite."""
_COPIES = 0.1
"""Likewise where rows are told from those that hang on: copies do not make others strangers."""


@dataclass(frozen=True, slots=True)
class GroupParams:
    """``min_cluster_size``, ``min_samples`` as in HDBSCAN.

    ``max_cluster_size``: larger groups are left out; 0 is no limit. ``alike``: siblings are put
    together, as long as they stay within that size, if their centroids are at most this many times
    as far apart as those of two samples of one group; 0 puts none together. ``spread``: a leaf
    holds on to whatever is nearest until another leaf comes; rows that leave it at more than this
    many times the distance at which it is ``min_cluster_size`` rows are not of the group (>= 1).
    """

    min_cluster_size: int = 5
    min_samples: int = 2
    max_cluster_size: int = 30
    alike: float = 1.5
    spread: float = 1.5

    def __post_init__(self) -> None:
        if 0 < self.max_cluster_size < self.min_cluster_size:
            raise ValueError(
                f"max_cluster_size is {self.max_cluster_size}, below min_cluster_size "
                f"{self.min_cluster_size}; it must be 0 (no limit) or at least that"
            )
        if self.alike < 0:
            raise ValueError(f"alike is {self.alike}; it must not be negative")
        if not self.spread >= 1:
            raise ValueError(f"spread is {self.spread}; it must be at least 1")


@dataclass(frozen=True, slots=True, eq=False)
class DenseGroup:
    """``members (m,) int64``, ascending; ``medoid``: the member nearest ``centroid (d,) float64``.

    ``density``: how many times nearer its rows have their neighbours than rows usually have.
    ``persistence`` in [0, 1]: the share of the way from its densest rows out that it exists for.
    ``radius``: median distance of the members to the medoid. ``leaves``: clusters of the condensed
    tree, counted from its root, that it was put together from.
    """

    members: Int64Array
    medoid: int
    centroid: Float64Array
    density: float
    persistence: float
    radius: float
    leaves: tuple[int, ...]

    def __len__(self) -> int:
        return int(self.members.shape[0])


DEFAULTS = GroupParams()


def dense_groups(
    graph: NeighborGraph, points: Float32Array, params: GroupParams = DEFAULTS
) -> tuple[DenseGroup, ...]:
    """The groups by falling density, ties by first member.

    ``graph`` as searched, not smoothed: smoothing takes out the differences of density that are
    asked for here. ``points (n, d) float32`` as prepared for it. Raises ``ValueError`` if lengths
    differ or the graph has fewer neighbours than ``min_samples``.
    """
    if len(points) != graph.n_rows:
        raise ValueError(f"the graph has {graph.n_rows} rows, the points are {len(points)}")
    if graph.n_rows < 2:
        return ()
    hdbscan = HdbscanParams(
        min_cluster_size=params.min_cluster_size, min_samples=params.min_samples
    )
    hierarchy = build(graph, hdbscan)
    tree = cluster_tree(hierarchy.condensed_tree, graph.n_rows, hdbscan)
    most = params.max_cluster_size or graph.n_rows
    parts = _Parts(points, graph.metric, tree, hierarchy)
    found = {
        leaf: parts.group(members, (leaf,))
        for leaf, members in _leaves(hierarchy, tree, params, parts.usual).items()
    }
    groups = _together(found, tree, parts, params.alike, most).values()
    return tuple(
        sorted(
            (group for group in groups if len(group) <= most),
            key=lambda group: (-group.density, int(group.members[0])),
        )
    )


def _leaves(
    hierarchy: Hierarchy, tree: ClusterTree, params: GroupParams, usual: float
) -> dict[int, Int64Array]:
    """The rows of each leaf, ascending, without those that merely hang on to it.

    The root is a leaf if there is but one group: what does not hang on to it is the group.
    """
    condensed, n = hierarchy.condensed_tree, hierarchy.n_rows
    outer = condensed.child < n
    rows, owner = condensed.child[outer], condensed.parent[outer] - n
    with np.errstate(divide="ignore"):
        apart = 1 / condensed.lambda_val[outer]
    order = np.lexsort((apart, owner))
    ends = np.cumsum(np.bincount(owner, minlength=len(tree)))
    found, is_leaf = {}, tree.leaves()
    for leaf, mine in enumerate(np.split(order, ends[:-1])):
        if not is_leaf[leaf] or len(mine) < params.min_cluster_size:
            continue
        core = max(float(apart[mine[params.min_cluster_size - 1]]), usual * _COPIES)
        found[leaf] = np.sort(rows[mine[apart[mine] <= params.spread * core]])
    return found


def _together(
    found: dict[int, DenseGroup], tree: ClusterTree, parts: _Parts, alike: float, most: int
) -> dict[int, DenseGroup]:
    """Near-identical siblings put together, from below up; keys are clusters of the tree."""
    below: dict[int, list[int]] = {}
    for cluster in range(1, len(tree)):
        below.setdefault(int(tree.parent[cluster]), []).append(cluster)
    for parent in sorted(below, reverse=True):  # children have higher numbers than parents
        siblings = [found[child] for child in below[parent] if child in found]
        if alike == 0 or len(siblings) < len(below[parent]):
            continue
        if sum(map(len, siblings)) <= most and parts.alike(siblings, alike):
            for child in below[parent]:
                del found[child]
            members = np.sort(np.concatenate([group.members for group in siblings]))
            found[parent] = parts.group(members, sum((group.leaves for group in siblings), ()))
    return found


class _Parts:
    """Makes groups of rows and compares them."""

    def __init__(
        self, points: Float32Array, metric: str, tree: ClusterTree, hierarchy: Hierarchy
    ) -> None:
        self._points, self._metric, self._tree = points, metric, tree
        self._core = hierarchy.core_distances
        known = self._core[np.isfinite(self._core)]
        # Where the root begins: the widest join.
        lam = hierarchy.condensed_tree.lambda_val
        self._widest = _distance(float(lam[lam > 0].min(initial=np.inf)))
        self.usual = float(np.median(known)) if known.size else 0.0

    def alike(self, groups: list[DenseGroup], times: float) -> bool:
        """Whether all centroids are about as near as those of samples of one group would be.

        Two samples of m and k rows have theirs ``spread * sqrt(1 / m + 1 / k)`` apart, where
        ``spread**2`` is the mean square of a row's distance to the centroid.
        """
        sizes = np.array([len(group) for group in groups])
        centroids = np.array([group.centroid for group in groups])
        square = sum(
            np.square(self._points[group.members] - group.centroid).sum() for group in groups
        )
        square /= (sizes - 1).sum()
        apart = np.square(centroids[:, None] - centroids[None, :]).sum(axis=2)
        expected = square * (1 / sizes[:, None] + 1 / sizes[None, :])
        return bool((apart <= times**2 * expected).all())

    def group(self, members: Int64Array, leaves: tuple[int, ...]) -> DenseGroup:
        own = self._points[members].astype(np.float64)
        centroid = own.mean(axis=0)
        medoid = int(members[np.argmin(np.square(own - centroid).sum(axis=1))])
        apart = pair_distances(self._points, np.array([medoid]), members[None, :], self._metric)
        near = max(float(np.median(self._core[members])), _LEAST * self.usual)
        first = min(max(_distance(self._tree.birth[leaf]) for leaf in leaves), self._widest)
        last = min(_distance(self._tree.death[leaf]) for leaf in leaves)
        return DenseGroup(
            members=members,
            medoid=medoid,
            centroid=centroid,
            density=self.usual / near if near > 0 else 1.0,
            persistence=1 - last / first if last < first < np.inf else 0.0,
            radius=float(np.median(apart)),
            leaves=leaves,
        )


def _distance(lam: float) -> float:
    return float(1 / lam) if lam > 0 else float("inf")
