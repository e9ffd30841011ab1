"""Neighbour search by one graph of all rows, which cuVS builds on a GPU by NN-descent.

In: prepared vectors ``(n, d)`` (see ``graph.distance.prepare``). Out: a ``NeighborSearch``.
Promise: the graph only proposes; distances and their order are those of ``graph.measure`` to the
last bit, and on a sample of rows the graph reaches the recall asked for. Where it does not, where
cuVS cannot build it, and where every pair is quick, every pair is compared (``gpu_neighbors``), so
that the answer is exact; one note says why, unless that was to be expected.

cuVS's threads race, so two builds over the same rows may propose different ones. It is no extra of
this package (see the README). **Not yet run on a GPU**: the tests let a stand-in play cuVS, with
the signatures of its version 26.10, which took these calls as far as it goes without a GPU. What
it takes of memory is counted from its sources.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from vdbcluster.adapters.gpu_neighbors import Gpu, GpuNeighbors
from vdbcluster.errors import VdbclusterError
from vdbcluster.graph.distance import ON_BITS
from vdbcluster.graph.measure import nearest
from vdbcluster.model.arrays import Allocate, Float32Array, Int32Array, Int64Array
from vdbcluster.model.neighbors import PADDING
from vdbcluster.ports.observer import Observer
from vdbcluster.quality.recall import audit_sample, row_recall

_LONG = 4e15
"""Floating-point operations of every pair: 80 to 400 seconds at 50 to 10 TFLOP/s. Arithmetic."""
_LEAST_DIM = 256
"""Choosing among the products is taken for as long as multiplying so many values: it moves some 20
bytes a pair, 20 ps at 1 TB/s, in which 25 TFLOP/s do 512 operations. Arithmetic as well."""
_WARP = 32
"""cuVS rounds degrees up to its multiples, and samples as many neighbours of each row."""
_SAMPLE_ROWS = 256


def has_cuvs() -> bool:
    """Whether cuVS is installed; it is not imported."""
    return find_spec("cuvs") is not None


def graph_bytes(n_rows: int, n_neighbors: int) -> tuple[int, int]:
    """Of the host's memory: the graph, and what cuVS takes beside it while it builds it."""
    width = _rounded(1.5 * n_neighbors)
    return 4 * n_rows * width, n_rows * _row_bytes(width)


def host_bytes(left: int) -> int:
    """What building a graph may take of memory that is left; the rest is for what follows it."""
    return max(0, left) // 2


def takes_long(n_rows: int, dim: int) -> bool:
    """Whether a GPU needs minutes to compare every pair of so many rows."""
    return 2.0 * n_rows**2 * max(dim, _LEAST_DIM) >= _LONG


