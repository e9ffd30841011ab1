"""What a run will cost, from a timed sample of its own work.

In: what the run is asked to do, a source and a search to time. Out: ``Estimate``.
Promise: reads at most one page, searches a sample of it (here among at most ``COMPARED``) and
audits one among ``AUDITED_AMONG``; writes nothing. What is not timed follows from what is
(``pipeline.cost``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from vdbcluster.config.settings import Settings
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.model.arrays import Float32Array, Int64Array
from vdbcluster.model.inspection import Estimate
from vdbcluster.model.params import DENSITY
from vdbcluster.model.rows import Rows, VectorPage
from vdbcluster.pipeline.cost import SERVED, Engine, Load, auditing, disturbed, foretold, searching
from vdbcluster.pipeline.needs import MIB, Job, disk_bytes, likely_walks, memory_bytes, worker_bytes
from vdbcluster.pipeline.recipe import centering, recipe, wanted_neighbors
from vdbcluster.pipeline.room import Room
from vdbcluster.ports import NeighborSearch, VectorSource

SAMPLE, SAMPLED_HERE = 200, 4096
"""Rows that are searched; here as many at once as a search takes, which goes through all others
whatever it is asked."""
COMPARED = 20_000
"""Few enough for every pair, so that no index has to be built."""
AUDITED_AMONG = 5000
TIMES, TIMES_HERE = 5, 2
SHARE_OF_PLAIN = 0.5
"""Of the rows, that HDBSCAN puts into clusters where nothing is smoothed: less of few, more of many
(of the rows of ``scripts/bench_scale`` 28 % of 200,000 and 78 % of a million)."""
WARM = 10
"""Rows that are searched before the clock: threads start, a server finds what it needs."""


def load_of(
    settings: Settings, n_rows: int, dim: int, engine: Engine, *, lite: bool = False
) -> Load:
    """What a run of these settings is asked to do; workers of a cluster are not known.

    ``lite``: the rows are in Milvus Lite, which rewrites them as a whole.
    """
    k = min(wanted_neighbors(settings, n_rows), max(1, n_rows - 1))
    chosen = recipe(settings, n_rows, k)
    smooths = chosen.smooth == "spectral"
    return Load(
        n_rows=n_rows,
        dim=dim,
        n_neighbors=k,
        walks=likely_walks(n_rows) if smooths else 0,
        engine=engine,
        workers=max(1, settings.scale.workers),
        resamples=settings.cluster.resamples,
        audited=settings.neighbors.audit,
        lite=lite,
        rewrites=lite or settings.write.way == "guarded-upsert",
        centred=centering(settings, local=engine not in SERVED) != "none",
        clustered=SHARE_OF_PLAIN if chosen.method in DENSITY and not smooths else 1.0,
    )


def time_sample(
    source: VectorSource,
    search: Callable[[Rows], tuple[NeighborSearch, Float32Array]],
    load: Load,
    metric: str,
) -> tuple[int, dict[str, float]]:
    """Rows sampled, and seconds of reading, searching and the audit of ``load`` as a whole; none
    where nothing can be timed.

    ``search``: of those rows whose vectors can be compared, and these as prepared for ``metric``. A
    search of this machine compares the sample with itself only, Milvus with the whole collection.
    """
    page, read = _read(source)
    if page is None or page.keys.shape[0] < 2:
        return 0, {}
    m = page.keys.shape[0]
    few = min(m, COMPARED)
    rows = Rows(page.keys[:few], page.vectors[:few], np.zeros(few, np.int32), (page.partition,))
    engine, points = search(rows)
    fit = len(points)  # less than the page where vectors cannot be compared
    if fit < 2:
        return 0, {}
    which = np.arange(min(SAMPLED_HERE if load.here else SAMPLE, fit))
    k = min(load.n_neighbors, fit - 1)
    parts = [which] * TIMES_HERE if load.here else np.array_split(which, TIMES)
    a_row = _a_row(lambda part: engine.search(part, k), parts)
    sample = replace(load, workers=1)
    if load.here:
        sample = replace(sample, n_rows=fit, engine="exact")
    return m, {
        "read": read * load.n_rows / load.workers,
        "neighbors": disturbed(load, searching(load, sample, a_row)),
    } | time_audit(points, load, metric)


def _read(source: VectorSource) -> tuple[VectorPage | None, float]:
    """The first page, and seconds for a row, of the quicker of two pages: the first one opens what
    the others find open, and keys may be read ahead before it.
    """
    pages, found, took = source.pages(), list[VectorPage](), list[float]()
    for _ in range(2):
        start = time.perf_counter()
        page = next(pages, None)
        if page is not None and page.keys.shape[0]:
            took.append((time.perf_counter() - start) / page.keys.shape[0])
            found.append(page)
    return (found[0] if found else None), min(took, default=0.0)


def time_audit(points: Float32Array, load: Load, metric: str) -> dict[str, float]:
    """Seconds of the audit of ``load``, by that among a few rows: how quick this processor is.

    Nothing where no row is audited, or there are too few.
    """
    few = points[:AUDITED_AMONG]
    which = np.arange(min(load.audited, SAMPLE, len(few)))
    if not len(which) or len(few) < 2:
        return {}
    k = min(load.n_neighbors, len(few) - 1)
    a_row = _a_row(lambda part: exact_neighbors(few, part, k, metric), [which] * TIMES)
    sample = replace(load, n_rows=len(few), n_neighbors=k, audited=len(which))
    return {"audit": auditing(load, sample, a_row * len(which))}


def _a_row(search: Callable[[Int64Array], object], parts: Sequence[Int64Array]) -> float:
    """Seconds for a row, of all parts the median: others have the processor now and then."""
    search(parts[0][:WARM])
    took = []
    for part in parts:
        if len(part):
            start = time.perf_counter()
            search(part)
            took.append((time.perf_counter() - start) / len(part))
    return float(np.median(took))


def estimate(
    job: Job, room: Room, load: Load, sampled: int, timed: Mapping[str, float]
) -> Estimate:
    """Memory and disk by rule (``pipeline.needs``), time by what was timed; see ``time_sample``."""
    stages, disk = memory_bytes(job, room), disk_bytes(job, room)
    seconds = foretold(load, timed) if sampled else {}
    return Estimate(
        memory_mb=max(stages.values()) // MIB,
        sampled_rows=sampled,
        seconds={stage: round(value, 2) for stage, value in seconds.items()},
        stages_mb={stage: held // MIB for stage, held in stages.items()},
        record_mb=round(disk["record"] / MIB, 1),
        disk_mb=round((disk["meanwhile"] + disk["pieces"]) / MIB, 1),
        worker_mb=worker_bytes(job, room) // MIB,
    )
