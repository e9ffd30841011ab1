"""Spectral smoothing: what it promises of any graph, what it equals, what it is for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score
from threadpoolctl import threadpool_limits

from tests import data
from vdbcluster.graph.by_rows import RowBlocks
from vdbcluster.graph.chebyshev import STEPS, beginning, largest
from vdbcluster.graph.coordinates import coordinates_for
from vdbcluster.graph.distance import center
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.spectral import CUT, coordinates, spectral_neighbors
from vdbcluster.graph.walks import Walks
from vdbcluster.hierarchy import build, extract
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.model.params import HdbscanParams


def graph_of(points: np.ndarray, k: int) -> NeighborGraph:
    vectors = np.ascontiguousarray(points, np.float32)
    which = np.arange(len(vectors))
    return NeighborGraph(*exact_neighbors(vectors, which, k, "euclidean"), "euclidean")


def blobs(n: int, centers: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    middle = rng.normal(0, 4, (centers, 8))
    truth = np.arange(n) % centers
    return middle[truth] + rng.normal(0, spread, (n, 8)), truth


graphs = st.integers(1, 40).flatmap(
    lambda n: st.lists(
        st.lists(st.integers(-1, n - 1), min_size=4, max_size=4), min_size=n, max_size=n
    )
)


def made(lists: list[list[int]]) -> NeighborGraph:
    rows = [
        sorted({j for j in row if j not in (-1, i)}) + [PADDING] * 4 for i, row in enumerate(lists)
    ]
    indices = np.array([row[:4] for row in rows], np.int32).reshape(-1, 4)
    return NeighborGraph(indices, np.where(indices >= 0, 1, np.inf).astype(np.float32), "euclidean")


@settings(deadline=None, max_examples=30)
@given(lists=graphs)
def test_any_graph_keeps_its_edges_and_gets_finite_ascending_distances(lists):
    graph = made(lists)
    smooth = spectral_neighbors(graph)
    for before, after, apart in zip(graph.indices, smooth.indices, smooth.distances, strict=True):
        assert sorted(before) == sorted(after)
        assert (np.isinf(apart) == (after == PADDING)).all()
        found = apart[after != PADDING]
        assert (np.diff(found) >= 0).all()
        assert ((found >= 0) & (found <= 2.0001)).all()


def dense_coordinates(graph: NeighborGraph, cut: float = CUT) -> np.ndarray:
    """By the full decomposition, without any eigenvector of eigenvalue 1."""
    n = graph.n_rows
    one_way = np.zeros((n, n))
    rows, places = np.nonzero(graph.indices != PADDING)
    one_way[rows, graph.indices[rows, places]] = 1
    weights = one_way + one_way.T
    degree = weights.sum(axis=1)
    values, vectors = np.linalg.eigh(weights / np.sqrt(np.outer(degree, degree)))
    slow = (values > 1 - cut) & (values < 1 - 1e-9)
    assert np.abs(values - (1 - cut)).min() > 1e-3, "the cut must not split a pair"
    walks = vectors[:, slow] / np.sqrt(degree)[:, None]
    return walks / np.linalg.norm(walks, axis=1, keepdims=True)


@dataclass
class Dense:
    """A matrix as it is, its rows in one block."""

    matrix: np.ndarray
    blocks: RowBlocks = field(init=False)
    products: int = 0

    def __post_init__(self) -> None:
        self.blocks = RowBlocks(len(self.matrix), None)

    def step(self, block, scale=1.0, shift=0.0, before=None):
        self.products += block.shape[1]
        found = scale * (self.matrix @ block) + shift * block
        return np.ascontiguousarray(found if before is None else found - before, np.float32)

    def clear(self, block):
        pass


def found_in(matrix, above, most, seed):
    lots = np.random.default_rng(seed)
    return largest(matrix, beginning(matrix, above, lots), above, most, lots)


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(4, 120),
    above=st.floats(0.3, 0.95),
    alike=st.integers(0, 12),
    most=st.integers(1, 60),
    seed=st.integers(0, 1000),
)
def test_the_largest_eigenvalues_of_any_matrix(n, above, alike, most, seed):
    """Some of them equal, some at the very bound, more than may be given, or none."""
    rng = np.random.default_rng(seed)
    true = np.sort(rng.uniform(-1, 1, n))[::-1]
    true[: min(alike, n)] = true[0]
    basis = np.linalg.qr(rng.normal(size=(n, n)))[0]
    matrix = ((basis * true) @ basis.T).astype(np.float32)
    values, vectors = found_in(Dense(matrix), above, most, seed)
    sure = true[true > above + 1e-3][:most]
    assert len(sure) <= len(values) <= min(most, (true > above - 1e-3).sum())
    np.testing.assert_allclose(values, true[: len(values)], atol=2e-3)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(values)), atol=1e-4)
    apart = np.linalg.norm(matrix @ vectors - vectors * values, axis=0)
    assert (apart < 0.05).all()


def test_time_is_bounded_where_nothing_settles():
    """Eigenvalues without a gap, twice as many as may be given."""
    n, most = 400, 40
    true = np.linspace(0.9, -1, n) ** 3
    true[: 2 * most] = np.linspace(0.9, 0.8999, 2 * most)
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))[0]
    matrix = Dense(((basis * true) @ basis.T).astype(np.float32))
    values, _ = found_in(matrix, 0.5, most, 0)
    assert len(values) == most
    np.testing.assert_allclose(values, 0.9, atol=1e-3)
    rounds = STEPS / 4  # each adds a product for its values
    assert matrix.products < 64 * (STEPS + rounds)


@pytest.mark.parametrize(("cut", "many"), [(0.1, 4), (CUT, 10), (0.6, 30)])
def test_it_equals_the_dense_eigenvectors(cut, many):
    """Also where more lie below the cut than are asked for at first."""
    graph = graph_of(blobs(400, 12, 3.0, seed=3)[0], 10)
    walks, ours = dense_coordinates(graph, cut), coordinates(graph, cut=cut)
    assert ours.shape == walks.shape
    assert walks.shape[1] >= many
    np.testing.assert_allclose(ours @ ours.T, walks @ walks.T, atol=1e-2)


def beside(*graphs: NeighborGraph) -> NeighborGraph:
    """Several graphs as one that falls apart."""
    starts = np.cumsum([0, *(graph.n_rows for graph in graphs)])
    indices = [
        np.where(graph.indices == PADDING, PADDING, graph.indices + start)
        for graph, start in zip(graphs, starts[:-1], strict=True)
    ]
    distances = np.concatenate([graph.distances for graph in graphs])
    return NeighborGraph(np.concatenate(indices).astype(np.int32), distances, "euclidean")


def test_a_component_is_smoothed_as_if_it_were_alone():
    parts = [graph_of(blobs(300, 4, 2.5, seed=s)[0], 12) for s in range(3)]
    together = spectral_neighbors(beside(*parts))
    alone = [spectral_neighbors(part) for part in parts]
    assert min(part.distances.max() for part in alone) > 0.5, "each has something to tell"
    np.testing.assert_allclose(
        together.distances, np.concatenate([part.distances for part in alone]), atol=0.02
    )


def test_many_small_components_do_not_use_up_the_coordinates():
    """Four hundred cliques beside one large component: it still shows its groups."""
    clique = graph_of(np.random.default_rng(0).normal(size=(11, 3)), 10)
    points, truth = blobs(600, 6, 2.5, seed=1)
    large = graph_of(points, 10)
    smooth = spectral_neighbors(beside(*[clique] * 400, large))
    assert (smooth.distances[: 400 * 11] == 0).all(), "a clique is one group"
    indices, distances = smooth.indices[400 * 11 :] - 400 * 11, smooth.distances[400 * 11 :]
    alone = spectral_neighbors(large)
    assert np.quantile(alone.distances, 0.95) > 0.2
    same = np.sort(distances, axis=1), np.sort(alone.distances, axis=1)
    np.testing.assert_allclose(*same, atol=0.02)
    params = HdbscanParams(min_cluster_size=8, min_samples=5)
    labels = extract(build(NeighborGraph(indices, distances, "spectral"), params), params).labels
    assert adjusted_mutual_info_score(truth, labels) > 0.5


def test_components_alike_are_told_alike():
    """Eigenvalues repeat once for each copy."""
    part = graph_of(blobs(120, 3, 2.0, seed=5)[0], 8)
    smooth = spectral_neighbors(beside(*[part] * 6))
    copies = smooth.distances.reshape(6, 120, 8)
    for copy in copies[1:]:
        np.testing.assert_allclose(copy, copies[0], atol=0.02)


def test_without_slow_walks_all_rows_are_alike():
    """A random graph of many edges mixes at once."""
    rng = np.random.default_rng(0)
    indices = np.array([rng.choice(np.delete(np.arange(300), i), 30, False) for i in range(300)])
    graph = NeighborGraph(indices.astype(np.int32), np.ones((300, 30), np.float32), "euclidean")
    assert coordinates(graph).shape == (300, 1)
    assert (spectral_neighbors(graph).distances == 0).all()


def test_coordinates_are_bounded_in_number_and_in_all():
    assert [coordinates_for(n) for n in (0, 3, 100, 9_000, 10**5, 10**6)] == [
        1, 1, 98, 256, 167, 32,
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    points = np.repeat(np.arange(300), 10)[:, None] + rng.uniform(0, 1e-3, (3000, 1))
    assert coordinates(graph_of(points, 12), cut=0.5).shape == (3000, 256)


def test_the_number_of_threads_does_not_matter():
    graph = graph_of(blobs(2000, 9, 2.5)[0], 15)
    found = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            found.append(coordinates(graph))
    np.testing.assert_array_equal(*found)


def test_rows_of_one_group_come_together_and_of_two_apart():
    points, truth = blobs(400, 4, 1.2)
    smooth = spectral_neighbors(graph_of(points, 40))
    same = truth[smooth.indices] == truth[:, None]
    assert np.median(smooth.distances[same]) < 0.2
    if (~same).any():
        assert np.median(smooth.distances[~same]) > 1


def test_the_order_of_rows_does_not_matter():
    points, _ = blobs(300, 5, 2.0, seed=1)
    order = np.random.default_rng(2).permutation(300)
    params = HdbscanParams(min_cluster_size=10)
    labels = [
        extract(build(spectral_neighbors(graph_of(p, 15)), params), params).labels
        for p in (points, points[order])
    ]
    assert adjusted_rand_score(labels[0][order], labels[1]) > 0.99


def test_the_same_seed_gives_the_same_bits():
    graph = graph_of(blobs(300, 5, 2.0)[0], 15)
    first, second = spectral_neighbors(graph, 7), spectral_neighbors(graph, 7)
    np.testing.assert_array_equal(first.distances, second.distances)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_few_rows(n):
    k = max(1, n - 1)
    indices = np.full((n, k), PADDING, np.int32)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        indices[i, : len(others)] = others
    graph = NeighborGraph(indices, np.where(indices >= 0, 1, np.inf).astype(np.float32), "chord")
    assert spectral_neighbors(graph).distances.shape == (n, k)


@pytest.mark.parametrize(
    "file",
    [
        "banking77.minilm-l6-int8.384.f16",
        "bbc2225.minilm-l6-int8.384.f16",
        "thucnews10k.e5-small-q4.384.f16",
    ],
)
def test_real_texts_cluster_better_than_by_their_raw_distances(file):
    vectors = data.embeddings(f"{file}.npy")
    truth = data.table(f"{file.partition('.')[0]}.parquet")["label"].to_numpy()
    rows = np.random.default_rng(0).permutation(len(vectors))[:4000]
    points = center(vectors[rows])
    found = exact_neighbors(points, np.arange(len(points)), 50, "chord")
    graph = NeighborGraph(*found, "chord")
    params = HdbscanParams(min_cluster_size=15, min_samples=10)
    scores = []
    for used in (graph, spectral_neighbors(graph)):
        labels = extract(build(used, params), params).labels
        scores.append(adjusted_mutual_info_score(truth[rows], labels))
    assert scores[1] > scores[0] + 0.1


@pytest.mark.parametrize("centers", [5, 60])
def test_what_is_told_of_the_rounds_is_what_they_do(
    centers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = graph_of(blobs(1500, centers, 2.0)[0], 12)
    plain, products, told = coordinates(graph), [0], list[tuple[int, int, int]]()
    step = Walks.step

    def counted(self: Walks, *args: object, **more: object) -> np.ndarray:
        products[0] += 1
        return step(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Walks, "step", counted)
    found = coordinates(graph, told=lambda done, left: told.append((done, left, products[0])))
    np.testing.assert_array_equal(found, plain)
    assert len(told) > 1
    assert [done for done, _, _ in told] == [so_far - told[0][2] for _, _, so_far in told]
    assert all(0 <= left <= STEPS * (products[0] // 10) for _, left, _ in told)
