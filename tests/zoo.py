"""Collections of every kind that the product must cope with.

In: a plain client, a name and a ``Specimen``. Out: the collection, filled, indexed and loaded, and
``Inserted``: what was put in. Promise: the same specimen, rows and seed give the same content; the
vectors form ``BLOBS`` clusters with 5 % of noise between them; every foreign field is odd.

    inserted = build(client, "t", by_name("partitions-int"))
    skip_unless_supported(specimen, backend)
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from pymilvus import CollectionSchema, DataType, MilvusClient

from tests import backends
from tests.backends import Backend

BLOBS = 5
DIM = 16
DEFAULT_PARTITION = "_default"
KEY, VECTOR, SECOND_VECTOR, TENANT = "pk", "vec", "vec2", "tenant"
LABEL_FIELDS = (
    "cluster_id",
    "cluster_probability",
    "cluster_outlier_score",
    "cluster_run_id",
    "cluster_assignment",
)
BLANK_LABELS = (-1, 0.0, 0.0, "", "")
_LABEL_TYPES = tuple(
    zip(LABEL_FIELDS, ("INT64", "FLOAT", "FLOAT", "VARCHAR", "VARCHAR"), strict=True)
)
INDEX_PARAMS: dict[str, dict[str, int]] = {
    "FLAT": {},
    "HNSW": {"M": 8, "efConstruction": 64},
    "IVF_FLAT": {"nlist": 8},
}


@dataclass(frozen=True)
class Specimen:
    """A kind of collection. ``declared``: the label fields are part of the schema.

    ``labels``: so many of them, the first four of which earlier versions knew.
    ``unit``: vectors of length one. ``nullable``: scalar fields (and declared label fields) may be
    null. ``duplicates``: every twentieth row is there twice, byte for byte.
    """

    name: str
    key: Literal["INT64", "VARCHAR"] = "INT64"
    auto_id: bool = False
    dynamic: bool = True
    partitions: tuple[str, ...] = ()
    partition_key: bool = False
    metric: Literal["COSINE", "IP", "L2"] = "COSINE"
    index: Literal["FLAT", "HNSW", "IVF_FLAT"] = "FLAT"
    declared: bool = False
    labels: int = len(LABEL_FIELDS)
    second_vector: bool = False
    nullable: bool = False
    duplicates: bool = False
    odd_keys: bool = False
    unit: bool = True

    def why_not(self, backend: str) -> str | None:
        """The reason why a backend of this name cannot hold the specimen, or None."""
        real = backend == backends.REAL_SERVER
        checks = (
            (real and self.second_vector, "has one vector field at most"),
            (real and self.nullable, "has no nullable fields"),
            (not real and self.duplicates, "keeps one row per key"),
            (not real and self.auto_id and self.key == "VARCHAR", "makes INT64 keys only"),
        )
        return next((f"{backend} {why}" for holds, why in checks if holds), None)


@dataclass(frozen=True, eq=False)
class Inserted:
    """Content of a specimen, one entry per distinct key in every member.

    ``rows``: the dicts as given to ``insert`` (without the key under auto id); ``blob``: the number
    of the cluster that a row was made for, -1 for noise; ``copies``: duplicates beyond that.
    """

    keys: list[Any]
    partition_of: list[str]
    vectors: NDArray[np.float32]
    blob: NDArray[np.int64]
    rows: list[dict[str, Any]]
    copies: int

    def __len__(self) -> int:
        return len(self.keys)


ZOO = [
    Specimen("plain-int"),
    Specimen("hnsw-varchar", key="VARCHAR", index="HNSW"),
    Specimen("declared-int", dynamic=False, declared=True, metric="L2", index="IVF_FLAT"),
    Specimen("declared-varchar", key="VARCHAR", dynamic=False, declared=True, metric="IP"),
    Specimen("bare-int", dynamic=False, metric="L2", index="HNSW", unit=False),
    Specimen("bare-varchar", key="VARCHAR", dynamic=False, index="IVF_FLAT"),
    Specimen("declared-dynamic", declared=True, metric="IP", index="HNSW"),
    Specimen("auto-int", auto_id=True, metric="L2", unit=False),
    Specimen("auto-varchar", key="VARCHAR", auto_id=True),
    Specimen("partitions-int", partitions=("p1", "p2", "p3"), index="HNSW"),
    Specimen("partitions-varchar", key="VARCHAR", partitions=("p1", "p2"), odd_keys=True),
    Specimen("tenants-int", partition_key=True, index="IVF_FLAT"),
    Specimen("tenants-varchar", key="VARCHAR", partition_key=True, dynamic=False, declared=True),
    Specimen("odd-int", odd_keys=True, metric="L2", unit=False),
    Specimen("odd-varchar", key="VARCHAR", odd_keys=True, metric="IP", index="HNSW"),
    Specimen("two-vectors", second_vector=True, metric="L2", unit=False),
    Specimen("nullable", nullable=True, dynamic=False, declared=True),
    Specimen("duplicates", duplicates=True, partitions=("p1",)),
]  # fmt: skip


def by_name(name: str) -> Specimen:
    return next(specimen for specimen in ZOO if specimen.name == name)


def skip_unless_supported(specimen: Specimen, backend: Backend) -> None:
    """Skip the running test, with the reason, where the backend cannot hold the specimen."""
    reason = specimen.why_not(backend.name)
    if reason is not None:
        pytest.skip(reason)


def build(
    client: MilvusClient,
    name: str,
    specimen: Specimen,
    rows: int = 300,
    seed: int = 0,
    sealed: bool = False,
) -> Inserted:
    """Create, index, load and fill a collection.

    ``sealed``: flush, so that a server searches through its index rather than by brute force over
    growing segments; this takes seconds, and servers allow it once in ten.
    """
    create(client, name, specimen)
    inserted = fill(client, name, specimen, rows, seed)
    if sealed:
        client.flush(name)
    return inserted


def create(client: MilvusClient, name: str, specimen: Specimen) -> None:
    """The empty collection with its partitions and indexes, loaded."""
    index = client.prepare_index_params()
    for field in (VECTOR, SECOND_VECTOR)[: 1 + specimen.second_vector]:
        index.add_index(
            field,
            index_type=specimen.index,
            metric_type=specimen.metric,
            params=INDEX_PARAMS[specimen.index],
        )
    client.create_collection(
        name,
        schema=_schema(specimen),
        index_params=index,
        consistency_level="Strong",
        **({"num_partitions": 4} if specimen.partition_key else {}),
    )
    for partition in specimen.partitions:
        client.create_partition(name, partition)
    client.load_collection(name)


def fill(client: MilvusClient, name: str, specimen: Specimen, rows: int, seed: int = 0) -> Inserted:
    """Insert rows of the specimen's kind, partition by partition."""
    extreme = "2.3.5" not in client.get_server_version()  # 2.3.5 never returns the key 2**63 - 1
    vectors, blob = blobs(rows, seed, specimen.unit)
    keys = make_keys(specimen, rows, extreme)
    content = [
        _row(specimen, i, keys, vectors, random.Random(seed * 10**6 + i)) for i in range(rows)
    ]
    places = (DEFAULT_PARTITION, *specimen.partitions)
    partition_of = [places[i % len(places)] for i in range(rows)]
    copies = 0
    for place in places:
        mine = [i for i in range(rows) if partition_of[i] == place]
        ids = _insert(client, name, [content[i] for i in mine], specimen, place)
        if specimen.auto_id:
            for i, key in zip(mine, ids, strict=True):
                keys[i] = key
        if specimen.duplicates:
            again = [content[i] for i in mine if i % 20 == 0]
            copies += len(again)
            _insert(client, name, again, specimen, place)
    return Inserted(keys, partition_of, vectors, blob, content, copies)


