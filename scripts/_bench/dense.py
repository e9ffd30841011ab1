"""The dense recipe as it is commonly written: what the product is compared with.

Pages of ten rows by the client's iterator, one search call a page, a dense float64 matrix filled
with infinity, symmetrised by minimum, ``hdbscan`` with ``metric="precomputed"``, then whole rows
with their labels upserted page by page. One line of JSON for each second and each stage, so that
a run that is stopped by its time limit tells how far it came.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

PAGE = 10
LABEL, PROBABILITY, OUTLIER = "cluster_id", "cluster_probability", "cluster_outlier_score"


class Watch:
    """Says where it is, once a second, and how long each stage took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._told = self._start = time.perf_counter()

    def at(self, stage: str, rows: int) -> None:
        now = time.perf_counter()
        if now - self._told > 1:
            self._told = now
            print(json.dumps({"at": stage, "rows": rows, "seconds": self.seconds}), flush=True)

    def done(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._start, 3)
        self._start = now
        print(json.dumps({"at": stage, "seconds": self.seconds}), flush=True)


def dense_recipe(
    uri: str, name: str, n: int, k: int, min_cluster_size: int, min_samples: int
) -> dict[str, Any]:
    """Run it all; the last line printed is the result."""
    import hdbscan
    from pymilvus import MilvusClient

    watch = Watch()
    client = MilvusClient(uri)
    client.load_collection(name)
    watch.done("start")
    rows, matrix = _read_and_search(client, name, n, k, watch)
    watch.done("read and search")
    np.minimum(matrix, matrix.T, out=matrix)
    np.fill_diagonal(matrix, 0.0)
    watch.done("symmetrise")
    model = hdbscan.HDBSCAN(
        metric="precomputed", min_cluster_size=min_cluster_size, min_samples=min_samples
    ).fit(matrix)
    scores = np.nan_to_num(model.outlier_scores_)
    watch.done("hdbscan")
    for start in range(0, len(rows), PAGE):
        page = slice(start, start + PAGE)
        labels = zip(model.labels_[page], model.probabilities_[page], scores[page], strict=True)
        data = [
            row | {LABEL: int(label), PROBABILITY: float(p), OUTLIER: float(score)}
            for row, (label, p, score) in zip(rows[page], labels, strict=True)
        ]
        client.upsert(name, data)
        watch.at("write", start)
    client.flush(name)
    watch.done("write")
    return {"seconds": watch.seconds, "clusters": int(model.labels_.max()) + 1}


def _read_and_search(
    client: Any, name: str, n: int, k: int, watch: Watch
) -> tuple[list[dict[str, Any]], Any]:
    rows: list[dict[str, Any]] = []
    matrix = np.full((n, n), np.inf)
    iterator = client.query_iterator(
        name, batch_size=PAGE, filter="id >= 0", output_fields=["id", "vector", "title"]
    )
    while page := iterator.next():
        found = client.search(
            name,
            data=[row["vector"] for row in page],
            anns_field="vector",
            limit=k + 1,
            search_params={"metric_type": "COSINE", "params": {"ef": 165}},
            output_fields=["id"],
        )
        for row, hits in zip(page, found, strict=True):
            for hit in hits:
                cosine = min(1.0, hit["distance"])
                matrix[row["id"], hit["id"]] = (2 - 2 * cosine) ** 0.5
        rows += [dict(row) for row in page]
        watch.at("read and search", len(rows))
    iterator.close()
    return rows, matrix
