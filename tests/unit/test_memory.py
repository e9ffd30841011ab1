"""The adapters over plain arrays: pages, and neighbours that are exactly the nearest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vdbcluster.adapters.memory import MemorySink, MemorySource
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.memory_neighbors import BruteForceSearch
from vdbcluster.errors import CollectionChangedError, UsageError
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.ports import LabelSink, NeighborSearch, VectorSource

VECTORS = np.arange(20, dtype=np.float32).reshape(10, 2)


def collection() -> MemoryCollection:
    made = MemoryCollection(VECTORS, np.arange(10)[::-1], columns={"text": list("abcdefghij")})
    made.insert([-3, 77], [[1.0, 1.0], [np.nan, 0.0]], "p1", {"text": ["k", None]})
    return made


def test_adapters_fit_the_ports() -> None:
    held = collection()
    source: VectorSource = MemorySource(held)
    sink: LabelSink = MemorySink(held)
    search: NeighborSearch = BruteForceSearch(VECTORS)

    assert source.profile().partitions == ("_default", "p1")
    assert sink.way.name == "memory"
    assert search.exact


def test_pages_hold_every_row_with_a_vector_in_order_of_key() -> None:
    pages = list(MemorySource(collection(), page_rows=4).pages())

    assert [p.keys.tolist() for p in pages] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [-3]]
    assert [p.partition for p in pages] == ["_default"] * 3 + ["p1"]
    assert np.array_equal(np.concatenate([p.vectors for p in pages])[:10], VECTORS[::-1])


def test_a_selection_is_counted_and_read() -> None:
    source = MemorySource(collection(), partitions=("_default",), where=lambda keys: keys > 6)

    assert source.count() == 3
    assert [p.keys.tolist() for p in source.pages()] == [[7, 8, 9]]


def test_texts_come_in_the_order_of_the_keys() -> None:
    source = MemorySource(collection())

    assert source.texts(np.array([0, 9, 77, 5000]), "text") == ["j", "a", None, None]


def test_a_collection_created_anew_in_mid_stream_is_noticed() -> None:
    held = collection()
    pages = MemorySource(held, page_rows=4).pages()
    next(pages)
    held.recreate()
    held.insert(np.arange(10), VECTORS)

    with pytest.raises(CollectionChangedError):
        next(pages)


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="twice"):
        MemoryCollection(VECTORS, np.zeros(10, int))
    with pytest.raises(UsageError, match="3 keys"):
        MemoryCollection(VECTORS, [1, 2, 3])
    with pytest.raises(UsageError, match="metric"):
        BruteForceSearch(VECTORS, "cosine")


points = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 30), st.just(3)),
    elements=st.sampled_from([0.0, 1.0, -1.0, 0.5, 100.0, 1e-3]),
)


@settings(deadline=None)
@given(points, st.integers(1, 8), st.sampled_from(["euclidean", "chord", "angular"]))
def test_neighbours_are_the_nearest_and_ties_go_by_position(
    vectors: np.ndarray, k: int, metric: str
) -> None:
    n = len(vectors)
    indices, distances = BruteForceSearch(vectors, metric).search(np.arange(n), k)

    NeighborGraph(indices, distances, metric).validate()
    expected = _distances(vectors, metric)
    for row in range(n):
        others = [j for j in range(n) if j != row]
        nearest = sorted(others, key=lambda j: (expected[row, j], j))[:k]
        assert indices[row, : len(nearest)].tolist() == nearest
        assert np.allclose(distances[row, : len(nearest)], expected[row, nearest], atol=1e-6)


def _distances(vectors: np.ndarray, metric: str) -> np.ndarray:
    points = vectors.astype(np.float64)
    if metric != "euclidean":
        norms = np.linalg.norm(points, axis=1, keepdims=True)
        points = points / np.where(norms == 0, 1, norms)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    if metric == "angular":
        apart = 2 * np.arcsin(np.minimum(apart / 2, 1))
    return apart.astype(np.float32)


def test_identical_rows_are_at_zero_from_each_other() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 384)).astype(np.float32)
    vectors[10] = vectors[40]

    indices, distances = BruteForceSearch(vectors, "chord").search(np.array([10]), 3)

    assert indices[0, 0] == 40
    assert distances[0, 0] == 0
