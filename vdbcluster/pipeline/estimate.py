"""What a run will cost, from a timed sample of its own work.

In: number of rows, dimension, neighbours, a source and a search to time. Out: ``Estimate``.
Promise: reads at most one page and searches at most ``SAMPLE`` rows; writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from vdbcluster.graph.spectral import coordinates_for
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.inspection import Estimate
from vdbcluster.model.rows import Rows
from vdbcluster.ports import NeighborSearch, VectorSource

SAMPLE = 200
BASE_MB = 320
"""Python with numpy, faiss, numba and pymilvus loaded and the kernels compiled."""
ENGINE_BYTES_PER_EDGE = 30
"""Neighbour graph (8), its working copies when measured anew and in the engine, batches."""
ENGINE_BYTES_PER_ROW = 200
EMBEDDED_VECTORS = 15
"""Milvus Lite lives in our process; loaded and written to, it holds the vectors so many times."""
SECONDS_PER_EDGE = 4e-7
"""Spanning tree, condensed tree and labels; measured by scripts/bench_engine."""
WALK_SECONDS, WALK_BYTES_PER_EDGE, WALK_BYTES_PER_VALUE = 1e-7, 24, 16
"""Spectral smoothing: for each edge and coordinate, and as ``graph.spectral`` says. 0.5 s at 9,000
rows, 4.5 at 20,000, 60 at 70,000 with 50 neighbours."""
ROWS_PER_WALK, FEWEST_WALKS = 500, 24
"""How many coordinates rows get, as a guess: it depends on how many groups they have."""
WRITE_ROWS_PER_SECOND = 4000


def likely_walks(n_rows: int) -> int:
    """Coordinates of spectral smoothing to reckon with."""
    return min(coordinates_for(n_rows), FEWEST_WALKS + n_rows // ROWS_PER_WALK)


def memory_mb(
    n_rows: int, dim: int, n_neighbors: int, budget_mb: int, embedded: bool, walks: int = 0
) -> int:
    """Peak memory of a run in MiB, by the rule that the constants above state.

    ``walks``: coordinates of spectral smoothing, 0 where there is none.
    ``embedded``: the database is a Milvus Lite file, which is served by our own process.
    """
    vectors = min(n_rows * dim * 4, budget_mb << 20)
    database = EMBEDDED_VECTORS * n_rows * dim * 4 if embedded else 0
    edges = n_rows * n_neighbors * ENGINE_BYTES_PER_EDGE
    if walks:
        edges += n_rows * (n_neighbors * WALK_BYTES_PER_EDGE + walks * WALK_BYTES_PER_VALUE)
    return BASE_MB + (vectors + database + edges + n_rows * ENGINE_BYTES_PER_ROW >> 20)


def time_sample(
    source: VectorSource,
    search: Callable[[Rows], tuple[NeighborSearch, Float32Array]],
    n_rows: int,
    n_neighbors: int,
    *,
    scanned_rows: int | None = None,
    walks: int = 0,
) -> tuple[int, dict[str, float]]:
    """Rows sampled, and seconds by stage for ``n_rows`` rows.

    ``scanned_rows``: how many rows a local search will compare each row with; the sample was
    compared with itself only. None for Milvus, which searches the whole collection already.
    """
    start = time.perf_counter()
    page = next(source.pages(), None)
    read = time.perf_counter() - start
    if page is None or page.keys.shape[0] < 2:
        return 0, {}
    m = page.keys.shape[0]
    rows = Rows(page.keys, page.vectors, np.zeros(m, np.int32), (page.partition,))
    engine, _ = search(rows)
    which = np.arange(min(SAMPLE, m))
    start = time.perf_counter()
    engine.search(which, min(n_neighbors, m - 1))
    searched = (time.perf_counter() - start) / which.shape[0]
    return m, {
        "read": read / m * n_rows,
        "neighbours": searched * n_rows * (1.0 if scanned_rows is None else scanned_rows / m),
        "cluster": n_rows * n_neighbors * (SECONDS_PER_EDGE + walks * WALK_SECONDS),
        "write": n_rows / WRITE_ROWS_PER_SECOND,
    }


def estimate(
    n_rows: int,
    dim: int,
    n_neighbors: int,
    budget_mb: int,
    *,
    embedded: bool,
    sample: tuple[int, dict[str, float]],
    walks: int = 0,
) -> Estimate:
    """Memory by rule and time by sample, together."""
    sampled, seconds = sample
    return Estimate(
        memory_mb=memory_mb(n_rows, dim, n_neighbors, budget_mb, embedded, walks),
        sampled_rows=sampled,
        seconds={stage: round(value, 2) for stage, value in seconds.items()},
    )