def blobs(
    rows: int, seed: int = 0, unit: bool = True
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """``vectors (rows, DIM) float32`` in ``BLOBS`` tight groups; the group of each, -1 noise."""
    rng = np.random.default_rng(seed)
    centres = 3.0 * np.linalg.qr(rng.normal(size=(DIM, DIM)))[0][:BLOBS]
    blob = rng.integers(0, BLOBS, rows)
    vectors = centres[blob] + rng.normal(scale=0.15, size=(rows, DIM))
    stray = rng.random(rows) < 0.05
    vectors[stray] = rng.normal(scale=1.5, size=(int(stray.sum()), DIM))
    if unit:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.where(stray, -1, blob)


ODD_INTS = (0, -1, 1, -(2**31), 2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 2)
EXTREME_INTS = (-(2**63), -(2**63) + 1, 2**63 - 1)
ODD_STRINGS = (
    "", " ", "a", 'double"quote', '"', "single'quote", "''", "back\\slash", "\\", "\\\\", "\\n",
    "new\nline", "\n", "carriage\rreturn", "tab\t", "percent%", "_under_", "{brace}", "$meta", "é",
    "e\u0301", "日本語", "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u202eright",
    "nul\x00byte", "\x7f", "\ufeff", "pk in [1]", '" or pk != "', "x" * 200,
)  # fmt: skip


def make_keys(specimen: Specimen, rows: int, extreme: bool = True) -> list[Any]:
    """``rows`` distinct keys, in no order; ``extreme`` says whether both ends of INT64 are in."""
    if specimen.key == "INT64":
        odd: tuple[Any, ...] = ODD_INTS + (EXTREME_INTS if extreme else EXTREME_INTS[:2])
        plain: list[Any] = [7 * (i - rows // 3) + 3 for i in range(rows)]
    else:
        odd = ODD_STRINGS
        plain = [f"doc-{i:06d}" for i in range(rows)]
    chosen = list(dict.fromkeys([*odd, *plain] if specimen.odd_keys else plain))[:rows]
    random.Random(0).shuffle(chosen)
    return chosen


def _schema(specimen: Specimen) -> CollectionSchema:
    schema = MilvusClient.create_schema(
        auto_id=specimen.auto_id, enable_dynamic_field=specimen.dynamic
    )
    text = {"max_length": 512}
    key = {} if specimen.key == "INT64" else text
    schema.add_field(KEY, DataType[specimen.key], is_primary=True, auto_id=specimen.auto_id, **key)
    schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=DIM)
    if specimen.second_vector:
        schema.add_field(SECOND_VECTOR, DataType.FLOAT_VECTOR, dim=4)
    if specimen.partition_key:
        schema.add_field(TENANT, DataType.VARCHAR, max_length=64, is_partition_key=True)
    nullable = {"nullable": True} if specimen.nullable else {}
    for name in ("BOOL", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE", "JSON"):
        schema.add_field(f"a_{name.lower()}", DataType[name], **nullable)
    schema.add_field("title", DataType.VARCHAR, **text, **nullable)
    integers = {"element_type": DataType.INT64, "max_capacity": 8}
    schema.add_field("numbers", DataType.ARRAY, **integers, **nullable)
    words = {"element_type": DataType.VARCHAR, "max_capacity": 8, **text}
    schema.add_field("words", DataType.ARRAY, **words, **nullable)
    if specimen.declared:
        for name, kind in _LABEL_TYPES[: specimen.labels]:
            extra = text if kind == "VARCHAR" else {}
            schema.add_field(name, DataType[kind], **extra, **nullable)
    return schema


def _row(
    specimen: Specimen, i: int, keys: list[Any], vectors: NDArray[np.float32], rng: random.Random
) -> dict[str, Any]:
    row: dict[str, Any] = {} if specimen.auto_id else {KEY: keys[i]}
    row[VECTOR] = vectors[i].tolist()
    if specimen.second_vector:
        row[SECOND_VECTOR] = [rng.uniform(-1, 1) for _ in range(4)]
    if specimen.partition_key:
        row[TENANT] = f"tenant-{i % 7}"
    scalars = dict(_scalars(i, rng))
    if specimen.nullable:
        scalars = {n: None if rng.random() < 0.3 else v for n, v in scalars.items()}
    row.update(scalars)
    if specimen.declared and not specimen.nullable:
        row.update(list(zip(LABEL_FIELDS, BLANK_LABELS, strict=True))[: specimen.labels])
    if specimen.dynamic:
        row.update(_dynamic(i, rng))
    return row


def _scalars(i: int, rng: random.Random) -> Iterator[tuple[str, Any]]:
    yield "a_bool", i % 3 == 0
    for bits in (8, 16, 32, 64):
        low = -(2 ** (bits - 1))
        yield f"a_int{bits}", (low, -low - 1, 0, rng.randint(low, -low - 1))[i % 4]
    yield "a_float", float(np.float32((0.1, -1e-38, 3.4e38, rng.gauss(0, 1))[i % 4]))
    yield "a_double", (math.pi, 5e-324, -1.7e308, rng.gauss(0, 1))[i % 4]
    yield "a_json", _json(i, rng)
    yield "title", f"{ODD_STRINGS[i % len(ODD_STRINGS)]} number {i}"
    yield "numbers", [(-1) ** j * 2 ** rng.randint(0, 62) for j in range(i % 5)]
    yield "words", [rng.choice(ODD_STRINGS) for _ in range(i % 4)]


def _json(i: int, rng: random.Random) -> Any:
    choices: tuple[Any, ...] = (
        {"a": [1, {"b": None, "": rng.choice(ODD_STRINGS)}], "f": rng.random()},
        {"big": 2**62 + i, "negative": -(2**63), "float": 1e300, "whole": 2.0},
        {},
        {"nested": {"deep": {"er": [[], {}, [None]]}}, "true": True},
    )
    return choices[i % len(choices)]


def _dynamic(i: int, rng: random.Random) -> dict[str, Any]:
    """Foreign dynamic keys: their names, their types and their presence vary from row to row."""
    everything = {
        "source": f"file-{i}", "null": None, "big": 2**62 + i, "small": -(2**63), "float": 0.1 * i,
        "whole": 3.0, "tiny": 5e-324, "huge": 1.7e308, "yes": True, "empty": "", "list": [],
        "object": {}, "nested": _json(i, rng), "mixed": [1, 1.0, "1", None, True, [{}]],
        "text": rng.choice(ODD_STRINGS), "cluster": "not ours", "cluster_idea": i, "Größe 😀": "ü",
        "sp ace": 1, "1number": 2, 'q"uote': 3, "back\\slash": 4, "a.b": 5, "new\nline": 6,
    }  # fmt: skip
    return {name: value for name, value in everything.items() if rng.random() < 0.6}


def _insert(
    client: MilvusClient, name: str, rows: list[dict[str, Any]], specimen: Specimen, place: str
) -> list[Any]:
    partition = {} if specimen.partition_key else {"partition_name": place}
    ids: list[Any] = []
    for start in range(0, len(rows), 1000):
        batch = rows[start : start + 1000]
        ids += list(client.insert(name, [dict(row) for row in batch], **partition)["ids"])
    return ids
