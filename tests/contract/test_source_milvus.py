"""``MilvusSource`` gives every row exactly once, in order, whatever keys and backend are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from tests import backends
from tests.backends import Backend
from tests.contract.making import (
    INT64_KEYS,
    INT64_MAX,
    VARCHAR_KEYS,
    Shape,
    connection_to,
    make,
    row_of,
    some_vectors,
)
from vdbcluster.adapters.milvus import source as source_module
from vdbcluster.adapters.milvus import stream
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.errors import BackendError, CollectionChangedError, UsageError
from vdbcluster.model.rows import VectorPage

BYTES_PER_ROW = 4 * 4 + 16
"""Of the collections made here: four float32 and what the source adds for the key."""


@pytest.fixture
def connection(backend: Backend) -> Iterator[MilvusConnection]:
    with connection_to(backend) as opened:
        yield opened


def shape_of(keys: tuple[object, ...], **changes: object) -> Shape:
    return dataclasses.replace(Shape(keys, some_vectors(len(keys))), **changes)


@pytest.fixture(params=["one", "many"])
def segments(
    request: pytest.FixtureRequest,
    client: MilvusClient,  # it makes the file that the connection opens
    connection: MilvusConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A collection is read as those of one segment are, and as those of many, Lite's too."""
    if request.param == "many":
        monkeypatch.setattr(source_module, "SEGMENT_BYTES", 0)
        monkeypatch.setattr(source_module, "RANGE_PAGES", 2)
        monkeypatch.setattr(type(connection), "is_lite", False)


def read(source: MilvusSource) -> tuple[list[object], np.ndarray]:
    pages = list(source.pages())
    keys = [key for page in pages for key in page.keys.tolist()]
    return keys, np.concatenate([page.vectors for page in pages])


@pytest.mark.usefixtures("segments")
@pytest.mark.parametrize("kind", ["INT64", "VARCHAR"])
def test_every_row_comes_once_and_in_order(
    client: MilvusClient,
    connection: MilvusConnection,
    collection_name: str,
    kind: str,
) -> None:
    keys = INT64_KEYS if kind == "INT64" else VARCHAR_KEYS
    shape = shape_of(keys)
    make(client, collection_name, shape)

    for rows_per_page in (1, 3, 100):
        size = rows_per_page * BYTES_PER_ROW
        source = MilvusSource(connection, Selection(collection_name), size)
        pages = list(source.pages())
        found = [key for page in pages for key in page.keys.tolist()]
        assert found == sorted(keys)
        assert max(len(page.keys) for page in pages) <= rows_per_page
        vectors = np.concatenate([page.vectors for page in pages])
        np.testing.assert_array_equal(vectors, shape.vectors[[keys.index(key) for key in found]])
        assert vectors.dtype == np.float32
        told = list(source.scalars(["n"]))
        assert [key for page in told for key in page.keys.tolist()] == found
        assert [keys[n] for page in told for n in page.values["n"]] == found
        some = np.array(found[::9], told[0].keys.dtype)
        cut = list(source.scalars(["n"], cuts=some))
        assert [key for page in cut for key in page.keys.tolist()] == found
        assert [keys[n] for page in cut for n in page.values["n"]] == found
    assert source.count() == len(keys)
    asked = np.array(keys, dtype=np.int64 if kind == "INT64" else object)
    assert source.texts(asked, "text") == [f"text-{i}" for i in range(len(keys))]


