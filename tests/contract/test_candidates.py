"""``CandidateSearch``: near rows of vectors from anywhere, in memory and on every backend."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from tests import backends
from tests.backends import Backend
from tests.contract.candidate_worlds import PARTITIONS, MemoryWorld, MilvusWorld, World, as_keys
from tests.contract.making import INT64_KEYS, VARCHAR_KEYS, Shape, connection_to, make, some_vectors
from vdbcluster.adapters.milvus import by_key
from vdbcluster.adapters.milvus.candidates import MilvusCandidates
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.requests import SearchSettings
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.errors import RefusedError
from vdbcluster.model.arrays import Keys
from vdbcluster.ports.candidates import CandidateSearch

PLACES = (
    "memory",
    backends.LITE_FILE,
    backends.LITE_SERVER,
    pytest.param(backends.REAL_SERVER, marks=pytest.mark.server),
)
ROWS = 60


@pytest.fixture(params=PLACES)
def made(request: pytest.FixtureRequest) -> Iterator[Callable[[Shape], World]]:
    """Makes a world of a shape."""
    place: str = request.param
    if place == "memory":
        yield MemoryWorld
        return
    fixture = {backends.REAL_SERVER: "real_server"}.get(place, place.replace("-", "_"))
    backend: Backend = request.getfixturevalue(fixture)
    name = f"t_candidates_{uuid.uuid4().hex[:8]}"
    with backends.connected(backend) as client, connection_to(backend) as connection:
        yield lambda shape: MilvusWorld(shape, client, connection, name)
        client.drop_collection(name)


def numbers(rows: int = ROWS) -> Shape:
    return Shape(tuple(range(10, 10 + rows)), some_vectors(rows))


def found(search: CandidateSearch, vectors: np.ndarray, limit: int) -> list[set[object]]:
    """The keys that are proposed for each vector."""
    keys, present = search.propose(vectors.astype(np.float32), limit)
    assert keys.shape == present.shape == (len(vectors), limit)
    return [set(row[there].tolist()) for row, there in zip(keys, present, strict=True)]


def nearest(shape: Shape, vector: np.ndarray, limit: int, rows: list[int]) -> set[object]:
    far = np.linalg.norm(shape.vectors[rows].astype(np.float64) - vector, axis=1)
    return {shape.keys[rows[i]] for i in np.argsort(far)[:limit]}


def asked(count: int = 20) -> np.ndarray:
    """Vectors that no row has."""
    return np.random.default_rng(3).normal(size=(count, 4)).astype(np.float32)


def test_the_nearest_rows_of_any_vectors(made) -> None:
    shape = numbers()
    search = made(shape).search()
    every = list(range(ROWS))
    assert found(search, asked(), 9) == [nearest(shape, v, 9, every) for v in asked()]
    own = found(search, shape.vectors[:5], 1)
    assert own == [{key} for key in shape.keys[:5]]
    assert search.description
    assert found(search, asked(0), 9) == []


def test_fewer_rows_than_asked_for(made) -> None:
    shape = numbers(6)
    assert found(made(shape).search(), asked(8), 11) == [set(shape.keys)] * 8


@pytest.mark.parametrize(
    ("below", "partitions"), [(30, ()), (None, ("p1",)), (30, ("p1", "p2")), (None, PARTITIONS)]
)
def test_only_selected_rows_are_found_and_fetched(made, below, partitions) -> None:
    shape = numbers()
    search = made(shape).search(below=below, partitions=partitions)
    chosen = [
        i
        for i in range(ROWS)
        if i < (below or ROWS) and (not partitions or PARTITIONS[i % 3] in partitions)
    ]
    assert found(search, asked(), 5) == [nearest(shape, v, 5, chosen) for v in asked()]
    there = np.isfinite(search.vectors(as_keys(shape.keys))).all(axis=1)
    assert np.flatnonzero(there).tolist() == chosen


@pytest.mark.parametrize("keys", [INT64_KEYS, VARCHAR_KEYS], ids=["numbers", "texts"])
def test_keys_of_any_content(made, keys) -> None:
    shape = Shape(keys, some_vectors(len(keys)))
    search = made(shape).search()
    assert found(search, shape.vectors, 1) == [{key} for key in keys]
    wanted: Keys = as_keys([*reversed(keys), keys[3]])
    vectors = search.vectors(wanted)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, [*shape.vectors[::-1], shape.vectors[3]])


def test_rows_that_come_and_go(made) -> None:
    shape = numbers()
    world = made(shape)
    search = world.search()
    vector = np.array([5, 5, 5, 5], np.float32)
    gone = shape.keys[7]
    assert np.isnan(search.vectors(as_keys([999, gone])))[:, 0].tolist() == [True, False]
    world.insert(999, vector)
    world.delete(gone)
    assert found(search, vector[None], 1) == [{999}]
    assert gone not in set().union(*found(search, shape.vectors, 9))
    fetched = search.vectors(as_keys([999, gone]))
    np.testing.assert_array_equal(fetched[0], vector)
    assert np.isnan(fetched[1]).all()
    assert search.vectors(as_keys([1])[:0]).shape == (0, 4)


def over(connection: MilvusConnection, name: str, metric: str = "euclidean") -> MilvusCandidates:
    source = MilvusSource(connection, Selection(name))
    return MilvusCandidates(connection, source, SearchSettings(), metric)


@pytest.mark.server
@pytest.mark.parametrize("kind", ["HNSW", "FLOAT16_VECTOR", "BINARY_VECTOR"])
def test_indexes_and_vectors_that_only_a_server_has(
    real_server: Backend, connect, collection_name: str, kind: str
) -> None:
    client: MilvusClient = connect(real_server)
    shape = numbers()
    if kind == "HNSW":
        vectors = some_vectors(ROWS, 16)
        shape = Shape(shape.keys, vectors, "COSINE", "HNSW", {"M": 8, "efConstruction": 64})
    elif kind == "FLOAT16_VECTOR":
        vectors = some_vectors(ROWS, 8).astype(np.float16)
        shape = Shape(shape.keys, vectors, type=DataType.FLOAT16_VECTOR)
    else:
        packed = np.random.default_rng(0).permutation(256)[:ROWS].astype(np.uint8)[:, None]
        shape = Shape(shape.keys, packed, "HAMMING", "BIN_FLAT", type=DataType.BINARY_VECTOR)
        vectors = np.unpackbits(packed, axis=1)
    make(client, collection_name, shape)
    with connection_to(real_server) as connection:
        distance = {"HNSW": "chord", "BINARY_VECTOR": "hamming"}.get(kind, "euclidean")
        search = over(connection, collection_name, distance)
        as_floats = vectors.astype(np.float32)
        np.testing.assert_array_equal(search.vectors(as_keys(shape.keys)), as_floats)
        assert found(search, as_floats, 1) == [{key} for key in shape.keys]
    client.drop_collection(collection_name)


def test_no_answer_is_too_large(
    lite_file: Backend, connect, collection_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors come in pages of some bytes."""
    shape = numbers()
    make(connect(lite_file), collection_name, shape)
    monkeypatch.setattr(by_key, "ANSWER_BYTES", 7 * (4 * 4 + 16))
    with connection_to(lite_file) as connection:
        source = MilvusSource(connection, Selection(collection_name))
        pages = list(source.vectors(as_keys(shape.keys)))
        assert [len(page.keys) for page in pages] == [7] * 8 + [4]
        search = over(connection, collection_name)
        np.testing.assert_array_equal(search.vectors(as_keys(shape.keys)), shape.vectors)


