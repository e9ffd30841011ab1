"""Soft assignment against ten lines of dictionaries, and what it promises of any input."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from tests.unit.engine_graphs import graphs, permuted
from vdbcluster.graph import by_rows
from vdbcluster.methods import majority
from vdbcluster.methods.soft import ROUNDS, assign, weights, withdrawn
from vdbcluster.model.hierarchy import Clustering, no_clusters
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.pipeline.room import Room

ROOT = Path(__file__).parents[2]
GROWTH = """
from tests.own_memory import growth
from tests.unit.test_method_soft import many_rows_of_noise
from vdbcluster.methods.soft import assign
from vdbcluster.pipeline.room import Room

small, large = Room(4 << 20), Room(1 << 30)
assign(*many_rows_of_noise(2000, 50, large), empty=small.empty)
graph, clustering = many_rows_of_noise(200_000, 50, large)
print(*(growth(lambda: assign(graph, clustering, empty=room.empty)) for room in (small, large)))
"""
METRICS = ["spectral", "chord", "shared-neighbors", "jaccard", "angular", "euclidean", "hamming"]


def labelled(labels, *, seed: int = 0) -> Clustering:
    """A clustering with these labels and scores of all kinds."""
    labels = np.asarray(labels, np.int64)
    c, n = int(labels.max(initial=-1)) + 1, len(labels)
    rng = np.random.default_rng(seed)
    return Clustering(
        labels=labels,
        probabilities=np.where(labels >= 0, rng.uniform(0.1, 1, n), 0.0),
        outlier_scores=rng.uniform(0, 1, n),
        persistence=rng.uniform(0, 1, c),
        exemplars=tuple(np.flatnonzero(labels == q)[:1] for q in range(c)),
        soft=np.zeros(n, np.bool_),
    )


@st.composite
def cases(draw) -> tuple[NeighborGraph, Clustering]:
    found = draw(graphs(max_rows=40))
    distances = found.distances
    if draw(st.booleans()):  # into the range of the bounded metrics
        distances = np.where(np.isinf(distances), distances, distances / 4).astype(np.float32)
    graph = NeighborGraph(found.indices, distances, draw(st.sampled_from(METRICS)))
    c = draw(st.integers(1, 4))
    labels = draw(st.lists(st.integers(-1, c - 1), min_size=found.n_rows, max_size=found.n_rows))
    used = {label: number for number, label in enumerate(sorted(set(labels) - {-1}))}
    return graph, labelled([used.get(label, -1) for label in labels])


def by_hand(graph: NeighborGraph, labels: np.ndarray) -> tuple[list[int], list[Fraction]]:
    weight = weights(graph.distances, graph.metric)
    now, free = labels.tolist(), np.flatnonzero(labels < 0).tolist()
    for _ in range(ROUNDS):
        old = list(now)
        for i in free:
            votes = defaultdict(int)
            for j, w in zip(graph.indices[i], weight[i].tolist(), strict=True):
                if j >= 0 and old[j] >= 0 and w:
                    votes[old[j]] += w
            if votes:
                now[i] = min(votes, key=lambda label: (-votes[label], label))
    return by_majority(graph, now, free)


def by_majority(graph: NeighborGraph, now: list[int], free: list[int]):
    """Links both ways: the label of most, one's own of equals, else the lower."""
    links = defaultdict(list)
    for i, row in enumerate(graph.indices.tolist()):
        for j in row:
            if j >= 0:
                links[i].append(j)
                links[j].append(i)
    for _ in range(majority.ROUNDS):
        old = list(now)
        for i in free:
            votes = Counter(old[j] for j in links[i] if old[j] >= 0)
            if votes:
                now[i] = min(votes, key=lambda label: (-votes[label], label != old[i], label))
    sure = [Fraction(0)] * len(now)
    for i in free:
        if now[i] >= 0:
            sure[i] = Fraction(sum(now[j] == now[i] for j in links[i]), len(links[i]))
    return now, sure


@settings(deadline=None, max_examples=60)
@given(case=cases())
def test_it_is_the_vote_of_the_neighbours(case):
    graph, before = case
    after = assign(graph, before)
    labels, sure = by_hand(graph, before.labels)
    np.testing.assert_array_equal(after.labels, labels)
    np.testing.assert_array_equal(after.soft, (before.labels < 0) & (after.labels >= 0))
    for i in np.flatnonzero(after.soft):
        least = before.probabilities[before.labels == labels[i]].min()
        assert after.probabilities[i] == pytest.approx(float(sure[i]) * least)


