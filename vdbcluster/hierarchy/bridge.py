"""Real edges between the parts that the neighbour graph leaves apart.

In: a ``Hierarchy`` of several components and the vectors. Out: ``ExtraEdges``, for
``build(..., join="bridge", extra=...)``.
Promise: a shortest edge of mutual reachability for every join, by exact search: with exact core
distances the tree becomes that of the complete graph. O(m n d) time for m rows outside the largest
component in the first round, a fraction of it in the later ones; memory of two blocks.

Boruvka's algorithm over components. What a row has found stays its nearest outside row until its
component swallows that one; then the distance stays a bound, and the row is asked again only if
its component might find nothing nearer elsewhere.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.graph.exact import (
    batches,
    certainly_below,
    column_means,
    exact_neighbors,
    propose,
    to_squared,
)
from vdbcluster.graph.measure import pair_distances
from vdbcluster.hierarchy.components import connected_components
from vdbcluster.model.arrays import BoolArray, Float32Array, Int32Array, Int64Array
from vdbcluster.model.hierarchy import ExtraEdges, Hierarchy
from vdbcluster.model.neighbors import PADDING

_WIDTH = 8
_NOTHING = ExtraEdges(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))


def bridges(
    hierarchy: Hierarchy, vectors: Float32Array, metric: str, min_samples: int
) -> ExtraEdges:
    """The pairs that join all components at the least mutual reachability.

    ``hierarchy``: as ``build`` made it without extra edges, with any ``join``; ``vectors (n, d)``
    as ``prepare`` made them for the metric of the graph. A row that knows fewer than
    ``min_samples`` neighbours, and so has no core distance, gets its nearest ones first.
    """
    component = connected_components(hierarchy)
    core = hierarchy.core_distances.astype(np.float32)
    if hierarchy.n_components <= 1:
        return _NOTHING
    edges = _complete(core, vectors, metric, min_samples)
    component, _ = _unite(component, edges)
    search = _Outside(vectors, metric, core)
    while component.max() > 0:
        component, chosen = _unite(component, search.shortest(component))
        edges = _joined(edges, chosen)
    return edges


def _complete(
    core: Float32Array, vectors: Float32Array, metric: str, min_samples: int
) -> ExtraEdges:
    """Neighbours for rows without a core distance, which is filled in place."""
    rows = np.flatnonzero(np.isinf(core))
    k = min(min_samples, len(vectors) - 1)
    if not len(rows) or k < 1:
        rows, k = rows[:0], 1
    indices, distances = exact_neighbors(vectors, rows, k, metric)
    core[rows] = distances[:, -1]
    return ExtraEdges(np.repeat(rows, k).astype(np.int32), indices.ravel(), distances.ravel())


def _unite(component: Int32Array, edges: ExtraEdges) -> tuple[Int32Array, ExtraEdges]:
    """Components after adding edges, numbered anew from 0, and the edges that it took."""
    root = list(range(int(component.max()) + 1))

    def find(at: int) -> int:
        while root[at] != at:
            root[at] = at = root[root[at]]
        return at

    taken = []
    ends = zip(component[edges.left].tolist(), component[edges.right].tolist(), strict=True)
    for edge, (a, b) in enumerate(ends):
        a, b = find(a), find(b)
        if a != b:
            root[b] = a
            taken.append(edge)
    number = np.unique([find(at) for at in range(len(root))], return_inverse=True)[1]
    kept = np.array(taken, np.int64)
    return number[component].astype(np.int32), ExtraEdges(
        edges.left[kept], edges.right[kept], edges.distances[kept]
    )


def _joined(first: ExtraEdges, second: ExtraEdges) -> ExtraEdges:
    return ExtraEdges(
        np.concatenate((first.left, second.left)),
        np.concatenate((first.right, second.right)),
        np.concatenate((first.distances, second.distances)),
    )


class _Outside:
    """The nearest row outside its component for each row, as far as it had to be found."""

    def __init__(self, vectors: Float32Array, metric: str, core: Float32Array) -> None:
        n = len(vectors)
        self._vectors, self._metric, self._core = vectors, metric, core
        self._mean = column_means(vectors, metric)
        self._core_value = to_squared(core, metric).astype(np.float32)
        self._partner = np.full(n, PADDING, np.int32)
        self._distance = np.full(n, np.inf, np.float32)
        self._weight = core.copy()  # of the partner, or a bound on that of any outside row

    def shortest(self, component: Int32Array) -> ExtraEdges:
        """For every component but the largest its lightest edge that leaves it, lightest first."""
        largest = np.argmax(np.bincount(component))
        rows = np.flatnonzero(component != largest)
        best = np.full(int(component.max()) + 1, np.inf, np.float32)
        while True:
            valid = self._valid(rows, component)
            np.minimum.at(best, component[rows[valid]], self._weight[rows[valid]])
            open_rows = rows[~valid & (self._weight[rows] < best[component[rows]])]
            if not len(open_rows):
                break
            self._search(self._first_of(open_rows, component), component)
        found = rows[self._valid(rows, component)]
        order = np.lexsort((found, self._weight[found], component[found]))
        found = found[order]
        _, first = np.unique(component[found], return_index=True)
        left = found[first]
        left = left[np.argsort(self._weight[left], kind="stable")]
        return ExtraEdges(left.astype(np.int32), self._partner[left], self._distance[left])

    def _valid(self, rows: Int64Array, component: Int32Array) -> BoolArray:
        partner = self._partner[rows]
        return np.asarray((partner != PADDING) & (component[partner] != component[rows]))

    def _first_of(self, rows: Int64Array, component: Int32Array) -> Int64Array:
        """Rows to ask now: of every component those with the least bounds, some dozens each."""
        order = np.lexsort((self._weight[rows], component[rows]))
        rows = rows[order]
        _, first, size = np.unique(component[rows], return_index=True, return_counts=True)
        rank = np.arange(len(rows)) - np.repeat(first, size)
        share = np.repeat(np.maximum(64, size // 4), size)
        return rows[rank < share]

    def _search(self, rows: Int64Array, component: Int32Array) -> None:
        width = _WIDTH
        while len(rows):
            left = []
            for which in batches(rows, width):
                sure = self._search_batch(which, min(width, len(self._vectors)), component)
                left.append(which[~sure])
            rows, width = np.concatenate(left), 8 * width

    def _search_batch(self, which: Int64Array, width: int, component: Int32Array) -> BoolArray:
        """Look among the ``width`` nearest by matrix product; whether that is certainly enough."""

        def adjust(block: Float32Array, columns: slice) -> None:
            np.maximum(block, self._core_value[columns], out=block)
            block[component[which][:, None] == component[columns]] = np.inf

        candidates, bound = propose(self._vectors, which, width, self._metric, self._mean, adjust)
        distances = pair_distances(self._vectors, which, candidates, self._metric)
        cores = np.where(candidates == PADDING, np.inf, self._core[candidates])
        weights = np.maximum(np.maximum(distances, cores), self._core[which][:, None])
        at = (np.arange(len(which)), np.argmin(weights, axis=1))
        self._partner[which] = candidates[at]
        self._distance[which] = distances[at]
        self._weight[which] = weights[at]
        enough = certainly_below(weights[at], bound, self._metric, self._vectors)
        return np.asarray(enough | (weights[at] == self._core[which]) | (width >= len(component)))
