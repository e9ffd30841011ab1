"""Entries made from a clustering, and the value types they are."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdbcluster.adapters.milvus.writeback.own import generation_of, new_generation
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.catalogue import (
    Catalogue,
    CatalogueEntry,
    ClusterState,
    ClusterText,
    cut,
    fitted,
    json_text,
    utc_text,
)
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.pipeline import catalogue as pipeline
from vdbcluster.pipeline.catalogue import Points, entries_of, middles

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)
SAID: dict[str, Any] = {"run_id": "run-1", "now": NOW, "identity": "docs@1"}


def clustering_of(labels: list[int] | np.ndarray, soft: list[int] | None = None) -> Clustering:
    """Every core row of a cluster is an exemplar."""
    array = np.asarray(labels, np.int64)
    c, n = int(array.max(initial=-1)) + 1, len(array)
    is_soft = np.zeros(n, np.bool_)
    is_soft[soft or []] = True
    exemplars = tuple(np.flatnonzero((array == i) & ~is_soft) for i in range(c))
    persistence = np.linspace(0, 1, c)
    return Clustering(array, np.ones(n), np.zeros(n), persistence, exemplars, is_soft)


def drawn(seed: int, n: int, d: int, c: int, metric: str) -> tuple[Float32Array, Clustering]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, d)).astype(np.float32) + 0.5
    if metric == "hamming":
        vectors = (vectors > 0.5).astype(np.float32)
    labels = rng.integers(-1, c, n)
    labels[:c] = np.arange(c)  # no cluster is empty
    soft = np.flatnonzero((labels >= 0) & (rng.random(n) < 0.3)).tolist()
    return vectors, clustering_of(labels, soft)


def by_definition(
    vectors: Float32Array, clustering: Clustering, label: int, metric: str
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of a cluster, and how far each row is from it: infinitely, if not to be the medoid.

    A medoid is a core row of its cluster, and any row of it where no row is core.
    """
    exact = vectors.astype(np.float64)
    if metric == "chord":
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    mine = clustering.labels == label
    mean = exact[mine].mean(axis=0)
    core = mine & ~clustering.soft
    away = np.linalg.norm(exact - mean, axis=1)
    away[~(core if core.any() else mine)] = np.inf
    return mean / np.linalg.norm(mean) if metric == "chord" else mean, away


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(8, 60),
    c=st.integers(1, 8),
    metric=st.sampled_from(["euclidean", "chord", "hamming"]),
    block=st.integers(1, 200),
)
def test_middles_are_those_of_the_definition(
    seed: int, n: int, c: int, metric: str, block: int
) -> None:
    vectors, clustering = drawn(seed, n, 5, c, metric)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_BLOCK_VALUES", block)
        found = middles(Points(vectors, metric), clustering)

    for label in range(c):
        centroid, away = by_definition(vectors, clustering, label, metric)
        np.testing.assert_allclose(found.centroids[label], centroid, atol=1e-5)
        assert away[found.medoids[label]] <= away.min() + 1e-6


@given(seed=st.integers(0, 10_000))
def test_the_medoid_of_bits_is_the_row_nearest_to_all_others(seed: int) -> None:
    vectors, clustering = drawn(seed, 30, 12, 3, "hamming")

    found = middles(Points(vectors, "hamming"), clustering)

    for label in range(3):
        rows = np.flatnonzero(clustering.labels == label)
        core = rows[~clustering.soft[rows]]
        core = core if core.size else rows
        sums = np.abs(vectors[core][:, None] - vectors[rows][None]).sum(axis=(1, 2))
        medoid = np.flatnonzero(core == found.medoids[label])[0]
        assert sums[medoid] == sums.min()


def test_an_entry_says_what_was_found_measured_and_said() -> None:
    vectors = np.array([[3, 0], [4, 0.1], [9, 0], [0, 1], [0.1, 5], [1, -1]], np.float32)
    clustering = clustering_of([0, 0, 0, 1, 1, -1], soft=[1])
    keys = np.array(['a"', "b\n", "c", "d", "é", "f"], object)
    stability = np.array([0.8, np.nan])
    texts = {1: ClusterText("north", "up", ("up", "high"))}

    found = entries_of(keys, Points(vectors, "chord"), clustering, stability, texts, **SAID)

    first, second = found.entries
    assert (first.id, first.size, first.name, first.stability) == (0, 3, "", 0.8)
    assert first.medoid_key == 'a"'
    assert first.exemplar_keys == ('a"', "c")
    assert first.centroid is not None
    np.testing.assert_allclose(np.linalg.norm(first.centroid), 1, atol=1e-6)
    assert (second.id, second.size, second.stability, second.persistence) == (1, 2, None, 1.0)
    assert (second.name, second.description, second.keywords) == ("north", "up", ("up", "high"))
    assert second.state == ClusterState.LIVE
    assert {(e.first_run, e.last_run) for e in found.entries} == {("run-1", "run-1")}
    assert {(e.first_seen, e.last_seen) for e in found.entries} == {("2026-03-01T03:00:00Z",) * 2}
    assert (found.run_id, found.identity, found.next_id) == ("run-1", "docs@1", 2)


