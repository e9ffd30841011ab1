"""``evaluate``: how good the labels are that a collection carries.

In: ``Settings``, the name of a field that holds the truth (or none), an observer.
Out: ``Evaluation``. Promise: only reads; judges the labels that are stored, wherever they were
written. What needs clusterings of our own (persistence, stability) is that of the settings given;
how far those give the stored labels is told beside it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError
from vdbcluster.graph.among import among
from vdbcluster.graph.distance import ON_SPHERE
from vdbcluster.hierarchy import build, is_compiled
from vdbcluster.model.arrays import BoolArray, Float32Array, Int64Array
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.aligned import stored_ids
from vdbcluster.pipeline.cluster import cluster_graph
from vdbcluster.pipeline.graph_inputs import kept_graph, search_inputs
from vdbcluster.pipeline.graph_shards import most_neighbors
from vdbcluster.pipeline.holdout import HoldOut, hold_out
from vdbcluster.pipeline.journal import begun_run
from vdbcluster.pipeline.languages import ask_languages, prepared
from vdbcluster.pipeline.neighbors import neighbor_graph
from vdbcluster.pipeline.read import positions, read_usable
from vdbcluster.pipeline.recipe import centering, recipe, wanted_neighbors
from vdbcluster.pipeline.room import room_of
from vdbcluster.ports import Observer
from vdbcluster.quality.report import GraphReport, Spread, graph_report, spread
from vdbcluster.quality.scores import TruthReport, agreement, truth_report
from vdbcluster.quality.stability import SHARE, Stability, stability
from vdbcluster.wiring.main_job import Bench, open_bench
from vdbcluster.wiring.searching import searching
from vdbcluster.wiring.stored_labels import no_label, stored_labels

REPEATS = 5


@dataclass(frozen=True, slots=True)
class Resampled:
    """What the settings of this call give on the same graph.

    ``same``: AMI of these labels with those stored. ``ari``, ``ami``: mean agreement with the
    labels of ``repeats`` samples of ``share`` of the rows; ``jaccard``: how well the clusters are
    found again, one by one; ``persistence``: of the clusters, as the engine says.
    """

    clusters: int
    noise: float
    same: float
    share: float
    repeats: int
    ari: float
    ami: float
    jaccard: Spread
    persistence: Spread


@dataclass(frozen=True, slots=True)
class Evaluation:
    """``graph`` judges the labelled rows; ``truth`` those that have a truth as well.

    ``rows`` were read, ``unlabelled`` of them carry no label; ``without_truth`` of the labelled
    ones have no value in ``truth_field``. ``labels_in``: the collection that the labels are in.
    ``assigned``: how far ``assign`` gives what clustering anew would, by these settings.
    """

    collection: str
    labels_in: str
    rows: int
    unlabelled: int
    neighbors: str
    graph: GraphReport
    resampled: Resampled | None
    assigned: HoldOut | None = None
    truth_field: str = ""
    without_truth: int = 0
    truth: TruthReport | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """Rows under judgement: prepared vectors, neighbour graph, and who found the neighbours."""

    points: Float32Array
    graph: NeighborGraph
    engine: str

    def take(self, rows: Int64Array) -> Subject:
        """The same for some rows, ascending positions; nothing is searched again."""
        if len(rows) == self.graph.n_rows:
            return self
        return Subject(self.points[rows], among(self.graph, rows), self.engine)


def evaluate(
    settings: Settings, observer: Observer, *, truth: str = "", repeats: int = REPEATS
) -> Evaluation:
    """Judge the labels of the collection that ``settings`` name.

    Raises ``UsageError`` if no row carries a label, or if none has a value in ``truth``. Without
    ``repeats`` nothing is clustered.
    """
    with open_bench(settings, observer) as bench:
        labels_in, stored = stored_labels(bench)
        rows = read_rows(bench)
        labels, labelled = stored_ids(rows.keys, stored)
        if not labelled.any():
            raise no_label(bench)
        at = np.flatnonzero(labelled)
        report, missing = _against(bench, rows, labels, at, truth) if truth else (None, 0)
        subject = find_graph(bench, rows).take(at)
    graph = _graph_report(subject, labels[at], settings)
    resampled, assigned = None, None
    if repeats:
        whole = cluster_graph(subject.graph, subject.points, settings, exact=False).clustering
        resampled = _resampled(subject, labels[at], whole, settings, repeats, observer)
        assigned = hold_out(subject.graph, subject.points, settings, whole.labels)
    return Evaluation(
        collection=bench.source.found.name,
        labels_in=labels_in,
        rows=len(rows),
        unlabelled=len(rows) - len(at),
        neighbors=subject.engine,
        graph=graph,
        resampled=resampled,
        assigned=assigned,
        truth_field=truth,
        without_truth=missing,
        truth=report,
    )


def read_rows(bench: Bench) -> Rows:
    """All rows of the selection with a usable vector."""
    return read_usable(
        bench.source,
        bench.observer,
        room=room_of(bench.settings),
        direction=bench.choice.metric in ON_SPHERE,
        accept_mismatch=bench.settings.write.accept_mismatch,
    ).rows


def find_graph(bench: Bench, rows: Rows, n_neighbors: int | None = None) -> Subject:
    """The one neighbour pass, by the engine that was chosen; at least one row.

    Local search overwrites the vectors of ``rows`` with the prepared ones, to save their memory.
    """
    metric = bench.choice.metric
    points = prepared(
        rows,
        metric,
        centering(bench.settings, local=bench.choice.local),
        lambda: _languages(bench, rows),
        in_place=bench.choice.local,
        room=room_of(bench.settings),
    ).points
    k = most_neighbors(len(rows), n_neighbors or wanted_neighbors(bench.settings, len(rows)))
    if (kept := _kept(bench, rows, points, k)) is not None:
        graph, engine = kept
    else:
        search = bench.search(rows, points)
        graph = neighbor_graph(search, points, metric, k, bench.observer)
        engine = search.description
    if not is_compiled():
        bench.observer.note("compiling the clustering stage, once; about ten seconds")
    return Subject(points, graph, f"{graph.n_neighbors} by {engine}, {graph.metric}")


def _kept(
    bench: Bench, rows: Rows, points: Float32Array, k: int
) -> tuple[NeighborGraph, str] | None:
    """The neighbours that a run has kept, if nothing has changed since, and who found them."""
    settings, source = bench.settings, bench.source
    if not settings.scale.reuse:
        return None
    begun = begun_run(source.found, source.vector.name, settings, "", {})
    inputs = search_inputs(
        begun,
        bench.choice.metric,
        searching(bench.choice, source.vector, settings),
        settings,
    )
    unfinished = not bench.choice.local and source.vector.unindexed_rows > 0
    runs = RunDirectory(settings.run.runs_dir)
    found = kept_graph(runs, inputs, rows.keys, points, k, unfinished=unfinished)
    if found is None:
        return None
    manifest, graph = found
    bench.observer.note(f"neighbours: those of run {manifest.run_id}; nothing has changed since")
    return graph, str(manifest.facts["neighbors"]["engine"])


def _languages(bench: Bench, rows: Rows) -> np.ndarray | None:
    run = bench.settings.run
    field = run.text_field or bench.source.found.text_field()
    return ask_languages(bench.source, rows, field, Py3LangId(), seed=run.seed) if field else None


def truth_of(bench: Bench, rows: Rows, field: str) -> tuple[np.ndarray, BoolArray]:
    """The value of ``field`` as text for each row, ``(n,) object``, and whether it has one.

    Raises ``UsageError`` if there is no such field, if it holds no plain values, or none at all.
    """
    truth = np.full(len(rows), None, object)
    with bench.observer.stage("truth", len(rows)) as progress:
        for page in bench.source.scalars((field,)):
            at = positions(page.keys, rows.keys)
            for place, value in zip(at.tolist(), page.values[field], strict=True):
                if place >= 0 and value is not None:
                    truth[place] = _plain(value, field)
            progress.advance(len(page.keys))
    known = np.array([value is not None for value in truth], np.bool_)
    if not known.any():
        raise UsageError(f"no row has a value in the field {field!r} (--truth); check its name")
    return truth, known


def _plain(value: Any, field: str) -> str:
    if not isinstance(value, (str, int, float, np.generic)):
        raise UsageError(
            f"the field {field!r} (--truth) holds values of kind {type(value).__name__}; a class "
            "is text or a number"
        )
    return str(value)


def _against(
    bench: Bench, rows: Rows, labels: Int64Array, at: Int64Array, field: str
) -> tuple[TruthReport, int]:
    """The report on the labelled rows ``at`` that have a truth, and how many of them have none."""
    truth, known = truth_of(bench, rows, field)
    both = at[known[at]]
    if not len(both):
        raise UsageError(f"no row has both a label and a value in the field {field!r} (--truth)")
    return truth_report(truth[both].astype(str), labels[both]), len(at) - len(both)


def _graph_report(subject: Subject, labels: Int64Array, settings: Settings) -> GraphReport:
    graph = subject.graph
    hierarchy = build(graph, recipe(settings, graph.n_rows, graph.n_neighbors).hdbscan)
    return graph_report(graph, labels, hierarchy.core_distances)


def _resampled(
    subject: Subject,
    labels: Int64Array,
    result: Clustering,
    settings: Settings,
    repeats: int,
    observer: Observer,
) -> Resampled:
    with observer.stage("stability", repeats, "samples") as progress:

        def relabel(graph: NeighborGraph, rows: Int64Array) -> Int64Array:
            again = cluster_graph(graph, subject.points[rows], settings, exact=False)
            progress.advance(1)
            return again.clustering.labels

        found: Stability = stability(
            subject.graph, result.labels, relabel, repeats=repeats, seed=settings.run.seed
        )
    return Resampled(
        clusters=result.n_clusters,
        noise=result.n_noise / max(1, len(labels)),
        same=agreement(labels, result.labels)[1],
        share=SHARE,
        repeats=repeats,
        ari=float(found.ari.mean()),
        ami=float(found.ami.mean()),
        jaccard=spread(found.jaccard),
        persistence=spread(result.persistence),
    )
