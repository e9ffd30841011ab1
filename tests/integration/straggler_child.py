"""A graph in pieces, worked on by two processes of which one is suspended: prints how it ended.

python -m tests.integration.straggler_child FOLDER
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from tests.integration.dask_child import PARAMS, say
from tests.unit.engine_graphs import exact
from vdbcluster.adapters import dask_loop
from vdbcluster.adapters.dask_workers import DaskWorkers, dask_workers
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.hierarchy import build, extract
from vdbcluster.hierarchy.shards import GraphShard
from vdbcluster.pipeline.hierarchy_shards import hierarchy_in_shards
from vdbcluster.pipeline.shards import save_shard


@dataclass
class Suspending:
    """Workers of which one is suspended once the first piece is done; ``victim``: its number."""

    workers: DaskWorkers
    victim: int = 0
    stages: list[float] = field(default_factory=list)

    def each(self, work, shards, done) -> None:  # type: ignore[no-untyped-def]
        def first(count: int) -> None:
            if not self.victim:
                self.victim = next(iter(self.workers.client.run(os.getpid).values()))
                os.kill(self.victim, signal.SIGSTOP)
            done(count)

        began = time.monotonic()
        self.workers.each(work, shards, first)
        self.stages.append(time.monotonic() - began)


def state(process: int) -> str:
    """T: suspended; Z: ended; gone: nobody has this number any more."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "gone"


def main(folder: Path) -> None:
    dask_loop.SLOW_SECONDS = 1.0
    rng = np.random.default_rng(0)
    graph = exact(rng.normal(size=(900, 3)) + 6.0 * rng.integers(0, 4, (900, 1)), 12)
    bounds = np.linspace(0, 900, 8).astype(int).tolist()
    store = ShardFiles(str(folder))
    for number, (a, b) in enumerate(pairwise(bounds)):
        save_shard(store, number, GraphShard(a, graph.indices[a:b], graph.distances[a:b]))
    whole = extract(build(graph, PARAMS), PARAMS)
    with dask_workers(processes=2) as workers:
        work = Suspending(workers)
        found = extract(hierarchy_in_shards(store, bounds, PARAMS, work, QuietObserver()), PARAMS)
        say("same", bool((found.labels == whole.labels).all()))
        say("same", bool((found.probabilities == whole.probabilities).all()))
        say(len(workers.hung), "avoided, state", state(work.victim))
        say("later stages", max(work.stages[1:]))
        ended = time.monotonic()
    say("closed", time.monotonic() - ended)
    say("state", state(work.victim))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
