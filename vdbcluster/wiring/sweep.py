"""``sweep``: what the two settings of HDBSCAN that matter most would give, from one neighbour pass.

In: ``Settings``, the values of ``min_cluster_size`` and ``min_samples``, an observer.
Out: ``Sweep``. Promise: reads, searches and smooths once, writes nothing; every cell is what
``run`` gives with its settings, what ``auto`` would choose among them; one tree for each
``min_samples`` serves all values of ``min_cluster_size``, which are cut from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError
from vdbcluster.graph.among import among
from vdbcluster.graph.smooth import smoothed
from vdbcluster.hierarchy import build
from vdbcluster.hierarchy.condense import condense
from vdbcluster.hierarchy.linkage import Dendrogram, link
from vdbcluster.methods.density import extracted, parameters
from vdbcluster.model.arrays import Int64Array
from vdbcluster.model.hierarchy import Clustering, Hierarchy
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import DENSITY, HdbscanParams, Recipe
from vdbcluster.pipeline.recipe import recipe, wanted_neighbors
from vdbcluster.ports import Observer
from vdbcluster.ports.observer import Progress
from vdbcluster.quality.plateau import Agreements, Plateau, compared_rows, find_plateau
from vdbcluster.quality.scores import agreement
from vdbcluster.quality.stability import SHARE, samples
from vdbcluster.wiring.evaluation import find_graph, read_rows, truth_of
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
    of its ``min_samples``; ``auto``: it is what ``run`` gives if neither setting is said.
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
    auto: bool


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


@dataclass(frozen=True, slots=True, eq=False)
class _Swept:
    """What all cells are cut from: the graph as smoothed, and those of its samples."""

    edges: NeighborGraph
    samples: tuple[tuple[Int64Array, NeighborGraph], ...]
    chosen: Recipe


def sweep(
    settings: Settings,
    observer: Observer,
    *,
    sizes: Sequence[int] = (),
    min_samples: Sequence[int] = (),
    truth: str = "",
    repeats: int = REPEATS,
) -> Sweep:
    """Cluster the collection that ``settings`` name for all pairs of the two settings.

    Where none are given they are ``SIZES`` and ``MIN_SAMPLES``, and what ``auto`` chooses.
    Raises ``UsageError`` for values that cannot be, too few neighbours for them, or less than two
    rows, and as ``evaluation.truth_of`` does.
    """
    _check(settings, sizes, min_samples)
    with open_bench(settings, observer) as bench:
        rows = read_rows(bench)
        if len(rows) < 2:
            raise UsageError(f"{len(rows)} rows are too few for a sweep")
        known = truth_of(bench, rows, truth) if truth else None
        k = _neighbors_for(settings, len(rows), min_samples or MIN_SAMPLES)
        subject = find_graph(bench, rows, k)
        collection = bench.source.found.name
    chosen = recipe(settings, len(rows), subject.graph.n_neighbors)
    sizes = sorted(set(sizes or (*SIZES, chosen.hdbscan.min_cluster_size)))
    min_samples = sorted(set(min_samples or (*MIN_SAMPLES, chosen.hdbscan.min_samples)))
    lines = []
    with observer.stage("sweep", repeats + len(min_samples) * (repeats + 1), "steps") as progress:
        swept = _swept(subject.graph, chosen, repeats, progress)
        for m in min_samples:
            lines.append(_line(swept, m, sizes, known))
            progress.advance(repeats + 1)
    plateaus = tuple(stretch for _, stretch in lines if stretch is not None)
    return Sweep(
        collection=collection,
        rows=len(rows),
        neighbors=subject.engine,
        smooth=chosen.smooth,
        repeats=repeats,
        cells=tuple(cell for cells, _ in lines for cell in cells),
        plateaus=plateaus,
        plateau=max(plateaus, key=lambda p: (p.length, p.agreement), default=None),
        truth_field=truth,
        without_truth=int((~known[1]).sum()) if known else 0,
    )


def _swept(graph: NeighborGraph, chosen: Recipe, repeats: int, progress: Progress) -> _Swept:
    drawn = []
    for rows in samples(graph.n_rows, SHARE, repeats, chosen.seed):
        drawn.append((rows, _smoothed(among(graph, rows), chosen)))
        progress.advance(1)
    return _Swept(_smoothed(graph, chosen), tuple(drawn), chosen)


def cuts(edges: NeighborGraph, chosen: Recipe, sizes: Sequence[int]) -> list[Clustering]:
    """The clustering of each ``min_cluster_size``, as ``on_edges`` gives it; one tree.

    Ties must be merged ``together``, ``join`` not be ``bridge``.
    """
    params = parameters(chosen)
    hierarchy = build(edges, params)
    dendrogram = _dendrogram(hierarchy, params)
    found = []
    for size in sizes:
        cut = replace(hierarchy, condensed_tree=condense(dendrogram, size))
        sized = replace(chosen, hdbscan=replace(params, min_cluster_size=size))
        found.append(extracted(edges, cut, sized))
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


def _check(settings: Settings, sizes: Sequence[int], min_samples: Sequence[int]) -> None:
    """``UsageError`` if the values, or these settings, cannot be swept."""
    if min(sizes, default=2) < 2:
        raise UsageError("min_cluster_size must be at least 2")
    if min(min_samples, default=1) < 1:
        raise UsageError("min_samples must be at least 1")
    if settings.cluster.engine != "default" or settings.cluster.join not in (None, "max", "inf"):
        raise UsageError(
            "sweep cuts many clusterings from one tree: engine default, join max or inf"
        )
    if settings.cluster.method not in ("auto", *DENSITY):
        raise UsageError(
            f"method {settings.cluster.method} does not cut its clusters from one tree; sweep "
            f"takes auto, {' and '.join(DENSITY)}"
        )


def _neighbors_for(settings: Settings, n_rows: int, min_samples: Sequence[int]) -> int:
    """How many neighbours to search; ``UsageError`` if they are too few."""
    most = max(min_samples)
    k = wanted_neighbors(settings, n_rows)
    if settings.neighbors.n_neighbors == "auto":
        return max(k, 2 * most)
    if k < most:
        raise UsageError(
            f"n_neighbors is {k}, below min_samples {most}; the core distance needs at least that "
            "many neighbours"
        )
    return k


def _line(
    swept: _Swept,
    min_samples: int,
    sizes: Sequence[int],
    known: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[list[Cell], Stretch | None]:
    """All cells of one ``min_samples``, and its plateau."""
    by_rule, n = swept.chosen.hdbscan, swept.edges.n_rows
    chosen = replace(swept.chosen, hdbscan=replace(by_rule, min_samples=min_samples))
    found = cuts(swept.edges, chosen, sizes)
    series = [clustering.labels for clustering in found]
    agreements = Agreements(series, chosen.seed)
    plateau = find_plateau(series, agreements)
    stable = _stability(swept, series, chosen, sizes)
    last = len(sizes) - 1
    cells = [
        Cell(
            min_samples=min_samples,
            min_cluster_size=size,
            clusters=found[i].n_clusters,
            noise=found[i].n_noise / n,
            largest=float(found[i].sizes().max(initial=0) / n),
            stability=stable[i] if swept.samples else None,
            next=agreements.of(i, i + 1) if i < last else None,
            ami=_ami(series[i], known),
            plateau=plateau is not None and plateau.first <= i <= plateau.last,
            auto=(size, min_samples) == (by_rule.min_cluster_size, by_rule.min_samples),
        )
        for i, size in enumerate(sizes)
    ]
    return cells, _in_words(plateau, min_samples, sizes)


def _in_words(plateau: Plateau | None, min_samples: int, sizes: Sequence[int]) -> Stretch | None:
    if plateau is None:
        return None
    ends = sizes[plateau.first], sizes[plateau.last]
    return Stretch(min_samples, *ends, plateau.length, plateau.agreement)


def _smoothed(graph: NeighborGraph, chosen: Recipe) -> NeighborGraph:
    return smoothed(graph, chosen.smooth, chosen.seed, chosen.cut)


def _stability(
    swept: _Swept, series: list[Int64Array], chosen: Recipe, sizes: Sequence[int]
) -> list[float]:
    """Mean AMI of each clustering with those of samples of the graph, noise as one class."""
    scores = np.zeros((len(swept.samples), len(sizes)))
    for r, (rows, edges) in enumerate(swept.samples):
        again = cuts(edges, chosen, sizes)
        some = compared_rows(len(rows), chosen.seed)
        scores[r] = [
            agreement(labels[rows[some]], clustering.labels[some])[1]
            for labels, clustering in zip(series, again, strict=True)
        ]
    return [float(score) for score in scores.sum(axis=0) / max(1, len(scores))]


def _ami(labels: Int64Array, known: tuple[np.ndarray, np.ndarray] | None) -> float | None:
    if known is None:
        return None
    truth, has = known
    classes = np.unique(truth[has].astype(str), return_inverse=True)[1]
    return agreement(classes, labels[has])[1]
