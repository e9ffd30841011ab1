"""Run once while the image is built: cluster a few vectors, so that the engine lies compiled.

In: ``NUMBA_CACHE_DIR``. Out: the cache of every kernel that a run with the usual settings calls.
Promise: an image in which a library cannot be loaded is not built.

The cache is for the processor that compiled it: on another kind the first run compiles once more.
"""

from __future__ import annotations

import numpy as np

import vdbcluster
from vdbcluster.hierarchy import warm_up

_ROWS, _WIDTH = 600, 16


def main() -> None:
    """Cluster by both families of methods; four groups in so many dimensions are found by each."""
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(_ROWS, _WIDTH)).astype(np.float32)
    vectors[np.arange(_ROWS), np.arange(_ROWS) % 4] += 12
    graph = vdbcluster.neighbors(vectors, n_neighbors=20, metric="euclidean")
    for method in ("auto", "hdbscan"):
        found = vdbcluster.cluster(graph, method=method).n_clusters
        if found != 4:
            raise SystemExit(f"{method} found {found} clusters where there are 4")
    warm_up()  # and the certificate of plain HDBSCAN


if __name__ == "__main__":
    main()
