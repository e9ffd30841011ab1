"""Load the compiled kernels before they are needed.

In: the disk cache. Out: ``build``, ``extract`` and ``certify`` with default settings begin at once.
Promise: nothing is compiled; where the cache does not hold a kernel, nothing is done.

The compiler takes half a second to import and to look around before it loads the first kernel.
Whoever waits for neighbours meanwhile, which are found without the interpreter, does it then.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.hierarchy.certificate import certify
from vdbcluster.hierarchy.engine import build, is_compiled
from vdbcluster.hierarchy.extraction import extract
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams

_ROWS, _NEIGHBORS = 16, 4


def warm_up() -> None:
    """Cluster a few points on a line, if that needs no compilation."""
    if not is_compiled():
        return
    points = np.arange(_ROWS, dtype=np.float32)
    apart = np.abs(points[:, None] - points)
    nearest = np.argsort(apart, axis=1, kind="stable")[:, 1 : _NEIGHBORS + 1]
    graph = NeighborGraph(
        nearest.astype(np.int32), np.take_along_axis(apart, nearest, axis=1), "euclidean"
    )
    params = HdbscanParams(min_cluster_size=2, min_samples=2)
    hierarchy = build(graph, params)
    extract(hierarchy, params)
    certify(hierarchy, graph)
