"""The main job: read, find neighbours, cluster, plan, write, verify.

In: adapters behind ports, ``Settings``. Out: ``RunManifest``, also kept in the run store.
Promise: nothing is written to the collection before the plan is stored; a dry run writes nothing
there at all; interrupted anywhere, a second run finishes the job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from vdbcluster.config.settings import Settings
from vdbcluster.errors import CollectionChangedError, RefusedError
from vdbcluster.graph.distance import ON_SPHERE, prepare
from vdbcluster.graph.measure import measure
from vdbcluster.hierarchy import is_compiled
from vdbcluster.model.arrays import Float32Array, Int64Array
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.labels import LabelPlan
from vdbcluster.model.manifest import ClusterRow, RunManifest, RunState
from vdbcluster.model.rows import ReadReport, Rows
from vdbcluster.pipeline.cluster import ClusterResult, cluster_graph
from vdbcluster.pipeline.neighbors import audit, neighbor_graph
from vdbcluster.pipeline.plan import plan_labels
from vdbcluster.pipeline.read import read_rows, usable
from vdbcluster.pipeline.write import write_labels
from vdbcluster.ports import LabelSink, NeighborSearch, Observer, RunStore, VectorSource

TEXT_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Adapters:
    """What a run works with; ``search`` is made once the rows are known.

    ``metric`` is the distance of ``vdbcluster.graph.distance`` that rows are compared by;
    ``prepare_in_place`` allows the rows that were read to be overwritten by unit vectors;
    ``measured`` says that ``search`` returns the distances of ``graph.measure`` already. A
    database's own are rounded, sometimes quantised, and differ between (i, j) and (j, i).
    """

    source: VectorSource
    sink: LabelSink
    search: Callable[[Rows, Float32Array], NeighborSearch]
    runs: RunStore
    metric: str
    prepare_in_place: bool = True
    measured: bool = True


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
    rows counted disagree, or if ``confirm`` says no.
    """
    job = _Job(adapters, settings, observer, adapters.source.profile(), run_id, versions)
    job.record("reading")
    rows = job.read()
    result = job.cluster(rows)
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
    profile: CollectionProfile
    run_id: str
    versions: Mapping[str, str]
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    clusters: tuple[ClusterRow, ...] = ()

    def read(self) -> Rows:
        with self._timed("read"):
            rows, report = read_rows(
                self.adapters.source,
                self.observer,
                memory_bytes=self.settings.neighbors.memory_mb << 20,
            )
        rows, unusable = usable(rows, direction=self.adapters.metric in ON_SPHERE)
        self.facts["read"] = asdict(report) | {"unusable": unusable}
        if unusable:
            self.observer.warn(
                f"{unusable:,} rows hold NaN, an infinity or only zeros and are left out"
            )
        self._check_read(report)
        return rows

    @property
    def _left_out(self) -> int:
        """Rows that the server counts and no label is for."""
        read = self.facts["read"]
        return int(read["unusable"] + read["without_vector"] + read["duplicates"])

    def _check_read(self, report: ReadReport) -> None:
        if report.duplicates:
            self.observer.warn(
                f"{report.duplicates:,} rows share their key with another; kept once"
            )
        if report.without_vector:
            self.observer.note(f"{report.without_vector:,} rows have no vector and are left out")
        if not report.rows:
            self.observer.warn("no row is selected; there is nothing to cluster")
        if report.complete:
            return
        told = (
            f"{report.rows + report.duplicates + report.without_vector:,} rows were read, but the "
            f"server counted {report.counted_before:,} before and {report.counted_after:,} after"
        )
        if report.unreadable:
            told += (
                f" ({report.unreadable:,} of them the server gives to nobody: their key is the "
                "largest INT64)"
            )
        if not self.settings.write.accept_mismatch:
            self.record("refused")
            raise RefusedError(
                f"{told}; nothing was written. Run again when writes have settled, or pass "
                "--accept-mismatch"
            )
        self.observer.warn(f"{told}; going on as --accept-mismatch says")

    def cluster(self, rows: Rows) -> ClusterResult:
        points = self._prepared(rows)
        search = self.adapters.search(rows, points)
        with self._timed("neighbors"):
            graph = neighbor_graph(search, len(rows), self.settings.n_neighbors, self.observer)
            if not self.adapters.measured:
                graph = measure(points, graph.indices, self.adapters.metric)
        self.facts["neighbors"] = {
            "engine": search.description,
            "metric": graph.metric,
            "n_neighbors": graph.n_neighbors,
            "exact": search.exact,
        }
        with self._timed("audit"):
            found = audit(
                graph,
                points,
                self.settings.neighbors.audit,
                self.settings.run.seed,
                self.observer,
            )
        self.facts["audit"] = asdict(found)
        if not is_compiled():
            self.observer.note("compiling the clustering stage, once; about ten seconds")
        with self._timed("cluster"), self.observer.stage("cluster", len(rows)) as progress:
            result = cluster_graph(graph, points, self.settings, exact=search.exact)
            progress.advance(len(rows))
        self.facts["clustering"] = _clustering_facts(result)
        self.clusters = self._table(rows, points, result.clustering)
        return result

    def _prepared(self, rows: Rows) -> Float32Array:
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
            plan = plan_labels(rows, clustering, self.adapters.sink.stored(), self.run_id)
        moved = plan.had_label & (plan.old_cluster_id != plan.new.cluster_id)
        self.facts["plan"] = {
            "changed": int(plan.changed.sum()),
            "unlabelled_before": int((~plan.had_label).sum()),
            "moved": int(moved.sum()),
        }
        self.facts["way"] = asdict(self.adapters.sink.way)
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
        if self.adapters.source.identity() != self.profile.identity:
            raise CollectionChangedError(
                f"the collection {self.profile.name} was dropped and created anew while it was "
                "clustered; nothing was written, run again"
            )
        with self._timed("write"):
            report = write_labels(
                plan,
                self.adapters.sink,
                self.adapters.source,
                self.observer,
                left_out=self._left_out,
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
                "vector_field": milvus.vector_field,
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
    if text is None:
        return None
    # what is not printable could steer the terminal that it is shown on
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= TEXT_SHOWN else line[: TEXT_SHOWN - 1] + "…"
