"""A collection of nothing but an ``id`` and a ``vector``, as the tests on real sets use it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pymilvus import DataType, MilvusClient

HNSW = {"M": 16, "efConstruction": 100}
ROWS = 4000
"""Inserted at once."""


def create(client: MilvusClient, name: str, dim: int, index: str = "FLAT") -> None:
    """Empty, searched by cosine. FLAT finds the same neighbours however often it is asked."""
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    indexes = client.prepare_index_params()
    options = HNSW if index == "HNSW" else {}
    indexes.add_index("vector", index_type=index, metric_type="COSINE", params=options)
    client.create_collection(name, schema=schema, index_params=indexes)


def insert(client: MilvusClient, name: str, vectors: NDArray[np.float32], first: int = 0) -> None:
    """Rows with ids from ``first`` on, flushed."""
    for start in range(0, len(vectors), ROWS):
        part = vectors[start : start + ROWS].tolist()
        client.insert(name, [{"id": first + start + i, "vector": v} for i, v in enumerate(part)])
    client.flush(name)
