"""What a run of these settings on this collection is asked to do, for ``pipeline.needs``.

In: settings, what was opened and chosen, the number of rows. Out: ``Job``.
"""

from __future__ import annotations

from dataclasses import replace

from vdbcluster.adapters.gpu_graph import graph_bytes, host_bytes, takes_long
from vdbcluster.adapters.local_index import index_bytes, shape_for
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.source import MilvusSource
from vdbcluster.adapters.this_machine import ThisMachine
from vdbcluster.config.settings import Settings
from vdbcluster.graph.distance import ON_SPHERE
from vdbcluster.pipeline.needs import Job, likely_walks, memory_bytes
from vdbcluster.pipeline.recipe import centering, recipe, wanted_neighbors
from vdbcluster.pipeline.room import room_of
from vdbcluster.ports.machine import Machine
from vdbcluster.wiring.choice import Choice
from vdbcluster.wiring.searching import engine_of


def job_of(
    settings: Settings,
    connection: MilvusConnection,
    source: MilvusSource,
    choice: Choice,
    rows: int,
) -> Job:
    """Nobody has looked at the vectors yet: where ``auto`` would centre them it is assumed to."""
    k = min(wanted_neighbors(settings, rows), max(1, rows - 1))
    chosen, dim = recipe(settings, rows, k), source.vector.dim
    center = centering(settings, local=choice.local)
    engine = engine_of(choice, source.vector, settings, rows)
    job = Job(
        n_rows=rows,
        dim=dim,
        n_neighbors=k,
        walks=likely_walks(rows) if chosen.smooth == "spectral" else 0,
        samples=min(chosen.hdbscan.min_samples, k),
        soft=chosen.soft,
        resamples=settings.cluster.resamples,
        local=engine in ("exact", "local"),
        index=index_bytes(shape_for(rows, dim, 1 << 62)) if engine == "local" else 0,
        gpu=engine == "gpu",
        centered=center != "none" and choice.metric in ON_SPHERE,
        embedded=connection.address.is_file,
        text_keys=source.found.key.type == "VARCHAR",
        keep_graph=settings.run.keep_graph,
        workers=settings.scale.workers or bool(settings.scale.scheduler),
    )
    graph = choice.graph and takes_long(rows, dim) and not settings.cluster.certify
    return with_graph(job, settings, ThisMachine()) if graph else job


def with_graph(job: Job, settings: Settings, machine: Machine) -> Job:
    """The job with the graph that cuVS builds on a GPU, unless this is more than it may take (see
    ``Bench.search``) and every pair is compared.
    """
    graph, building = graph_bytes(job.n_rows, job.n_neighbors)
    held, limit = memory_bytes(job, room_of(settings))["neighbors"], settings.scale.memory_limit
    if limit == "auto":
        limit = (machine.free_memory() or 0) + (machine.own_memory() or 0)
    fits = building <= host_bytes(limit - held)
    return replace(job, index=graph, building=building) if fits else job
