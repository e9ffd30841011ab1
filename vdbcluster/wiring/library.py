"""The stages for a notebook: an open collection, and one function a stage.

In: arrays, or a collection of Milvus. Out: the value types of ``vdbcluster.model``.
Promise: the same code as the command line runs; nothing is written but by ``Collection.write``.

    with vdbcluster.open("docs.db", "docs") as docs:
        rows = docs.read()
        graph = docs.neighbors(rows, n_neighbors=30)
        clustering = vdbcluster.cluster(graph, min_cluster_size=10)
        docs.write(rows, clustering)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from vdbcluster.adapters.local_neighbors import TARGET_RECALL, LocalNeighbors
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.graph.distance import ON_SPHERE, prepare
from vdbcluster.graph.smooth import smoothed
from vdbcluster.hierarchy import build, extract
from vdbcluster.model.arrays import Float32Array, Keys
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.labels import WriteReport
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams, Smooth
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.neighbors import neighbor_graph
from vdbcluster.pipeline.plan import plan_labels
from vdbcluster.pipeline.read import check_same, read_usable
from vdbcluster.pipeline.write import write_labels
from vdbcluster.ports import Observer
from vdbcluster.wiring.main_job import Bench, new_run_id, open_bench

QUIET = QuietObserver()


def neighbors(
    vectors: Float32Array,
    *,
    n_neighbors: int = 50,
    metric: str = "chord",
    center: bool = False,
    effort: str = "medium",
    seed: int = 0,
) -> NeighborGraph:
    """Neighbour graph of ``vectors (n, d) float32``, exact up to 30,000 rows.

    ``metric``: ``euclidean``, ``chord`` (for cosine), ``angular``, ``hamming``, ``jaccard``.
    ``center`` subtracts the mean direction first. Raises ``ValueError`` for rows of NaN or zeros.
    """
    points = prepare(vectors, metric, centered=center)
    search = LocalNeighbors(points, metric, target_recall=TARGET_RECALL[effort], seed=seed)
    return neighbor_graph(search, points, metric, n_neighbors, QUIET)


def smooth(
    graph: NeighborGraph, how: Smooth = "shared-neighbors", *, seed: int = 0
) -> NeighborGraph:
    """The same edges, other distances: ``shared-neighbors`` (``graph.smooth``) or ``spectral``."""
    return smoothed(graph, how, seed)


def cluster(graph: NeighborGraph, **params: Any) -> Clustering:
    """Labels, probabilities and scores; ``params`` are those of ``HdbscanParams``."""
    chosen = HdbscanParams(**params)
    return extract(build(graph, chosen), chosen)


class Collection:
    """An open selection of a Milvus collection."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._left_out = 0

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
            memory_bytes=bench.settings.neighbors.memory_mb << 20,
            direction=bench.choice.metric in ON_SPHERE,
            accept_mismatch=bench.settings.write.accept_mismatch,
        )
        self._left_out = selected.left_out
        return selected.rows

    def neighbors(
        self, rows: Rows, *, n_neighbors: int = 50, center: bool = False
    ) -> NeighborGraph:
        """Neighbour graph by the engine that suits the collection (see ``inspect``)."""
        metric = self._bench.choice.metric
        points = prepare(rows.vectors, metric, centered=center)
        choice = replace(self._bench.choice, engine="local") if center else self._bench.choice
        search = replace(self._bench, choice=choice).search(rows, points)
        return neighbor_graph(search, points, metric, n_neighbors, self._bench.observer)

    def texts(self, keys: Keys, field: str) -> list[str | None]:
        """The value of a scalar field for some keys, in their order."""
        return self._bench.source.texts(keys, field)

    def write(self, rows: Rows, clustering: Clustering) -> WriteReport:
        """Write the labels that differ from what is stored, read them back, compare.

        Raises ``CollectionChangedError`` if the collection was dropped and created anew meanwhile.
        """
        bench = self._bench
        check_same(bench.source, bench.source.found)
        sink = bench.sink(dry_run=False)
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
    **milvus: Any,
) -> Iterator[Collection]:
    """Open a collection for the time of a ``with`` block.

    ``milvus``: further settings of the section of that name (``token``, ``db``, ``vector_field``,
    ``filter``, ``partitions``, ...). ``settings``: everything else; default as on the command line.
    """
    base = settings or load_settings({})
    known = base.milvus.model_dump() | {"uri": uri, "collection": collection} | milvus
    chosen = base.model_copy(update={"milvus": type(base.milvus)(**known)})
    with open_bench(chosen, observer) as bench:
        yield Collection(bench)
