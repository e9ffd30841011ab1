"""A run until something would be written: read, find neighbours, cluster, match, plan.

In: adapters behind ports, ``Settings``. Out: ``Planned``, also kept in the run store.
Promise: nothing at all is written to the database; what is stored is enough to apply the run later,
to judge rows that come after it, and to put back what was there before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.config.settings import Settings
from vdbcluster.duplicates import Duplicates
from vdbcluster.errors import (
    ReadRefusedError,
)
from vdbcluster.graph.distance import ON_BITS, ON_SPHERE
from vdbcluster.model.arrays import Float32Array, Float64Array
from vdbcluster.model.catalogue import Catalogue
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.labels import LabelBatch, LabelPlan
from vdbcluster.model.maps import MapLayout
from vdbcluster.model.matching import EventKind
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.beside import beside, minded
from vdbcluster.pipeline.catalogue import Points
from vdbcluster.pipeline.copies import look, marks, standing
from vdbcluster.pipeline.graph_record import keep_graph
from vdbcluster.pipeline.held import catalogue_before
from vdbcluster.pipeline.identity import Found, Identity, described, identified
from vdbcluster.pipeline.journal import Journal, begin
from vdbcluster.pipeline.kept import Kept, remember
from vdbcluster.pipeline.languages import FEW, MANY, Prepared, ask_languages, prepared
from vdbcluster.pipeline.map_record import keep_layout
from vdbcluster.pipeline.neighbors import audit, neighbor_graph
from vdbcluster.pipeline.plan import plan_labels
from vdbcluster.pipeline.read import read_usable
from vdbcluster.pipeline.recipe import centering, wanted_neighbors
from vdbcluster.pipeline.record import catalogue_arrays, plan_arrays
from vdbcluster.pipeline.told import (
    clustering_facts,
    identity_facts,
    plan_facts,
    representative,
    table,
)
from vdbcluster.ports import Observer
from vdbcluster.quality.giant import giant

if TYPE_CHECKING:
    from vdbcluster.pipeline.cluster import ClusterResult


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """What would be written, and the record of it.

    ``catalogue``: what is to be stored of the clusters; None where none is kept, or where nothing
    has changed since ``before``, that of the last run. ``left_out``: rows without a usable vector.
    ``partial``: the plan is about some rows of the selection only.
    """

    journal: Journal
    plan: LabelPlan
    before: Catalogue | None
    catalogue: Catalogue | None
    left_out: int
    partial: bool = False


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

    ``meanwhile`` is called once the rows are read. Raises ``RefusedError`` if rows read and rows
    counted disagree, or if no row is selected.
    """
    journal = begin(adapters, settings, run_id, dict(versions))
    planning = _Planning(adapters, settings, minded(observer, adapters.sink), journal)
    journal.record("reading")
    rows = planning.read()
    prepared = planning.prepared(rows)
    meanwhile()
    with beside(lambda: planning.languages(rows)) as languages:  # a server searches meanwhile
        graph, exact = planning.neighbors(rows, prepared.points)
        result = planning.cluster(prepared.points, graph, exact=exact)
        planning.tell_languages(languages.result(), prepared.points, result.clustering)
    planning.find_copies(rows, prepared.points, graph)
    return planning.plan(rows, prepared, graph, result)


