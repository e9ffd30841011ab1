"""Where points begin: at their places on the last map, or near their neighbours.

In: ``NeighborGraph``, the last places with NaN for rows that had none. Out: a place for every row.
Promise: the same seed, the same places; rows with a place keep their distances to each other.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.layout.align import RADIUS, placed, radius
from vdbcluster.layout.place import place
from vdbcluster.model.arrays import Float32Array, Float64Array
from vdbcluster.model.neighbors import NeighborGraph

_TURNS = 360
_JITTER = 1e-3
"""Of the radius: rows in one spot would never part."""


def beginning(graph: NeighborGraph, last: Float32Array, seed: int) -> Float32Array:
    """``(n, d) float32``, all finite. New rows begin at their neighbours (``place``), those that no
    known row leads to somewhere on the map. Some row must have a place.

    Turned so that the map is as wide as it is high: UMAP stretches what it is given to a square.
    """
    draw = np.random.default_rng(seed)
    found = place(graph.indices, graph.distances, last)
    known, size = placed(found), radius(found) or RADIUS
    middle = found[known].mean(axis=0)
    found[~known] = middle + draw.normal(0, size / 2, (int((~known).sum()), found.shape[1]))
    new = ~placed(last)
    found[new] += draw.normal(0, _JITTER * size, (int(new.sum()), found.shape[1]))
    return np.ascontiguousarray(squared(found, draw), np.float32)


def squared(points: Float32Array, draw: np.random.Generator) -> Float64Array:
    """Turned, of some turns that are tried, by that after which all sides are nearest to equal.

    In the plane there is one after which they are: a quarter turn swaps height and width.
    """
    around = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    return min((around @ turn for turn in _turns(points.shape[1], draw)), key=_oblong)


def _oblong(points: Float64Array) -> float:
    sides = np.ptp(points, axis=0)
    return float(sides.max() - sides.min())


def _turns(dimensions: int, draw: np.random.Generator) -> list[Float64Array]:
    if dimensions == 2:
        angles = np.linspace(0, np.pi / 2, _TURNS, endpoint=False)
        return [
            np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in angles.tolist()
        ]
    return [np.linalg.qr(draw.normal(size=(dimensions,) * 2))[0] for _ in range(_TURNS)]
