"""The main job: read, find neighbours, cluster, plan, write, verify.

In: adapters behind ports, ``Settings``. Out: ``RunManifest``, also kept in the run store.
Promise: nothing is written to the collection before the plan is stored; a dry run writes nothing at
all to the database; interrupted anywhere, a second run finishes the job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from vdbcluster.config.settings import Settings
from vdbcluster.errors import ReadRefusedError, RefusedError
from vdbcluster.graph.distance import ON_SPHERE, prepare
from vdbcluster.model.arrays import Float32Array, Int64Array
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.labels import LabelPlan
from vdbcluster.model.lines import one_line
from vdbcluster.model.manifest import ClusterRow, RunManifest, RunState
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.beside import beside, minded
from vdbcluster.pipeline.neighbors import audit, neighbor_graph
from vdbcluster.pipeline.plan import plan_labels
from vdbcluster.pipeline.read import check_same, read_usable
from vdbcluster.pipeline.write import write_labels
from vdbcluster.ports import LabelSink, NeighborSearch, Observer, RunStore, VectorSource

if TYPE_CHECKING:
    from vdbcluster.pipeline.cluster import ClusterResult

TEXT_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Adapters:
    """What a run works with; ``search`` is made once the rows are known.

    ``profile`` is what the source was when it was opened. ``sink`` may still be in the making: that
    there is no safe one is told at the next step of any stage.
    ``metric`` is the distance of ``vdbcluster.graph.distance`` that rows are compared by;
    ``prepare_in_place`` allows the rows that were read to be overwritten by unit vectors.
    """

    source: VectorSource
    profile: CollectionProfile
    sink: Future[LabelSink]
    search: Callable[[Rows, Float32Array], NeighborSearch]
    runs: RunStore
    metric: str
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
        plan = job.plan(rows, result.clustering)
        if dry_run:
            return job.record("dry-run")
        if not confirm(plan):
            job.record("refused")
            raise RefusedError("not confirmed; nothing was written")
        job.record("writing")
        job.write(plan)
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
            graph = neighbor_graph(
                search, points, self.adapters.metric, self.settings.n_neighbors, self.observer
            )
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
        self.clusters = self._table(rows, points, result.clustering)
        return result

    def prepared(self, rows: Rows) -> Float32Array:
        if not len(rows):
            return rows.vectors
        return prepare(
            rows.vectors,
            self.adapters.metric,
            centered=self.settings.neighbors.center,
            out=rows.vectors if self.adapters.prepare_in_place else None,
        )

    def _table(
        self, rows: Rows, points: Float32Array, clustering: Clustering
    ) -> tuple[ClusterRow, ...]:
        sizes = clustering.sizes()
        texts = self._representatives(rows, points, clustering)
        return tuple(
            ClusterRow(c, int(sizes[c]), float(clustering.persistence[c]), texts[c])
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

    def plan(self, rows: Rows, clustering: Clustering) -> LabelPlan:
        with self._timed("plan"):
            sink = self.adapters.sink.result()
            if sink.way.stale:
                self.observer.warn(sink.way.stale)
            plan = plan_labels(rows, clustering, sink.stored(), self.run_id)
        moved = plan.had_label & (plan.old_cluster_id != plan.new.cluster_id)
        self.facts["plan"] = {
            "changed": int(plan.changed.sum()),
            "unlabelled_before": int((~plan.had_label).sum()),
            "moved": int(moved.sum()),
        }
        self.facts["way"] = asdict(self.sink.way)
        self.adapters.runs.save_arrays(
            self.run_id,
            {
                "keys": plan.new.keys,
                "cluster_id": plan.new.cluster_id,
                "probability": plan.new.probability,
                "outlier_score": plan.new.outlier_score,
                "had_label": plan.had_label,
                "old_cluster_id": plan.old_cluster_id,
            },
        )
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
        "largest": int(clustering.sizes().max(initial=0)),
    }
    if result.hierarchy is not None:
        facts["components"] = result.hierarchy.n_components
    if result.certificate is not None:
        facts["certified"] = result.certificate.share
    return facts


def _shortened(text: str | None) -> str | None:
    return None if text is None else one_line(text, TEXT_SHOWN)
