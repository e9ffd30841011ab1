"""``MilvusNeighbors`` finds true neighbours at true distances, self left out by key."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from tests.backends import Backend
from tests.contract.making import VARCHAR_KEYS, Shape, connection_to, make
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.effort import ann_index
from vdbcluster.adapters.milvus.search import MilvusNeighbors, SearchSettings
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.errors import UsageError
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.rows import Rows

N, DIM, K = 600, 16, 8
TWINS = ((10, 500), (11, 12))
"""Pairs of rows with one vector."""


@pytest.fixture
def connection(backend: Backend) -> Iterator[MilvusConnection]:
    with connection_to(backend) as opened:
        yield opened


def unit_vectors(rows: int = N) -> np.ndarray:
    generator = np.random.default_rng(11)
    centres = generator.normal(size=(6, DIM))
    vectors = centres[np.arange(rows) % 6] + 0.6 * generator.normal(size=(rows, DIM))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    for one, other in TWINS:
        vectors[other % rows] = vectors[one % rows]
    return vectors


def rows_of(source: MilvusSource) -> Rows:
    """What was streamed, in the canonical order."""
    pages = list(source.pages())
    keys = np.concatenate([page.keys for page in pages])
    order = np.argsort(keys)
    vectors = np.concatenate([page.vectors for page in pages])[order]
    return Rows(keys[order], vectors, np.zeros(len(keys), np.int32), ("_default",))


def true_distances(vectors: np.ndarray) -> np.ndarray:
    """Between all rows, in float64; on vectors of length one the chord is the Euclidean."""
    exact = vectors.astype(np.float64)
    far = np.linalg.norm(exact[:, None, :] - exact[None, :, :], axis=2)
    np.fill_diagonal(far, np.inf)
    return far


def check(graph: NeighborGraph, far: np.ndarray, least_recall: float) -> None:
    graph.validate()
    rows = np.arange(graph.n_rows)[:, None]
    found = graph.indices >= 0
    true = far[rows, np.where(found, graph.indices, 0)]
    np.testing.assert_allclose(graph.distances[found], true[found], atol=2e-6, rtol=1e-5)
    # Ties may be broken either way: a neighbour counts if it is no farther than the k-th.
    kth = np.sort(far, axis=1)[:, graph.n_neighbors - 1 : graph.n_neighbors]
    assert np.mean(found & (true <= kth + 1e-6)) >= least_recall


@pytest.mark.parametrize(
    ("metric", "index", "params", "name", "least_recall"),
    [
        ("L2", "FLAT", {}, "euclidean", 1.0),
        ("COSINE", "HNSW", {"M": 16, "efConstruction": 100}, "chord", 0.98),
        ("IP", "IVF_FLAT", {"nlist": 16}, "chord", 0.9),
    ],
)
def test_neighbours_and_distances_are_true(
    client: MilvusClient,
    connection: MilvusConnection,
    collection_name: str,
    metric: str,
    index: str,
    params: dict[str, int],
    name: str,
    least_recall: float,
) -> None:
    keys = tuple(int(key) for key in np.random.default_rng(1).permutation(N) * 3 - N)
    make(client, collection_name, Shape(keys, unit_vectors(), metric, index, params))
    source = MilvusSource(connection, Selection(collection_name))
    rows = rows_of(source)
    far = true_distances(rows.vectors)
    everyone = np.arange(N)

    for settings in (SearchSettings("high"), SearchSettings("high", batch=37, threads=3)):
        search = MilvusNeighbors(connection, source, rows, settings)
        graph = NeighborGraph(*search.search(everyone, K), search.metric)
        check(graph, far, least_recall)
    assert search.metric == name
    assert search.exact == (index == "FLAT")
    assert ann_index(source.profile(), source.vector) == (
        index != "FLAT" and not connection.is_lite
    )
    some = np.array([5, 500, 17])
    np.testing.assert_array_equal(search.search(some, K)[0], graph.indices[some])
    for one, other in TWINS:
        one, other = np.searchsorted(rows.keys, [keys[one], keys[other]])
        assert graph.indices[one, 0] == other
        assert graph.distances[one, 0] == 0.0


def test_strangers_and_rows_left_out_never_appear(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    # A hundred equal rows, of which five were streamed: one round of hits holds none of them.
    vectors = unit_vectors()
    vectors[100:200] = vectors[100]
    make(client, collection_name, Shape(tuple(range(N)), vectors))
    source = MilvusSource(connection, Selection(collection_name))
    rows = rows_of(source)
    kept = np.r_[0:100, 195:N]
    fewer = dataclasses.replace(
        rows, keys=rows.keys[kept], vectors=rows.vectors[kept], partition_of=rows.partition_of[kept]
    )

    search = MilvusNeighbors(connection, source, fewer)
    graph = NeighborGraph(*search.search(np.arange(len(kept)), K), search.metric)

    check(graph, true_distances(fewer.vectors), 1.0)
    assert np.all(graph.distances[100:105, :4] == 0.0)


def test_filter_and_partitions_bound_the_search(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    shape = Shape(tuple(range(N)), unit_vectors(), partitions=("_default", "p1", "p2"))
    make(client, collection_name, shape)
    chosen = Selection(collection_name, where="n < 300", partitions=("p1",))
    source = MilvusSource(connection, chosen)
    rows = rows_of(source)
    # All rows are known, so that only the search itself can leave the others out.
    everything = MilvusSource(connection, Selection(collection_name))
    search = MilvusNeighbors(connection, source, rows_of(everything))

    indices, _ = search.search(rows.keys.astype(np.int64), 150)

    assert len(rows) == 100
    assert set(indices[indices >= 0].tolist()) == set(range(1, 300, 3))
    assert np.all((indices >= 0).sum(axis=1) == 99)


def test_odd_string_keys(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    count = len(VARCHAR_KEYS)
    make(client, collection_name, Shape(VARCHAR_KEYS, unit_vectors(count), "COSINE"))
    source = MilvusSource(connection, Selection(collection_name))
    rows = rows_of(source)

    search = MilvusNeighbors(connection, source, rows)
    graph = NeighborGraph(*search.search(np.arange(count), 2 * count), search.metric)

    graph.validate()
    assert np.all((graph.indices >= 0).sum(axis=1) == count - 1)
    np.testing.assert_allclose(
        graph.distances[:, 0], true_distances(rows.vectors).min(axis=1), atol=2e-6
    )


def test_inner_product_of_other_lengths_is_refused(
    client: MilvusClient, connection: MilvusConnection, collection_name: str
) -> None:
    vectors = unit_vectors(20)
    vectors[7] *= 2
    make(client, collection_name, Shape(tuple(range(20)), vectors, "IP"))
    source = MilvusSource(connection, Selection(collection_name))

    with pytest.raises(UsageError, match="of length 2; use --neighbors local"):
        MilvusNeighbors(connection, source, rows_of(source))


@pytest.mark.parametrize("metric", ["HAMMING", "JACCARD"])
def test_binary_vectors(
    real_server: Backend,
    connect: Callable[[Backend], MilvusClient],
    request: pytest.FixtureRequest,
    metric: str,
) -> None:
    name = f"binary_{metric.lower()}"
    client = connect(real_server)
    packed = np.random.default_rng(5).integers(0, 256, size=(60, 4), dtype=np.uint8)
    request.addfinalizer(lambda: client.drop_collection(name))
    make(
        client,
        name,
        Shape(tuple(range(60)), packed, metric, "BIN_FLAT", type=DataType.BINARY_VECTOR),
    )
    with connection_to(real_server) as connection:
        source = MilvusSource(connection, Selection(name))
        rows = rows_of(source)
        search = MilvusNeighbors(connection, source, rows)
        graph = NeighborGraph(*search.search(np.arange(60), 5), search.metric)

    bits = rows.vectors.astype(bool)
    differ = (bits[:, None] != bits[None]).sum(axis=2).astype(float)
    union = (bits[:, None] | bits[None]).sum(axis=2)
    far = differ if metric == "HAMMING" else differ / union
    np.fill_diagonal(far, np.inf)
    assert search.metric == metric.lower()
    check(graph, far, 1.0)
