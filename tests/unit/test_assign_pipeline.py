"""From rows that came after a run to their labels: a collection in memory, and real texts."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from tests import data
from tests.unit.method_data import blobs
from vdbcluster.adapters.memory_candidates import MemoryCandidates
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.settings import load_settings
from vdbcluster.graph.distance import center, is_narrow, mean_direction, prepare
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.model.arrays import Float32Array, Keys
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline import around
from vdbcluster.pipeline.around import surroundings
from vdbcluster.pipeline.assign import assign_rows
from vdbcluster.pipeline.cluster import cluster_graph
from vdbcluster.pipeline.emerge import emerge
from vdbcluster.pipeline.kept import Kept, recall, remember
from vdbcluster.pipeline.recipe import wanted_neighbors
from vdbcluster.quality.scores import agreement

QUIET, SETTINGS = QuietObserver(), load_settings({})


class Counting(MemoryCandidates):
    """Counts what it is asked."""

    asked = fetched = 0

    def propose(self, vectors: Float32Array, limit: int):
        self.asked += len(vectors)
        return super().propose(vectors, limit)

    def vectors(self, keys: Keys) -> Float32Array:
        self.fetched += len(keys)
        return super().vectors(keys)


def ran(keys, vectors, metric="chord") -> tuple[Kept, np.ndarray]:
    """A run over some rows as the pipeline does it: what it keeps, and its labels."""
    mean = mean_direction(vectors) if metric == "chord" else None
    mean = mean if mean is not None and is_narrow(mean) else None
    points = prepare(vectors, metric, mean=mean)
    n = len(points)
    k = wanted_neighbors(SETTINGS, n)
    graph = NeighborGraph(*exact_neighbors(points, np.arange(n), k, metric), metric)
    result = cluster_graph(graph, points, SETTINGS, exact=False)
    return remember(keys, graph, result.clustering, result.recipe, mean), result.clustering.labels


def rows_of(keys, vectors) -> Rows:
    return Rows(keys, vectors, np.zeros(len(keys), np.int32), ("_default",))


def groups(*sizes: int, seed: int = 0) -> np.ndarray:
    """Directions around as many axes as there are sizes."""
    return (blobs(sizes, seed=seed, dimensions=8, apart=12)).astype(np.float32)


@pytest.fixture(scope="module")
def world() -> tuple[MemoryCollection, Kept, np.ndarray]:
    """Three groups that were clustered, under the keys 0, 10, 20, ...."""
    vectors = groups(80, 60, 60)
    keys = 10 * np.arange(200)
    kept, labels = ran(keys, vectors)
    assert len(np.unique(labels[labels >= 0])) == 3
    return MemoryCollection(vectors, keys), kept, labels


def grown(world, keys, vectors) -> tuple[Counting, Rows]:
    held, _, _ = world
    collection = MemoryCollection(held.vectors, held.keys)
    collection.insert(keys, vectors)
    return Counting(collection), rows_of(np.asarray(keys), vectors)


def test_new_rows_get_the_label_of_their_group_and_nothing_else_is_asked_for(world) -> None:
    _, kept, labels = world
    search, rows = grown(world, [5, 1001, 2003], groups(80, 60, 60, seed=4)[[3, 100, 170]])
    found = assign_rows(kept, rows, search, QUIET)
    assert found.assigned.labels.tolist() == [labels[0], labels[100], labels[170]]
    assert search.asked == 3
    assert search.fetched <= 3 * (kept.reference.n_neighbors + 5)
    batch = found.batch("run-2")
    assert batch.keys.tolist() == [5, 1001, 2003]
    assert set(batch.assignment.tolist()) <= {"core", "soft"}
    assert batch.run_ids.tolist() == ["run-2"] * 3
    assert batch.probability.dtype == batch.outlier_score.dtype == np.float32


def test_what_a_run_records_is_enough(world, tmp_path) -> None:
    _, kept, _ = world
    for mean in (None, np.arange(8.0)):
        runs, whole = RunDirectory(tmp_path), replace(kept, mean=mean)
        runs.save_arrays("run-1", whole.arrays(), "kept")
        same(recall(runs.load_arrays("run-1", "kept"), kept.facts()), whole)


def same(one: Kept, other: Kept) -> None:
    np.testing.assert_array_equal(one.keys, other.keys)
    assert (one.mean is None) == (other.mean is None)
    for field in fields(one.reference):
        np.testing.assert_array_equal(
            getattr(one.reference, field.name), getattr(other.reference, field.name)
        )


def test_what_is_kept_without_some_rows_and_with_others_in_their_place(world) -> None:
    _, kept, _ = world
    less = kept.without(np.array([10, 15, 1990]))
    assert less.keys.tolist() == [k for k in kept.keys.tolist() if k not in (10, 1990)]
    changed = Kept(kept.keys[[1, 7]], kept.reference.take(np.array([150, 151])), kept.mean)
    both = kept.patched(changed)
    np.testing.assert_array_equal(both.keys, kept.keys)
    assert (both.reference.labels[[1, 7]] == kept.reference.labels[[150, 151]]).all()
    assert (both.reference.support[[1, 7]] == kept.reference.support[[150, 151]]).all()
    same(both.patched(kept), kept)
    same(less.patched(kept), kept)
    other = kept.renamed({0: 7, 2: 7})
    assert (other.reference.labels == np.array([7, 1, 7, -1])[kept.reference.labels]).all()


def test_what_is_around_a_row_is_what_an_exact_search_finds(world) -> None:
    held, kept, _ = world
    new = groups(80, 60, 60, seed=4)[::40]
    search, rows = grown(world, [1, 2, 3, 4, 5], new)
    search.collection.insert([7777], new[:1])  # came between reading and searching
    search.collection.delete([0])
    found = surroundings(kept, rows.keys, rows.vectors, rows.keys, search, QUIET)
    every = prepare(np.concatenate([held.vectors, new, new[:1]]), "chord")
    indices, distances = exact_neighbors(every, np.arange(200, 205), 60, "chord")
    for i in range(5):
        stays = indices[i] != 0
        k = kept.reference.n_neighbors
        np.testing.assert_allclose(found.distances[i], distances[i][stays][:k], atol=1e-6)
        assert set(found.indices[i].tolist()) == set(indices[i][stays][:k].tolist())


def test_a_group_that_forms_gets_an_id_and_the_next_rows_join_it(world) -> None:
    _, kept, labels = world
    new = -groups(40, seed=5) - np.float32(2)
    search, rows = grown(world, 3 + 10 * np.arange(40), new)
    found = emerge(assign_rows(kept, rows, search, QUIET), rows, search, SETTINGS, 9, QUIET)
    assert found.emerged is not None
    assert found.emerged.ids == (9,)
    assert (found.assigned.labels == 9).mean() > 0.9
    batch = found.batch("run-2")
    assert (np.diff(batch.keys) > 0).all()
    later = kept.followed_by(found.added())
    assert (np.diff(later.keys) > 0).all()
    one = -groups(40, seed=6)[:1] - np.float32(2)
    search.collection.insert([99999], one)
    again = assign_rows(later, rows_of(np.array([99999]), one), search, QUIET)
    assert again.assigned.labels.tolist() == [9]
    third = kept.followed_by(found.added().patched(again.added()))
    assert third.reference.labels[third.keys == 99999].tolist() == [9]
    assert set(labels.tolist()) <= set(later.reference.labels.tolist())


def test_noise_of_the_run_joins_what_forms_around_it() -> None:
    few = -groups(3, seed=5) - np.float32(2)
    vectors = np.concatenate([groups(80, 60, 60), few])
    kept, labels = ran(np.arange(203), vectors)
    labels = np.where(np.arange(203) >= 200, -1, labels)
    kept = Kept(kept.keys, type(kept.reference)(**_as_noise(kept, labels)), kept.mean)
    new = -groups(43, seed=5)[3:] - np.float32(2)
    collection = MemoryCollection(np.concatenate([vectors, new]), np.arange(243))
    rows = rows_of(np.arange(203, 243), new)
    search = MemoryCandidates(collection)
    found = emerge(assign_rows(kept, rows, search, QUIET), rows, search, SETTINGS, 50, QUIET)
    assert found.emerged is not None
    batch = found.batch("run-2")
    joined = batch.keys < 203
    assert joined.any()
    assert set(batch.keys[joined].tolist()) <= {200, 201, 202}
    assert set(batch.cluster_id[joined].tolist()) == {50}
    assert found.rejoined.tolist() == batch.keys[joined].tolist()
    later = kept.followed_by(found.added())
    assert (later.reference.labels[batch.keys[joined]] == 50).all()
    assert np.isfinite(later.reference.support[batch.keys[joined]]).all()


def _as_noise(kept: Kept, labels: np.ndarray) -> dict:
    values = {field.name: getattr(kept.reference, field.name) for field in fields(kept.reference)}
    return values | {"labels": labels, "soft": kept.reference.soft & (labels >= 0)}


def test_rows_that_joined_a_cluster_of_the_run_vote_for_nobody(world) -> None:
    _, kept, labels = world
    new = groups(80, 60, 60, seed=4)[[3, 100, 170]]
    search, rows = grown(world, [1001, 1003, 1005], new)
    found = assign_rows(kept, rows, search, QUIET)
    assert (found.assigned.labels >= 0).all()
    added = found.added()
    assert (added.reference.labels == found.assigned.labels).all()
    later = kept.followed_by(added)
    assert later.reference.labels[np.isin(later.keys, rows.keys)].tolist() == [-1] * 3
    old = np.isin(later.keys, kept.keys)
    assert (later.reference.labels[old] == labels).all()
    twins, more = grown(world, [1, 2, 3], new)
    alone = assign_rows(kept, more, twins, QUIET).assigned
    twins.collection.insert(rows.keys, new)
    beside = assign_rows(later, more, twins, QUIET).assigned
    assert (beside.labels == alone.labels).all()
    assert (beside.support < alone.support).all()


def test_only_noise_near_new_rows_is_looked_at() -> None:
    """What a search for new clusters costs does not grow with the noise of the run."""
    strays = 40 * np.eye(8)[np.arange(150) % 8] + np.random.default_rng(0).normal(size=(150, 8))
    vectors = np.concatenate([groups(80, 60, 60), strays]).astype(np.float32)
    kept, labels = ran(np.arange(350), vectors, "euclidean")
    labels = np.where(np.arange(350) >= 200, -1, labels)
    kept = Kept(kept.keys, type(kept.reference)(**_as_noise(kept, labels)), kept.mean)
    k = kept.reference.n_neighbors
    for place in (np.full((1, 8), -50, np.float32), vectors[3:4] + np.float32(6)):
        collection = MemoryCollection(np.concatenate([vectors, place]), metric="L2")
        search, rows = Counting(collection), rows_of(np.array([350]), place)
        found = assign_rows(kept, rows, search, QUIET)
        assert found.assigned.labels.tolist() == [-1]
        near = found.around.indices[0]
        assert (labels[near] >= 0).any()  # those are in a cluster, and stay there
        emerge(found, rows, search, SETTINGS, 9, QUIET)
        assert search.asked == 1 + int((labels[near] < 0).sum())
        assert search.fetched <= (k + 5) * (2 + k)


def test_no_rows_no_labels(world) -> None:
    _, kept, _ = world
    search, rows = grown(world, np.empty(0, np.int64), np.empty((0, 8), np.float32))
    found = emerge(assign_rows(kept, rows, search, QUIET), rows, search, SETTINGS, 9, QUIET)
    assert (len(found.batch("r")), found.emerged) == (0, None)


def test_text_keys() -> None:
    vectors = groups(80, 60, 60)
    keys = np.array([f"k{i:04d}" for i in range(200)], object)
    kept, labels = ran(keys[:-1], vectors[:-1])
    search = MemoryCandidates(MemoryCollection(vectors, keys))
    found = assign_rows(kept, rows_of(keys[-1:], vectors[-1:]), search, QUIET)
    assert found.assigned.labels.tolist() == [labels[-1]]
    assert found.batch("r").keys.tolist() == ["k0199"]


def test_rows_centred_on_the_mean_of_others_are_as_those_were() -> None:
    vectors = groups(30, 30) + np.float32(40)
    mean = mean_direction(vectors)
    assert is_narrow(mean)
    same = prepare(vectors[5:9], "chord", mean=mean)
    np.testing.assert_array_equal(same, center(vectors)[5:9])
    with pytest.raises(ValueError, match="NaN"):
        prepare(np.full((1, 8), np.nan, np.float32), "chord", mean=mean)


def test_a_centred_run_assigns_centred_rows() -> None:
    vectors = groups(80, 60, 60) + np.float32(60)
    kept, labels = ran(np.arange(200), vectors)
    assert kept.mean is not None
    new = groups(80, 60, 60, seed=4)[[3, 100, 170]] + np.float32(60)
    collection = MemoryCollection(np.concatenate([vectors, new]))
    found = assign_rows(
        kept, rows_of(np.arange(200, 203), new), MemoryCandidates(collection), QUIET
    )
    assert found.assigned.labels.tolist() == labels[[0, 100, 170]].tolist()
    points = prepare(np.concatenate([vectors, new]), "chord", mean=kept.mean)
    _, distances = exact_neighbors(points, np.arange(200, 203), kept.reference.min_samples, "chord")
    np.testing.assert_allclose(found.assigned.core_distances, distances[:, -1], atol=1e-6)


@pytest.fixture(scope="module")
def news() -> tuple[np.ndarray, np.ndarray]:
    vectors = data.embeddings("bbc2225.minilm-l6-int8.384.f16.npy")
    return vectors, data.table("bbc2225.parquet")["label"].to_numpy()


def test_real_texts_get_what_clustering_anew_gives_them(news) -> None:
    vectors, truth = news
    keys = np.arange(len(vectors))
    new = np.random.default_rng(1).permutation(keys)[:200]
    new.sort()
    old = np.setdiff1d(keys, new)
    kept, _ = ran(old, vectors[old])
    rows, search = rows_of(new, vectors[new]), MemoryCandidates(MemoryCollection(vectors))
    found = emerge(assign_rows(kept, rows, search, QUIET), rows, search, SETTINGS, 99, QUIET)
    _, anew = ran(keys, vectors)
    assert found.emerged is None
    assert agreement(found.assigned.labels, anew[new])[1] > 0.85
    assert (found.assigned.labels == -1).mean() < 0.1
    by_truth = [agreement(np.unique(truth[new], return_inverse=True)[1], labels)[1]
                for labels in (found.assigned.labels, anew[new])]  # fmt: skip
    assert by_truth[0] > by_truth[1] - 0.05


def test_a_class_of_real_texts_that_was_never_seen_gets_ids_of_its_own(news) -> None:
    vectors, truth = news
    keys, sport = np.arange(len(vectors)), truth == "sport"
    assert sport.any()
    old = keys[~sport][20:]
    new = np.setdiff1d(keys, old)
    kept, _ = ran(old, vectors[old])
    rows, search = rows_of(new, vectors[new]), MemoryCandidates(MemoryCollection(vectors))
    found = emerge(assign_rows(kept, rows, search, QUIET), rows, search, SETTINGS, 99, QUIET)
    assert found.emerged is not None
    inside = np.isin(found.assigned.labels, found.emerged.ids)
    assert sport[new][inside].mean() > 0.95
    assert inside[sport[new]].mean() > 0.6
    assert min(found.emerged.ids) == 99


def test_a_class_that_comes_in_drips_is_found_as_well(news) -> None:
    """Its first rows join what is nearest; they must not draw those that follow after them."""
    vectors, truth = news
    keys, sport = np.arange(len(vectors)), truth == "sport"
    old = keys[~sport][20:]
    coming = np.random.default_rng(0).permutation(np.setdiff1d(keys, old))
    kept, _ = ran(old, vectors[old])
    there, since, next_id = old, None, 99
    for part in np.array_split(coming, 12):
        new = np.sort(part)
        there = np.sort(np.concatenate([there, new]))
        search = MemoryCandidates(MemoryCollection(vectors[there], there))
        rows, known = rows_of(new, vectors[new]), kept.followed_by(since) if since else kept
        found = assign_rows(known, rows, search, QUIET)
        found = emerge(found, rows, search, SETTINGS, next_id, QUIET)
        next_id += len(found.emerged.ids) if found.emerged else 0
        since = since.patched(found.added()) if since else found.added()
    labels = since.reference.labels
    assert next_id > 99
    assert sport[since.keys[labels >= 99]].mean() > 0.95
    assert (labels[sport[since.keys]] >= 99).mean() > 0.5


def test_the_vectors_of_a_batch_are_bounded_in_bytes(world, monkeypatch) -> None:
    _, kept, _ = world
    new = groups(80, 60, 60, seed=4)[::20]
    search, rows = grown(world, 1001 + 2 * np.arange(len(new)), new)
    whole = assign_rows(kept, rows, search, QUIET).assigned
    wanted = kept.reference.n_neighbors + 5
    monkeypatch.setattr(around, "BATCH_BYTES", 3 * 4 * 8 * wanted)
    asked = []
    monkeypatch.setattr(search, "propose", lambda v, n: asked.append(len(v)) or ask(v, n))
    ask = MemoryCandidates(search.collection).propose
    again = assign_rows(kept, rows, search, QUIET).assigned
    assert asked == [3, 3, 3, 1]
    assert (again.labels == whole.labels).all()
