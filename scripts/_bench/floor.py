"""The floor: the neighbours of all rows, found by the engine that the product used, no more.

In: vectors in memory. Out: seconds of the search alone; connecting, loading and making the vectors
are not counted. Locally it is the product's faiss search; on a server, plain client calls of 500
vectors, two at a time, with the product's effort.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from scripts._bench.vectors import vectors

CALL, THREADS = 500, 2


def local_floor(n: int, k: int, seed: int) -> dict[str, Any]:
    """All rows through ``LocalNeighbors``, index built on the way."""
    from vdbcluster.adapters.local_neighbors import LocalNeighbors

    points = vectors(n, seed)
    start = time.perf_counter()
    search = LocalNeighbors(points, "chord", threads=THREADS)
    for first in range(0, n, 4096):
        search.search(np.arange(first, min(first + 4096, n)), k)
    return {"seconds": round(time.perf_counter() - start, 3), "engine": search.description}


def server_floor(uri: str, name: str, n: int, k: int, seed: int) -> dict[str, Any]:
    """All rows through ``MilvusClient.search``."""
    from pymilvus import MilvusClient

    from vdbcluster.adapters.milvus.effort import search_params
    from vdbcluster.model.collection import VectorField

    points = vectors(n, seed)
    client = MilvusClient(uri)
    field = VectorField("vector", "FLOAT_VECTOR", points.shape[1], "COSINE", "HNSW", {})
    params = search_params(field, k + 5, "medium")

    def call(start: int) -> int:
        found = client.search(
            name,
            data=list(points[start : start + CALL]),
            anns_field="vector",
            limit=k + 1,
            search_params={"metric_type": "COSINE", "params": params},
            consistency_level="Bounded",
        )
        return sum(len(hits) for hits in found)

    call(0)
    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        hits = sum(pool.map(call, range(0, n, CALL)))
    seconds = round(time.perf_counter() - start, 3)
    return {"seconds": seconds, "engine": f"HNSW {params}", "hits": hits}