def test_texts_and_scalars_of_every_kind_of_key(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    make(client, collection_name, shape_of(VARCHAR_KEYS))
    source = MilvusSource(connection, Selection(collection_name))
    wanted = np.array([*reversed(VARCHAR_KEYS), "no such key"], dtype=object)

    texts = source.texts(wanted, "text")
    (page,) = source.scalars(["n", "text"])

    assert texts == [f"text-{i}" for i in reversed(range(len(VARCHAR_KEYS)))] + [None]
    assert page.keys.tolist() == sorted(VARCHAR_KEYS)
    assert [VARCHAR_KEYS[n] for n in page.values["n"]] == sorted(VARCHAR_KEYS)


@pytest.mark.usefixtures("segments")
def test_partitions_and_filter_select_rows(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    shape = shape_of(tuple(range(-30, 30)), partitions=("_default", "p1", "p2"))
    make(client, collection_name, shape)
    chosen = Selection(collection_name, where="n < 40 or n > 55", partitions=("p2", "p1"))

    source = MilvusSource(connection, chosen, 7 * BYTES_PER_ROW)
    pages = list(source.pages())

    expected = {p: [i for i in range(p, 60, 3) if i < 40 or i > 55] for p in (2, 1)}
    for number, wanted in expected.items():
        mine = [page.keys + 30 for page in pages if page.partition == f"p{number}"]
        assert np.concatenate(mine).tolist() == wanted
    assert list(dict.fromkeys(page.partition for page in pages)) == ["p2", "p1"]
    assert source.count() == sum(map(len, expected.values()))
    for names in (("p1",), ("p1", "p2"), ()):
        all_of_them = MilvusSource(connection, Selection(collection_name, partitions=names))
        assert all_of_them.count() == 20 * (len(names) or 3)


@pytest.mark.usefixtures("segments")
def test_a_filter_with_quotes_holds_whatever_the_keys(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    make(client, collection_name, shape_of(VARCHAR_KEYS))
    where = "text == 'text-3' or n > 5 and text != \"text-7\""
    source = MilvusSource(connection, Selection(collection_name, where=where), 2 * BYTES_PER_ROW)

    found = [key for page in source.pages() for key in page.keys.tolist()]

    wanted = {3, *range(6, len(VARCHAR_KEYS))} - {7}
    assert found == sorted(VARCHAR_KEYS[i] for i in wanted)


def test_partition_key_is_read_in_one_go(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    make(client, collection_name, shape_of(tuple(range(50)), partition_key=True))

    pages = list(MilvusSource(connection, Selection(collection_name)).pages())

    assert [key for page in pages for key in page.keys.tolist()] == list(range(50))
    assert {page.partition for page in pages} == {""}
    with pytest.raises(UsageError, match="filter on that field"):
        MilvusSource(connection, Selection(collection_name, partitions=("_default",)))


def test_dynamic_keys_that_some_rows_lack(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    make(client, collection_name, shape_of(tuple(range(9)), dynamic=True))
    source = MilvusSource(connection, Selection(collection_name))

    (page,) = source.scalars(["extra", "n", "nowhere"])

    assert page.values["extra"] == [0, None, 2, None, 4, None, 6, None, 8]
    assert page.values["n"] == list(range(9))
    assert page.values["nowhere"] == [None] * 9
    assert source.texts(np.array([3, 4]), "extra") == [None, "4"]


def test_unknown_names_and_bad_filters_are_the_users_fault(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    make(client, collection_name, shape_of((1, 2)))
    source = MilvusSource(connection, Selection(collection_name))

    with pytest.raises(UsageError, match="no field 'nowhere'"):
        next(source.scalars(["nowhere"]))
    with pytest.raises(UsageError, match="no dense vector field 'n'"):
        MilvusSource(connection, Selection(collection_name, vector_field="n"))
    with pytest.raises(UsageError, match="no partition 'gone'"):
        MilvusSource(connection, Selection(collection_name, partitions=("gone",)))
    source = MilvusSource(connection, Selection(collection_name, where="n >>> ("))
    with pytest.raises(UsageError, match="check --filter"):
        next(source.pages())
    with pytest.raises(UsageError, match="check --filter"):
        source.count()


def test_raw_and_public_decoding_agree(
    client: MilvusClient,
    connection: MilvusConnection,
    collection_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make(client, collection_name, shape_of(tuple(range(200))))
    source = MilvusSource(connection, Selection(collection_name), 64 * BYTES_PER_ROW)

    raw = read(source)
    assert _used_raw(source)
    monkeypatch.setattr(stream, "getattr", lambda *_: None, raising=False)
    public = read(source)

    assert not _used_raw(source)
    assert raw[0] == public[0]
    np.testing.assert_array_equal(raw[1], public[1])


def _used_raw(source: MilvusSource) -> bool:
    page = next(rows for _, rows in source._scan(("vec",), BYTES_PER_ROW))
    return hasattr(page, "_lazy_field_data")


@pytest.mark.slow_on_server
def test_long_partition(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    rows = 20_000  # more than one answer holds
    make(client, collection_name, shape_of(tuple(range(-rows // 2, rows // 2))))

    keys, _ = read(MilvusSource(connection, Selection(collection_name)))

    assert keys == list(range(-rows // 2, rows // 2))


def test_collection_that_is_not_loaded(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    make(client, collection_name, shape_of(tuple(range(5))))
    client.release_collection(collection_name)
    source = MilvusSource(connection, Selection(collection_name))

    assert not source.profile().loaded
    with pytest.raises(BackendError, match="not loaded; load it first"):
        next(source.pages())
    source.load()
    assert source.profile().loaded
    assert read(source)[0] == list(range(5))


def test_dropped_in_mid_stream(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    make(client, collection_name, shape_of(tuple(range(20))))
    pages = MilvusSource(connection, Selection(collection_name), 5 * BYTES_PER_ROW).pages()
    next(pages)
    client.drop_collection(collection_name)

    with pytest.raises(CollectionChangedError, match="dropped"):
        _exhaust(pages)


def test_dropped_and_created_anew_in_mid_stream(
    client: MilvusClient, connection: MilvusConnection, collection_name: str, backend: Backend
) -> None:
    if backend.name == backends.LITE_SERVER:
        pytest.skip("a Lite server tells nothing that changes when a collection is created anew")
    shape = shape_of(tuple(range(20)))
    make(client, collection_name, shape)
    pages = MilvusSource(connection, Selection(collection_name), 5 * BYTES_PER_ROW).pages()
    next(pages)
    client.drop_collection(collection_name)
    make(client, collection_name, shape)

    with pytest.raises(CollectionChangedError, match="created anew"):
        _exhaust(pages)


def _exhaust(pages: Iterator[VectorPage]) -> None:
    for _ in pages:
        pass


@pytest.mark.usefixtures("segments")
def test_rows_that_change_meanwhile_harm_no_other(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    make(client, collection_name, shape_of(tuple(range(100))))
    pages = MilvusSource(connection, Selection(collection_name), 10 * BYTES_PER_ROW).pages()
    found = next(pages).keys.tolist()
    client.delete(collection_name, filter="key in [3, 4, 15, 50]")

    found += [key for page in pages for key in page.keys.tolist()]

    assert set(range(100)) - {15, 50} <= set(found) <= set(range(100))
    assert found == sorted(set(found))


def test_several_vector_fields(lite_file: Backend) -> None:
    client = MilvusClient(lite_file.uri)
    with connection_to(lite_file) as connection:
        schema = client.create_schema()
        schema.add_field("key", DataType.INT64, is_primary=True)
        schema.add_field("a", DataType.FLOAT_VECTOR, dim=2)
        schema.add_field("b", DataType.FLOAT_VECTOR, dim=3, nullable=True)
        index = client.prepare_index_params()
        index.add_index("a", index_type="FLAT", metric_type="L2")
        index.add_index("b", index_type="FLAT", metric_type="COSINE")
        client.create_collection("two", schema=schema, index_params=index)
        client.insert(
            "two", [{"key": i, "a": [i, 1], "b": [i, 1, 2] if i % 2 else None} for i in range(6)]
        )

        with pytest.raises(UsageError, match=r"choose one: a \(FLOAT_VECTOR, 2\), b"):
            MilvusSource(connection, Selection("two"))
        keys, vectors = read(MilvusSource(connection, Selection("two", "b")))

        # A null vector is left out, although Lite gives it back as zeros.
        assert keys == [1, 3, 5]
        assert vectors.tolist() == [[1, 1, 2], [3, 1, 2], [5, 1, 2]]
        assert MilvusSource(connection, Selection("two", "b")).count() == 6


@pytest.mark.parametrize("kind", ["FLOAT16_VECTOR", "BINARY_VECTOR"])
def test_other_vector_types(
    real_server: Backend,
    connect: Callable[[Backend], MilvusClient],
    request: pytest.FixtureRequest,
    kind: str,
) -> None:
    name = f"typed_{kind.lower()}"
    client = connect(real_server)
    generator = np.random.default_rng(3)
    if kind == "BINARY_VECTOR":
        packed = generator.integers(0, 256, size=(20, 2), dtype=np.uint8)
        shape = Shape(tuple(range(20)), packed, "HAMMING", "BIN_FLAT", type=DataType[kind])
        expected = np.unpackbits(packed, axis=1).astype(np.float32)
    else:
        halves = generator.normal(size=(20, 4)).astype(np.float16)
        shape = Shape(tuple(range(20)), halves, type=DataType[kind])
        expected = halves.astype(np.float32)
    request.addfinalizer(lambda: client.drop_collection(name))
    make(client, name, shape)

    with connection_to(real_server) as connection:
        keys, vectors = read(MilvusSource(connection, Selection(name)))

    assert keys == list(range(20))
    np.testing.assert_array_equal(vectors, expected)


def test_largest_number_is_counted_but_hidden_by_servers(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    make(client, collection_name, shape_of((1, INT64_MAX)))
    source = MilvusSource(connection, Selection(collection_name))

    keys, _ = read(source)

    assert source.count() == 2
    assert len(keys) + source.hidden_rows() == 2
    assert source.hidden_rows() == (0 if connection.is_lite else 1)


def test_repeated_keys_are_told_from_lost_rows(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    shape = shape_of(tuple(range(300)), partitions=("_default", "p1"))
    make(client, collection_name, shape)
    again = [row_of(shape, i) for i in (0, 0, 8, 298)]
    client.insert(collection_name, again, partition_name="_default")
    source = MilvusSource(connection, Selection(collection_name))

    keys, _ = read(source)

    assert len(keys) == len(set(keys)) == 300
    assert source.count() == 300 + source.repeated_rows()
    assert source.repeated_rows() == (0 if connection.is_lite else 4)
