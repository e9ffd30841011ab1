"""What a run keeps of its graph, and the bounds that its clusters set.

In: the neighbour graph as it was searched, labels and scores. Out: ``Reference``; ``Bounds``.
Promise: two numbers a row instead of the graph; O(n k) once a run, in blocks; bounds are order
statistics, so the order of rows and a few wild ones decide nothing.

The distances of the run's own tree are of no use here: where the graph was smoothed they depend on
all rows, and a new row has none. What can be had for a new row alone are its raw distances, and so
the rows of the run are measured by these as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.assign.votes import core_distances, labels_around, share, weights
from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from vdbcluster.model.assign import AssignParams, Reference, Surroundings
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.neighbors import NeighborGraph

_BLOCK_ROWS = 65536


def reference(
    graph: NeighborGraph,
    labels: Int64Array,
    probabilities: Float64Array | Float32Array,
    soft: BoolArray,
    min_samples: int,
) -> Reference:
    """Measure the rows of a run, ``(n,)`` each, by the graph that was searched for it.

    ``labels``: ids as they are written; ``min_samples``: that of the run, at most its k. Raises
    ``ValueError`` if lengths differ or k is less than ``min_samples``.
    """
    if graph.n_rows != len(labels):
        raise ValueError(f"the graph has {graph.n_rows} rows, the labels {len(labels)}")
    core = np.empty(graph.n_rows, np.float32)
    support = np.empty(graph.n_rows, np.float32)
    for start in range(0, graph.n_rows, _BLOCK_ROWS):
        rows = slice(start, min(start + _BLOCK_ROWS, graph.n_rows))
        around = Surroundings(graph.indices[rows], graph.distances[rows])
        core[rows] = core_distances(around, min_samples)
        own = labels[rows, None]
        alike = (labels_around(around, labels) == own) & (own != NOISE)
        support[rows] = share(weights(around, min_samples), alike)
    return Reference(
        labels=labels,
        probabilities=np.asarray(probabilities, np.float32),
        soft=soft,
        core_distances=core,
        support=support,
        n_neighbors=graph.n_neighbors,
        min_samples=min_samples,
        metric=graph.metric,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Of each live cluster, ``(c,)``; ``ids`` ascending.

    ``floor``, ``clear``: least support of a row that joins, and of one that is core: what the
    parameters say, but no more than half the median of its own rows, and the median of its core
    rows, for a cluster of few rows never fills a neighbourhood.
    ``inner``, ``outer``: greatest core distance of a core row and of any row; ``densest``: the
    least. All NaN, which no row can meet, where no row of the cluster was measured.
    """

    ids: Int64Array
    floor: Float64Array
    clear: Float64Array
    inner: Float64Array
    outer: Float64Array
    densest: Float64Array


def bounds(kept: Reference, params: AssignParams) -> Bounds:
    """What the rows of the run say; a cluster without a core row is measured by all its rows."""
    ids, of_row = np.unique(kept.labels, return_inverse=True)
    noise = int(ids.shape[0] > 0 and ids[0] == NOISE)
    ids, of_row, c = ids[noise:], of_row - noise, ids.shape[0] - noise
    measured = (of_row >= 0) & ~np.isnan(kept.core_distances)
    core = measured & ~kept.soft
    has_core = np.bincount(of_row[core], minlength=c) > 0
    core |= measured & ~np.append(has_core, True)[of_row]

    def within(values: Float32Array, rows: BoolArray, quantile: float) -> Float64Array:
        return grouped_quantile(values[rows], of_row[rows], c, quantile)

    return Bounds(
        ids=ids,
        floor=np.minimum(params.min_support, within(kept.support, measured, 0.5) / 2),
        clear=np.minimum(params.clear_support, within(kept.support, core, 0.5)),
        inner=within(kept.core_distances, core, params.inner),
        outer=within(kept.core_distances, measured, params.outer),
        densest=within(kept.core_distances, measured, 0.0),
    )


def grouped_quantile(
    values: Float32Array, group: Int64Array, n_groups: int, quantile: float
) -> Float64Array:
    """Of each group its value at that quantile, the higher of two, ``(n_groups,) float64``.

    NaN, which nothing lies within, for a group without values.
    """
    order = np.lexsort((values, group))
    size = np.bincount(group, minlength=n_groups)
    start = np.cumsum(size) - size
    at = start + np.ceil(quantile * (size - 1) - 1e-9).astype(np.int64)
    found = np.full(n_groups, np.nan)
    filled = size > 0
    found[filled] = values[order[at[filled]]]
    return found
