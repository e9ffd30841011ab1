"""A collection whose rows know their class: four clear blobs, dust between them.

In: a client, a name. Out: keys, vectors and classes by key. Rows of dust have no class; the field
``tags`` holds lists.
"""

from __future__ import annotations

import numpy as np
from pymilvus import MilvusClient

from tests.integration.docs import make_empty

DIM, EACH, DUST = 8, 50, 30
CLASSES = ("ale", "rum", "tea", "mud")
ROWS = EACH * len(CLASSES) + DUST


def fill_labelled(client: MilvusClient, name: str, metric: str = "L2") -> None:
    """Keys 0 to ROWS - 1; the last ``DUST`` rows are dust."""
    make_empty(client, name, DIM, metric)
    rng = np.random.default_rng(5)
    centers = 6 * np.eye(DIM)[: len(CLASSES)]
    blobs = [rng.normal(center, 0.4, (EACH, DIM)) for center in centers]
    vectors = np.concatenate([*blobs, rng.uniform(-8, 12, (DUST, DIM))]).astype(np.float32)
    rows = [{"id": i, "vector": v, "tags": ["a"]} for i, v in enumerate(vectors)]
    for i, row in enumerate(rows[:-DUST]):
        row["kind"] = CLASSES[i // EACH]
    client.insert(name, rows)
    client.load_collection(name)
