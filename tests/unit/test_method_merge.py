"""Merging against dense matrices, and what it promises of any clustering."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tests.unit.engine_graphs import permuted
from tests.unit.test_method_soft import cases, graph_of, labelled
from vdbcluster.methods.merge import _joined, between_clusters, by_size, merge
from vdbcluster.model.hierarchy import no_clusters


def dense_between(graph, labels, c):
    one_way = np.zeros((graph.n_rows, graph.n_rows))
    rows, places = np.nonzero(graph.indices >= 0)
    one_way[rows, graph.indices[rows, places]] = 1
    member = (labels[:, None] == np.arange(c)).astype(float)
    return member.T @ (one_way + one_way.T) @ member


def by_hand(between: np.ndarray, gain: float) -> np.ndarray:
    """Greedy on dense matrices, all pairs anew each time."""
    into, alive = np.arange(len(between)), list(range(len(between)))
    while True:
        volume, inside = between.sum(axis=1), np.diag(between)
        offers = [
            (
                -(
                    gain
                    + (inside[a] + inside[b] + 2 * between[a, b]) / (volume[a] + volume[b])
                    - (inside[a] / volume[a] + inside[b] / volume[b])
                ),
                a,
                b,
            )
            for a in alive
            for b in alive
            if a < b and between[a, b]
        ]
        best = min(offers, default=(0, 0, 0))
        if best[0] >= -1e-12:
            return into
        _, a, b = best
        between[a] += between[b]
        between[:, a] += between[:, b]
        between[b] = between[:, b] = 0
        alive.remove(b)
        into[into == b] = a


def of_all_pairs(between: np.ndarray, gain: float) -> np.ndarray:
    """The same of whole numbers, each gain reckoned as it is there: what ties here ties there."""
    into, alive, weight = np.arange(len(between)), list(range(len(between))), between.tolist()
    while True:
        volume = [sum(row) for row in weight]
        offers = [
            (-(gain + (of_union - (weight[a][a] / volume[a] + weight[b][b] / volume[b]))), a, b)
            for a, b in combinations(alive, 2)
            if weight[a][b]
            for inside in [weight[a][a] + weight[b][b] + 2 * weight[a][b]]
            for of_union in [inside / (volume[a] + volume[b])]
        ]
        best, a, b = min(offers, default=(0, 0, 0))
        if best >= 0:
            return into
        for row in weight:
            row[a], row[b] = row[a] + row[b], 0
        weight[a] = [x + y for x, y in zip(weight[a], weight[b], strict=True)]
        weight[b] = [0] * len(weight)
        alive.remove(b)
        into[into == b] = a


def same_parts(one: np.ndarray, other: np.ndarray) -> bool:
    pairs = len(set(zip(one.tolist(), other.tolist(), strict=True)))
    return pairs == len(set(one.tolist())) == len(set(other.tolist()))


@settings(deadline=None, max_examples=40)
@given(case=cases())
def test_the_weight_between_clusters(case):
    graph, before = case
    found = between_clusters(graph, before.labels, before.n_clusters)
    expected = dense_between(graph, before.labels, before.n_clusters)
    np.testing.assert_array_equal(found.toarray(), expected)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    c=st.integers(1, 25),
    share=st.floats(0.05, 1),
    inside=st.integers(0, 400),
    gain=st.sampled_from([0.1, 0.3, 0.5, 0.7, 1.0]),
)
def test_it_is_the_greedy_join_of_all_pairs(seed, c, share, inside, gain):
    rng = np.random.default_rng(seed)
    # weights that hardly ever tie: sums differ in their last bits here, and not there
    half = np.triu(rng.integers(1, 10**6, (c, c)) * (rng.random((c, c)) < share), 1)
    between = half + half.T + np.diag(rng.integers(0, 10**4 * inside + 1, c) * 2)
    found = _joined(csr_array(between.astype(np.int64)), gain)
    np.testing.assert_array_equal(found, by_hand(between.astype(float), gain))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    c=st.integers(1, 25),
    share=st.floats(0.05, 1),
    most=st.integers(1, 4),
    gain=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_of_equal_gains_the_first_pair_is_joined(seed, c, share, most, gain):
    rng = np.random.default_rng(seed)
    half = np.triu(rng.integers(1, most + 1, (c, c)) * (rng.random((c, c)) < share), 1)
    between = half + half.T + np.diag(2 * rng.integers(0, 3 * most, c))
    found = _joined(csr_array(between), gain)
    np.testing.assert_array_equal(found, of_all_pairs(between, gain))


@settings(deadline=None, max_examples=40)
@given(case=cases(), gain=st.sampled_from([0.2, 0.5, 1.0]))
def test_clusters_are_joined_and_nothing_else(case, gain):
    graph, before = case
    after = merge(graph, before, gain)
    np.testing.assert_array_equal(after.labels < 0, before.labels < 0)
    parts = dict(zip(before.labels.tolist(), after.labels.tolist(), strict=True))
    assert after.labels.tolist() == [parts[label] for label in before.labels.tolist()]
    size = after.sizes()
    first = [np.flatnonzero(after.labels == q)[0] for q in range(after.n_clusters)]
    assert sorted(zip(-size, first, strict=True)) == list(zip(-size, first, strict=True))
    assert after.n_clusters == len(after.exemplars) == len(set(after.labels.tolist()) - {-1})
    for q, exemplars in enumerate(after.exemplars):
        assert (after.labels[exemplars] == q).all()
        parts_of = np.flatnonzero([parts[p] == q for p in range(before.n_clusters)])
        weight = before.sizes()[parts_of]
        expected = np.average(before.persistence[parts_of], weights=weight)
        assert after.persistence[q] == pytest.approx(expected)
    assert sum(map(len, after.exemplars)) == sum(map(len, before.exemplars))
    for name in ("probabilities", "outlier_scores", "soft"):
        assert getattr(after, name) is getattr(before, name)


@settings(deadline=None, max_examples=30)
@given(case=cases(), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(case, seed):
    graph, before = case
    order = np.random.default_rng(seed).permutation(graph.n_rows)
    place = np.argsort(order)
    moved = replace(
        before,
        labels=before.labels[order],
        exemplars=tuple(place[rows] for rows in before.exemplars),
    )
    one, other = merge(graph, before), merge(permuted(graph, order), moved)
    assert same_parts(one.labels[order], other.labels)
    np.testing.assert_array_equal(one.sizes(), other.sizes())


def ring(n: int, reach: int) -> np.ndarray:
    """Each row lists the ``reach`` next ones on both sides."""
    steps = np.delete(np.arange(-reach, reach + 1), reach)
    return (np.arange(n)[:, None] + steps) % n


def test_a_cut_through_a_dense_region_is_mended_and_a_gap_is_not():
    """A clique in two halves is joined; two cliques with a bridge are not."""
    clique = np.array([np.delete(np.arange(12), i) for i in range(12)])
    halves = merge(graph_of(clique), labelled(np.arange(12) % 2))
    assert halves.n_clusters == 1
    two = np.concatenate((clique, clique + 12))
    two[0, 0], two[12, 0] = 12, 0
    assert merge(graph_of(two), labelled(np.arange(24) // 12)).n_clusters == 2


def test_a_pair_is_joined_above_a_quarter_of_its_weight():
    """As the module says of two clusters of one volume without others."""
    for between, left in ((24, 2), (26, 1)):
        weights = np.array([[100 - between, between], [between, 100 - between]])
        assert len(set(_joined(csr_array(weights), 0.5).tolist())) == left


def test_a_higher_gain_leaves_fewer_clusters():
    graph = graph_of(ring(240, 4))
    before = labelled(np.arange(240) // 8)
    left = [merge(graph, before, gain).n_clusters for gain in (0.1, 0.4, 0.5, 0.6, 1.0)]
    assert left == sorted(left, reverse=True)
    assert left[0] == 30
    assert left[-1] < 8


def test_nothing_to_join():
    for n in (0, 1, 2):
        empty = graph_of(np.full((n, 1), -1))
        assert merge(empty, no_clusters(n)).n_clusters == 0
    noise = graph_of(ring(10, 2))
    assert merge(noise, no_clusters(10)).n_noise == 10
    one = labelled(np.zeros(10))
    np.testing.assert_array_equal(merge(noise, one).labels, one.labels)
    apart = graph_of(np.full((6, 2), -1))
    found = merge(apart, labelled([0, 0, 1, 1, 1, -1]))
    np.testing.assert_array_equal(found.labels, [1, 1, 0, 0, 0, -1])
    with pytest.raises(ValueError, match="rows"):
        merge(noise, no_clusters(3))


def test_clusters_without_rows_come_last():
    before = replace(
        labelled([2, 2, -1, 1]),
        persistence=np.array([0.9, 0.1, 0.2]),
        exemplars=(np.empty(0, np.int64), np.array([3]), np.array([0, 1])),
    )
    after = by_size(before)
    np.testing.assert_array_equal(after.labels, [0, 0, -1, 1])
    np.testing.assert_allclose(after.persistence, [0.2, 0.1, 0.9])
    assert [len(rows) for rows in after.exemplars] == [2, 1, 0]


def test_thousands_of_clusters_with_a_hub():
    """Every cluster beside the next ones, and the first beside all."""
    c = 3_000
    rows = np.repeat(np.arange(c), 5)
    ends = (rows + np.tile(np.arange(1, 6), c)) % c
    rows, ends = np.append(rows, np.zeros(c - 1, int)), np.append(ends, np.arange(1, c))
    half = csr_array((np.full(len(rows), 10), (rows, ends)), shape=(c, c))
    alone = csr_array((np.full(c, 30), (np.arange(c), np.arange(c))), shape=(c, c))
    into = _joined(csr_array(half + half.T + alone), 0.5)
    assert 2 <= len(np.unique(into)) < c / 4
    assert (into <= np.arange(c)).all()


HUB = """
import resource
import numpy as np
from scipy.sparse import csr_array
from vdbcluster.methods.merge import _joined

def hub(d):
    leaves, ring = np.arange(1, d + 1), np.arange(d + 1, 2 * d + 1)
    left = np.concatenate((np.zeros(2 * d, int), ring))
    right = np.concatenate((leaves, ring, np.roll(ring, 1)))
    weights = np.repeat([100, 10, 100], d)
    inside = np.concatenate(([10**6], np.zeros(d, int), np.full(d, 4000)))
    one_way = csr_array((weights, (left, right)), shape=(2 * d + 1, 2 * d + 1))
    every = np.arange(2 * d + 1)
    return csr_array(one_way + one_way.T + csr_array((inside, (every, every))))

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

_joined(hub(10), 1.0)
before = most()
assert (_joined(hub(2000), 1.0)[:2001] == 0).all()
print(most() - before)
"""


def test_a_hub_that_takes_in_its_leaves_one_by_one_takes_no_memory() -> None:
    """With each of them the gains of all its other pairs are a little greater than before.

    In a process of its own, which tells how much more memory it has had: MiB on Linux.
    """
    told = subprocess.run(
        [sys.executable, "-c", HUB], capture_output=True, text=True, check=True, timeout=120
    )
    assert int(told.stdout) < 80
