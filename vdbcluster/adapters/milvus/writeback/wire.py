"""Rows by Milvus' wire protocol, past the client's encoding and decoding.

In: a ``MilvusClient``, a ``Target``, keys. Out: columns (``FieldData``) as the server sent them.
Promise: errors are the client's own kinds. The client offers no public way to get a row back
undecoded, nor to send columns, so its stub is borrowed: a private attribute, held here alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from vdbcluster.adapters.milvus.expressions import key_in
from vdbcluster.adapters.milvus.writeback.target import MAX_ANSWER, Target
from vdbcluster.errors import BackendError
from vdbcluster.model.arrays import Keys


def query_columns(
    client: Any,
    limit: float,
    target: Target,
    keys: Keys,
    partition: str,
    consistency: str = "Strong",
) -> list[Any]:
    """All fields of the rows that have these keys; [] if there are none.

    Arrays of 2.3 can be another row's: to send rows back, read them by ``whole.whole_rows``.
    """
    from pymilvus.client.utils import check_status
    from pymilvus.grpc_gen import common_pb2, milvus_pb2

    request = milvus_pb2.QueryRequest(
        db_name=target.milvus.address.database,
        collection_name=target.name,
        expr=key_in(target.key, keys),
        output_fields=["*"],
        partition_names=target.among(partition),
        consistency_level=common_pb2.ConsistencyLevel.Value(consistency),
        query_params=[common_pb2.KeyValuePair(key="limit", value=str(MAX_ANSWER))],
    )
    answer = _stub(client).Query(request, timeout=limit)
    check_status(answer.status)
    return list(answer.fields_data)


def upsert_columns(
    client: Any, limit: float, target: Target, columns: Sequence[Any], rows: int, partition: str
) -> None:
    """Upsert whole rows, in the partition where they are."""
    place = target.placement(partition)
    send_columns(client, limit, target.milvus.address.database, target.name, columns, rows, place)


def send_columns(
    client: Any,
    limit: float,
    database: str,
    collection: str,
    columns: Sequence[Any],
    rows: int,
    place: Mapping[str, str] = MappingProxyType({}),
    *,
    partial: bool = False,
) -> int:
    """Upsert ``columns`` of ``rows`` values each; ``place`` may name a partition.

    ``partial``: of rows that exist, fields that are not among the columns stay, on servers that can
    do that. How many rows the server says that it has stored.
    """
    from pymilvus.client.utils import check_status
    from pymilvus.grpc_gen import milvus_pb2

    request = milvus_pb2.UpsertRequest(
        db_name=database,
        collection_name=collection,
        fields_data=columns,
        num_rows=rows,
        partial_update=partial,
        **place,
    )
    answer = _stub(client).Upsert(request, timeout=limit)
    check_status(answer.status)
    return int(answer.upsert_cnt)


def insert_columns(
    client: Any, limit: float, database: str, collection: str, columns: Sequence[Any], rows: int
) -> int:
    """Insert ``columns``, in one attempt: the client's own call repeats itself after a lost answer.

    How many rows the server says that it has stored.
    """
    from pymilvus.client.utils import check_status
    from pymilvus.grpc_gen import milvus_pb2

    request = milvus_pb2.InsertRequest(
        db_name=database, collection_name=collection, fields_data=columns, num_rows=rows
    )
    answer = _stub(client).Insert(request, timeout=limit)
    check_status(answer.status)
    return int(answer.insert_cnt)


def sends_columns(client: Any) -> bool:
    """Whether this version of pymilvus keeps its connection where it is looked for."""
    return hasattr(client, "_get_connection") and hasattr(client._get_connection(), "_stub")


def _stub(client: Any) -> Any:
    try:
        return client._get_connection()._stub
    except AttributeError as error:
        raise BackendError(
            "this version of pymilvus keeps its connection elsewhere, so rows cannot be resent "
            "unchanged; use --way side-collection"
        ) from error
