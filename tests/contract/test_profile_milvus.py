"""``profile`` tells what a collection is, and ``connect`` refuses what cannot be right."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymilvus import DataType, MilvusClient

from tests import backends
from tests.backends import Backend
from tests.contract.making import Shape, connection_to, make, some_vectors
from vdbcluster.adapters.milvus.client import MilvusAddress, MilvusConnection, connect
from vdbcluster.adapters.milvus.profile import identity, profile
from vdbcluster.errors import BackendUnavailableError, UsageError
from vdbcluster.model.collection import KeyField, ScalarField


@pytest.fixture
def connection(backend: Backend) -> Iterator[MilvusConnection]:
    with connection_to(backend) as opened:
        yield opened


def test_profile_tells_everything(
    client: MilvusClient, connection: MilvusConnection, collection_name: str, backend: Backend
) -> None:
    shape = Shape(
        ("a", "b", "c"),
        some_vectors(3, 8),
        "COSINE",
        "HNSW",
        {"M": 8, "efConstruction": 64},
        partitions=("p1",),
        dynamic=True,
    )
    make(client, collection_name, shape)
    alias = f"{collection_name}_alias"
    client.create_alias(collection_name, alias)

    found = profile(connection, alias)

    assert found.name == collection_name
    assert found.aliases == (alias,)
    assert found.rows == 3
    assert found.key == KeyField("key", "VARCHAR", auto_id=False, max_length=1000)
    (vector,) = found.vectors
    assert (vector.name, vector.type, vector.dim) == ("vec", "FLOAT_VECTOR", 8)
    assert (vector.metric, vector.index, vector.nullable) == ("COSINE", "HNSW", False)
    assert set(found.partitions) == {"_default", "p1"}
    assert found.scalar("text") == ScalarField("text", "VARCHAR", max_length=100)
    assert [scalar.name for scalar in found.scalars] == ["n", "text", "part"]
    assert (found.dynamic, found.partition_key, found.loaded) == (True, None, True)
    assert found.server.kind == ("server" if backend.name == backends.REAL_SERVER else "lite")
    if found.server.kind == "server":
        assert vector.index_params == {"M": "8", "efConstruction": "64"}


def test_partition_key_is_found(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    make(client, collection_name, Shape((1,), some_vectors(1), partition_key=True))

    found = profile(connection, collection_name)

    assert found.partition_key == "part"
    assert found.scalar("part") == ScalarField("part", "INT64", partition_key=True)


def test_auto_id_is_found(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    client.create_collection(collection_name, dimension=4, auto_id=True)

    assert profile(connection, collection_name).key.auto_id


def test_unknown_collection_is_answered_with_the_known(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    client.create_collection(collection_name, dimension=4)

    with pytest.raises(UsageError, match=rf"did you mean '{collection_name}'\? existing: "):
        profile(connection, collection_name[:-1])


def test_identity_outlives_rows_and_ends_with_the_collection(
    client: MilvusClient, connection: MilvusConnection, collection_name: str, backend: Backend
) -> None:
    make(client, collection_name, Shape((1, 2), some_vectors(2)))
    before = identity(connection, collection_name)
    client.insert(collection_name, [{"key": 3, "vec": [1.0] * 4, "n": 1, "text": "", "part": 1}])
    if connection.is_lite:
        client.flush(collection_name)
    assert identity(connection, collection_name) == before
    assert profile(connection, collection_name).identity == before
    client.drop_collection(collection_name)
    make(client, collection_name, Shape((1, 2), some_vectors(2)))

    # A Lite server gives away nothing by which the two could be told apart.
    same = backend.name == backends.LITE_SERVER
    assert (identity(connection, collection_name) == before) == same


def test_sparse_vectors_are_listed(lite_file: Backend) -> None:
    client = MilvusClient(lite_file.uri)
    schema = client.create_schema(auto_id=True)
    schema.add_field("key", DataType.INT64, is_primary=True)
    schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
    client.create_collection("s", schema=schema)

    with connection_to(lite_file) as connection:
        found = profile(connection, "s")

    assert [(v.name, v.dim, v.metric, v.index) for v in found.vectors] == [
        ("sparse", 0, None, None)
    ]


def test_missing_lite_file_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "typo.db"

    with pytest.raises(UsageError, match="there is no Milvus Lite file"):
        connect(MilvusAddress(str(path)))
    assert not path.exists()
    with connect(MilvusAddress(str(path)), create=True) as connection:
        assert connection.is_lite
    assert path.exists()


def test_lite_file_of_another_process(tmp_path: Path) -> None:
    path = tmp_path / "held.db"
    hold = (
        "import sys; from pymilvus import MilvusClient; "
        "c = MilvusClient(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(BackendUnavailableError, match="open in another process"):
            connect(MilvusAddress(str(path)))
        other.kill()


def test_nobody_answers() -> None:
    address = MilvusAddress(f"http://root:secret@127.0.0.1:{backends.free_port()}")

    with pytest.raises(BackendUnavailableError, match="cannot be reached") as raised:
        connect(address)
    assert "secret" not in f"{raised.value} {address} {address!r}"


def test_unknown_database(backend: Backend, client: MilvusClient) -> None:
    with pytest.raises(UsageError, match="check --db"):
        connect(MilvusAddress(backend.uri, backend.token, database="nowhere"))


@pytest.mark.parametrize("uri", ["docs", "ftp://host", "docs.sqlite"])
def test_address_that_cannot_be_right(uri: str) -> None:
    with pytest.raises(UsageError):
        connect(MilvusAddress(uri))
