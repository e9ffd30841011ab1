"""Where the rows of a neighbour graph lie on a map.

In: ``NeighborGraph``, the vectors it is of, ``LayoutParams``, by choice the places on the last map.
Out: points ``(n, 2 or 3) float32``. Promise: neighbours are never searched; rows without any
neighbour have no place (NaN); the same seed, the same points; a map that begins from the last one
lies as that did; no coordinate is 0, which stands for no place where a field cannot be null.

    points = lay_out(graph, vectors, LayoutParams(dimensions=2, seed=0))
    again = lay_out(later, vectors, LayoutParams(2, 0), last=points_of_the_rows_that_are_known)

Below 20 rows, UMAP has nothing to say; the rows lie by their first principal components, or in a
circle where they are all one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vdbcluster.layout.align import RADIUS, aligned, beside_zero, placed, posed, radius
from vdbcluster.layout.begin import beginning
from vdbcluster.layout.umap import Embedding, embedded
from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array
from vdbcluster.model.neighbors import PADDING, NeighborGraph

FEWEST_ROWS = 20
"""With neighbours; fewer are laid out without UMAP."""
LEAST_KNOWN = 0.1
"""Share of rows on the last map; with less a map begins anew, and is turned onto it."""


@dataclass(frozen=True, slots=True)
class LayoutParams:
    """``seed``: None for all threads, and another map every time.

    ``epochs``: None leaves them to UMAP; ``again_epochs``, ``again_rate``: of a map that begins
    from the last one, where little is left to do. On 6,300 posts of newsgroups, a twentieth of
    them new, rows move by 0.03 of the radius of the map (median), and the map is as true to the
    vectors as one that is made anew (trustworthiness 0.92), on which they move by 0.33.
    """

    dimensions: Literal[2, 3] = 2
    seed: int | None = 0
    epochs: int | None = None
    again_epochs: int = 50
    again_rate: float = 0.05


def lay_out(
    graph: NeighborGraph,
    vectors: Float32Array,
    params: LayoutParams,
    last: Float32Array | None = None,
) -> Float32Array:
    """See the module. ``vectors (n, d)``: as ``layout.umap`` says, and for few rows.

    ``last (n, dimensions)``: NaN for rows that had no place.
    """
    linked = with_neighbors(graph)
    if last is not None and not radius(last) > 0:
        last = None  # no row had a place, or all had the same
    if np.count_nonzero(linked) < FEWEST_ROWS:
        points = _few(vectors, linked, params.dimensions)
    elif last is not None and np.mean(placed(last)[linked]) >= LEAST_KNOWN:
        start = beginning(graph, last, params.seed or 0)
        asked = Embedding(
            params.dimensions, params.seed, epochs=params.again_epochs, rate=params.again_rate
        )
        points = embedded(graph, vectors, asked, start)
    else:
        asked = Embedding(params.dimensions, params.seed, epochs=params.epochs)
        points = embedded(graph, vectors, asked)
    points[~linked] = np.nan
    return beside_zero(posed(points) if last is None else aligned(points, last))


def with_neighbors(graph: NeighborGraph) -> BoolArray:
    """Rows that have a neighbour, or are one, ``(n,) bool``."""
    real = graph.indices != PADDING
    found = real.any(axis=1)
    found[graph.indices[real]] = True
    return np.asarray(found)


def _few(vectors: Float32Array, linked: BoolArray, dimensions: int) -> Float32Array:
    """By principal components; in a circle where there are none."""
    n = int(np.count_nonzero(linked))
    found = np.full((len(vectors), dimensions), np.nan, np.float32)
    if not n:
        return found
    there: Float64Array = vectors[linked].astype(np.float64)
    left, size, _ = np.linalg.svd(there - there.mean(axis=0), full_matrices=False)
    flat = np.zeros((n, dimensions))
    width = min(dimensions, len(size))
    flat[:, :width] = left[:, :width] * size[:width]
    if n > 1 and size[0] <= np.finfo(np.float32).eps * max(1.0, np.abs(there).max()):
        angles = 2 * np.pi * np.arange(n) / n
        flat[:, :2] = RADIUS * np.stack((np.cos(angles), np.sin(angles)), axis=1)
    found[linked] = flat
    return found
