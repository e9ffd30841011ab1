"""What the graph says of labels: validity, agreement of neighbours, stability by resampling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.unit.engine_graphs import enough, exact, from_matrix, graphs, parameters, permuted
from vdbcluster.graph.among import among
from vdbcluster.hierarchy import build, extract
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.model.params import HdbscanParams
from vdbcluster.quality.report import graph_report, spread
from vdbcluster.quality.stability import samples, stability
from vdbcluster.quality.validity import by_cluster, graph_validity, neighbor_agreement


def line(*points: float, k: int = 3) -> NeighborGraph:
    return exact(np.array(points)[:, None], k)


def core(graph: NeighborGraph) -> np.ndarray:
    """To the nearest neighbour, so that mutual reachability is the distance."""
    return graph.distances[:, 0].astype(np.float64)


def brute(graph: NeighborGraph, labels: np.ndarray, core: np.ndarray) -> float:
    """The definition, by trying every threshold and following every edge."""
    n, total = graph.n_rows, 0.0
    weight = np.full((n, n), np.inf)
    for i in range(n):
        for j, d in zip(graph.indices[i], graph.distances[i], strict=True):
            if j != PADDING:
                reach = max(float(d), core[i], core[j])
                weight[i, j] = weight[j, i] = min(weight[i, j], reach)

    def reached(start: int, limit: float, among: set[int]) -> frozenset[int]:
        found, open_rows = {start}, [start]
        while open_rows:
            at = open_rows.pop()
            new = {j for j in among - found if weight[at, j] <= limit}
            found |= new
            open_rows += new
        return frozenset(found)

    for c in set(labels.tolist()) - {-1}:
        rows = set(np.flatnonzero(labels == c).tolist())
        parts = {reached(i, np.finfo(float).max, rows) for i in rows}
        most = max(len(part) for part in parts)
        scores = []
        for part in (p for p in parts if len(p) == most):
            limits = [0.0, *sorted(w for w in weight.ravel() if np.isfinite(w))]
            inside = next(w for w in limits if reached(min(part), w, set(part)) == part)
            others = (labels != c) & (labels != -1)
            out = min((weight[i][others].min(initial=np.inf) for i in part), default=np.inf)
            if np.isinf(out):
                scores.append(1.0)
            else:
                scores.append((out - inside) / max(inside, out) if max(inside, out) > 0 else 0.0)
        total += most * min(scores) - (len(rows) - most)
    return total / n


def test_a_line_by_hand() -> None:
    graph = line(0, 1, 3, 10, 11, 12)
    found = graph_validity(graph, np.array([0, 0, 0, 1, 1, 1]), core(graph))
    assert found.sparseness.tolist() == [2, 1]
    assert found.separation.tolist() == [7, 7]
    assert found.scores == pytest.approx([5 / 7, 6 / 7])
    assert found.total == pytest.approx((5 / 7 + 6 / 7) / 2)
    wrong = graph_validity(graph, np.array([0, 0, 1, 1, 1, 1]), core(graph))
    assert wrong.total < 0 < found.total
    noisy = graph_validity(graph, np.array([0, 0, 0, -1, -1, -1]), core(graph))
    assert noisy.scores.tolist() == [1.0]  # nothing to be separated from
    assert noisy.total == 0.5  # but half of the rows are noise


def test_a_cluster_in_two_parts_is_judged_by_the_larger() -> None:
    graph = line(0, 1, 2, 100, 101, k=1)
    found = graph_validity(graph, np.zeros(5, np.int64), core(graph))
    assert found.connected.tolist() == [0.6]
    assert found.scores == pytest.approx([0.6 - 0.4])


def test_duplicates_that_are_torn_apart() -> None:
    graph = line(0, 0, 0, 0)
    assert graph_validity(graph, np.array([0, 0, 1, 1]), core(graph)).scores.tolist() == [0, 0]


def test_nothing_to_judge() -> None:
    graph = line(0, 1, 2, 3)
    found = graph_validity(graph, np.full(4, -1), core(graph))
    assert (found.total, len(found.scores)) == (0.0, 0)
    report = graph_report(graph, np.full(4, -1), core(graph))
    assert (report.noise, report.clusters, report.agreement) == (1.0, 0, 0.0)
    with pytest.raises(ValueError, match="4 rows, but there are 3 labels"):
        graph_validity(graph, np.zeros(3, np.int64), core(graph))


@settings(max_examples=60, deadline=None)
@given(graphs(max_rows=14), st.data())
def test_the_definition_and_the_order_of_rows(graph: NeighborGraph, data: st.DataObject) -> None:
    n = graph.n_rows
    labels = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n)))
    cores = build(graph, HdbscanParams(min_samples=1)).core_distances
    found = graph_validity(graph, labels, cores)
    assert found.total == pytest.approx(brute(graph, labels, cores), abs=1e-9)
    assert (np.abs(found.scores) <= 1).all()
    order = np.random.default_rng(0).permutation(n)
    again = graph_validity(permuted(graph, order), labels[order], cores[order])
    assert again.total == pytest.approx(found.total, abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(graphs(), parameters(join="inf"))
def test_no_cluster_of_hdbscan_is_below_zero(graph: NeighborGraph, params: HdbscanParams) -> None:
    """At the level where it is born it hangs together and touches no other cluster."""
    assume(enough(graph, params))
    hierarchy = build(graph, params)
    labels = extract(hierarchy, params).labels
    found = graph_validity(graph, labels, hierarchy.core_distances)
    real = found.connected == 1.0  # others were joined at infinity
    assert (found.scores[real] >= -1e-12).all()


def test_neighbor_agreement() -> None:
    graph = line(0, 1, 2, 10, 11, 30, k=2)
    labels = np.array([0, 0, 0, 1, 1, -1])
    shares = neighbor_agreement(graph, labels)
    assert shares[:5].tolist() == [1, 1, 1, 0.5, 0.5]
    assert np.isnan(shares[5])
    assert by_cluster(shares, labels).tolist() == [1, 0.5]
    alone = from_matrix(np.full((2, 2), np.inf), 1)
    assert np.isnan(neighbor_agreement(alone, np.zeros(2, np.int64))).all()
    report = graph_report(alone, np.zeros(2, np.int64), np.full(2, np.inf))
    assert report.by_cluster[0].agreement is None


def test_report_lists_the_largest_first() -> None:
    graph = line(0, 1, 10, 11, 12, 40)
    report = graph_report(graph, np.array([5, 5, 2, 2, 2, -1]), core(graph))
    assert [(c.id, c.size) for c in report.by_cluster] == [(2, 3), (5, 2)]
    assert (report.largest, report.noise) == (0.5, pytest.approx(1 / 6))
    assert (spread(np.array([3.0, np.nan, 1.0])).median, spread(np.array([])).median) == (2.0, 0.0)


# --- stability


@settings(max_examples=50, deadline=None)
@given(graphs(), st.integers(0, 9))
def test_the_graph_of_a_sample_has_the_same_pairs(graph: NeighborGraph, seed: int) -> None:
    rows = next(samples(graph.n_rows, 0.8, 1, seed))
    assert len(rows) == round(0.8 * graph.n_rows)
    part = among(graph, rows)
    part.validate()
    whole = {
        (int(i), int(j)): d
        for i in rows
        for j, d in zip(graph.indices[i], graph.distances[i], strict=True)
        if j in rows
    }
    found = {
        (int(rows[i]), int(rows[part.indices[i, t]])): part.distances[i, t]
        for i, t in np.argwhere(part.indices != PADDING)
    }
    assert found == whole


def two_blobs_and_dust() -> NeighborGraph:
    rng = np.random.default_rng(3)
    blobs = np.concatenate([rng.normal(at, 0.1, (60, 2)) for at in (0, 5)])
    return exact(np.concatenate([blobs, rng.uniform(-3, 8, (60, 2))]), 15)


def relabel(graph: NeighborGraph, rows: np.ndarray) -> np.ndarray:
    params = HdbscanParams(min_cluster_size=5, min_samples=3)
    return extract(build(graph, params), params).labels


def test_blobs_survive_and_dust_does_not() -> None:
    graph = two_blobs_and_dust()
    labels = relabel(graph, np.arange(180))
    found = stability(graph, labels, relabel, repeats=8, seed=1)
    again = stability(graph, labels, relabel, repeats=8, seed=1)
    assert (found.ami == again.ami).all()
    assert len(found.ari) == 8
    blobs = [labels[:60], labels[60:120]]
    of_blobs = [np.bincount(b[b >= 0]).argmax() for b in blobs]
    assert (found.jaccard[of_blobs] > 0.9).all()
    made_up = np.where(np.arange(180) < 120, labels, np.arange(180) % 3 + 50)
    torn = stability(graph, made_up, relabel, repeats=8, seed=1)
    assert (torn.jaccard[-3:] < 0.6).all()
    assert torn.ami.mean() < found.ami.mean()


def test_perfect_and_empty() -> None:
    graph = two_blobs_and_dust()
    labels = np.repeat([0, 1, -1], 60)
    kept = stability(graph, labels, lambda _, rows: labels[rows], repeats=2)
    assert kept.ami.tolist() == kept.ari.tolist() == kept.jaccard.tolist() == [1.0, 1.0]
    noise = stability(graph, np.full(180, -1), lambda _, rows: np.full(len(rows), -1), repeats=2)
    assert (len(noise.jaccard), noise.ami.tolist()) == (0, [1.0, 1.0])
    lost = stability(graph, labels, lambda _, rows: np.full(len(rows), -1), repeats=1)
    assert lost.jaccard.tolist() == [0.0, 0.0]
