"""Every foreign byte of a collection, before and after.

In: a plain client and the name of a collection. Out: ``{(partition, key): row}``, where ``row`` is
canonical bytes of all fields that are not ours. Promise: two rows have equal bytes only if every
field, dynamic keys included, has the same presence, type and value; it reads with nothing but
pymilvus, and shares no code with the product.

    before = snapshot(client, "docs")
    ...
    assert diff(before, snapshot(client, "docs")) == []
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from pymilvus import DataType, MilvusClient

OURS = (
    "cluster_id",
    "cluster_probability",
    "cluster_outlier_score",
    "cluster_run_id",
    "cluster_assignment",
    "cluster_path",
    "cluster_duplicate_of",
)
WHOLE = "*"
"""Stands for the partition where the server spreads rows itself by a partition key."""

LIMIT = 16384
"""The most rows that a server returns in one answer."""

Snapshot = dict[tuple[str, Any], bytes]


def snapshot(client: MilvusClient, collection: str, exclude: Iterable[str] = OURS) -> Snapshot:
    """All rows, each once per partition that holds it."""
    skipped = set(exclude)
    return {(place, key): encode(row, skipped) for place, key, row in rows_of(client, collection)}


def labels(client: MilvusClient, collection: str) -> Snapshot:
    """The other way round: our fields alone, of every row; null is as good as absent."""
    return {
        (place, key): encode({n: v for n, v in row.items() if n in OURS and v is not None})
        for place, key, row in rows_of(client, collection)
    }


def rows_of(client: MilvusClient, collection: str) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """Partition, key and fields of every row."""
    description = client.describe_collection(collection)
    key = next(f for f in description["fields"] if f.get("is_primary"))
    spread = any(f.get("is_partition_key") for f in description["fields"])
    arrays = any(f["type"] == DataType.ARRAY for f in description["fields"])
    twice = arrays and "lite" not in client.get_server_version()
    places = [WHOLE] if spread else client.list_partitions(collection)
    for place in places:
        within = {} if place == WHOLE else {"partition_names": [place]}
        for row in _rows(client, collection, key, within, twice=twice):
            yield place, row[key["name"]], row


def _rows(
    client: MilvusClient,
    collection: str,
    key: Mapping[str, Any],
    within: Mapping[str, Any],
    *,
    twice: bool,
) -> Iterator[Mapping[str, Any]]:
    """All rows of a partition, by ranges of keys that fit into one answer each.

    Every query has a limit: without one, 2.3.5 loses a row for every duplicate key. No order is
    relied upon: only an iterator of Lite sorts.
    """
    strong = {"consistency_level": "Strong", **within}
    ranges: list[tuple[int, int]] = [(-(2**63), 2**63 - 1)]
    while ranges:
        low, high = ranges.pop()
        chosen = _between(key, low, high)
        counted = client.query(collection, filter=chosen, output_fields=["count(*)"], **strong)
        if counted[0]["count(*)"] <= LIMIT:
            yield from _answer(client, collection, chosen, strong, twice=twice)
        elif key["type"] == DataType.VARCHAR:
            raise ValueError(f"a snapshot takes {LIMIT} rows per partition where keys are strings")
        else:
            middle = (low + high) // 2
            ranges += [(middle + 1, high), (low, middle)]


def _answer(
    client: MilvusClient, collection: str, chosen: str, strong: Mapping[str, Any], *, twice: bool
) -> list[Mapping[str, Any]]:
    """The rows of one answer; read ``twice``, without another row's arrays.

    2.3.5 mixes those up while it shows rows twice, as they were and as they are; that they are the
    same before and after each was counted once says that it did not. Where keys are double, it
    always does: then what is read last is as good as any.
    """
    fields = {"filter": chosen, "output_fields": ["*"], "limit": LIMIT, **strong}
    rows = client.query(collection, **fields)
    for pause in (0.1, 0.2, 0.4, 0.8) if twice else ():
        before = rows
        counted = client.query(collection, filter=chosen, output_fields=["count(*)"], **strong)
        rows = client.query(collection, **fields)
        same = sorted(map(encode, before)) == sorted(map(encode, rows))
        if same and counted[0]["count(*)"] == len(rows):
            break
        time.sleep(pause)
    return list(rows)


def structure(client: MilvusClient, collection: str, exclude: Iterable[str] = OURS) -> str:
    """What a collection is beside its rows: foreign fields, indexes, partitions, aliases, state."""
    description = client.describe_collection(collection)
    skipped = set(exclude)
    fields = [
        {n: v for n, v in field.items() if n != "field_id"}
        for field in description["fields"]
        if field["name"] not in skipped
    ]
    indexes = [client.describe_index(collection, name) for name in client.list_indexes(collection)]
    stable = ("field_name", "index_name", "index_type", "metric_type", "params", "M", "nlist")
    told = {
        "fields": fields,
        "dynamic": description["enable_dynamic_field"],
        "indexes": [
            {name: index[name] for name in stable if name in index}
            for index in indexes
            if index["field_name"] not in skipped
        ],
        "partitions": sorted(client.list_partitions(collection)),
        "aliases": sorted(client.list_aliases(collection).get("aliases", [])),
        "state": str(client.get_load_state(collection)["state"]),
    }
    return json.dumps(told, sort_keys=True, default=str, indent=1)


def diff(before: Mapping[Any, bytes], after: Mapping[Any, bytes]) -> list[str]:
    """What differs, one readable line each; empty if nothing does."""
    lines = [f"row {where} is gone" for where in before if where not in after]
    lines += [f"row {where} appeared" for where in after if where not in before]
    for where, was in before.items():
        now = after.get(where, was)
        if now != was:
            lines += [f"row {where}: {change}" for change in _changes(was, now)]
    return lines


def encode(row: Mapping[str, Any], exclude: Iterable[str] = ()) -> bytes:
    """One line per field, ``name TAB type-tagged value``, names ascending."""
    skipped = set(exclude)
    lines = sorted(
        f"{json.dumps(name)}\t{_tagged(value)}"
        for name, value in row.items()
        if name not in skipped
    )
    return "\n".join(lines).encode()


def _tagged(value: Any) -> str:
    """Value and type: 1, 1.0, True and "1" differ, and so do 0.0 and -0.0."""
    match value:
        case None:
            return "null"
        case bool():
            return f"bool {value}"
        case int():
            return f"int {value}"
        case float() | np.floating():
            return f"float {float(value)!r} {struct.pack('<d', value).hex()}"
        case str():
            return f"str {json.dumps(value)}"
        case bytes():
            return f"bytes {value.hex()}"
        case Mapping():
            members = (f"{json.dumps(k)}: {_tagged(v)}" for k, v in sorted(value.items()))
            return f"{{{', '.join(members)}}}"
        case np.ndarray():
            return f"array {value.dtype} {value.tobytes().hex()}"
        case _:
            return f"[{', '.join(_tagged(item) for item in value)}]"


def _changes(was: bytes, now: bytes) -> list[str]:
    old, new = _fields(was), _fields(now)
    names = sorted(old.keys() | new.keys())
    return [
        f"{name} was {_short(old.get(name))}, is {_short(new.get(name))}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def _fields(row: bytes) -> dict[str, str]:
    return dict(line.split("\t", 1) for line in row.decode().split("\n") if line)


def _short(value: str | None) -> str:
    if value is None:
        return "absent"
    return value if len(value) <= 120 else value[:117] + "..."


def _between(key: Mapping[str, Any], low: int, high: int) -> str:
    """A filter on a range of keys; the least INT64 cannot be written down on 2.3.5."""
    name = key["name"]
    if key["type"] == DataType.VARCHAR:
        return f'{name} >= ""'
    lowest = "" if low == -(2**63) else f"{name} >= {low} and "
    return f"{lowest}{name} <= {high}"
