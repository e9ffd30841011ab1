"""Collections for the contract tests, made with a plain client.

In: a client and a ``Shape``. Out: a loaded collection with one row for each key; row ``i`` has the
vector ``vectors[i]``, the number ``n = i`` and the text ``text-i``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pymilvus import DataType, MilvusClient

from tests.backends import Backend
from vdbcluster.adapters.milvus.client import MilvusAddress, MilvusConnection, connect

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

INT64_KEYS = (INT64_MIN, INT64_MIN + 1, -(2**40), -17, -1, 0, 1, 5, 2**31, INT64_MAX - 1)
VARCHAR_KEYS = (
    *("", " ", '"', "'", "\\", "\\\\", "\\n", "\n", "\r", "\t", "\x00", "\x01", "\x1b", "\x7f"),
    *("a", "A", "a\"b'c\\d\ne", 'end\\"', "x'", "\\u0041", "%", "_", "{k}", "$meta", "or 1 == 1"),
    *("é", "e\u0301", "日本語", "\u2028", "\ufeff", "\ud7ff", "😀", "\U0010ffff", "k" * 900),
)


@dataclass(frozen=True)
class Shape:
    """``partitions``: rows go to them in turn; ``partition_key``: by the field ``part``."""

    keys: Sequence[Any]
    vectors: np.ndarray
    metric: str = "L2"
    index: str = "FLAT"
    index_params: dict[str, Any] = field(default_factory=dict)
    type: DataType = DataType.FLOAT_VECTOR
    partitions: tuple[str, ...] = ()
    partition_key: bool = False
    dynamic: bool = False


def connection_to(backend: Backend) -> MilvusConnection:
    return connect(MilvusAddress(backend.uri, backend.token))


def some_vectors(rows: int, dim: int = 4) -> np.ndarray:
    vectors = np.random.default_rng(7).normal(size=(rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make(client: MilvusClient, name: str, shape: Shape) -> None:
    """Create, index, load and fill ``name``; every row is visible when this returns."""
    dim = shape.vectors.shape[1] * (8 if shape.type == DataType.BINARY_VECTOR else 1)
    numbers = isinstance(shape.keys[0], int)
    schema = client.create_schema(enable_dynamic_field=shape.dynamic)
    if numbers:
        schema.add_field("key", DataType.INT64, is_primary=True)
    else:
        schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=1000)
    schema.add_field("vec", shape.type, dim=dim)
    schema.add_field("n", DataType.INT64)
    schema.add_field("text", DataType.VARCHAR, max_length=100)
    schema.add_field("part", DataType.INT64, is_partition_key=shape.partition_key)
    index = client.prepare_index_params()
    index.add_index(
        "vec", index_type=shape.index, metric_type=shape.metric, params=shape.index_params
    )
    client.create_collection(name, schema=schema, index_params=index)
    for partition in shape.partitions:
        if partition != "_default":
            client.create_partition(name, partition)
    fill(client, name, shape)
    client.query(name, "", output_fields=["count(*)"], consistency_level="Strong")


def fill(client: MilvusClient, name: str, shape: Shape) -> None:
    """Insert the rows, partition by partition, in requests of 5,000."""
    rows = [row_of(shape, i) for i in range(len(shape.keys))]
    count = max(1, len(shape.partitions))
    for number in range(count):
        mine = rows[number::count]
        where = {"partition_name": shape.partitions[number]} if shape.partitions else {}
        for start in range(0, len(mine), 5000):
            client.insert(name, mine[start : start + 5000], **where)


def row_of(shape: Shape, i: int) -> dict[str, Any]:
    vector = shape.vectors[i]
    row = {
        "key": shape.keys[i],
        "vec": vector.tobytes() if shape.type == DataType.BINARY_VECTOR else vector,
        "n": i,
        "text": f"text-{i}",
        "part": i % 3,
    }
    # A dynamic key that every other row has.
    return row | {"extra": i} if shape.dynamic and i % 2 == 0 else row