class GraphNeighbors:
    """``NeighborSearch`` over prepared vectors in memory or in a memory map.

    ``empty`` gives room for the graph, ``(n, 1.5 k) uint32``, on disk where it is large.
    ``host_bytes``: what cuVS may take of the host's memory beside it while it builds.
    ``target_recall`` in (0, 1]: 1 compares every pair. The graph is built at the first search, for
    its ``n_neighbors``; a later search for more than it has compares every pair of the rows asked.
    ``gpu`` and ``threads`` as for ``GpuNeighbors``, whose errors pass through.
    """

    def __init__(
        self,
        vectors: Float32Array,
        metric: str,
        *,
        empty: Allocate,
        host_bytes: int,
        target_recall: float,
        observer: Observer,
        gpu: Gpu | None = None,
        threads: int = 0,
        seed: int = 0,
    ) -> None:
        self._pairs = GpuNeighbors(vectors, metric, gpu=gpu, threads=threads)
        self._vectors = vectors
        self._metric = metric
        self._empty = empty
        self._host_bytes = host_bytes
        self._target = target_recall
        self._observer = observer
        self._threads = threads or None
        self._seed = seed
        few = not takes_long(*vectors.shape)
        self._exact = few or target_recall == 1 or metric in ON_BITS
        self._graph: Any = None

    @property
    def description(self) -> str:
        if self._exact:
            return self._pairs.description
        return f"{self._pairs.name}, cuVS graph by NN-descent, ranked by exact distance"

    @property
    def metric(self) -> str:
        return self._metric

    @property
    def exact(self) -> bool:
        """Known for certain after the first search."""
        return self._exact

    @property
    def measured(self) -> bool:
        return True

    def search(self, which: Int64Array, n_neighbors: int) -> tuple[Int32Array, Float32Array]:
        """See ``ports.NeighborSearch``."""
        if self._graph is None and not self._exact:
            try:
                self._graph = self._built(n_neighbors)
            except VdbclusterError as why:
                self._exact = True
                self._observer.note(f"{why}; every pair is compared, which takes longer")
        if self._exact or n_neighbors > self._graph.shape[1]:
            return self._pairs.search(which, n_neighbors)
        return self._proposed(self._graph, np.asarray(which, np.int64), n_neighbors)

    def _built(self, n_neighbors: int) -> Any:
        """Raises ``VdbclusterError`` where a graph cannot be built or misses too much."""
        n, width = len(self._vectors), _rounded(1.5 * n_neighbors)
        _, needed = graph_bytes(n, n_neighbors)
        if needed > self._host_bytes:
            raise VdbclusterError(
                f"cuVS would take {needed >> 20:,} MiB of memory to build a graph and may take "
                f"{self._host_bytes >> 20:,} (--memory-limit)"
            )
        with self._observer.stage("neighbour graph (cuVS)", n) as progress:
            graph = self._empty((n, width), np.uint32)
            build(self._vectors, graph)
            progress.advance(n)
        sample = audit_sample(n, _SAMPLE_ROWS, self._seed)
        found = self._proposed(graph, sample, n_neighbors)
        true = self._pairs.search(sample, n_neighbors)
        reached = float(row_recall(found[0], true[0], found[1], true[1]).mean())
        if reached < self._target:
            raise VdbclusterError(
                f"the graph of cuVS has a recall of {reached:.3f} on {len(sample)} rows, below "
                f"{self._target} (--effort)"
            )
        return graph

    def _proposed(
        self, graph: Any, which: Int64Array, n_neighbors: int
    ) -> tuple[Int32Array, Float32Array]:
        candidates = graph[which].astype(np.int64)
        candidates[candidates >= len(self._vectors)] = PADDING  # cuVS has a number for "none"
        with threadpool_limits(limits=self._threads):
            return nearest(self._vectors, which, candidates, n_neighbors, self._metric)


def build(vectors: Float32Array, graph: Any) -> None:
    """Fill ``graph (n, width) uint32`` with rows near each, by squared Euclidean distance.

    Raises ``VdbclusterError`` where cuVS cannot be imported or fails.
    """
    try:
        cuvs = import_module("cuvs.neighbors.nn_descent")
        failure = import_module("cuvs.common.exceptions").CuvsException
    except (ImportError, OSError, RuntimeError) as error:
        raise VdbclusterError(f"cuVS cannot be imported: {_line(error)}") from error
    width = graph.shape[1]
    try:
        params = cuvs.IndexParams(
            metric="sqeuclidean",
            graph_degree=width,
            intermediate_graph_degree=_inner(width),
            return_distances=False,  # cuVS fills a graph that is given only without
            # Values above 65,504 would overflow in fp16. A literal: cuVS asks whether it "is" so.
            dist_comp_dtype="fp32",
        )
        cuvs.build(params, vectors, graph=graph)
    except (failure, RuntimeError, MemoryError, OSError, TypeError, ValueError) as error:
        raise VdbclusterError(f"cuVS cannot build a graph: {_line(error)}") from error


def _rounded(degree: float) -> int:
    return int(-(-degree // _WARP)) * _WARP


def _inner(width: int) -> int:
    """The degree that cuVS works with, half as much again by its own advice."""
    return 3 * width // 2


def _row_bytes(width: int) -> int:
    """Memory of the host for a row: two lists of a degree 1.3 times as large, a Bloom filter of 64
    bytes for each 32 of the inner degree, seven samples of 32 numbers and two pairs of sizes.
    """
    return 8 * _rounded(1.3 * width) + 2 * _rounded(1.3 * _inner(width)) + 7 * 4 * _WARP + 16


def _line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
