"""The promises of ``NeighborSearch``, kept by every way of searching locally."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.data import embeddings
from tests.stand_in_cuvs import Cuvs, play
from tests.stand_in_gpu import StandIn
from vdbcluster.adapters import gpu_graph
from vdbcluster.adapters.gpu_graph import GraphNeighbors
from vdbcluster.adapters.gpu_neighbors import Gpu, GpuNeighbors
from vdbcluster.adapters.local_neighbors import LocalNeighbors
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.errors import UsageError
from vdbcluster.graph.distance import METRICS, ON_BITS, prepare
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.measure import pair_distances
from vdbcluster.ports import NeighborSearch
from vdbcluster.quality.recall import audit_sample, recall

Make = Callable[..., NeighborSearch]


def make_exact(rows: NDArray[np.float32], metric: str, **settings: float) -> LocalNeighbors:
    return LocalNeighbors(rows, metric, **settings)  # type: ignore[arg-type]


def make_approximate(rows: NDArray[np.float32], metric: str, **settings: float) -> LocalNeighbors:
    return LocalNeighbors(rows, metric, exact_rows=0, **settings)  # type: ignore[arg-type]


def make_parts(rows: NDArray[np.float32], metric: str, **settings: float) -> LocalNeighbors:
    """The index lies in several parts on disk."""
    return make_approximate(rows, metric, memory_bytes=20_000, **settings)


def make_opened(rows: NDArray[np.float32], metric: str, **settings: float) -> LocalNeighbors:
    """As another process would, from what one has kept."""
    store = ShardFiles(f"memory://{uuid.uuid4().hex}")
    make_parts(rows, metric, **settings).save(store, 10)
    return LocalNeighbors.opened(store, rows, metric)


def make_gpu(rows: NDArray[np.float32], metric: str, **settings: int) -> GpuNeighbors:
    """Numpy plays the GPU; its search is exact whatever the seed."""
    gpu = Gpu(StandIn(), "stand-in", 4 << 20)
    return GpuNeighbors(rows, metric, gpu=gpu, threads=settings.get("threads", 0))


def make_graph(rows: NDArray[np.float32], metric: str, **settings: int) -> GraphNeighbors:
    """From some hundred rows on a stand-in for cuVS builds a graph."""
    return GraphNeighbors(
        rows,
        metric,
        empty=np.empty,
        host_bytes=1 << 30,
        target_recall=0.9,
        observer=QuietObserver(),
        gpu=Gpu(StandIn(), "stand-in", 4 << 20),
        **settings,
    )


@pytest.fixture(
    params=[make_exact, make_approximate, make_parts, make_opened, make_gpu, make_graph],
    ids=["exact", "approximate", "parts", "opened", "gpu", "graph"],
)
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Make:
    play(monkeypatch, Cuvs())
    monkeypatch.setattr(gpu_graph, "_LONG", 2.0 * 100**2 * 256)
    return request.param  # type: ignore[no-any-return]


def some_rows(metric: str, n: int = 600, d: int = 24) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 2, (n, d)) if metric in ON_BITS else rng.normal(size=(n, d))
    rows[1::10] = rows[::10]
    return prepare(rows.astype(np.float32), metric)


@pytest.mark.parametrize("metric", METRICS)
def test_answer_has_the_promised_form(make: Make, metric: str) -> None:
    rows = some_rows(metric)
    search = make(rows, metric)
    assert search.metric == metric
    which = np.array([599, 0, 1, 300, 10, 11])
    indices, distances = search.search(which, 15)
    assert (indices.dtype, distances.dtype) == (np.int32, np.float32)
    assert indices.shape == distances.shape == (6, 15)
    assert not (indices == which[:, None]).any()
    for row, apart in zip(indices, distances, strict=True):
        pairs = list(zip(apart, row, strict=True))
        assert pairs == sorted(pairs)
        assert len(set(row)) == 15
    np.testing.assert_array_equal(distances, pair_distances(rows, which, indices, metric))
    assert distances[1, 0] == distances[2, 0] == 0  # rows 0 and 1 are one
    assert indices[1, 0] == 1
    assert indices[2, 0] == 0


def test_more_neighbours_than_rows_are_padded(make: Make) -> None:
    rows = some_rows("chord", 20)
    search = make(rows, "chord")
    indices, distances = search.search(np.arange(20), 30)
    np.testing.assert_array_equal(indices >= 0, np.isfinite(distances))
    assert (indices[:, 19:] == -1).all()
    if search.exact:
        assert (indices[:, :19] >= 0).all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_rows(make: Make, n: int) -> None:
    indices, _ = make(some_rows("chord", n), "chord").search(np.arange(n), 4)
    assert indices.shape == (n, 4)
    assert not (indices == np.arange(n)[:, None]).any()


def test_identical_rows(make: Make) -> None:
    indices, distances = make(np.ones((300, 20), np.float32), "euclidean").search(np.arange(300), 5)
    assert (distances == 0).all()
    assert not (indices == np.arange(300)[:, None]).any()


def test_no_rows_asked_for(make: Make) -> None:
    indices, distances = make(some_rows("chord", 50), "chord").search(np.arange(0), 4)
    assert indices.shape == distances.shape == (0, 4)


def test_same_seed_same_answer(make: Make) -> None:
    rows = some_rows("chord")
    first, again = (make(rows, "chord", seed=3).search(np.arange(600), 10) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


@pytest.mark.parametrize("d", [3, 17, 51, 129])
def test_any_dimension(make: Make, d: int) -> None:
    rows = some_rows("euclidean", 600, d)
    search = make(rows, "euclidean")
    found, true = (s.search(np.arange(600), 10) for s in (search, make_exact(rows, "euclidean")))
    assert recall(found[0], true[0], found[1], true[1]).recall > 0.9


def test_threads_and_memory_maps(make: Make, tmp_path: Path) -> None:
    rows = some_rows("chord")
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    one = make(mapped, "chord", threads=1).search(np.arange(50), 5)
    two = make(rows, "chord", threads=2).search(np.arange(50), 5)
    np.testing.assert_array_equal(one[0], two[0])


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("stackoverflow20k.minilm-l6-int8.384.f16.npy", "chord"),
        pytest.param("glove50_top200k.f16.npy", "chord", marks=pytest.mark.slow),
        ("fashion_mnist70k.pca50.f16.npy", "euclidean"),
        pytest.param("thucnews10k.e5-small-q4.384.f16.npy", "angular", marks=pytest.mark.slow),
    ],
)
def test_recall_on_real_vectors(name: str, metric: str) -> None:
    """The target holds on rows that the tuning did not see, but for its own sampling error."""
    rows = prepare(embeddings(name)[:40_000], metric)
    search = make_approximate(rows, metric, target_recall=0.95)
    sample = audit_sample(len(rows), 500, seed=99)
    found, true = search.search(sample, 50), exact_neighbors(rows, sample, 50, metric)
    assert not search.exact
    assert recall(found[0], true[0], found[1], true[1]).recall >= 0.94


def test_effort_follows_the_target() -> None:
    rows = prepare(embeddings("banking77.minilm-l6-int8.384.f16.npy"), "chord")
    sample = audit_sample(len(rows), 500, seed=99)
    true = exact_neighbors(rows, sample, 50, "chord")
    reached = []
    for target in (0.8, 0.99):
        search = make_approximate(rows, "chord", target_recall=target)
        found = search.search(sample, 50)
        reached.append(recall(found[0], true[0], found[1], true[1]).recall)
        assert "cells scanned" in search.description
    assert reached[0] < 0.95 < 0.98 < reached[1]


def test_whole_recall_is_exact_search_whatever_the_size() -> None:
    search = make_approximate(some_rows("chord"), "chord", target_recall=1.0)
    assert search.exact
    assert "exact" in search.description
    assert make_approximate(some_rows("jaccard"), "jaccard").exact


def test_building_is_reported() -> None:
    seen: list[int] = []

    class Watching:
        def advance(self, rows: int) -> None:
            seen.append(rows)

        @contextmanager
        def stage(self, name: str, total: int | None, unit: str = "rows") -> Iterator[Watching]:
            assert (name, total, unit) == ("neighbour index", 600, "rows")
            yield self

        def note(self, text: str) -> None: ...

        def warn(self, text: str) -> None: ...

    search = LocalNeighbors(some_rows("chord"), "chord", exact_rows=0, observer=Watching())
    assert not seen
    search.search(np.arange(5), 3)
    search.search(np.arange(5), 3)
    assert sum(seen) == 600


def test_refusals() -> None:
    rows = some_rows("chord")
    with pytest.raises(UsageError, match="must be one of"):
        make_exact(rows, "cosine")
    with pytest.raises(UsageError, match="target_recall is 0"):
        make_exact(rows, "chord", target_recall=0)