@pytest.mark.parametrize("index", ["L2", "COSINE", "IP", None])
def test_an_index_that_proposes_by_another_distance(
    lite_file: Backend, connect, collection_name: str, index: str | None
) -> None:
    """It is as good for vectors of length 1, refused for others; without an index any will do."""
    client: MilvusClient = connect(lite_file)
    shape = numbers()
    schema = client.create_schema()
    schema.add_field("key", DataType.INT64, is_primary=True)
    schema.add_field("vec", DataType.FLOAT_VECTOR, dim=4)
    client.create_collection(collection_name, schema=schema)
    if index:
        params = client.prepare_index_params()
        params.add_index("vec", index_type="FLAT", metric_type=index)
        client.create_index(collection_name, params)
    rows = zip(shape.keys, shape.vectors, strict=True)
    client.insert(collection_name, [{"key": key, "vec": vector} for key, vector in rows])
    client.load_collection(collection_name)
    unit = asked() / np.linalg.norm(asked(), axis=1, keepdims=True)
    every = list(range(ROWS))
    with connection_to(lite_file) as connection:
        for metric, natural in (("euclidean", "L2"), ("chord", "COSINE"), ("angular", "COSINE")):
            search = over(connection, collection_name, metric)
            assert found(search, unit, 7) == [nearest(shape, v, 7, every) for v in unit]
            if index in (natural, None):
                search.propose(2 * unit, 7)
                continue
            with pytest.raises(RefusedError, match=f"searches by {index}, .* compared by {metric}"):
                search.propose(2 * unit, 7)
        if index:
            with pytest.raises(RefusedError, match="compared by hamming: new rows cannot"):
                over(connection, collection_name, "hamming")
        client.insert(collection_name, [{"key": 999, "vec": [3.0, 0, 0, 0]}])
        search = over(connection, collection_name, "chord")
        if index in ("COSINE", None):
            assert np.isfinite(search.vectors(as_keys([999]))).all()
        else:
            with pytest.raises(RefusedError, match="for vectors of length 1 alone"):
                search.vectors(as_keys([999]))
