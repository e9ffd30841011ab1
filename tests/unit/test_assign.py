"""Assignment of later rows against lines of plain arithmetic, and what it promises of any input."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import fields, replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine_graphs import graphs
from tests.unit.method_data import blobs, graph_of
from vdbcluster.assign import (
    assign,
    emerging,
    kindred,
    pool_graph,
    reference,
    rule,
    support_within,
)
from vdbcluster.assign.reference import bounds, grouped_quantile
from vdbcluster.assign.votes import weights
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.model.assign import Assigned, AssignParams, Reference, Surroundings
from vdbcluster.model.neighbors import NeighborGraph

ONE = 1 << 30


def known(labels, core, support, *, soft=None, k=4, min_samples=2) -> Reference:
    n = len(labels)
    return Reference(
        labels=np.array(labels, np.int64),
        probabilities=np.linspace(0.5, 1, n, dtype=np.float32),
        soft=np.zeros(n, np.bool_) if soft is None else np.array(soft),
        core_distances=np.array(core, np.float32),
        support=np.array(support, np.float32),
        n_neighbors=k,
        min_samples=min_samples,
        metric="euclidean",
    )


def seen(*rows) -> Surroundings:
    """From lists of (position, distance)."""
    return Surroundings(
        np.array([[j for j, _ in row] for row in rows], np.int32),
        np.array([[d for _, d in row] for row in rows], np.float32),
    )


@st.composite
def cases(draw) -> tuple[Reference, Surroundings]:
    """A graph whose last rows are new, with labels of the others."""
    graph = draw(graphs(max_rows=30))
    n_new = draw(st.integers(0, graph.n_rows - 1))
    n = graph.n_rows - n_new
    ids = st.sampled_from([-1, 0, 3, 7])
    labels = np.array(draw(st.lists(ids, min_size=n, max_size=n)), np.int64)
    soft = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))) & (labels >= 0)
    samples = draw(st.integers(1, graph.n_neighbors))
    kept = reference(_first(graph, n), labels, np.linspace(0, 1, n), soft, samples)
    return kept, Surroundings(graph.indices[n:], graph.distances[n:])


def _first(graph: NeighborGraph, n: int) -> NeighborGraph:
    """The graph among the first n rows."""
    inside = (graph.indices[:n] >= 0) & (graph.indices[:n] < n)
    order = np.argsort(~inside, axis=1, kind="stable")
    indices = np.where(inside, graph.indices[:n], -1)
    distances = np.where(inside, graph.distances[:n], np.inf).astype(np.float32)
    return NeighborGraph(
        np.take_along_axis(indices, order, 1).astype(np.int32),
        np.take_along_axis(distances, order, 1),
        graph.metric,
    )


def by_hand(kept: Reference, around: Surroundings, params: AssignParams):
    """Label and whether it is core, row by row, without arrays."""
    limit = bounds(kept, params)
    for row, far in zip(around.indices.tolist(), around.distances, strict=True):
        near = [(j, d) for j, d in zip(row, far.tolist(), strict=True) if j >= 0]
        core = float(far[kept.min_samples - 1])
        scale = core if np.isfinite(core) else max((d for _, d in near), default=0.0)
        votes, total, twin_is_core = defaultdict(int), 0, set()
        equal = [j for j, d in near if d == 0 and j < kept.n_rows and kept.labels[j] >= 0]
        for j, d in near:
            reach = max(d, scale)
            weight = round((scale / reach if reach else 1.0) ** 2 * ONE)
            if equal and j not in equal:
                continue
            total += weight
            if j < kept.n_rows and kept.labels[j] >= 0:
                votes[int(kept.labels[j])] += weight
                if j in equal and not kept.soft[j]:
                    twin_is_core.add(int(kept.labels[j]))
        best = min(votes, key=lambda c: (-votes[c], c), default=-1)
        if best < 0 or not votes[best]:
            yield -1, False
            continue
        at, support = limit.ids.tolist().index(best), np.float32(votes[best] / total)
        joins = np.isfinite(core) and support >= limit.floor[at] and core <= limit.outer[at]
        clear = joins and support >= limit.clear[at] and core <= limit.inner[at]
        if equal:
            clear = best in twin_is_core
        yield (best if joins or equal else -1), bool(clear)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_as_by_hand(case) -> None:
    kept, around = case
    params = AssignParams()
    found = assign(kept, around, params)
    expected = list(by_hand(kept, around, params))
    assert found.labels.tolist() == [label for label, _ in expected]
    assert ((found.labels >= 0) & ~found.soft).tolist() == [core for _, core in expected]
    assert (found.probabilities[found.labels < 0] == 0).all()
    for scores in (found.probabilities, found.outlier_scores, found.support):
        assert scores.dtype == np.float32
        assert ((scores >= 0) & (scores <= 1)).all()
    assert not found.soft[found.labels < 0].any()


@settings(max_examples=80, deadline=None)
@given(cases(), st.integers(1, 4))
def test_blocks_of_rows_give_what_the_whole_gives(case, size) -> None:
    kept, around = case
    whole = assign(kept, around)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rule, "_BLOCK_ROWS", size)
        parts = assign(kept, around)
    for field in fields(Assigned):
        one, other = getattr(whole, field.name), getattr(parts, field.name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@settings(max_examples=80, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_rows_decides_nothing(case, random) -> None:
    kept, around = case
    n, m = kept.n_rows, around.n_rows
    old, new = list(range(n)), list(range(m))
    random.shuffle(old)
    random.shuffle(new)
    place = np.empty(n + m + 1, np.int32)
    place[np.array([*old, *(n + np.array(new, np.int64))], np.int64)] = np.arange(n + m)
    place[-1] = -1
    moved = Surroundings(place[around.indices[new]], around.distances[new])
    before, after = assign(kept, around), assign(kept.take(np.array(old, np.int64)), moved)
    for field in fields(Assigned):
        np.testing.assert_allclose(
            getattr(before, field.name)[new], getattr(after, field.name), rtol=1e-5
        )


@settings(max_examples=50, deadline=None)
@given(cases())
def test_a_row_does_not_depend_on_what_the_others_get(case) -> None:
    kept, around = case
    whole = assign(kept, around)
    alone = [assign(kept, around.take(np.array([i]))).labels for i in range(around.n_rows)]
    assert whole.labels.tolist() == [label for labels in alone for label in labels]


def clustered(*sizes: int, seed: int = 0, k: int = 12):
    """Blobs as they were clustered: points, labels by blob, what is kept of them."""
    points = blobs(sizes, seed=seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    n = len(points)
    kept = reference(graph_of(points, k), labels, np.ones(n), np.zeros(n, np.bool_), 5)
    return points, labels, kept


def around_of(points, new, kept: Reference) -> Surroundings:
    every = np.concatenate([points, np.asarray(new, np.float32)])
    which = np.arange(len(points), len(every))
    return Surroundings(*exact_neighbors(every, which, kept.n_neighbors, "euclidean"))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.data())
def test_a_row_equal_to_a_core_row_gets_its_cluster(seed, data) -> None:
    points, labels, kept = clustered(40, 30, 25, seed=seed)
    twin = data.draw(st.integers(0, len(points) - 1))
    found = assign(kept, around_of(points, points[[twin]], kept))
    assert found.labels.tolist() == [labels[twin]]
    assert found.assignment.tolist() == ["core"]


def test_a_twin_outvotes_everybody_near_it() -> None:
    kept = known([0, 0, 0, 5], core=[1, 1, 1, 1], support=[1, 1, 1, 0.1])
    found = assign(kept, seen([(3, 0.0), (0, 0.1), (1, 0.1), (2, 0.1)]))
    assert found.labels.tolist() == [5]
    soft = replace(kept, soft=np.array([False, False, False, True]))
    assert assign(soft, seen([(3, 0.0), (0, 0.1), (1, 0.1), (2, 0.1)])).soft.tolist() == [True]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(200, 1e6), st.integers(0, 3))
def test_a_far_row_is_noise(seed, far, axis) -> None:
    points, _, kept = clustered(40, 30, 25, seed=seed)
    found = assign(kept, around_of(points, far * np.eye(4)[[axis]], kept))
    assert found.labels.tolist() == [-1]
    assert found.outlier_scores[0] > 0.9


def test_rows_of_the_same_blobs_join_them() -> None:
    points, _, kept = clustered(60, 40, 40)
    new = blobs([60, 40, 40], seed=7)
    found = assign(kept, around_of(points, new[::5], kept))
    truth = np.repeat(np.arange(3), [60, 40, 40])[::5]
    agree = found.labels == truth
    assert agree.mean() > 0.9
    assert set(found.labels[~agree].tolist()) <= {-1}
    assert (found.assignment == "core").mean() > 0.8


def test_rows_among_themselves_join_nobody() -> None:
    """Near a cluster, and a new row alone there joins it; in the company of others it does not."""
    points, _, kept = clustered(60, 40)
    place = points[:60].mean(axis=0) + np.array([1.0, 1.0, 0, 0], np.float32)
    crowd = place + np.random.default_rng(1).normal(scale=0.1, size=(30, 4))
    assert assign(kept, around_of(points, crowd[:1], kept)).labels.tolist() == [0]
    assert set(assign(kept, around_of(points, crowd, kept)).labels.tolist()) == {-1}


def test_a_cluster_smaller_than_a_neighbourhood_holds_its_ground() -> None:
    points, _, kept = clustered(60, 60, 7, k=30)
    found = assign(kept, around_of(points, points[-7:].mean(axis=0, keepdims=True), kept))
    assert found.labels.tolist() == [2]


def test_where_distance_does_not_tell_a_small_cluster_asks_for_less() -> None:
    """Its own rows have a fifth of their neighbourhood in it, so a tenth is enough; else 0.3 is."""
    crowd = [(10 + j, 1.0) for j in range(8)]
    for support, label in ((0.2, 3), (0.6, -1)):
        kept = known([3, 3, 3], core=[1, 1, 1], support=[support] * 3, k=10)
        found = assign(kept, seen([(0, 1.0), (1, 1.0), *crowd]))
        assert (found.labels.tolist(), found.soft.tolist()) == ([label], [False])


def test_noise_and_strangers_abstain() -> None:
    kept = known([4, 4, 4, -1, -1], core=[9] * 5, support=[1, 1, 1, 0, 0], k=4)
    near = [(0, 1.0), (1, 1.0)]
    for others in ([(3, 1.0), (4, 1.0)], [(5, 1.0), (99, 1.0)], [(2, 1.0), (3, 1.0)]):
        found = assign(kept, seen(near + others))
        assert found.labels.tolist() == [4]
        assert found.support[0] == np.float32(0.75 if others[0][0] == 2 else 0.5)
    found = assign(kept, seen([(0, 1.0), (3, 1.0), (5, 1.0), (6, 1.0)]))
    assert (found.labels.tolist(), found.support.tolist()) == ([-1], [0.25])


@pytest.mark.parametrize(("core", "label", "soft"), [(1, 2, False), (4.9, 2, True), (9, -1, False)])
def test_density_decides_between_core_soft_and_noise(core, label, soft) -> None:
    kept = known([2] * 4, core=[1, 2, 3, 5], support=[1] * 4, soft=[False, False, False, True])
    found = assign(kept, seen([(0, core), (1, core), (2, core), (3, core)]))
    assert (found.labels.tolist(), found.soft.tolist()) == ([label], [soft])


def test_nothing_to_judge_by_or_to_judge() -> None:
    nobody = known([], [], [])
    around = seen([(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)])
    assert assign(nobody, around).labels.tolist() == [-1]
    noise = known([-1, -1, -1, -1], [1] * 4, [0] * 4)
    assert assign(noise, around).outlier_scores.tolist() == [1.0]
    assert assign(noise, around.take(np.array([], np.int64))).labels.shape == (0,)
    with pytest.raises(ValueError, match="min_samples is 2"):
        assign(noise, around.nearest(1))
    with pytest.raises(ValueError, match="between 0 and 1"):
        AssignParams(min_support=1.5)
    with pytest.raises(ValueError, match="one length"):
        replace(noise, labels=noise.labels[:2])


def test_rows_that_were_not_measured_vote_and_set_no_bounds() -> None:
    points, _, kept = clustered(60, 40)
    found = assign(kept, around_of(points, points[:5] + np.float32(0.01), kept))
    longer = known(
        np.append(kept.labels, found.labels),
        np.append(kept.core_distances, [np.nan] * 5),
        np.append(kept.support, [np.nan] * 5),
    )
    longer = replace(longer, n_neighbors=kept.n_neighbors, min_samples=kept.min_samples)
    for field in fields(bounds(kept, AssignParams())):
        before, after = (
            getattr(bounds(which, AssignParams()), field.name) for which in (kept, longer)
        )
        np.testing.assert_array_equal(before, after)
    near = seen([(100, 1.0), (101, 1.0), (102, 1.0), (103, 1.0), (104, 1.0)])
    assert assign(kept, near).labels.tolist() == [-1]
    assert assign(longer, near).labels.tolist() == [0]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 5)), max_size=30),
    st.sampled_from([0.0, 0.05, 0.5, 0.95, 0.99, 1.0]),
)
def test_quantiles_of_groups(pairs, quantile) -> None:
    group = np.array([g for g, _ in pairs], np.int64)
    values = np.array([v for _, v in pairs], np.float32)
    found = grouped_quantile(values, group, 4, quantile)
    for g in range(4):
        mine = values[group == g]
        if len(mine):
            assert found[g] == np.quantile(mine, quantile, method="higher")
        else:
            assert np.isnan(found[g])


@st.composite
def pools(draw) -> tuple[Reference, Surroundings, np.ndarray]:
    kept, around = draw(cases())
    return kept, around, kept.n_rows + np.arange(around.n_rows)


@settings(max_examples=60, deadline=None)
@given(pools())
def test_the_kindred_are_the_largest_part_that_holds_together(pool) -> None:
    kept, around, members = pool
    left = kindred(kept, around, members)
    floor = AssignParams().min_support

    def holds(part: np.ndarray) -> bool:
        within = support_within(kept, around, members, np.where(part, 0, -1))
        return bool((within[part] >= floor).all())

    assert holds(left)
    if len(members) <= 8:
        for size in range(1, len(members) + 1):
            for rows in combinations(range(len(members)), size):
                part = np.isin(np.arange(len(members)), rows)
                assert not holds(part) or not (part & ~left).any()


@settings(max_examples=40, deadline=None)
@given(pools())
def test_the_graph_of_a_pool_holds_its_pairs(pool) -> None:
    _, around, members = pool
    graph = pool_graph(around, members, "euclidean")
    graph.validate()
    inside = np.isin(around.indices, members)
    assert (inside.sum(axis=1) == (graph.indices >= 0).sum(axis=1)).all()
    place = {int(member): i for i, member in enumerate(members)}
    for i, row in enumerate(around.indices):
        wanted = [place[int(j)] for j in row if int(j) in place]
        assert graph.indices[i][: len(wanted)].tolist() == wanted


def crowd() -> tuple[Reference, Surroundings, np.ndarray]:
    """A new blob of 30 rows far from two old ones, and 6 strays."""
    points, _, kept = clustered(60, 40)
    lots = np.random.default_rng(3)
    new = np.concatenate([-40 + lots.normal(size=(30, 4)), lots.uniform(80, 300, (6, 4))])
    around = around_of(points, new, kept)
    assert (assign(kept, around).labels == -1).all()
    return kept, around, kept.n_rows + np.arange(36)


def test_a_blob_of_new_rows_emerges_and_strays_do_not() -> None:
    kept, around, members = crowd()
    assert kindred(kept, around, members)[:30].all()
    labels = np.r_[np.ones(30, np.int64), np.zeros(5, np.int64), -1]
    found = emerging(kept, around, members, labels, np.array([1.0, 1.0]), 10)
    assert found.tolist() == [0] * 30 + [-1] * 6


@pytest.mark.parametrize(
    ("jaccard", "size", "tight", "params"),
    [
        (0.59, 10, 1.0, AssignParams()),
        (np.nan, 10, 1.0, AssignParams()),
        (0.9, 31, 1.0, AssignParams()),
        (0.9, 10, 50.0, AssignParams()),
        (0.9, 10, 1.0, AssignParams(min_support=1.0)),
    ],
    ids=["not stable", "unknown", "too small", "too sparse", "not among its like"],
)
def test_what_keeps_a_cluster_from_emerging(jaccard, size, tight, params) -> None:
    kept, around, members = crowd()
    sparser = Surroundings(around.indices, around.distances * np.float32(tight))
    labels = np.r_[np.zeros(30, np.int64), np.full(6, -1)]
    if params.min_support == 1.0:
        labels[5:10] = -1
    found = emerging(kept, sparser, members, labels, np.array([jaccard]), size, params)
    assert (found == -1).all()


def test_the_nearest_weigh_most() -> None:
    weight = weights(seen([(0, 1.0), (1, 2.0), (2, 4.0), (-1, np.inf)]), 2)
    assert weight.tolist() == [[ONE, ONE, ONE // 4, 0]]
    assert weights(seen([(0, 0.0), (1, 0.0), (2, 4.0), (-1, np.inf)]), 2).tolist() == [
        [ONE, ONE, 0, 0]
    ]
