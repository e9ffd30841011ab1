"""Neighbour search on the streamed vectors, with faiss: exact where it is quick, else quantised.

In: prepared vectors ``(n, d)`` (see ``graph.distance.prepare``). Out: a ``NeighborSearch``.
Promise: distances are those of ``graph.measure`` to the last bit whichever way found the rows; the
same vectors, seed and batches give the same answer; recall reaches the target on a tuning sample.

Up to ``EXACT_ROWS`` rows, and always for ``jaccard``, search is exact. Above, an inverted file over
4-bit product codes (scanned in registers: "fast scan") proposes a multiple of the neighbours asked
for, and the exact kernel ranks them. How many rows to propose and how many cells to scan is found
on a sample, by its recall.

Why: the 50 nearest of all of 70,008 sentence embeddings of 384 dimensions, index and tuning
included, took in CPU-seconds: every pair 69; NN-descent 26 at recall 0.994, once compiled; this 15
at 0.955 and 20 at 0.99, with nothing to compile. In seconds on two cores, extrapolated from 4,000
rows: HNSW (M 16) 47 at 0.978, inverted file over plain vectors 16 at 0.936. On 200,000 word vectors
of 50 dimensions, likewise extrapolated: every pair 235, this 30 at 0.987.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import nullcontext
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

import faiss
import numpy as np
from threadpoolctl import threadpool_limits

from vdbcluster.errors import NotEnoughMemoryError, UsageError
from vdbcluster.graph.distance import METRICS, blocks
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.measure import nearest
from vdbcluster.model.arrays import Float32Array, Int32Array, Int64Array
from vdbcluster.ports.observer import Observer
from vdbcluster.quality.recall import audit_sample, row_recall

EXACT_ROWS = 30_000
TARGET_RECALL = {"low": 0.90, "medium": 0.95, "high": 0.99}
"""Recall that each search effort aims at."""

_TUNING_ROWS = 256
_PER_CELL = 64
_CODES_FROM_DIM = 16
"""Below it plain vectors are as quick to scan as codes."""
_PAIRS_FROM_DIM = 128
"""From here on one code stands for two dimensions; below it, for one."""


@dataclass(frozen=True, slots=True)
class _Effort:
    """Cells scanned a query, and rows proposed for each neighbour asked for."""

    cells: int
    proposals: int


class LocalNeighbors:
    """``NeighborSearch`` over prepared vectors in memory or in a memory map.

    ``target_recall`` in (0, 1]: 1 is exact whatever the size. ``memory_bytes`` bounds the index,
    not the vectors: ``NotEnoughMemoryError`` says what it needs. ``threads``: 0 leaves them to the
    libraries. The index is built at the first search; ``observer`` sees it as a stage.
    """

    def __init__(
        self,
        vectors: Float32Array,
        metric: str,
        *,
        target_recall: float = TARGET_RECALL["medium"],
        exact_rows: int = EXACT_ROWS,
        memory_bytes: int = 512 << 20,
        threads: int = 0,
        seed: int = 0,
        observer: Observer | None = None,
    ) -> None:
        if metric not in METRICS:
            raise UsageError(f"metric is {metric!r}; it must be one of {', '.join(METRICS)}")
        if not 0 < target_recall <= 1:
            raise UsageError(f"target_recall is {target_recall}; it must be above 0, at most 1")
        self._vectors = vectors
        self._metric = metric
        self._target = target_recall
        few = len(vectors) <= max(exact_rows, _TUNING_ROWS)
        self._exact = few or target_recall == 1 or metric == "jaccard"
        self._threads = threads or None
        self._seed = seed
        self._observer = observer
        self._index: Any = None
        self._efforts: dict[int, _Effort] = {}
        if not self._exact and self.index_bytes() > memory_bytes:
            raise NotEnoughMemoryError(
                f"the local index needs {self.index_bytes() >> 20} MB, and {memory_bytes >> 20} MB "
                "are allowed; allow more or let the server search"
            )

    @property
    def description(self) -> str:
        """Engine, index and effort; the effort is known after the first search."""
        if self._exact:
            return "faiss and BLAS, every pair, exact"
        kind = "4-bit codes" if self._coded else "vectors"
        told = f"faiss, {kind} in {self._n_cells} cells, ranked by exact distance"
        for k, effort in sorted(self._efforts.items()):
            told += f"; k={k}: {effort.cells} cells scanned, {effort.proposals} k proposed"
        return told

    @property
    def metric(self) -> str:
        return self._metric

    @property
    def exact(self) -> bool:
        return self._exact

    @property
    def measured(self) -> bool:
        return True

    def index_bytes(self) -> int:
        """Estimated memory of the index and of its training, beside the vectors."""
        n, d = self._vectors.shape
        a_row = 8 + (ceil(d / 2) if self._coded else 4 * d)
        training = min(n, self._n_cells * (_PER_CELL + 1)) * d * 4
        return int(n * a_row + training)

    def search(self, which: Int64Array, n_neighbors: int) -> tuple[Int32Array, Float32Array]:
        """See ``ports.NeighborSearch``."""
        rows = np.asarray(which, dtype=np.int64)
        with threadpool_limits(limits=self._threads):
            if self._exact:
                return exact_neighbors(self._vectors, rows, n_neighbors, self._metric)
            if n_neighbors not in self._efforts:
                self._efforts[n_neighbors] = self._tune(n_neighbors)
            return self._approximate(rows, n_neighbors, self._efforts[n_neighbors])

    @property
    def _coded(self) -> bool:
        return bool(self._vectors.shape[1] >= _CODES_FROM_DIM)

    @property
    def _n_cells(self) -> int:
        return max(1, round(sqrt(len(self._vectors)) / 2))

    def _approximate(
        self, rows: Int64Array, n_neighbors: int, effort: _Effort
    ) -> tuple[Int32Array, Float32Array]:
        self._index.nprobe = effort.cells
        width = min(len(self._vectors), effort.proposals * n_neighbors + 1)
        _, candidates = self._index.search(_even(self._vectors[rows]), width)
        return nearest(self._vectors, rows, candidates, n_neighbors, self._metric)

    def _tune(self, n_neighbors: int) -> _Effort:
        """The least effort that finds a little more than the target on a sample of rows.

        Ranking a proposal costs little beside scanning a cell: first enough proposals, with all
        cells scanned, to lose at most half of what may be lost, then as few cells as will do.
        """
        if self._index is None:
            self._index = self._build()
        sample = audit_sample(len(self._vectors), _TUNING_ROWS, self._seed)
        true = exact_neighbors(self._vectors, sample, n_neighbors, self._metric)
        everything, lost = self._n_cells, 1 - self._target

        def found(cells: int, proposals: int) -> float:
            return self._recall(sample, n_neighbors, _Effort(cells, proposals), true)

        proposals = 2
        while found(everything, proposals) < 1 - lost / 2 and proposals * n_neighbors < len(
            self._vectors
        ):
            proposals *= 2
        fewer = range(1, everything)
        cells = bisect_left(fewer, 1 - 0.9 * lost, key=lambda count: found(count, proposals))
        return _Effort(cells + 1, proposals)

    def _recall(
        self,
        sample: Int64Array,
        n_neighbors: int,
        effort: _Effort,
        true: tuple[Int32Array, Float32Array],
    ) -> float:
        indices, distances = self._approximate(sample, n_neighbors, effort)
        return float(row_recall(indices, true[0], distances, true[1]).mean())

    def _build(self) -> Any:
        index = self._untrained()
        n = len(self._vectors)
        observer = self._observer
        stage = observer.stage("neighbour index", n) if observer else nullcontext(None)
        with stage as progress:
            sample = audit_sample(n, _PER_CELL * self._n_cells, self._seed)
            with threadpool_limits(limits=1):  # many tiny fits: two threads mostly wait
                index.train(_even(self._vectors[sample]))
            for rows in blocks(self._vectors):
                index.add(_even(self._vectors[rows]))
                if progress is not None:
                    progress.advance(rows.stop - rows.start)
        return index

    def _untrained(self) -> Any:
        dim = self._vectors.shape[1]
        dim += dim % 2
        codes = dim // 2 if dim >= _PAIRS_FROM_DIM else dim
        quantizer = faiss.IndexFlatL2(dim)
        if self._coded:
            index: Any = faiss.IndexIVFPQFastScan(quantizer, dim, self._n_cells, codes, 4)
            index.by_residual = False
            index.pq.cp.niter, index.pq.cp.seed = 8, 1 + self._seed
            index.pq.cp.max_points_per_centroid = 256
        else:
            index = faiss.IndexIVFFlat(quantizer, dim, self._n_cells)
        index.cp.niter, index.cp.seed = 6, 1 + self._seed
        index.cp.max_points_per_centroid = _PER_CELL
        index.cp.min_points_per_centroid = 1
        return index


def _even(rows: Float32Array) -> Float32Array:
    """The rows with a zero dimension more if d is odd: codes take dimensions in pairs."""
    odd = rows.shape[1] % 2
    return np.ascontiguousarray(np.pad(rows, ((0, 0), (0, odd))) if odd else rows)
