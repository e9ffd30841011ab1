"""``sweep``: what the two settings of HDBSCAN that matter most would give, from one neighbour pass.

In: ``Settings``, the values of ``min_cluster_size`` and ``min_samples``, an observer.
Out: ``Sweep``. Promise: reads and searches once, writes nothing; every cell is what ``run`` gives
with its settings and the default engine; one tree for each ``min_samples`` serves all values of
``min_cluster_size``, which are cut from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from vdbcluster.config.settings import DEFAULT_NEIGHBORS, Settings
from vdbcluster.errors import UsageError
from vdbcluster.graph.smooth import smoothed
from vdbcluster.hierarchy import build, extract
from vdbcluster.hierarchy.condense import condense
from vdbcluster.hierarchy.linkage import Dendrogram, link
from vdbcluster.model.arrays import Int64Array
from vdbcluster.model.hierarchy import Clustering, Hierarchy
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams
from vdbcluster.ports import Observer
from vdbcluster.quality.plateau import Agreements, Plateau, compared_rows, find_plateau
from vdbcluster.quality.scores import agreement
from vdbcluster.quality.stability import SHARE, samples, subgraph
from vdbcluster.wiring.evaluation import Subject, find_graph, read_rows, truth_of
from vdbcluster.wiring.main_job import open_bench

SIZES = (5, 6, 8, 10, 12, 15, 18, 22, 27, 33, 40, 50, 60, 75, 90, 110, 135, 165, 200)
"""A fifth to a third apart, so that even the shortest plateau survives a change by a fifth."""
MIN_SAMPLES = (1, 5, 15)
REPEATS = 3


@dataclass(frozen=True, slots=True)
class Cell:
    """One setting. ``noise``, ``largest``: shares of the rows.

    ``stability``: mean AMI with the clusterings of samples of the graph, None if none was drawn;
    ``next``: AMI with the next ``min_cluster_size``, None at the last; ``ami``: with the truth,
    noise as one class of its own, None without one. ``plateau``: the cell is part of the plateau
    of its ``min_samples``.
    """

    min_samples: int
    min_cluster_size: int
    clusters: int
    noise: float
    largest: float
    stability: float | None
    next: float | None
    ami: float | None
    plateau: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """A plateau in words of the settings; ``agreement``: the least AMI of any two within."""

    min_samples: int
    first: int
    last: int
    length: int
    agreement: float


@dataclass(frozen=True, slots=True)
class Sweep:
    """``cells`` by ``min_samples``, then ``min_cluster_size``; ``plateau``: the longest of all."""

    collection: str
    rows: int
    neighbors: str
    smooth: str
    repeats: int
    cells: tuple[Cell, ...]
    plateaus: tuple[Stretch, ...]
    plateau: Stretch | None
    truth_field: str = ""
    without_truth: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def sweep(
    settings: Settings,
    observer: Observer,
    *,
    sizes: Sequence[int] = SIZES,
    min_samples: Sequence[int] = MIN_SAMPLES,
    truth: str = "",
    repeats: int = REPEATS,
) -> Sweep:
    """Cluster the collection that ``settings`` name for all pairs of the two settings.

    Raises ``UsageError`` for values that cannot be, too few neighbours for them, or less than two
    rows, and as ``evaluation.truth_of`` does.
    """
    sizes, min_samples = sorted(set(sizes)), sorted(set(min_samples))
    k = _neighbors_for(settings, sizes, min_samples)
    with open_bench(settings, observer) as bench:
        rows = read_rows(bench)
        if len(rows) < 2:
            raise UsageError(f"{len(rows)} rows are too few for a sweep")
        known = truth_of(bench, rows, truth) if truth else None
        subject = find_graph(bench, rows, k)
        collection = bench.source.found.name
    lines = []
    with observer.stage("sweep", len(min_samples) * (repeats + 1), "trees") as progress:
        for m in min_samples:
            lines.append(_line(subject, settings, m, sizes, repeats, known))
            progress.advance(repeats + 1)
    plateaus = tuple(stretch for _, stretch in lines if stretch is not None)
    return Sweep(
        collection=collection,
        rows=len(rows),
        neighbors=subject.engine,
        smooth=settings.neighbors.smooth,
        repeats=repeats,
        cells=tuple(cell for cells, _ in lines for cell in cells),
        plateaus=plateaus,
        plateau=max(plateaus, key=lambda p: (p.length, p.agreement), default=None),
        truth_field=truth,
        without_truth=int((~known[1]).sum()) if known else 0,
    )


def cuts(graph: NeighborGraph, params: HdbscanParams, sizes: Sequence[int]) -> list[Clustering]:
    """The clustering of each ``min_cluster_size``, as ``build`` and ``extract`` give it; one tree.

    ``params.ties`` must be ``together``, ``params.join`` not ``bridge``.
    """
    hierarchy = build(graph, params)
    dendrogram = _dendrogram(hierarchy, params)
    found = []
    for size in sizes:
        cut = replace(hierarchy, condensed_tree=condense(dendrogram, size))
        found.append(extract(cut, replace(params, min_cluster_size=size)))
    return found


def _dendrogram(hierarchy: Hierarchy, params: HdbscanParams) -> Dendrogram:
    """All joins again, from the spanning tree that holds them: far quicker than to find them."""
    tree = hierarchy.spanning_tree
    known = ~tree.joined
    weights = tree.weights[known].astype(np.float32)  # which they were before
    order = np.argsort(weights, kind="stable")
    at = np.inf if params.join == "inf" else 0.0
    left, right = tree.left[known], tree.right[known]
    return link(left, right, weights, order, hierarchy.n_rows, at).dendrogram


def _neighbors_for(settings: Settings, sizes: Sequence[int], min_samples: Sequence[int]) -> int:
    """How many neighbours to search; ``UsageError`` if the values cannot be swept."""
    if not sizes or sizes[0] < 2:
        raise UsageError("min_cluster_size must be at least 2, and at least one value be given")
    if not min_samples or min_samples[0] < 1:
        raise UsageError("min_samples must be at least 1, and at least one value be given")
    if settings.cluster.engine != "default" or settings.cluster.join not in (None, "max", "inf"):
        raise UsageError(
            "sweep cuts many clusterings from one tree: engine default, join max or inf"
        )
    most = min_samples[-1]
    k = settings.neighbors.n_neighbors or max(DEFAULT_NEIGHBORS, 2 * most)
    if k < most:
        raise UsageError(
            f"n_neighbors is {k}, below min_samples {most}; the core distance needs at least that "
            "many neighbours"
        )
    return k


def _line(
    subject: Subject,
    settings: Settings,
    min_samples: int,
    sizes: Sequence[int],
    repeats: int,
    known: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[list[Cell], Stretch | None]:
    """All cells of one ``min_samples``, and its plateau."""
    params = replace(settings.cluster.params(), min_samples=min_samples)
    found = cuts(_smoothed(subject.graph, settings), params, sizes)
    series = [clustering.labels for clustering in found]
    agreements = Agreements(series, settings.run.seed)
    plateau = find_plateau(series, agreements)
    stable = _stability(subject.graph, series, params, sizes, settings, repeats)
    last = len(sizes) - 1
    cells = [
        Cell(
            min_samples=min_samples,
            min_cluster_size=size,
            clusters=found[i].n_clusters,
            noise=found[i].n_noise / subject.graph.n_rows,
            largest=float(found[i].sizes().max(initial=0) / subject.graph.n_rows),
            stability=stable[i] if repeats else None,
            next=agreements.of(i, i + 1) if i < last else None,
            ami=_ami(series[i], known),
            plateau=plateau is not None and plateau.first <= i <= plateau.last,
        )
        for i, size in enumerate(sizes)
    ]
    return cells, _in_words(plateau, min_samples, sizes)


def _in_words(plateau: Plateau | None, min_samples: int, sizes: Sequence[int]) -> Stretch | None:
    if plateau is None:
        return None
    ends = sizes[plateau.first], sizes[plateau.last]
    return Stretch(min_samples, *ends, plateau.length, plateau.agreement)


def _smoothed(graph: NeighborGraph, settings: Settings) -> NeighborGraph:
    return smoothed(graph, settings.neighbors.smooth, settings.run.seed)


def _stability(
    graph: NeighborGraph,
    series: list[Int64Array],
    params: HdbscanParams,
    sizes: Sequence[int],
    settings: Settings,
    repeats: int,
) -> list[float]:
    """Mean AMI of each clustering with those of samples of the graph, noise as one class."""
    scores = np.zeros((repeats, len(sizes)))
    for r, rows in enumerate(samples(graph.n_rows, SHARE, repeats, settings.run.seed)):
        again = cuts(_smoothed(subgraph(graph, rows), settings), params, sizes)
        some = compared_rows(len(rows), settings.run.seed)
        scores[r] = [
            agreement(labels[rows[some]], clustering.labels[some])[1]
            for labels, clustering in zip(series, again, strict=True)
        ]
    return [float(score) for score in scores.sum(axis=0) / max(1, repeats)]


def _ami(labels: Int64Array, known: tuple[np.ndarray, np.ndarray] | None) -> float | None:
    if known is None:
        return None
    truth, has = known
    classes = np.unique(truth[has].astype(str), return_inverse=True)[1]
    return agreement(classes, labels[has])[1]
