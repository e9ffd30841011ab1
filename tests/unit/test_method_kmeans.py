"""k-means as a method: its centres, its scores, and vectors that are not held in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from tests.unit.method_data import blobs, graph_of
from vdbcluster.methods import kmeans as module
from vdbcluster.methods.kmeans import kmeans, slow_groups
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import Recipe

FOUR = (200, 150, 100, 50)
GROUPS = np.repeat(np.arange(4), FOUR)


def told(k: int, seed: int = 0) -> Recipe:
    return Recipe(method="kmeans", n_clusters=k, seed=seed)


def test_finds_groups_and_sorts_every_row() -> None:
    points = blobs(FOUR, seed=1)
    found = kmeans(graph_of(points, 8), points, told(4))
    assert found.labels.tolist() == GROUPS.tolist()
    assert found.persistence.min() > 0.9


@pytest.mark.parametrize("apart", [30, 6], ids=["separate", "connected"])
def test_no_number_means_as_many_as_slow_walks(apart: int) -> None:
    points = blobs(FOUR, seed=1, apart=apart)
    graph = graph_of(points, 49)
    assert slow_groups(graph, told(0)) == 4
    assert kmeans(graph, points, told(0)).labels.tolist() == GROUPS.tolist()


def test_one_group_still_gives_two_clusters() -> None:
    points = blobs((60,), seed=1)
    graph = graph_of(points, 59)
    assert slow_groups(graph, told(0)) == 2
    assert kmeans(graph, points, told(0)).n_clusters == 2


def test_scores_are_what_they_are_documented_to_be() -> None:
    points = blobs((40, 30), seed=2)
    found = kmeans(graph_of(points, 8), points, told(2))
    centers = np.array([points[found.labels == c].mean(axis=0) for c in (0, 1)], np.float64)
    squared = ((points[:, None].astype(np.float64) - centers) ** 2).sum(axis=2)
    own, other = squared[np.arange(70), found.labels], squared[np.arange(70), 1 - found.labels]
    assert np.allclose(found.probabilities, other / (own + other), rtol=1e-4)
    for c in (0, 1):
        mine = found.labels == c
        apart = np.sqrt(own[mine])
        expected = np.maximum(0, 1 - np.median(apart) / apart)
        assert np.allclose(found.outlier_scores[mine], expected, atol=1e-4)
        assert found.persistence[c] == pytest.approx((1 - own / other)[mine].mean(), rel=1e-4)
        assert found.exemplars[c].tolist() == [np.flatnonzero(mine)[np.argmin(own[mine])]]


def test_one_cluster_has_nothing_to_be_confused_with() -> None:
    points = blobs((30,), seed=2)
    found = kmeans(graph_of(points, 8), points, told(1))
    assert found.n_clusters == 1
    assert (found.probabilities == 1).all()


def test_many_rows_are_read_in_pieces_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = blobs((3000, 2000, 1000, 500), seed=3)  # sorted by group: the worst order
    stored = np.memmap(tmp_path / "vectors", np.float32, "w+", shape=points.shape)
    stored[:] = points
    graph = graph_of(points, 3)
    monkeypatch.setattr(module, "_SAMPLE", 256)
    monkeypatch.setattr(module, "_BLOCK_VALUES", 1 << 10)
    read: list[int] = []
    gathered = module._gathered

    def counted(vectors: np.ndarray, chunks: np.ndarray) -> np.ndarray:
        block = gathered(vectors, chunks)
        read.append(len(block))
        return block

    monkeypatch.setattr(module, "_gathered", counted)
    found = kmeans(graph, stored, told(4))
    groups = np.repeat(np.arange(4), (3000, 2000, 1000, 500))
    assert adjusted_rand_score(groups, found.labels) == 1
    assert max(read) <= 1024
    assert sum(read) == module._PASSES * 6500
    again = kmeans(graph, points, told(4))
    assert np.array_equal(found.labels, again.labels)


def test_fewer_different_rows_than_clusters() -> None:
    points = np.repeat(np.eye(3, dtype=np.float32), (5, 4, 3), axis=0)
    found = kmeans(graph_of(points, 4), points, told(6))
    assert found.n_clusters == 3
    assert (found.probabilities == 1).all()
    assert (found.outlier_scores == 0).all()


@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
def test_bits_are_refused(metric: str) -> None:
    bits = np.random.default_rng(0).integers(0, 2, (20, 16)).astype(np.float32)
    with pytest.raises(ValueError, match=f"kmeans needs means of vectors, and {metric} has none"):
        kmeans(graph_of(bits, 4, metric), bits, told(2))


def test_angles_count_on_the_sphere() -> None:
    """Directions 0, 90 and 180 degrees; lengths are gone before."""
    lots = np.random.default_rng(0)
    angle = np.repeat([0.0, np.pi / 2, np.pi], 30) + lots.normal(0, 0.05, 90)
    points = np.column_stack((np.cos(angle), np.sin(angle))).astype(np.float32)
    graph: NeighborGraph = graph_of(points, 8, "angular")
    assert kmeans(graph, points, told(3)).labels.tolist() == np.repeat([0, 1, 2], 30).tolist()
