"""One clusterer on vectors in a file, in a Python of its own that has it.

In: a .npy of vectors, how many of its rows, who. Out: one line of JSON: seconds from vectors to
labels, clusters, noise. Vectors are loaded, and a small set is clustered, before the clock runs.

    python scripts/_bench/scale_child.py vectors.npy 200000 EVoC
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

MIN_CLUSTER_SIZE, MIN_SAMPLES, K, FEW = 15, 5, 50, 16


def evoc(vectors: Any) -> Any:
    from evoc import EVoC

    return EVoC(random_state=42).fit_predict(vectors)


def fast_hdbscan(vectors: Any) -> Any:
    from fast_hdbscan import HDBSCAN

    return HDBSCAN(min_cluster_size=MIN_CLUSTER_SIZE, min_samples=MIN_SAMPLES).fit_predict(vectors)


def vdbcluster(method: str, n_neighbors: int = K) -> Callable[[Any], Any]:
    def run(vectors: Any) -> Any:
        import vdbcluster as ours

        graph = ours.neighbors(vectors, n_neighbors=n_neighbors, metric="chord")
        return ours.cluster(graph, method=method).labels

    return run


WHO: dict[str, Callable[[Any], Any]] = {
    "vdbcluster hdbscan": vdbcluster("hdbscan"),
    "vdbcluster hdbscan, 16 neighbours": vdbcluster("hdbscan", FEW),
    "vdbcluster auto": vdbcluster("auto"),
    "EVoC": evoc,
    "fast_hdbscan": fast_hdbscan,
}


def main() -> None:
    path, rows, who = sys.argv[1:4]
    vectors = np.array(np.load(path, mmap_mode="r")[: int(rows)])
    WHO[who](vectors[:3000])
    start = time.perf_counter()
    labels = np.asarray(WHO[who](vectors))
    seconds = time.perf_counter() - start
    told = {"seconds": round(seconds, 2), "clusters": int(labels.max()) + 1}
    print(json.dumps(told | {"noise": round(float((labels < 0).mean()), 4)}), flush=True)


if __name__ == "__main__":
    main()
