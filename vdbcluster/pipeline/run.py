"""The main job: read, find neighbours, cluster, plan, write, verify.

In: adapters behind ports, ``Settings``. Out: ``RunManifest``, also kept in the run store.
Promise: nothing is written to the collection before the plan is stored; a dry run writes nothing at
all to the database; interrupted anywhere, a second run finishes the job.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.config.settings import Settings
from vdbcluster.errors import (
    BackendError,
    BackendUnavailableError,
    CollectionChangedError,
    ReadRefusedError,
    RefusedError,
)
from vdbcluster.graph.distance import ON_BITS, ON_SPHERE
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array
from vdbcluster.model.catalogue import Catalogue
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.labels import LabelPlan
from vdbcluster.model.lines import one_line
from vdbcluster.model.manifest import ClusterRow, RunManifest, RunState
from vdbcluster.model.matching import EventKind, Matching
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.beside import beside, minded
from vdbcluster.pipeline.catalogue import Points, entries_of
from vdbcluster.pipeline.identity import matched, renewed
from vdbcluster.pipeline.languages import FEW, MANY, ask_languages, prepared
from vdbcluster.pipeline.neighbors import audit, neighbor_graph
from vdbcluster.pipeline.plan import plan_arrays, plan_labels
from vdbcluster.pipeline.read import check_same, read_usable
from vdbcluster.pipeline.recipe import centering, wanted_neighbors
from vdbcluster.pipeline.write import write_labels
from vdbcluster.ports import LabelSink, NeighborSearch, Observer, RunStore, VectorSource
from vdbcluster.ports.catalogue import ClusterCatalogue
from vdbcluster.ports.languages import LanguageDetector
from vdbcluster.quality.giant import giant

if TYPE_CHECKING:
    from vdbcluster.pipeline.cluster import ClusterResult

TEXT_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Adapters:
    """What a run works with; ``search`` is made once the rows are known.

    ``profile`` is what the source was when it was opened. ``sink`` may still be in the making: that
    there is no safe one is told at the next step of any stage.
    ``metric`` is the distance of ``vdbcluster.graph.distance`` that rows are compared by;
    ``catalogue`` opens that of this selection as the collection is then; None keeps none.
    ``local``: the search takes any vectors, also centred ones.
    ``prepare_in_place`` allows the rows that were read to be overwritten by unit vectors.
    """

    source: VectorSource
    profile: CollectionProfile
    sink: Future[LabelSink]
    search: Callable[[Rows, Float32Array], NeighborSearch]
    runs: RunStore
    metric: str
    languages: LanguageDetector
    catalogue: Callable[[], ClusterCatalogue] | None = None
    local: bool = True
    prepare_in_place: bool = True


def run(
    adapters: Adapters,
    settings: Settings,
    observer: Observer,
    *,
    run_id: str,
    versions: Mapping[str, str],
    dry_run: bool = False,
    confirm: Callable[[LabelPlan], bool] = lambda _: True,
) -> RunManifest:
    """Do the whole job for one selection; see the module for what is promised.

    ``confirm`` is asked once, between plan and writing. Raises ``RefusedError`` if rows read and
    rows counted disagree, if no row is selected, or if ``confirm`` says no.
    """
    job = _Job(adapters, settings, minded(observer, adapters.sink), run_id, versions)
    job.record("reading")
    rows = job.read()
    points = job.prepared(rows)
    # A server takes seconds to load a collection for labels: it does while neighbours are searched.
    with nullcontext() if dry_run else job.sink.reserved():
        graph, exact = job.neighbors(rows, points)
        result = job.cluster(rows, points, graph, exact=exact)
        job.tell_languages(rows, points, result.clustering)
        plan = job.plan(rows, points, result.clustering)
        if dry_run:
            return job.record("dry-run")
        if not confirm(plan):
            job.record("refused")
            raise RefusedError("not confirmed; nothing was written")
        job.record("writing")
        job.write(plan)
    written = job.record("written")
    if not job.keep_catalogue(rows, result.clustering, plan):
        return written
    return job.record("written")


@dataclass
class _Job:
    """The state of one run: its facts and timings so far."""

    adapters: Adapters
    settings: Settings
    observer: Observer
    run_id: str
    versions: Mapping[str, str]
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    clusters: tuple[ClusterRow, ...] = ()
    left_out: int = 0
    stability: Float64Array = field(default_factory=lambda: np.empty(0))
    held: Catalogue | None = None
    matching: Matching | None = None

    @property
    def profile(self) -> CollectionProfile:
        return self.adapters.profile

    def read(self) -> Rows:
        try:
            with self._timed("read"):
                selected = read_usable(
                    self.adapters.source,
                    self.observer,
                    memory_bytes=self.settings.neighbors.memory_mb << 20,
                    direction=self.adapters.metric in ON_SPHERE,
                    accept_mismatch=self.settings.write.accept_mismatch,
                )
        except ReadRefusedError as error:
            self.facts["read"] = error.facts
            self.record("refused")
            raise
        self.facts["read"] = selected.facts
        self.left_out = selected.left_out
        return selected.rows

    @property
    def sink(self) -> LabelSink:
        """Waits until the way of writing is known; ``RefusedError`` if none is safe."""
        return self.adapters.sink.result()

    def neighbors(self, rows: Rows, points: Float32Array) -> tuple[NeighborGraph, bool]:
        """The neighbour graph, and whether it is exact."""
        search = self.adapters.search(rows, points)
        with beside(_load_clustering), self._timed("neighbors"):
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
        with self._timed("audit"):
            found = audit(
                graph,
                points,
                self.settings.neighbors.audit,
                self.settings.run.seed,
                self.observer,
            )
        self.facts["audit"] = asdict(found)

    def cluster(
        self, rows: Rows, points: Float32Array, graph: NeighborGraph, *, exact: bool
    ) -> ClusterResult:
        from vdbcluster.hierarchy import is_compiled
        from vdbcluster.pipeline.cluster import cluster_graph

        self._audit(graph, points)
        if not is_compiled():
            self.observer.note("compiling the clustering stage, once; about ten seconds")
        with self._timed("cluster"), self.observer.stage("cluster", len(rows)) as progress:
            result = cluster_graph(graph, points, self.settings, exact=exact)
            progress.advance(len(rows))
        self.facts["clustering"] = _clustering_facts(result)
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
        with self._timed("stability"):
            return cluster_stability(result, points, repeats, self.observer)

    def prepared(self, rows: Rows) -> Float32Array:
        return prepared(
            rows,
            self.adapters.metric,
            centering(self.settings, local=self.adapters.local),
            lambda: self._languages(rows, MANY),
            in_place=self.adapters.prepare_in_place,
            memory_bytes=self.settings.neighbors.memory_mb << 20,
        )

    def _languages(self, rows: Rows, most: int) -> NDArray[Any] | None:
        field_name = self.settings.run.text_field or self.profile.text_field()
        if not field_name:
            return None
        seed = self.settings.run.seed
        with self._timed("languages"):
            return ask_languages(
                self.adapters.source,
                rows,
                field_name,
                self.adapters.languages,
                most=most,
                seed=seed,
            )

    def _asked(self, rows: Rows) -> NDArray[Any] | None:
        """Languages for the report; None where there is nothing to tell of them."""
        if self.settings.neighbors.center == "language" or self.adapters.metric in ON_BITS:
            return None
        return self._languages(rows, FEW)

    def tell_languages(self, rows: Rows, points: Float32Array, clustering: Clustering) -> None:
        """Say so if the clusters follow the language of the texts."""
        languages = self._asked(rows)
        if languages is None:
            return
        from vdbcluster.quality.language import LanguageVerdict, language_report

        report = language_report(languages, clustering.labels, points, self.settings.run.seed)
        self.facts["languages"] = asdict(report)
        if report.verdict == LanguageVerdict.SPLIT:
            self.observer.warn(report.told)
        elif report.told:
            self.observer.note(report.told)

    def _table(
        self, rows: Rows, points: Float32Array, clustering: Clustering, ids: Int64Array
    ) -> tuple[ClusterRow, ...]:
        sizes, stability = clustering.sizes(), self.stability
        soft = np.bincount(clustering.labels[clustering.soft], minlength=clustering.n_clusters)
        texts = self._representatives(rows, points, clustering)
        return tuple(
            ClusterRow(
                id=int(ids[c]),
                size=int(sizes[c]),
                soft=int(soft[c]),
                persistence=float(clustering.persistence[c]),
                stability=None if np.isnan(stability[c]) else float(stability[c]),
                representative=texts[c],
            )
            for c in range(clustering.n_clusters)
        )

    def _representatives(
        self, rows: Rows, points: Float32Array, clustering: Clustering
    ) -> list[str | None]:
        field_name = self.settings.run.text_field or self.profile.text_field()
        if not field_name or not clustering.n_clusters:
            return [None] * clustering.n_clusters
        which = np.array([representative(points, e) for e in clustering.exemplars], np.int64)
        return [_shortened(t) for t in self.adapters.source.texts(rows.keys[which], field_name)]

    def plan(self, rows: Rows, points: Float32Array, clustering: Clustering) -> LabelPlan:
        with self._timed("plan"):
            sink = self.adapters.sink.result()
            if sink.way.stale:
                self.observer.warn(sink.way.stale)
            stored = list(sink.stored())
            self.held = self._catalogue_before()
            raw = Points(rows.vectors, self.adapters.metric)
            self.matching = matched(rows, clustering, stored, self.held, raw)
            ids = self.matching.ids
            plan = plan_labels(rows, clustering, stored, self.run_id, ids=ids)
        self.clusters = self._table(rows, points, clustering, ids)
        kinds = Counter(event.kind.value for event in self.matching.events)
        self.facts["identity"] = {"next_id": self.matching.next_id, "events": dict(kinds)}
        moved = plan.had_label & (plan.old_cluster_id != plan.new.cluster_id)
        self.facts["plan"] = {
            "changed": int(plan.changed.sum()),
            "unlabelled_before": int((~plan.had_label).sum()),
            "moved": int(moved.sum()),
        }
        self.facts["way"] = asdict(self.sink.way)
        self.adapters.runs.save_arrays(self.run_id, plan_arrays(plan))
        self.record("clustered")
        return plan

    def write(self, plan: LabelPlan) -> None:
        check_same(self.adapters.source, self.profile)
        with self._timed("write"):
            report = write_labels(
                plan,
                self.sink,
                self.adapters.source,
                self.observer,
                left_out=self.left_out,
            )
        self.facts["write"] = asdict(report)

    def _catalogue_before(self) -> Catalogue | None:
        """What is stored; a server that will not say gets no catalogue, but the labels."""
        if self.adapters.catalogue is None:
            return None
        try:
            return self.adapters.catalogue().read()
        except (BackendUnavailableError, CollectionChangedError):
            raise
        except BackendError as error:
            self.observer.warn(f"no catalogue of the clusters is kept: {error}")
            self.adapters = replace(self.adapters, catalogue=None)
            return None

    def keep_catalogue(self, rows: Rows, clustering: Clustering, plan: LabelPlan) -> bool:
        """Store what the clusters are, unless they are as they were; whether there is news.

        The labels are written by now, so a catalogue that cannot be stored is a warning.
        """
        if self.adapters.catalogue is None or self.matching is None:
            return False
        news = {event.kind for event in self.matching.events} - {EventKind.UNCHANGED}
        if self.held is not None and not plan.changed.any() and not news:
            self.facts["catalogue"] = {"name": self.adapters.catalogue().name, "written": False}
            return True
        try:
            with self._timed("catalogue"):
                catalogue = self.adapters.catalogue()
                catalogue.replace(self._renewed(rows, clustering, self.matching))
            self.facts["catalogue"] = {"name": catalogue.name, "written": True}
        except BackendError as error:
            self.observer.warn(f"the labels are written, but not the catalogue: {error}")
            self.facts["catalogue"] = {"error": str(error), "written": False}
        return True

    def _renewed(self, rows: Rows, clustering: Clustering, matching: Matching) -> Catalogue:
        found = entries_of(
            rows.keys,
            Points(rows.vectors, self.adapters.metric),
            clustering,
            self.stability,
            {},
            run_id=self.run_id,
            now=datetime.now(UTC),
            identity=self.adapters.source.identity(),
            ids=matching.ids,
        )
        return renewed(found, self.held, matching.events)

    def record(self, state: RunState) -> RunManifest:
        """Store what is known so far."""
        milvus = self.settings.milvus
        shown = self.settings.model_dump(mode="json", exclude={"milvus": {"token", "uri"}})
        manifest = RunManifest(
            run_id=self.run_id,
            state=state,
            collection=self.profile.name,
            identity=self.profile.identity,
            selection={
                "server": self.profile.server.address,
                "vector_field": self.adapters.source.vector.name,
                "filter": milvus.filter,
                "partitions": list(milvus.partitions),
            },
            settings=shown,
            versions=self.versions,
            facts=self.facts,
            seconds=self.seconds,
            clusters=self.clusters,
        )
        self.adapters.runs.save(manifest)
        return manifest

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - start, 3)


def _load_clustering() -> None:
    """The compiler behind the clustering takes longer to import than all that came before it."""
    from vdbcluster.hierarchy import warm_up

    warm_up()


def representative(points: Float32Array, exemplars: Int64Array) -> int:
    """The exemplar nearest to the mean of the exemplars: a row that stands for its cluster."""
    vectors = points[exemplars]
    away = ((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1)
    return int(exemplars[int(np.argmin(away))])


def _clustering_facts(result: ClusterResult) -> dict[str, Any]:
    clustering, n = result.clustering, result.clustering.labels.shape[0]
    facts: dict[str, Any] = {
        "rows": n,
        "clusters": clustering.n_clusters,
        "noise": clustering.n_noise,
        "soft": int(np.count_nonzero(clustering.soft)),
        "recipe": asdict(result.recipe),
        "largest": int(clustering.sizes().max(initial=0)),
    }
    if result.hierarchy is not None:
        facts["components"] = result.hierarchy.n_components
    if result.certificate is not None:
        facts["certified"] = result.certificate.share
    return facts


def _shortened(text: str | None) -> str | None:
    return None if text is None else one_line(text, TEXT_SHOWN)
