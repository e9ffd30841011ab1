"""Articles of the BBC in a collection: those that are there twice, and some others.

In: a plain client, a name. Out: the rows as they were inserted, by key.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pymilvus import DataType, MilvusClient

from tests.data import embeddings, table

OTHERS = 240


def articles() -> list[dict[str, Any]]:
    """Rows with the key ``id`` as text, ``text`` and ``vec``, the copies among them."""
    frame = table("bbc2225.parquet")
    vectors = embeddings("bbc2225.minilm-l6-int8.384.f16.npy")
    twice = frame["text"].duplicated(keep=False).to_numpy()
    rows = np.union1d(np.flatnonzero(twice), np.flatnonzero(~twice)[:OTHERS])
    texts = frame["text"].to_numpy()
    return [
        {"id": f"a'{row:04d}", "text": texts[row][:4000], "vec": vectors[row].tolist()}
        for row in rows.tolist()
    ]


def fill(client: MilvusClient, name: str) -> dict[str, dict[str, Any]]:
    """Make the collection; the text is a dynamic key, which is found if it is named."""
    rows = articles()
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=100)
    schema.add_field("vec", DataType.FLOAT_VECTOR, dim=len(rows[0]["vec"]))
    index = client.prepare_index_params()
    index.add_index("vec", index_type="FLAT", metric_type="COSINE")
    client.create_collection(name, schema=schema, index_params=index)
    for start in range(0, len(rows), 200):
        client.insert(name, rows[start : start + 200])
    client.flush(name)
    client.load_collection(name)
    return {row["id"]: row for row in rows}