@settings(deadline=None, max_examples=40)
@given(case=cases())
def test_several_threads_vote_as_one(case):
    graph, before = case
    with pytest.MonkeyPatch.context() as patched, threadpool_limits(limits=3):
        patched.setattr(by_rows, "_FEWEST", 3)
        patched.setattr(by_rows, "_MOST", 3)
        after = assign(graph, before)
    np.testing.assert_array_equal(after.labels, by_hand(graph, before.labels)[0])


@settings(deadline=None, max_examples=40)
@given(case=cases(), bound=st.integers(0, 200), max_noise=st.sampled_from([0.0, 0.3]))
def test_in_files_it_is_what_it_is_in_memory(case, bound, max_noise):
    graph, before = case
    room = Room(bound)
    filed = NeighborGraph(room.placed(graph.indices), room.placed(graph.distances), graph.metric)
    one = assign(graph, before, max_noise=max_noise)
    other = assign(filed, before, max_noise=max_noise, empty=room.empty)
    for field in fields(Clustering):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def many_rows_of_noise(n: int, k: int, room: Room) -> tuple[NeighborGraph, Clustering]:
    """A ring in which each row lists the next k; k rows are a cluster, all others are noise."""
    indices, distances = room.empty((n, k), np.int32), room.empty((n, k), np.float32)
    indices[:] = (np.arange(n)[:, None] + np.arange(1, k + 1)) % n
    distances[:] = 0.5
    return NeighborGraph(indices, distances, "spectral"), labelled([0] * k + [-1] * (n - k))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_edges_of_noise_take_the_room_there_is() -> None:
    """200,000 rows, 50 neighbours each: 38 MiB of weights, then 76 of ends."""
    child = [sys.executable, "-c", GROWTH]
    ended = subprocess.run(child, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    small, large = map(int, ended.stdout.split())
    assert small < 40
    assert 70 < large < 120


@settings(deadline=None, max_examples=50)
@given(case=cases(), max_noise=st.floats(0, 1), min_confidence=st.floats(0, 1))
def test_the_least_confident_stay_noise(case, max_noise, min_confidence):
    graph, before = case
    after = assign(graph, before, max_noise=max_noise, min_confidence=min_confidence)
    labels, sure = by_hand(graph, before.labels)
    able = [
        i
        for i in np.flatnonzero(before.labels < 0)
        if labels[i] >= 0 and float(sure[i]) >= min_confidence
    ]
    kept = set(np.flatnonzero(after.soft).tolist())
    assert kept <= set(able)
    dropped = [sure[i] for i in able if i not in kept]
    assert not (dropped and kept) or max(dropped) < min(sure[i] for i in kept)
    bound = max_noise * graph.n_rows + 1e-9
    if dropped:
        assert after.n_noise <= bound
    if kept:  # as many as there may be: with the next, all that are as confident, it were too many
        least = min(sure[i] for i in kept)
        assert after.n_noise + sum(sure[i] == least for i in kept) > bound


@settings(deadline=None, max_examples=30)
@given(case=cases(), seed=st.integers(0, 2**32 - 1), max_noise=st.sampled_from([0.0, 0.2, 0.5]))
def test_the_order_of_rows_does_not_matter(case, seed, max_noise):
    graph, before = case
    order = np.random.default_rng(seed).permutation(graph.n_rows)
    moved = replace(
        before,
        labels=before.labels[order],
        probabilities=before.probabilities[order],
        soft=before.soft[order],
    )
    one = assign(graph, before, max_noise=max_noise)
    other = assign(permuted(graph, order), moved, max_noise=max_noise)
    np.testing.assert_array_equal(other.labels, one.labels[order])
    np.testing.assert_array_equal(other.probabilities, one.probabilities[order])


@settings(deadline=None, max_examples=60)
@given(case=cases())
def test_what_was_found_stays_and_comes_first(case):
    graph, before = case
    after = assign(graph, before)
    core = before.labels >= 0
    for name in ("labels", "probabilities"):
        np.testing.assert_array_equal(getattr(after, name)[core], getattr(before, name)[core])
    for name in ("outlier_scores", "persistence", "exemplars"):
        assert getattr(after, name) is getattr(before, name)
    np.testing.assert_array_equal(after.raw_labels, before.labels)
    for label in range(before.n_clusters):
        soft = after.probabilities[after.soft & (after.labels == label)]
        assert (soft <= after.probabilities[core & (before.labels == label)].min()).all()
    back = withdrawn(after)
    for field in fields(Clustering):
        if field.name not in ("exemplars", "paths"):
            np.testing.assert_array_equal(getattr(back, field.name), getattr(before, field.name))


def graph_of(indices, distances=None, metric="spectral") -> NeighborGraph:
    indices = np.asarray(indices, np.int32)
    if distances is None:
        distances = np.where(indices >= 0, 0.5, np.inf)
    return NeighborGraph(indices, np.asarray(distances, np.float32), metric)


def test_nothing_to_do():
    for n in (0, 1, 2):
        empty = graph_of(np.full((n, 1), -1))
        assert assign(empty, no_clusters(n)).n_noise == n
    ring = graph_of([[1], [2], [0]])
    assert assign(ring, no_clusters(3)).n_noise == 3
    whole = labelled([0, 0, 0])
    assert assign(ring, whole) is whole
    apart = graph_of(np.full((3, 2), -1))
    np.testing.assert_array_equal(assign(apart, labelled([0, -1, 0])).labels, [0, -1, 0])


def test_it_goes_from_row_to_row_but_not_against_the_grain():
    """A chain of 40: each round reaches one row further."""
    chain = graph_of(np.arange(-1, 39)[:, None])
    found = assign(chain, labelled([0] + [-1] * 39))
    reached = 1 + ROUNDS + majority.ROUNDS
    np.testing.assert_array_equal(found.labels, [0] * reached + [-1] * (40 - reached))


def test_identical_rows_are_one_vote_each():
    indices = [[1, 2], [0, 2], [0, 1], [0, 1]]
    found = assign(graph_of(indices, np.zeros((4, 2))), labelled([0, 1, -1, -1]))
    np.testing.assert_array_equal(found.labels, [0, 1, 0, 0])  # a tie: the lower


def test_the_rows_that_list_a_row_have_their_say():
    """Row 4 lists one row of cluster 0, nearer than the one of 1; two more of 1 list row 4."""
    indices = [[1, 4], [0, -1], [3, 4], [2, 4], [0, 2]]
    distances = [[0.1, 0.1], [0.1, np.inf], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]]
    found = assign(graph_of(indices, distances), labelled([0, 0, 1, 1, -1]))
    np.testing.assert_array_equal(found.labels, [0, 0, 1, 1, 1])
    assert found.probabilities[4] == pytest.approx(
        3 / 5 * labelled([0, 0, 1, 1]).probabilities[2:].min()
    )


