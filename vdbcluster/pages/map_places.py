"""Where the name of a cluster stands on a map: in its midst, where it is densest.

In: places of rows, their clusters. Out: a place for each cluster. Promise: it is that of one of its
rows; the same each time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from vdbcluster.model.arrays import Float32Array, Int64Array
from vdbcluster.model.members import members_of

SAMPLE = 400
"""Rows of a cluster that are looked at."""


def stand(
    points: Float32Array, labels: Int64Array, ids: Sequence[int]
) -> dict[int, tuple[float, ...]]:
    """``points (n, 2 or 3)``, finite; ``labels (n,)``. Clusters without rows are left out.

    The row with the most rows of its cluster about it, and of those the one nearest to the middle.
    """
    place = {cluster: c for c, cluster in enumerate(ids)}
    groups = np.array([place.get(int(label), -1) for label in labels], np.int64)
    members = members_of(groups)
    return {
        cluster: tuple(float(value) for value in _densest(points[members[c]]))
        for cluster, c in place.items()
        if c < len(members) and len(members[c])
    }


def _densest(points: Float32Array) -> Float32Array:
    some = points[:: max(1, -(-len(points) // SAMPLE))].astype(np.float64)
    middle = np.median(some, axis=0)
    away = np.linalg.norm(some - middle, axis=1)
    radius = float(np.median(away)) or 1.0
    crowd = cKDTree(some).query_ball_point(some, radius, return_length=True)
    score = crowd / crowd.max() - 0.25 * away / radius
    return np.asarray(some[int(np.argmax(score))], np.float32)
