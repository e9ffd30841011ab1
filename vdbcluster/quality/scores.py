"""How well labels agree with a known truth.

In: the truth of each row and its label, ``(n,)`` each, ``-1`` is noise. Out: ``TruthReport``.
Promise: the figures are scikit-learn's own (Hubert and Arabie 1985 for ARI; Vinh, Epps and Bailey
2010 for AMI, arithmetic mean; Rosenberg and Hirschberg 2007 for homogeneity, completeness and
V-measure), once on all rows, where noise is one class of its own, and once on clustered rows
alone. Neither suffices by itself: a clustering that calls all but the easiest rows noise shines
on the second, one that calls nothing noise on the first.

    report = truth_report(np.array(["a", "a", "b"]), np.array([0, 0, -1]))
    report.all_rows.ami, report.clustered.ami, report.share_clustered
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from vdbcluster.model.arrays import Float64Array, Int64Array
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.quality.contingency import contingency


@dataclass(frozen=True, slots=True)
class TruthScores:
    """``rows`` judged, ``clusters`` and ``classes`` among them; noise counts as a cluster.

    All scores are 1 at best. AMI and ARI are 0 at chance (and may be below), the others at least
    0 and not corrected for chance: they grow with the number of clusters, completeness excepted.
    ``purity``: share of the rows that are of their cluster's commonest class.
    """

    rows: int
    clusters: int
    classes: int
    ami: float
    ari: float
    v_measure: float
    homogeneity: float
    completeness: float
    purity: float


@dataclass(frozen=True, slots=True)
class ClassRow:
    """What became of one class of the truth.

    ``clustered``: share of its rows in any cluster. ``cluster``: the one with most of its rows,
    ties to the smaller id, None if all its rows are noise; ``share`` of the class in there;
    ``precision``: share of that cluster's rows that are of this class.
    """

    name: str
    rows: int
    clustered: float
    cluster: int | None
    share: float
    precision: float


@dataclass(frozen=True, slots=True)
class TruthReport:
    """``clusters`` without noise, against ``len(classes)``; ``classes`` largest first."""

    share_clustered: float
    clusters: int
    all_rows: TruthScores
    clustered: TruthScores
    classes: tuple[ClassRow, ...]


def truth_report(truth: NDArray[Any], labels: Int64Array) -> TruthReport:
    """Judge ``labels (n,)`` by ``truth (n,)``, whose values can be anything that sorts.

    Raises ``ValueError`` if the lengths differ.
    """
    if len(truth) != len(labels):
        raise ValueError(f"{len(truth)} rows have a truth, but {len(labels)} have a label")
    names, codes = np.unique(truth, return_inverse=True)
    clustered = labels != NOISE
    return TruthReport(
        share_clustered=float(clustered.mean()) if len(labels) else 0.0,
        clusters=len(np.unique(labels[clustered])),
        all_rows=truth_scores(codes, labels),
        clustered=truth_scores(codes[clustered], labels[clustered]),
        classes=_class_rows(names, codes, labels),
    )


def truth_scores(truth: NDArray[Any], labels: Int64Array) -> TruthScores:
    """All scores of some rows; 0 throughout where there are none."""
    if not len(labels):
        return TruthScores(0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    counts = contingency(truth, labels)
    with warnings.catch_warnings():
        # scikit-learn wonders whether labels with many clusters are meant for a regression
        warnings.simplefilter("ignore", UserWarning)
        homogeneity, completeness, v = metrics.homogeneity_completeness_v_measure(truth, labels)
        ami = metrics.adjusted_mutual_info_score(truth, labels)
        ari = metrics.adjusted_rand_score(truth, labels)
    return TruthScores(
        rows=len(labels),
        clusters=counts.shape[1],
        classes=counts.shape[0],
        ami=float(ami),
        ari=float(ari),
        v_measure=float(v),
        homogeneity=float(homogeneity),
        completeness=float(completeness),
        purity=float(counts.max(axis=0).sum() / len(labels)),
    )


def agreement(first: Int64Array, second: Int64Array) -> tuple[float, float]:
    """ARI and AMI of two labellings of the same rows, noise as one class; 1, 1 for no rows."""
    if not len(first) or np.array_equal(first, second):
        return 1.0, 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        ari = metrics.adjusted_rand_score(first, second)
        ami = metrics.adjusted_mutual_info_score(first, second)
    return float(ari), float(ami)


def _class_rows(names: NDArray[Any], codes: Int64Array, labels: Int64Array) -> tuple[ClassRow, ...]:
    if not len(codes):
        return ()
    ids = np.unique(labels)
    counts = contingency(codes, labels)
    sizes = np.asarray(counts.sum(axis=0)).ravel()
    by_class = counts.tocsr()
    rows = [
        _class_row(str(names[c]), by_class[[c]].toarray().ravel(), ids, sizes)
        for c in range(len(names))
    ]
    return tuple(sorted(rows, key=lambda row: (-row.rows, row.name)))


def _class_row(name: str, counts: Float64Array, ids: Int64Array, sizes: Float64Array) -> ClassRow:
    total, clustered = int(counts.sum()), np.where(ids == NOISE, 0, counts)
    if not clustered.any():
        return ClassRow(name, total, 0.0, None, 0.0, 0.0)
    main = int(np.argmax(clustered))
    return ClassRow(
        name=name,
        rows=total,
        clustered=float(clustered.sum() / total),
        cluster=int(ids[main]),
        share=float(clustered[main] / total),
        precision=float(clustered[main] / sizes[main]),
    )