def test_who_has_links_to_one_cluster_only_is_as_sure_as_its_rows():
    graph = graph_of([[1, 2, 3], [0, 2, 3], [-1] * 3, [-1] * 3])
    before = replace(labelled([-1, 0, -1, -1]), probabilities=np.array([0, 0.5, 0, 0]))
    found = assign(graph, before)
    assert found.n_noise == 0
    assert found.probabilities[0] == pytest.approx(0.5)


@pytest.mark.parametrize("metric", METRICS)
def test_nearer_weighs_no_less(metric):
    near = weights(np.array([[0, 0.25, 0.5, 1, 1, np.inf]], np.float32), metric)[0]
    assert near[0] == 1 << 30
    assert (np.diff(near) <= 0).all()
    assert near[1] > near[2] > 0
    assert near[-1] == 0


@settings(deadline=None, max_examples=30)
@given(case=cases(), scale=st.sampled_from([2.0**-20, 0.25, 2.0**20]))
def test_distances_without_a_scale_are_compared_among_themselves(case, scale):
    graph = replace(case[0], metric="euclidean")
    assume(np.isfinite(graph.distances).any())
    assume(not ((graph.distances > 0) & (graph.distances < 1e-25)).any())  # would underflow
    scaled = (graph.distances * scale).astype(np.float32)
    np.testing.assert_array_equal(
        weights(scaled, "euclidean"), weights(graph.distances, "euclidean")
    )


def test_what_cannot_be_is_refused():
    graph = graph_of([[1], [0]])
    with pytest.raises(ValueError, match="rows"):
        assign(graph, no_clusters(3))
    with pytest.raises(ValueError, match="max_noise"):
        assign(graph, no_clusters(2), max_noise=1.1)
    with pytest.raises(ValueError, match="min_confidence"):
        assign(graph, no_clusters(2), min_confidence=-0.1)
