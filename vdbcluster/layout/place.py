"""Places of rows by those of their neighbours.

In: neighbours of rows, places of some rows. Out: places of the others.
Promise: no row is moved that has a place; a row between two groups goes to the one that more and
nearer neighbours are in, never into the void between; deterministic; O(n k) for each step away from
rows with a place.

Neighbours count by nearness, as in UMAP: ``exp(-(d - nearest) / spread)``. The place is the mean of
the neighbours around the one that has most of them near by (a step of mean shift, Comaniciu and
Meer 2002, from the best of the neighbours).
"""

from __future__ import annotations

import numpy as np

from vdbcluster.layout.align import placed, radius
from vdbcluster.model.arrays import Float32Array, Float64Array, Int32Array, Int64Array

BAND = 0.05
"""How far places that are one spot are apart, of the radius of the map."""
_BLOCK = 512


def place(indices: Int32Array, distances: Float32Array, places: Float32Array) -> Float32Array:
    """The places ``(n, d) float32`` of all rows.

    ``indices``, ``distances (n, k)``: neighbour lists of all rows, -1 and +inf for padding; those
    of rows that have a place are not looked at. ``places (n, d)``: NaN for rows to be placed; who
    has no neighbour with a place, nor one that gets one, keeps NaN.
    """
    found = places.astype(np.float32)
    band = BAND * radius(places)
    left = np.flatnonzero(~placed(found))
    while left.size:
        known = np.append(placed(found), False)  # the last is for padding
        ready = left[known[indices[left]].any(axis=1)]
        if not ready.size:
            break
        new = [
            _spots(indices[rows], distances[rows], found, band)
            for rows in np.split(ready, range(_BLOCK, len(ready), _BLOCK))
        ]
        found[ready] = np.concatenate(new)
        left = np.setdiff1d(left, ready, assume_unique=True)
    return found


def placed_new(
    indices: Int32Array, distances: Float32Array, places: Float32Array, first: int
) -> Float32Array:
    """Places ``(m, d)`` of m new rows.

    ``indices``, ``distances (m, k)``: into ``places (n, d)``, from ``first`` on into the new rows,
    behind these for rows that nobody knows; see ``model.assign.Surroundings``.
    """
    m, k = indices.shape
    own = np.full((first + m, places.shape[1]), np.nan, np.float32)
    own[:first] = places[:first]
    lists = np.full((first + m, k), -1, np.int32)
    lists[first:] = np.where(indices < first + m, indices, -1)
    apart = np.full((first + m, k), np.inf, np.float32)
    apart[first:] = np.where(lists[first:] >= 0, distances, np.inf)
    return place(lists, apart, own)[first:]


def _spots(
    indices: Int32Array, distances: Float32Array, places: Float32Array, band: float
) -> Float64Array:
    """Of rows that have a neighbour with a place each, ``(m, d)``."""
    at: Float64Array = places[indices].astype(np.float64)
    there = np.isfinite(at).all(axis=2) & (indices >= 0)
    weight = _weights(distances, there)
    at[~there] = 0.0
    gaps = ((at[:, :, None] - at[:, None]) ** 2).sum(axis=3)
    near = np.exp(-gaps / (2 * band**2)) if band > 0 else (gaps == 0).astype(np.float64)
    near *= weight[:, None]
    crowd = np.where(there, near.sum(axis=2), -1.0)
    best: Int64Array = np.argmax(crowd, axis=1)  # the nearest of equals
    share = near[np.arange(len(at)), best]
    share /= share.sum(axis=1, keepdims=True)
    spots: Float64Array = np.einsum("mk,mkd->md", share, at)
    return spots


def _weights(distances: Float32Array, there: np.ndarray) -> Float64Array:
    """``(m, k)``, the nearest that counts has 1, and those that do not count have 0."""
    apart = np.where(there, distances, np.nan).astype(np.float64)
    nearest = np.nanmin(apart, axis=1, keepdims=True)
    beyond = apart - nearest
    spread = np.nanmean(beyond, axis=1, keepdims=True)
    scaled = np.divide(beyond, spread, out=np.zeros_like(beyond), where=spread > 0)
    return np.where(there, np.exp(-scaled), 0.0)
