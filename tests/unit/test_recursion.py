"""Clusters within clusters: what is gone into, what comes of it, and the numbers that stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score as ami

from tests import data
from tests.unit.method_data import blobs
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import UsageError
from vdbcluster.graph.distance import prepare
from vdbcluster.methods.recursion import Recursion, from_their_mean, recurse
from vdbcluster.model.labels import LabelBatch
from vdbcluster.pipeline.paths import (
    families,
    moved,
    path_table,
    path_texts,
    stable_paths,
    voted_paths,
)
from vdbcluster.pipeline.recursion import Inside

DEEP = 4
Places = np.ndarray
"""``(n, 1 + DEEP)``: where each row is to be found, level by level; -1 is noise."""
NO_PATHS = np.empty(0, object)


@st.composite
def places(draw: st.DrawFn) -> Places:
    """Rows in clusters within clusters, with noise at every level."""
    n = draw(st.integers(1, 60))
    flat = draw(st.lists(st.integers(-1, 2), min_size=n * (1 + DEEP), max_size=n * (1 + DEEP)))
    return np.array(flat).reshape(n, 1 + DEEP)


def splitting(places: Places) -> Callable[[np.ndarray], np.ndarray]:
    """Finds in the rows of a cluster what ``places`` says of the first level they differ in."""

    def split(rows: np.ndarray) -> np.ndarray:
        for level in places[rows, 1:].T:
            if len(set(level[level >= 0].tolist())) > 1:
                return level
        return np.full(len(rows), -1)

    return split


def gone_into(places: Places, depth: int, min_size: int) -> Recursion:
    return recurse(places[:, 0], splitting(places), depth=depth, min_size=min_size)


def pathed(places: Places, found: Recursion) -> np.ndarray:
    return stable_paths(places[:, 0], found.levels, empty(len(places)), {}).paths


def empty(n: int) -> np.ndarray:
    return np.full(n, "", object)


def partition(labels: Any) -> set[frozenset[int]]:
    """The rows that have each label in common."""
    return {frozenset(np.flatnonzero(labels == one).tolist()) for one in set(labels)}


@settings(max_examples=40)
@given(places(), st.integers(1, DEEP), st.integers(1, 20))
def test_every_level_parts_large_clusters_and_nothing_else(
    places: Places, depth: int, min_size: int
) -> None:
    found = gone_into(places, depth, min_size)
    assert found.levels.shape == (len(places), depth)
    numbers = np.column_stack([places[:, 0], found.levels])
    assert ((numbers[:, :-1] >= 0) | (numbers[:, 1:] < 0)).all()  # nothing lies in noise
    parents = Counter()
    for family in families(pathed(places, found)):
        inner = Counter(family.labels[family.labels >= 0].tolist())
        assert len(family.rows) >= min_size
        assert sorted(inner) == list(range(len(inner)))
        assert len(inner) >= 2
        sizes = [inner[number] for number in sorted(inner)]
        assert sizes == sorted(sizes, reverse=True)
        parents[family.path.count("/")] += 1
    assert sum(parents.values()) == found.split <= found.entered
    assert max(parents, default=0) < depth


@settings(max_examples=40)
@given(places(), st.integers(1, DEEP), st.integers(1, 20), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter_unless_it_does_to_the_method(
    places: Places, depth: int, min_size: int, lots: Any
) -> None:
    order = np.array(lots.sample(range(len(places)), len(places)))
    one = pathed(places, gone_into(places, depth, min_size))
    other = pathed(places[order], gone_into(places[order], depth, min_size))
    assert partition(one[order]) == partition(other)


@settings(max_examples=40)
@given(places(), st.integers(1, DEEP))
def test_a_path_begins_with_the_id_and_is_read_again(places: Places, depth: int) -> None:
    ids = np.where(places[:, 0] < 0, -1, 7 + 10 * places[:, 0])
    found = gone_into(places, depth, 1)
    paths = stable_paths(ids, found.levels, empty(len(ids)), {}).paths
    for i, path in zip(ids.tolist(), paths.tolist(), strict=True):
        assert path.split("/")[0] == ("" if i < 0 else str(i))
    numbers = np.column_stack([ids, found.levels])
    assert path_table(paths)[:, : 1 + depth].tolist() == numbers.tolist()
    inside = {path: rows for family in families(paths) for path, rows in family.members.items()}
    for path, rows in inside.items():
        assert all(p == path or p.startswith(f"{path}/") for p in paths[rows])
        assert sum(p == path or p.startswith(f"{path}/") for p in paths) == len(rows)


@settings(max_examples=40)
@given(places(), st.integers(1, DEEP), st.randoms(use_true_random=False))
def test_the_same_clusters_keep_their_numbers(places: Places, depth: int, lots: Any) -> None:
    """However a run numbers them, and whatever the numbers were that ended before."""
    found = gone_into(places, depth, 1)
    free = {"0": 5, "1": 9, "0/5": 2}
    first = stable_paths(places[:, 0], found.levels, empty(len(places)), free)
    assert all(first.free[path] >= number for path, number in free.items())
    numbers = lots.sample(range(3), 3)
    again = np.append(numbers, -1)[found.levels]
    second = stable_paths(places[:, 0], again, first.paths, free)
    assert second.paths.tolist() == first.paths.tolist()
    assert second.free == first.free


def test_a_number_that_ended_is_not_given_again() -> None:
    ids = np.array([4] * 12)
    three = stable_paths(ids, np.repeat([0, 1, 2], 4)[:, None], empty(12), {})
    assert three.paths[[0, 4, 8]].tolist() == ["4/0", "4/1", "4/2"]
    two = stable_paths(ids, np.array([[0]] * 4 + [[1]] * 4 + [[-1]] * 4), three.paths, three.free)
    assert sorted(set(two.paths)) == ["4", "4/0", "4/1"]
    again = stable_paths(ids, np.repeat([2, 0, 1], 4)[:, None], two.paths, two.free)
    assert again.paths[[0, 4, 8]].tolist() == ["4/0", "4/1", "4/3"]
    elsewhere = stable_paths(np.array([5] * 12), np.repeat([0, 1, 2], 4)[:, None], two.paths, {})
    assert elsewhere.paths[[0, 4, 8]].tolist() == ["5/0", "5/1", "5/2"]


def test_what_is_stored_may_be_anything() -> None:
    odd = ["3/1", "", "a/b", "3/", "--3", "3//1", "9" * 40, "-1/2", "3/-1/2", "1/" * 40 + "1", None]
    table = path_table(np.array(odd, object))
    assert table[0, :3].tolist() == [3, 1, -1]
    assert (table[[1, 2, 3, 4, 5, 6, 10]] == -1).all()
    assert table[8, :4].tolist() == [3, -1, 2, -1]
    assert (table[9] == 1).all()
    levels = np.zeros((len(odd), 1), np.int64)
    levels[::2] = 1
    made = stable_paths(np.full(len(odd), 3), levels, np.array(odd, object), {})
    assert made.paths[0] == "3/1"
    assert made.paths[1] == "3/2"


def test_layers_have_families_too() -> None:
    paths = np.array(["0/0", "0/1", "0", "1/-1/5", "1/2", "", "1/2/1", "1/2/0"], object)
    found = {family.path: family.labels.tolist() for family in families(paths)}
    assert found == {"0": [0, 1, -1], "1": [-1, 2, 2, 2], "1/2": [-1, 1, 0]}
    assert families(NO_PATHS) == ()


def labels_of(ids: list[int], paths: list[str]) -> LabelBatch:
    blank = LabelBatch.blank(np.arange(len(ids)))
    return replace(blank, cluster_id=np.array(ids), path=np.array(paths, object))


def test_what_people_merge_lies_in_the_other_cluster() -> None:
    every = labels_of([4, 4, 4, 9, 9, 9, -1], ["4/0", "4/2", "4", "9/0/1", "9/1", "9", ""])
    mine = every.take(np.arange(3, 6))
    assert moved(mine, [every], 4, 0).tolist() == ["4/3/1", "4/4", "4"]
    assert moved(mine, [every], 4, 8).tolist() == ["4/8/1", "4/9", "4"]
    assert moved(mine.take(np.arange(2)), [every], 5, 0).tolist() == ["5/0/1", "5/1"]
    layers = labels_of([4, 9], ["0/4", "0/9"])
    assert moved(layers.take(np.array([1])), [layers], 4, 0).tolist() == ["0/9"]
    bare = LabelBatch.blank(np.arange(2))
    assert moved(bare, [bare], 4, 0).tolist() == ["", ""]


def test_new_rows_go_as_far_in_as_most_of_those_around_them() -> None:
    paths = np.array(["3/1/0", "3/1/1", "3/1", "3/2", "5/1", ""], object)
    around = np.array([[0, 1, 2], [0, 0, 1], [2, 3, 4], [5, 5, 5], [0, 1, 2], [4, 4, 0]])
    ids = np.array([3, 3, 3, 3, -1, 5])
    assert voted_paths(ids, around, paths).tolist() == ["3/1", "3/1/0", "3", "3", "", "5/1"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"depth": 0, "min_size": 5}, "depth is 0"),
        ({"depth": 1, "min_size": 0}, "min_size 0"),
        ({"depth": 1, "min_size": 1, "split": lambda rows: rows[:-1]}, "labels of shape"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], told: str) -> None:
    labels = np.array([0, 0, 1])
    with pytest.raises(ValueError, match=told):
        recurse(labels, **({"split": np.zeros_like} | wrong))


def test_recursion_and_layers_both_own_the_path() -> None:
    with pytest.raises(UsageError, match="recurse and method layers both say what cluster_path"):
        load_settings({"cluster": {"method": "layers", "recurse": 1}})


def test_directions_from_the_mean_take_any_rows() -> None:
    points = np.array([[0, 0], [2, 0], [1, 3], [1, -3], [1, 0]], np.float32)
    seen = from_their_mean(points)
    assert np.allclose(seen, [[-1, 0], [1, 0], [0, 1], [0, -1], [0, 0]])


def test_identical_rows_and_few_rows_do_not_come_apart() -> None:
    for points in (np.ones((40, 4)), np.zeros((30, 4)), blobs([3], seed=0)):
        some = np.asarray(points, np.float32)
        labels = Inside(some, "chord", Settings()).split(np.arange(len(some)))
        assert labels.max() < 1


@pytest.fixture(scope="module")
def intents() -> tuple[np.ndarray, np.ndarray]:
    """One domain of clinc150 with fifteen intents."""
    table = data.table("clinc150.parquet")
    rows = np.flatnonzero((table["domain"] == "banking") & (table["label"] != "oos"))[::2]
    vectors = data.embeddings("clinc150.minilm-l6-int8.384.f16.npy")[rows]
    return prepare(vectors, "chord"), table["label"].to_numpy()[rows]


@pytest.mark.parametrize("by", ["graph", pytest.param("umap", marks=pytest.mark.slow)])
def test_a_domain_comes_apart_into_its_intents(
    intents: tuple[np.ndarray, np.ndarray], by: str
) -> None:
    points, truth = intents
    inside = Inside(points, "chord", load_settings({"cluster": {"recurse_by": by}}))
    rows = np.arange(len(points))
    labels = inside.split(rows)
    assert ami(truth, labels) > 0.75
    assert inside.split(rows).tolist() == labels.tolist()


def test_walks_do_not_mind_the_order_of_rows(intents: tuple[np.ndarray, np.ndarray]) -> None:
    points, _ = intents
    order = np.random.default_rng(0).permutation(len(points))
    inside = Inside(points, "chord", Settings())
    other = Inside(points[order], "chord", Settings())
    rows = np.arange(len(points))
    assert ami(inside.split(rows)[order], other.split(rows)) > 0.98


def test_paths_of_texts_end_where_noise_begins() -> None:
    numbers = np.array([[3, 1, 2], [3, -1, -1], [-1, -1, -1]])
    assert path_texts(numbers).tolist() == ["3/1/2", "3", ""]
