"""A small collection of Milvus Lite as a newcomer makes it: four clear clusters of 60 rows."""

from __future__ import annotations

import numpy as np
from pymilvus import DataType, MilvusClient

CLUSTERS, ROWS, DIM = 4, 240, 16


def make_docs(path: str) -> None:
    """Create ``docs`` (keys 0 to 239, ``vector``, dynamic fields) in the file at ``path``."""
    client = MilvusClient(path)
    fill_docs(client, "docs")
    client.close()


def fill_docs(client: MilvusClient, name: str, *, dynamic: bool = True) -> None:
    """The same collection under any name, on any backend."""
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 3, (CLUSTERS, DIM))
    each = ROWS // CLUSTERS
    vectors = np.concatenate([rng.normal(c, 0.4, (each, DIM)) for c in centers])
    make_empty(client, name, DIM, "COSINE", dynamic=dynamic)
    client.insert(name, [{"id": i, "vector": v} for i, v in enumerate(vectors.astype(np.float32))])


def loaded_docs(client: MilvusClient, name: str) -> None:
    """The same in place of what is there under that name, loaded."""
    if client.has_collection(name):
        client.drop_collection(name)
    fill_docs(client, name)
    client.load_collection(name)


def make_empty(
    client: MilvusClient, name: str, dim: int, metric: str, *, dynamic: bool = True
) -> None:
    """An empty collection: ``id``, ``vector`` with a FLAT index, dynamic fields; loaded."""
    schema = client.create_schema(enable_dynamic_field=dynamic)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type=metric)
    client.create_collection(name, schema=schema, index_params=index)
