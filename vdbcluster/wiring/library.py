"""The stages for a notebook: an open collection, and one function a stage.

In: arrays, or a collection of Milvus. Out: the value types of ``vdbcluster.model``.
Promise: the same code as the command line runs; nothing is written but by ``Collection.write``.

    with vdbcluster.open("docs.db", "docs") as docs:
        rows = docs.read()
        graph = docs.neighbors(rows)
        clustering = vdbcluster.cluster(graph)
        docs.write(rows, clustering)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vdbcluster.adapters.local_neighbors import TARGET_RECALL, LocalNeighbors
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import UsageError
from vdbcluster.graph.distance import ON_SPHERE, is_narrow, mean_direction, prepare
from vdbcluster.graph.smooth import smoothed
from vdbcluster.model.arrays import Float32Array, Float64Array, Keys
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.labels import WriteReport
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import Smooth
from vdbcluster.model.rows import Rows
from vdbcluster.model.run_id import new_run_id
from vdbcluster.pipeline.cluster import cluster_graph
from vdbcluster.pipeline.neighbors import neighbor_graph
from vdbcluster.pipeline.plan import plan_labels
from vdbcluster.pipeline.read import check_same, read_usable
from vdbcluster.pipeline.recipe import wanted_neighbors
from vdbcluster.pipeline.room import room_of
from vdbcluster.pipeline.write import write_labels
from vdbcluster.ports import Observer
from vdbcluster.wiring.main_job import Bench, open_bench

QUIET = QuietObserver()
SMOOTHED = ("shared-neighbors", "spectral")
"""Metrics of graphs that were smoothed."""


def neighbors(
    vectors: Float32Array,
    *,
    n_neighbors: int | None = None,
    metric: str = "chord",
    center: str = "auto",
    effort: str = "medium",
    seed: int = 0,
) -> NeighborGraph:
    """Neighbour graph of ``vectors (n, d) float32``, exact up to 30,000 rows.

    ``n_neighbors``: by default as ``run`` chooses it.
    ``metric``: ``euclidean``, ``chord`` (for cosine), ``angular``, ``hamming``, ``jaccard``.
    ``center``: subtract the mean direction first: ``none``, ``mean``, or ``auto``, which does so
    where the vectors point one way (chord and angular only).
    Raises ``ValueError`` for rows of NaN or zeros.
    """
    points = prepare(vectors, metric, mean=centering_mean(vectors, metric, center))
    search = LocalNeighbors(points, metric, target_recall=TARGET_RECALL[effort], seed=seed)
    k = n_neighbors or wanted_neighbors(load_settings({}), len(points))
    return neighbor_graph(search, points, metric, k, QUIET)


def smooth(
    graph: NeighborGraph, how: Smooth = "shared-neighbors", *, seed: int = 0
) -> NeighborGraph:
    """The same edges, other distances: ``shared-neighbors`` (``graph.smooth``) or ``spectral``."""
    return smoothed(graph, how, seed)


def cluster(
    graph: NeighborGraph,
    *,
    method: str = "auto",
    vectors: Float32Array | None = None,
    seed: int = 0,
    **params: Any,
) -> Clustering:
    """Labels, probabilities and scores; what is not said as ``vdbcluster run`` would do it here.

    ``params``: settings of the section ``cluster`` (``min_cluster_size``, ``min_samples``,
    ``max_noise``, ...), and ``smooth``. ``vectors (n, d)``: the rows themselves, as unit vectors
    where the metric is of directions; methods ``kmeans`` and ``umap+hdbscan`` need them.
    A graph that ``smooth`` has made is not smoothed again. Raises ``UsageError`` for a setting
    that cannot be.
    """
    how = params.pop("smooth", "none" if graph.metric in SMOOTHED else "auto")
    settings = load_settings(
        {
            "cluster": {"method": method, **params},
            "neighbors": {"smooth": how},
            "run": {"seed": seed},
        }
    )
    points = np.empty((graph.n_rows, 0), np.float32) if vectors is None else vectors
    return cluster_graph(graph, points, settings, exact=False).clustering


def centering_mean(vectors: Float32Array, metric: str, center: str) -> Float64Array | None:
    """What ``neighbors`` subtracts from the vectors, ``(d,)``; None for nothing."""
    if center not in ("auto", "none", "mean"):
        raise UsageError(f"center is {center!r}; it must be auto, none or mean")
    if center == "none" or (center == "auto" and metric not in ON_SPHERE):
        return None
    mean = mean_direction(vectors)
    return mean if center == "mean" or is_narrow(mean) else None


class Collection:
    """An open selection of a Milvus collection."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._left_out = 0

    @property
    def settings(self) -> Settings:
        """As it was opened with."""
        return self._bench.settings

    @property
    def observer(self) -> Observer:
        """Who is told of progress."""
        return self._bench.observer

    @property
    def profile(self) -> CollectionProfile:
        """What the collection is now."""
        return self._bench.source.profile()

    def read(self) -> Rows:
        """All rows with a usable vector, keys ascending.

        Raises ``RefusedError`` if they are not as many as the server counts, or if none is
        selected of a collection that has rows.
        """
        bench = self._bench
        selected = read_usable(
            bench.source,
            bench.observer,
            room=room_of(bench.settings),
            direction=bench.choice.metric in ON_SPHERE,
            accept_mismatch=bench.settings.write.accept_mismatch,
        )
        self._left_out = selected.left_out
        return selected.rows

    def neighbors(
        self, rows: Rows, *, n_neighbors: int | None = None, center: str = "auto"
    ) -> NeighborGraph:
        """Neighbour graph by the engine that suits the collection (see ``inspect``).

        ``n_neighbors``: by default as ``run`` chooses it. ``center``: as in ``neighbors``; where
        Milvus searches, ``auto`` is ``none``, and ``mean`` makes the search local.
        """
        metric = self._bench.choice.metric
        choice = self._bench.choice
        if center == "mean" and not choice.local:
            choice = replace(choice, engine="local")
        how = center if choice.local else "none"
        points = prepare(rows.vectors, metric, mean=centering_mean(rows.vectors, metric, how))
        search = replace(self._bench, choice=choice).search(rows, points)
        k = n_neighbors or wanted_neighbors(self._bench.settings, len(rows))
        return neighbor_graph(search, points, metric, k, self._bench.observer)

    def texts(self, keys: Keys, field: str) -> list[str | None]:
        """The value of a scalar field for some keys, in their order."""
        return self._bench.source.texts(keys, field)

    def write(self, rows: Rows, clustering: Clustering) -> WriteReport:
        """Write the labels that differ from what is stored, read them back, compare.

        Raises ``CollectionChangedError`` if the collection was dropped and created anew meanwhile.
        """
        bench = self._bench
        check_same(bench.source, bench.source.found)
        sink = bench.paced(bench.sink(dry_run=False))
        if sink.way.stale:
            bench.observer.warn(sink.way.stale)
        plan = plan_labels(rows, clustering, sink.stored(), new_run_id())
        return write_labels(plan, sink, bench.source, bench.observer, left_out=self._left_out)


@contextmanager
def open_collection(
    uri: str,
    collection: str,
    *,
    observer: Observer = QUIET,
    settings: Settings | None = None,
    runs_dir: Path | str | None = None,
    **milvus: Any,
) -> Iterator[Collection]:
    """Open a collection for the time of a ``with`` block.

    ``milvus``: further settings of the section of that name (``token``, ``db``, ``vector_field``,
    ``filter``, ``partitions``, ...). ``settings``: everything else; default as on the command line.
    ``runs_dir``: where runs are recorded.
    """
    base = settings or load_settings({})
    if runs_dir is not None:
        run = base.run.model_copy(update={"runs_dir": Path(runs_dir)})
        base = base.model_copy(update={"run": run})
    known = base.milvus.model_dump() | {"uri": uri, "collection": collection} | milvus
    chosen = base.model_copy(update={"milvus": type(base.milvus)(**known)})
    with open_bench(chosen, observer) as bench:
        yield Collection(bench)
