"""Clusters that people merged are one, and rows on borders stay, with scores that fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_catalogue import clustering_of
from tests.unit.test_matching import rows
from tests.unit.test_matching_steady import AHEAD, EVEN, NOW, WAS, cases, graph_of
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.matching import Basis, Matching, Previous
from vdbcluster.pipeline.folding import fold, steadied


def matching_of(ids: list[int], own: list[int]) -> Matching:
    return Matching(np.array(ids), np.array(own), (Basis.ROWS,) * len(ids), (), 99)


def test_nothing_merged_is_the_very_clustering() -> None:
    clustering, stability = clustering_of(rows((0, 3), (1, 2), (-1, 1))), np.array([0.5, 0.7])
    folded = fold(clustering, stability, matching_of([8, 3], [8, 3]))
    assert folded.clustering is clustering
    assert folded.stability is stability
    assert folded.ids.tolist() == [8, 3]
    assert folded.parts is None


def test_clusters_of_one_id_are_one_in_the_place_of_that_id() -> None:
    labels = rows((0, 4), (1, 4), (2, 3), (3, 1), (-1, 1))
    clustering = replace(
        clustering_of(labels, soft=[9]), persistence=np.array([0.1, 0.2, 0.5, 0.9])
    )
    stability = np.array([0.2, np.nan, 0.8, np.nan])

    folded = fold(clustering, stability, matching_of([3, 7, 7, 7], [3, 5, 7, 6]))

    assert folded.ids.tolist() == [3, 7]
    assert folded.clustering.labels.tolist() == rows((0, 4), (1, 8), (-1, 1)).tolist()
    assert folded.clustering.sizes().tolist() == [4, 8]
    assert folded.clustering.persistence == pytest.approx([0.1, (0.8 + 1.5 + 0.9) / 8])
    assert folded.stability == pytest.approx([0.2, 0.8])
    assert [e.tolist() for e in folded.clustering.exemplars] == [[0, 1, 2, 3], [8, 10]]
    assert folded.clustering.soft is clustering.soft
    assert folded.part_ids.tolist() == [5, 6]
    assert folded.part_of.tolist() == [7, 7]
    assert folded.parts is not None
    assert folded.parts.labels.tolist() == rows((-1, 4), (0, 4), (-1, 3), (1, 1), (-1, 1)).tolist()
    assert [e.tolist() for e in folded.parts.exemplars] == [[4, 5, 6, 7], [11]]
    assert not folded.parts.soft.any()


def test_the_largest_part_leads_where_the_id_itself_is_not_there() -> None:
    clustering = clustering_of(rows((0, 2), (1, 5), (2, 3)))
    folded = fold(clustering, np.full(3, np.nan), matching_of([7, 7, 3], [5, 6, 3]))
    assert folded.ids.tolist() == [7, 3]
    assert folded.clustering.exemplars[0].tolist() == [2, 3, 4, 5, 6]
    assert np.isnan(folded.stability).all()


def now_of(labels: np.ndarray) -> tuple[Clustering, np.ndarray]:
    """The clustering of stable ``labels``, and the ids; no row is an exemplar."""
    ids = np.unique(labels[labels >= 0])[::-1]
    dense = np.full(len(labels), -1, np.int64)
    for c, i in enumerate(ids):
        dense[labels == i] = c
    n = len(labels)
    probabilities = np.where(labels >= 0, np.linspace(0.5, 1, n), 0.0)
    exemplars = (np.empty(0, np.int64),) * len(ids)
    none = np.zeros(n, np.bool_)
    return Clustering(dense, probabilities, np.zeros(n), np.ones(len(ids)), exemplars, none), ids


def written(clustering: Clustering, ids: np.ndarray) -> list[int]:
    return np.append(ids, -1)[clustering.labels].tolist()


def test_a_row_that_is_held_back_is_soft_and_comes_after_all_others() -> None:
    clustering, ids = now_of(NOW)
    found, kept = steadied(clustering, ids, Previous.of(WAS), graph_of(EVEN), margin=0.1)
    assert kept == 1
    assert written(found, ids) == WAS.tolist()
    assert np.flatnonzero(found.soft).tolist() == [0]
    least = clustering.probabilities[1:5].min()
    assert found.probabilities[0] == pytest.approx(0.5 * least)
    assert found.probabilities[1:].tolist() == clustering.probabilities[1:].tolist()
    assert found.assignment[0] == "soft"


def test_a_row_that_stays_noise_has_no_probability() -> None:
    was = np.where(np.arange(11) == 0, -1, WAS)
    clustering, ids = now_of(NOW)
    near = graph_of([[10, 5]] + [[] for _ in range(10)])
    found, kept = steadied(clustering, ids, Previous.of(was), near, margin=0.1)
    assert kept == 1
    assert found.labels[0] == -1
    assert found.probabilities[0] == 0
    assert not found.soft.any()


def test_an_exemplar_is_not_held_back() -> None:
    clustering, ids = now_of(NOW)
    place = ids.tolist().index(5)
    exemplars = list(clustering.exemplars)
    exemplars[place] = np.array([0])
    clustering = replace(clustering, exemplars=tuple(exemplars))
    found, kept = steadied(clustering, ids, Previous.of(WAS), graph_of(EVEN), margin=0.1)
    assert kept == 0
    assert found is clustering


def test_margin_nought_and_rows_that_are_ahead_change_nothing() -> None:
    clustering, ids = now_of(NOW)
    for near, margin in ((EVEN, 0.0), (AHEAD, 0.4)):
        found, kept = steadied(clustering, ids, Previous.of(WAS), graph_of(near), margin=margin)
        assert found is clustering
        assert kept == 0


def test_a_row_whose_cluster_died_goes() -> None:
    now = np.where(NOW == 3, -1, NOW)
    clustering, ids = now_of(now)
    found, _ = steadied(clustering, ids, Previous.of(WAS), graph_of(EVEN), margin=1.0)
    assert found.labels[0] == ids.tolist().index(5)
    assert written(found, ids)[0] == 5


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from([0.05, 0.25, 1.0]))
def test_promises(case: Any, margin: float) -> None:
    """No cluster comes or goes, rows go back to where they were or not at all, scores fit."""
    was, now, absent, graph, _ = case
    clustering, ids = now_of(now)
    found, kept = steadied(clustering, ids, Previous.of(was, absent), graph, margin=margin)
    labels = np.array(written(found, ids))
    held = labels != now
    assert kept == held.sum()
    assert (labels[held] == was[held]).all()
    assert not (held & absent).any()
    assert set(labels.tolist()) - {-1} == set(now.tolist()) - {-1}
    assert (found.soft == (held & (labels >= 0))).all()
    assert (found.probabilities[labels < 0] == 0).all()
    assert ((found.probabilities >= 0) & (found.probabilities <= 1)).all()
    assert (found.probabilities[~held] == clustering.probabilities[~held]).all()
    again, _ = steadied(clustering, ids, Previous.of(labels), graph, margin=margin)
    assert again.labels.tolist() == found.labels.tolist()  # a second run writes nothing
    assert again.probabilities.tolist() == found.probabilities.tolist()
