"""A Lite collection with more fields, in the place of the old one.

In: the collection's name, its schema, new nullable fields, and ``call``, which asks Lite. Out:
nothing; the collection then has the fields, null in every row. Promise: rows, partitions, indexes,
aliases and load state are as before. This is how the emulation adds fields, which Lite cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

from tests.emulation import wire

Call = Callable[[str, Any], Any]
HASHED = "_pk_"
"""How Lite calls the partitions that it spreads rows over by a partition key."""


def rebuild(db: str, name: str, schema: Any, fields: Sequence[Any], call: Call) -> None:
    """Copy the collection into one with the fields, and swap them."""
    new = f"{name}__rebuilt"
    where = {"db_name": db, "collection_name": name}
    state = call("GetLoadState", milvus_pb2.GetLoadStateRequest(**where)).state
    loaded = state == common_pb2.LoadStateLoaded
    if not loaded:
        wire.check(call("LoadCollection", milvus_pb2.LoadCollectionRequest(**where)))
    partitions = _partitions(where, call)
    _create(db, new, schema, fields, partitions, call)
    for partition in partitions:
        _copy(where, new, schema, partition, call)
    _index(where, new, call)
    aliases = call("ListAliases", milvus_pb2.ListAliasesRequest(**where)).aliases
    wire.check(call("DropCollection", milvus_pb2.DropCollectionRequest(**where)))
    rename = milvus_pb2.RenameCollectionRequest(db_name=db, oldName=new, newName=name)
    wire.check(call("RenameCollection", rename))
    if loaded:
        wire.check(call("LoadCollection", milvus_pb2.LoadCollectionRequest(**where)))
    for alias in aliases:
        wire.check(call("CreateAlias", milvus_pb2.CreateAliasRequest(alias=alias, **where)))


def _partitions(where: dict[str, str], call: Call) -> list[str]:
    answer = wire.check(call("ShowPartitions", milvus_pb2.ShowPartitionsRequest(**where)))
    return list(answer.partition_names)


def _create(
    db: str, new: str, schema: Any, fields: Sequence[Any], partitions: list[str], call: Call
) -> None:
    wider = schema_pb2.CollectionSchema()
    wider.CopyFrom(schema)
    wider.name = new
    last = max(field.fieldID for field in wider.fields)
    for number, field in enumerate(fields, start=last + 1):
        wider.fields.add().CopyFrom(field)
        wider.fields[-1].fieldID = number
    hashed = [name for name in partitions if name.startswith(HASHED)]
    request = milvus_pb2.CreateCollectionRequest(
        db_name=db,
        collection_name=new,
        schema=wider.SerializeToString(),
        num_partitions=len(hashed),
        properties=schema.properties,
    )
    wire.check(call("CreateCollection", request))
    for name in set(partitions) - set(hashed) - {"_default"}:
        made = milvus_pb2.CreatePartitionRequest(
            db_name=db, collection_name=new, partition_name=name
        )
        wire.check(call("CreatePartition", made))


def _copy(where: dict[str, str], new: str, schema: Any, partition: str, call: Call) -> None:
    key = wire.key_field(schema)
    everything = (
        f'{key.name} >= ""'
        if key.data_type == schema_pb2.VarChar
        else f"{key.name} < 0 or {key.name} >= 0"
    )
    question = milvus_pb2.QueryRequest(
        **where, expr=everything, output_fields=["*"], partition_names=[partition]
    )
    found = wire.check(call("Query", question))
    rows = len(wire.values(wire.column(found.fields_data, key.name)))
    if not rows:
        return
    hashed = partition.startswith(HASHED)
    request = milvus_pb2.InsertRequest(
        db_name=where["db_name"],
        collection_name=new,
        partition_name="" if hashed else partition,
        num_rows=rows,
        fields_data=found.fields_data,
    )
    wire.check(call("Insert", request))


def _index(where: dict[str, str], new: str, call: Call) -> None:
    answer = call("DescribeIndex", milvus_pb2.DescribeIndexRequest(**where))
    for index in answer.index_descriptions:
        request = milvus_pb2.CreateIndexRequest(
            db_name=where["db_name"],
            collection_name=new,
            field_name=index.field_name,
            index_name=index.index_name,
            extra_params=index.params,
        )
        wire.check(call("CreateIndex", request))