@dataclass
class _Planning:
    """The state of one run on its way to a plan."""

    adapters: Adapters
    settings: Settings
    observer: Observer
    journal: Journal
    left_out: int = 0
    stability: Float64Array = field(default_factory=lambda: np.empty(0))
    copies: Duplicates | None = None
    places: Float32Array | None = None

    @property
    def facts(self) -> dict[str, Any]:
        return self.journal.facts

    def read(self) -> Rows:
        try:
            with self.journal.timed("read"):
                selected = read_usable(
                    self.adapters.source,
                    self.observer,
                    memory_bytes=self.settings.neighbors.memory_mb << 20,
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

    def neighbors(self, rows: Rows, points: Float32Array) -> tuple[NeighborGraph, bool]:
        """The neighbour graph, and whether it is exact."""
        search = self.adapters.search(rows, points)
        with beside(_load_clustering), self.journal.timed("neighbors"):
            k = wanted_neighbors(self.settings, len(rows))
            graph = neighbor_graph(search, points, self.adapters.metric, k, self.observer)
        self.facts["neighbors"] = {
            "engine": search.description,
            "metric": graph.metric,
            "n_neighbors": graph.n_neighbors,
            "exact": search.exact,
        }
        return graph, search.exact

    def _audit(self, graph: NeighborGraph, points: Float32Array) -> None:
        with self.journal.timed("audit"):
            found = audit(
                graph,
                points,
                self.settings.neighbors.audit,
                self.settings.run.seed,
                self.observer,
            )
        self.facts["audit"] = asdict(found)

    def cluster(self, points: Float32Array, graph: NeighborGraph, *, exact: bool) -> ClusterResult:
        from vdbcluster.hierarchy import is_compiled
        from vdbcluster.pipeline.cluster import cluster_graph

        self._audit(graph, points)
        if not is_compiled():
            self.observer.note("compiling the clustering stage, once; about ten seconds")
        with (
            self.journal.timed("cluster"),
            self.observer.stage("cluster", graph.n_rows) as progress,
        ):
            result = cluster_graph(graph, points, self.settings, exact=exact)
            progress.advance(graph.n_rows)
        self.facts["clustering"] = clustering_facts(result)
        self._tell(result.clustering)
        self.stability = self._stability(result, points)
        return result

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
            return cluster_stability(result, points, repeats, self.observer)

    def prepared(self, rows: Rows) -> Prepared:
        return prepared(
            rows,
            self.adapters.metric,
            centering(self.settings, local=self.adapters.local),
            lambda: self._languages(rows, MANY),
            in_place=self.adapters.prepare_in_place,
            memory_bytes=self.settings.neighbors.memory_mb << 20,
        )

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

    def plan(
        self, rows: Rows, prepared: Prepared, graph: NeighborGraph, result: ClusterResult
    ) -> Planned:
        raw = Points(rows.vectors, self.adapters.metric)
        found = Found(rows, raw, graph, result.clustering, self.stability)
        with self.journal.timed("plan"):
            sink = self.adapters.sink.result()
            if sink.way.stale:
                self.observer.warn(sink.way.stale)
            stored = list(sink.stored())
            before = self._catalogue_before()
            identity = identified(found, stored, before, margin=self.settings.cluster.hold)
            ids, clustering = identity.ids, self._gone_into(rows, prepared, identity, stored)
            plan = plan_labels(
                rows,
                clustering,
                stored,
                self.journal.run_id,
                ids=ids,
                duplicate_of=self._marks(rows, stored),
                places=self._places(rows, prepared, graph, stored),
            )
            after = self._catalogue_after(found, identity, before, plan)
        texts = self._representatives(rows, prepared.points, clustering)
        self.journal.clusters = table(clustering, ids, identity.stability, texts)
        self.facts["identity"] = identity_facts(identity.matching) | {"held": identity.kept}
        self.facts["plan"] = plan_facts(plan)
        self.facts["way"] = asdict(sink.way)
        if self.settings.run.keep_graph and graph.n_neighbors:
            keep_graph(self.journal.runs, self.journal.manifest("planned"), graph)
        self._store(plan, before, after, self._kept(rows, prepared, graph, result, identity))
        return Planned(self.journal, plan, before, after, self.left_out)

    def _gone_into(
        self, rows: Rows, prepared: Prepared, identity: Identity, stored: Sequence[LabelBatch]
    ) -> Clustering:
        """With the paths of what lies in large clusters, where that is asked for."""
        if not self.settings.cluster.recurse:
            return identity.clustering
        from vdbcluster.pipeline.recursion import gone_into

        with self.journal.timed("recursion"):
            found = gone_into(
                self.adapters,
                self.settings,
                self.observer,
                keys=rows.keys,
                points=prepared.points,
                ids=identity.labels,
                stored=stored,
                begun=self.journal.begun,
            )
        self.facts["recursion"] = found.facts
        return replace(identity.clustering, paths=found.paths)

    def _marks(self, rows: Rows, stored: Sequence[LabelBatch]) -> NDArray[Any] | None:
        if self.copies is None:
            return None
        return marks(standing(self.copies, rows.keys, stored), rows.keys)

    def _places(
        self, rows: Rows, prepared: Prepared, graph: NeighborGraph, stored: Sequence[LabelBatch]
    ) -> Float32Array | None:
        """Where rows are written to lie, if they are to be; kept as the map of the run."""
        if not self.settings.map.write:
            return None
        from vdbcluster.pipeline.layout import Laying
        from vdbcluster.pipeline.map_steady import map_to_write

        runs, begun = self.journal.runs, self.journal.begun
        with self.journal.timed("layout"):
            laying = Laying(graph, prepared.points, rows.keys, self.settings, self.observer)
            found = map_to_write(runs, begun, laying, stored)
        self.facts["map"] = found.facts
        self.places = found.flat
        return found.flat

    def _store(
        self, plan: LabelPlan, before: Catalogue | None, after: Catalogue | None, kept: Kept | None
    ) -> None:
        runs, run_id = self.journal.runs, self.journal.run_id
        runs.save_arrays(run_id, plan_arrays(plan))
        runs.save_arrays(run_id, catalogue_arrays(before, after), "catalogue")
        if self.places is not None:
            keep_layout(runs, run_id, MapLayout(self.places))
        if kept is not None:
            runs.save_arrays(run_id, kept.arrays(), "kept")
            self.facts["kept"] = kept.facts()
        self.journal.record("planned")

    def _kept(
        self,
        rows: Rows,
        prepared: Prepared,
        graph: NeighborGraph,
        result: ClusterResult,
        identity: Identity,
    ) -> Kept | None:
        """What rows that come later are judged by; None where a run says nothing of them."""
        if not prepared.repeatable or not graph.n_neighbors:
            return None
        written = identity.clustering
        return remember(rows.keys, graph, written, result.recipe, prepared.mean, identity.labels)

    def _representatives(
        self, rows: Rows, points: Float32Array, clustering: Clustering
    ) -> list[str | None]:
        field_name = self.settings.run.text_field or self.adapters.profile.text_field()
        if not field_name or not clustering.n_clusters:
            return [None] * clustering.n_clusters
        which = np.array([representative(points, e) for e in clustering.exemplars], np.int64)
        return self.adapters.source.texts(rows.keys[which], field_name)

    def _catalogue_before(self) -> Catalogue | None:
        held, facts = catalogue_before(self.adapters, self.observer)
        if facts:
            self.facts["catalogue"] = facts
        return held

    def _catalogue_after(
        self, found: Found, identity: Identity, before: Catalogue | None, plan: LabelPlan
    ) -> Catalogue | None:
        """None where none is kept, or where the clusters are as they were."""
        if "name" not in self.facts.get("catalogue", {}):
            return None
        news = {event.kind for event in identity.matching.events} - {EventKind.UNCHANGED}
        told = before is not None and all(before.get(int(i)) for i in identity.ids)
        if told and not plan.changed.any() and not news:
            return None
        return described(
            found,
            identity,
            before,
            run_id=self.journal.run_id,
            now=datetime.now(UTC),
            collection=self.adapters.source.identity(),
        )


def _load_clustering() -> None:
    """The compiler behind the clustering takes longer to import than all that came before it."""
    from vdbcluster.hierarchy import warm_up

    warm_up()
