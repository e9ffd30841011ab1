"""A graph in pieces, worked on by two processes of which one is killed: prints how it ended.

python -m tests.integration.dask_child FOLDER
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from tests.unit.engine_graphs import exact
from vdbcluster.adapters.dask_workers import DaskWorkers, dask_workers
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.errors import UsageError
from vdbcluster.hierarchy import build, extract
from vdbcluster.hierarchy.shards import GraphShard
from vdbcluster.model.params import HdbscanParams
from vdbcluster.pipeline.hierarchy_shards import hierarchy_in_shards
from vdbcluster.pipeline.shards import save_shard
from vdbcluster.ports.shards import Work

PARAMS = HdbscanParams(min_cluster_size=15, min_samples=5)


@dataclass
class Killing:
    """Workers that lose one of theirs after the first piece of work."""

    workers: DaskWorkers
    victims: list[int] = field(default_factory=list)

    def each(self, work, shards, done) -> None:  # type: ignore[no-untyped-def]
        def first(count: int) -> None:
            if not self.victims:
                self.victims.append(next(iter(self.workers.client.run(os.getpid).values())))
                os.kill(self.victims[0], signal.SIGKILL)
            done(count)

        self.workers.each(work, shards, first)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def failing(_: int) -> None:
    raise ArithmeticError("what the work raises")


def refused(_: int) -> None:
    raise UsageError("said once")


def main(folder: Path) -> None:
    rng = np.random.default_rng(0)
    graph = exact(rng.normal(size=(900, 3)) + 6.0 * rng.integers(0, 4, (900, 1)), 12)
    bounds = np.linspace(0, 900, 8).astype(int).tolist()
    store = ShardFiles(str(folder))
    for number, (a, b) in enumerate(pairwise(bounds)):
        save_shard(store, number, GraphShard(a, graph.indices[a:b], graph.distances[a:b]))
    with dask_workers(processes=2) as workers:
        killing = Killing(workers)
        found = extract(
            hierarchy_in_shards(store, bounds, PARAMS, killing, QuietObserver()), PARAMS
        )
        whole = extract(build(graph, PARAMS), PARAMS)
        say("killed", len(killing.victims))
        say("clusters", found.n_clusters)
        say("same", bool((found.labels == whole.labels).all()))
        say("same", bool((found.probabilities == whole.probabilities).all()))
        work: Work = failing
        try:
            workers.each(work, [0, 1], lambda _: None)
        except ArithmeticError as error:
            say("raised", error)
        try:
            workers.each(refused, [0, 1], lambda _: None)
        except UsageError as error:
            say(error)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
