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
from vdbcluster.pipeline.needs import MIB, Job, disk_bytes, memory_bytes
from vdbcluster.pipeline.room import Room
from vdbcluster.ports import NeighborSearch, VectorSource

SAMPLE = 200
SECONDS_PER_EDGE = 4e-7
"""Spanning tree, condensed tree and labels; measured by scripts/bench_engine."""
WALK_SECONDS = 1e-7
"""Spectral smoothing, for each edge and coordinate. 0.5 s at 9,000
rows, 4.5 at 20,000, 60 at 70,000 with 50 neighbours."""
ROWS_PER_WALK, FEWEST_WALKS = 500, 24
"""How many coordinates rows get, as a guess: it depends on how many groups they have."""
WRITE_ROWS_PER_SECOND = 4000
AUDIT_SECONDS, PLAN_SECONDS = 5e-10, 5e-6
"""For each value of all rows and each row of the sample; for each row."""


def later_seconds(
    n_rows: int, dim: int, n_neighbors: int, *, walks: int, resamples: int, audited: int
) -> dict[str, float]:
    """Of the stages after the search, by rule; a sample is four fifths of the rows."""
    engine = n_rows * n_neighbors * SECONDS_PER_EDGE
    return {
        "audit": min(audited, n_rows) * n_rows * dim * AUDIT_SECONDS,
        "cluster": engine + n_rows * n_neighbors * walks * WALK_SECONDS,
        "stability": 0.8 * resamples * engine,
        "plan": n_rows * PLAN_SECONDS,
        "write": n_rows / WRITE_ROWS_PER_SECOND,
    }


def likely_walks(n_rows: int) -> int:
    """Coordinates of spectral smoothing to reckon with."""
    return min(coordinates_for(n_rows), FEWEST_WALKS + n_rows // ROWS_PER_WALK)


def time_sample(
    source: VectorSource,
    search: Callable[[Rows], tuple[NeighborSearch, Float32Array]],
    n_rows: int,
    n_neighbors: int,
    *,
    scanned_rows: int | None = None,
    walks: int = 0,
    resamples: int = 0,
    audited: int = 0,
) -> tuple[int, dict[str, float]]:
    """Rows sampled, and seconds by stage for ``n_rows`` rows; ``search``: of those rows whose
    vectors can be compared, and these.

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
    engine, points = search(rows)
    fit = len(points)  # less than the page where vectors cannot be compared
    if fit < 2:
        return 0, {}
    which = np.arange(min(SAMPLE, fit))
    start = time.perf_counter()
    engine.search(which, min(n_neighbors, fit - 1))
    searched = (time.perf_counter() - start) / which.shape[0]
    dim = page.vectors.shape[1]
    later = later_seconds(
        n_rows, dim, n_neighbors, walks=walks, resamples=resamples, audited=audited
    )
    scale = 1.0 if scanned_rows is None else scanned_rows / fit
    return m, {"read": read / m * n_rows, "neighbours": searched * n_rows * scale} | later


def estimate(job: Job, room: Room, sample: tuple[int, dict[str, float]]) -> Estimate:
    """Memory and disk by rule (``pipeline.needs``) and time by sample, together."""
    sampled, seconds = sample
    stages, disk = memory_bytes(job, room), disk_bytes(job, room)
    return Estimate(
        memory_mb=max(stages.values()) // MIB,
        sampled_rows=sampled,
        seconds={stage: round(value, 2) for stage, value in seconds.items()},
        stages_mb={stage: held // MIB for stage, held in stages.items()},
        record_mb=round(disk["record"] / MIB, 1),
        disk_mb=round(disk["meanwhile"] / MIB, 1),
    )