def test_entries_carry_stable_ids_in_their_order() -> None:
    vectors, clustering = drawn(0, 40, 3, 3, "euclidean")
    ids = np.array([70, 5, 12])

    found = entries_of(
        np.arange(40), Points(vectors, "euclidean"), clustering, None, {}, **SAID, ids=ids
    )

    assert [entry.id for entry in found.entries] == [5, 12, 70]
    assert [entry.size for entry in found.entries] == clustering.sizes()[[1, 2, 0]].tolist()
    assert found.next_id == 71
    assert all(type(entry.medoid_key) is int for entry in found.entries)


def test_five_exemplars_are_spread_and_bits_have_no_centroid() -> None:
    vectors = np.eye(100, dtype=np.float32)
    clustering = clustering_of([0] * 100)

    [entry] = entries_of(
        np.arange(100), Points(vectors, "hamming"), clustering, None, {}, **SAID
    ).entries

    assert entry.exemplar_keys == (0, 25, 50, 74, 99)
    assert entry.centroid is None


def test_a_mean_that_points_nowhere_gives_way_to_the_medoid() -> None:
    vectors = np.array([[2, 0], [-2, 0]], np.float32)

    found = middles(Points(vectors, "chord"), clustering_of([0, 0]))

    assert found.medoids.tolist() == [0]
    assert found.centroids.tolist() == [[1.0, 0.0]]


def test_noise_alone_makes_no_entries() -> None:
    nothing = entries_of(
        np.arange(2), Points(np.ones((2, 2), np.float32), "chord"), clustering_of([-1, -1]), None,
        {}, **SAID,
    )  # fmt: skip

    assert nothing.entries == ()
    assert nothing.next_id == 0


def test_lengths_that_disagree_are_refused() -> None:
    points = Points(np.ones((3, 2), np.float32), "chord")
    with pytest.raises(ValueError, match="as many"):
        entries_of(np.arange(2), points, clustering_of([0, 0, 0]), None, {}, **SAID)


def test_memory_does_not_grow_with_the_vectors(tmp_path: Path) -> None:
    n, d = 100_000, 128
    vectors = np.memmap(tmp_path / "vectors", np.float32, "w+", shape=(n, d))
    for start in range(0, n, 10_000):
        vectors[start : start + 10_000] = np.random.default_rng(start).normal(size=(10_000, d))
    clustering, keys = clustering_of(np.arange(n) % 50), np.arange(n)
    tracemalloc.start()

    entries_of(keys, Points(vectors, "chord"), clustering, None, {}, **SAID)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < vectors.nbytes / 2


@given(st.text(), st.integers(0, 40))
def test_a_cut_is_a_beginning_of_whole_characters(text: str, limit: int) -> None:
    short = cut(text, limit)

    assert text.startswith(short)
    assert len(short.encode()) <= limit
    if short != text:
        assert len(text[: len(short) + 1].encode()) > limit


@given(st.text(min_size=1), st.text(), st.text(max_size=12))
def test_the_name_of_a_generation_tells_whose_it_is(name: str, identity: str, run_id: str) -> None:
    name = f"docs_{name.encode().hex()}_clusters"
    made = new_generation(name, identity, run_id)

    assert generation_of(made.name) == made
    assert made.is_of(identity)
    assert not made.is_of(identity + "x")
    assert made.name.isascii()
    assert made.name.replace("_", "a").isalnum()


@pytest.mark.parametrize("name", ["docs", "docs_clusters", "docs_clusters_vdbcluster_12_r_abcdef"])
def test_other_names_are_those_of_others(name: str) -> None:
    assert generation_of(name) is None


def test_times_are_told_in_one_zone() -> None:
    late = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert utc_text(late) == "2026-03-01T06:30:00Z"
    with pytest.raises(ValueError, match="time zone"):
        utc_text(datetime(2026, 3, 1))


@pytest.mark.parametrize(
    "wrong",
    [{"id": -1}, {"size": -1}, {"stability": 1.5}, {"persistence": float("nan")},
     {"first_run": "r" * 65}],
)  # fmt: skip
def test_what_cannot_be_an_entry(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        CatalogueEntry(**({"id": 1, "size": 1, "medoid_key": 1} | wrong))


def test_ids_ascend_each_there_once() -> None:
    entry = CatalogueEntry(3, 1, 1)
    with pytest.raises(ValueError, match="ascend"):
        Catalogue((entry, entry), "run", "docs@1")


@pytest.mark.parametrize("lineage", ["no JSON", '{"an": "object"}'])
def test_a_lineage_is_a_json_array(lineage: str) -> None:
    with pytest.raises(ValueError, match="lineage"):
        fitted(CatalogueEntry(1, 1, 1, lineage=lineage))


@given(st.lists(st.text(max_size=30), max_size=30))
def test_what_fits_stays_as_it_is(words: list[str]) -> None:
    entry = CatalogueEntry(1, 1, "k", keywords=tuple(words), lineage=json_text(words))

    assert fitted(entry).keywords == entry.keywords
    assert json.loads(fitted(entry).lineage) == words
