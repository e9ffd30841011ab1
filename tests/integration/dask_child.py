"""A graph in pieces, worked on by two processes of which one is killed: prints how it ended.

python -m tests.integration.dask_child FOLDER
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.graph_pieces import filled, grouped
from vdbcluster.adapters.dask_workers import DaskWorkers, dask_workers
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.errors import UsageError
from vdbcluster.hierarchy import build, extract
from vdbcluster.model.params import HdbscanParams
from vdbcluster.pipeline.hierarchy_shards import hierarchy_in_shards
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
    graph = grouped()
    store, bounds = filled(folder, graph, 7)
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
