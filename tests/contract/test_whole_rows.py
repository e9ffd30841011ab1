"""Whole rows as they are read to be sent back: a row's arrays are its own, or nothing is read.

The server is made to hold rows twice: inserted, flushed, and inserted anew. 2.3.5 then mixes up
their arrays where it comes upon the older row first, which differs from one collection to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from tests.backends import Backend
from vdbcluster.adapters.milvus.client import MilvusAddress
from vdbcluster.adapters.milvus.client import connect as opened
from vdbcluster.adapters.milvus.profile import profile
from vdbcluster.adapters.milvus.writeback import whole
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.errors import BackendError

ROWS = 40


def _make(client: MilvusClient, name: str) -> None:
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    numbers = {"element_type": DataType.INT64, "max_capacity": 4}
    schema.add_field("numbers", DataType.ARRAY, **numbers)
    schema.add_field("turn", DataType.INT64)
    client.create_collection(name, schema=schema)
    index = client.prepare_index_params()
    index.add_index("vector", metric_type="L2", index_type="FLAT")
    client.create_index(name, index)
    client.load_collection(name)


def _insert(client: MilvusClient, name: str, turn: int) -> None:
    rows = [
        {"id": i, "vector": [float(i)] * 4, "numbers": [i, turn], "turn": turn} for i in range(ROWS)
    ]
    client.insert(name, rows)


def _read(backend: Backend, name: str) -> list[tuple[int, list[int], int]]:
    """Key, array and number of each row."""
    with opened(MilvusAddress(backend.uri)) as connection:
        target = Target(connection, profile(connection, name))

        def call(client: Any, limit: float) -> list[Any]:
            return whole.whole_rows(client, limit, target, np.arange(ROWS), "_default")

        columns = {column.field_name: column.scalars for column in connection.raw(call)}
    arrays = [list(cell.long_data.data) for cell in columns["numbers"].array_data.data]
    numbers = (columns["id"].long_data.data, columns["turn"].long_data.data)
    return list(zip(numbers[0], arrays, numbers[1], strict=True))


def _right(turn: int) -> list[tuple[int, list[int], int]]:
    return [(i, [i, turn], turn) for i in range(ROWS)]


def test_rows_that_are_there_once_are_read_as_they_are(
    backend: Backend, client: MilvusClient, collection_name: str
) -> None:
    _make(client, collection_name)
    _insert(client, collection_name, 1)
    if backend.name == "lite-file":
        client.close()
    assert sorted(_read(backend, collection_name)) == _right(1)


@pytest.mark.server
def test_rows_that_are_there_twice_are_not_read_with_the_arrays_of_others(
    real_server: Backend,
    connect: Callable[[Backend], MilvusClient],
    collection_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(whole, "PAUSES", (0.01, 0.01))
    client = connect(real_server)
    _make(client, collection_name)
    for turn in (1, 2):
        _insert(client, collection_name, turn)
        client.flush(collection_name)

    with pytest.raises(BackendError, match="the server holds them twice"):
        _read(real_server, collection_name)
    client.drop_collection(collection_name)
