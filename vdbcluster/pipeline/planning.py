"""A run until something would be written: read, find neighbours, cluster, match, plan.

In: adapters behind ports, ``Settings``. Out: ``Planned``, also kept in the run store.
Promise: nothing at all is written to the database; what is stored is enough to apply the run later,
to judge rows that come after it, and to put back what was there before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.config.settings import Settings
from vdbcluster.duplicates import Duplicates
from vdbcluster.errors import ReadRefusedError
from vdbcluster.graph.distance import ON_BITS, ON_SPHERE
from vdbcluster.model.arrays import Float32Array, Float64Array
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.beside import beside, minded
from vdbcluster.pipeline.copies import look
from vdbcluster.pipeline.cost import Load
from vdbcluster.pipeline.estimate import load_of, time_audit
from vdbcluster.pipeline.graph_stage import Found, GraphStage
from vdbcluster.pipeline.inside import Inside
from vdbcluster.pipeline.journal import Journal, begin
from vdbcluster.pipeline.languages import FEW, MANY, Prepared, ask_languages, prepared
from vdbcluster.pipeline.neighbors import audit
from vdbcluster.pipeline.outlook import Foretelling, foretelling
from vdbcluster.pipeline.planned import Clustered, Planned, make_plan
from vdbcluster.pipeline.read import read_usable
from vdbcluster.pipeline.recipe import centering
from vdbcluster.pipeline.room import room_of
from vdbcluster.pipeline.smooth_stage import Keeping, SmoothStage
from vdbcluster.pipeline.told import clustering_facts
from vdbcluster.ports import Observer
from vdbcluster.quality.giant import giant

if TYPE_CHECKING:
    from vdbcluster.pipeline.cluster import ClusterResult


def plan_run(
    adapters: Adapters,
    settings: Settings,
    observer: Observer,
    *,
    run_id: str,
    versions: Mapping[str, str],
    meanwhile: Callable[[], object] = lambda: None,
) -> Planned:
    """Do everything but write; see the module for what is promised.

    ``meanwhile`` is called once the rows are read, beside what follows; it has returned when the
    clusters are planned, and what it raises is raised at the next step of a stage. Raises
    ``RefusedError`` if rows read and rows counted disagree, or if no row is selected.
    """
    journal = begin(adapters, settings, run_id, dict(versions))
    planning = _Planning(adapters, settings, minded(observer, adapters.sink), journal)
    journal.record("reading")
    rows = planning.read()
    dim, lite = adapters.source.vector.dim, adapters.profile.server.kind == "lite"
    load = load_of(settings, len(rows), dim, adapters.engine, lite=lite)
    with (  # a server searches meanwhile
        beside(meanwhile) as ready,
        beside(lambda: planning.languages(rows)) as languages,
    ):
        planning.observer = planning.outlook = foretelling(
            minded(planning.observer, ready),
            load,
            lambda: planning.timed(load),
            journal.facts,
        )
        stage = GraphStage(adapters, settings, planning.observer, journal)
        prepared = planning.prepared(rows, stage)
        found = planning.neighbors(stage, rows, prepared)
        result = planning.cluster(prepared.points, found)
        planning.tell_languages(languages.result(), prepared.points, result.clustering)
    planning.find_copies(rows, prepared.points, found.graph)
    done = Clustered(
        rows=rows,
        prepared=prepared,
        graph=found.graph,
        result=result,
        stability=planning.stability,
        copies=planning.copies,
        left_out=planning.left_out,
    )
    planned = make_plan(adapters, settings, planning.observer, journal, done)
    stage.finish()
    return planned


@dataclass
class _Planning:
    """The state of one run on its way to a plan."""

    adapters: Adapters
    settings: Settings
    observer: Observer
    journal: Journal
    left_out: int = 0
    points: Float32Array = field(default_factory=lambda: np.empty((0, 0), np.float32))
    stability: Float64Array = field(default_factory=lambda: np.empty(0))
    copies: Duplicates | None = None
    outlook: Foretelling | None = None

    @property
    def facts(self) -> dict[str, Any]:
        return self.journal.facts

    def read(self) -> Rows:
        try:
            with self.journal.timed("read"):
                selected = read_usable(
                    self.adapters.source,
                    self.observer,
                    room=room_of(self.settings),
                    direction=self.adapters.metric in ON_SPHERE,
                    accept_mismatch=self.settings.write.accept_mismatch,
                )
        except ReadRefusedError as error:
            self.facts["read"] = error.facts
            self.journal.record("refused")
            raise
        self.facts["read"] = selected.facts
        self.left_out = selected.left_out
        return selected.rows

    def neighbors(self, stage: GraphStage, rows: Rows, prepared: Prepared) -> Found:
        """The neighbour graph, in the record as soon as it is found: a killed run has it still."""
        with beside(_load_clustering), self.journal.timed("neighbors"):
            found = stage.find(rows, prepared.points, prepared.mean)
            self.facts["neighbors"] = dict(found.facts)
            self.journal.record("reading")
            stage.keep(found)
        return found

    def timed(self, load: Load) -> dict[str, float]:
        """Seconds of reading, and what the audit will take by a few of its rows."""
        read = {"read": self.journal.seconds["read"]}
        return read | time_audit(self.points, load, self.adapters.metric)

    def _audit(self, found: Found, points: Float32Array) -> None:
        """Anew, unless an earlier run has audited the very same graph in the same way."""
        how = self.settings.neighbors.audit
        if found.source is not None and "audit" in found.source.facts:
            facts, then = found.source.facts["audit"], found.source.settings["neighbors"]
            if then.get("audit") == how:
                self.facts["audit"] = {"run": found.source.run_id} | facts
                return
        with self.journal.timed("audit"):
            recalled = audit(found.graph, points, how, self.settings.run.seed, self.observer)
        self.facts["audit"] = asdict(recalled)

    def cluster(self, points: Float32Array, found: Found) -> ClusterResult:
        from vdbcluster.hierarchy import is_compiled
        from vdbcluster.pipeline.cluster import cluster_graph

        graph = found.graph
        self._audit(found, points)
        if not is_compiled():
            self.observer.note("compiling the clustering stage, once; about ten seconds")
        with (
            self.journal.timed("cluster"),
            self.observer.stage("cluster", graph.n_rows) as progress,
        ):
            of = self.adapters.build
            build = None if of is None else of(Inside(self.observer, progress))
            result = cluster_graph(
                graph,
                points,
                self.settings,
                exact=found.exact,
                build=build,
                smooth=self._smoothing(found),
                told=self.outlook.smoothing if self.outlook else None,
            )
            progress.advance(graph.n_rows)
        self.facts["clustering"] = clustering_facts(result)
        self._tell(result.clustering)
        self.stability = self._stability(result, points)
        return result

    def _smoothing(self, found: Found) -> Keeping | None:
        """Keeps the smoothed graph beside the graph, if that is kept."""
        if not self.settings.run.keep_graph:
            return None
        key = f"{found.facts['key']} of {found.facts.get('found_by')}"
        room, reuse = room_of(self.settings), self.settings.scale.reuse
        return SmoothStage(self.journal, key, reuse, room, self.observer).through

    def _tell(self, clustering: Clustering) -> None:
        """Warn of one cluster that swallows the others."""
        if (share := giant(clustering.sizes(), len(clustering.labels))) is not None:
            self.facts["clustering"]["giant"] = share
            self.observer.warn(
                f"one cluster holds {share:.0%} of the rows; to see what is in it, try --method "
                "layers, a smaller --min-cluster-size, or --center mean"
            )

    def _stability(self, result: ClusterResult, points: Float32Array) -> Float64Array:
        from vdbcluster.pipeline.resample import cluster_stability

        repeats = self.settings.cluster.resamples
        if not repeats or not result.clustering.n_clusters:
            return np.full(result.clustering.n_clusters, np.nan)
        with self.journal.timed("stability"):
            room = room_of(self.settings)
            return cluster_stability(result, points, repeats, self.observer, empty=room.empty)

    def prepared(self, rows: Rows, stage: GraphStage) -> Prepared:
        with self.journal.timed("prepare"):
            found = prepared(
                rows,
                self.adapters.metric,
                centering(self.settings, local=self.adapters.local),
                lambda: self._languages(rows, MANY),
                in_place=self.adapters.prepare_in_place,
                room=room_of(self.settings),
                steady=stage.steady,
            )
        self.points = found.points
        return found

    def _languages(self, rows: Rows, most: int) -> NDArray[Any] | None:
        field_name = self.settings.run.text_field or self.adapters.profile.text_field()
        if not field_name:
            return None
        seed = self.settings.run.seed
        with self.journal.timed("languages"):
            return ask_languages(
                self.adapters.source,
                rows,
                field_name,
                self.adapters.languages,
                most=most,
                seed=seed,
            )

    def languages(self, rows: Rows) -> NDArray[Any] | None:
        """Languages for the report; None where there is nothing to tell of them."""
        if self.settings.neighbors.center == "language" or self.adapters.metric in ON_BITS:
            return None
        return self._languages(rows, FEW)

    def tell_languages(
        self, languages: NDArray[Any] | None, points: Float32Array, clustering: Clustering
    ) -> None:
        """Say so if the clusters follow the language of the texts."""
        if languages is None:
            return
        from vdbcluster.quality.language import LanguageVerdict, language_report

        report = language_report(languages, clustering.labels, points, self.settings.run.seed)
        self.facts["languages"] = asdict(report)
        if report.verdict == LanguageVerdict.SPLIT:
            self.observer.warn(report.told)
        elif report.told:
            self.observer.note(report.told)

    def find_copies(self, rows: Rows, points: Float32Array, graph: NeighborGraph) -> None:
        """Duplicates, and outliers beside them, if rows are to be marked."""
        if not self.settings.duplicates.mark:
            return
        with (
            self.journal.timed("duplicates"),
            self.observer.stage("duplicates", len(rows)) as progress,
        ):
            self.copies, _, facts = look(self.adapters, self.settings, graph, points, rows)
            progress.advance(len(rows))
        self.facts.update(facts)


def _load_clustering() -> None:
    """The compiler behind the clustering takes longer to import than all that came before it."""
    from vdbcluster.hierarchy import warm_up

    warm_up()
    import_module("vdbcluster.pipeline.resample")  # and with it the stages that follow
