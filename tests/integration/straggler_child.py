"""A graph in pieces, worked on by two processes of which one is suspended: prints how it ended.

python -m tests.integration.straggler_child FOLDER
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.graph_pieces import filled, grouped
from tests.integration.dask_child import PARAMS, say
from vdbcluster.adapters import dask_loop
from vdbcluster.adapters.dask_workers import DaskWorkers, dask_workers
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.hierarchy import build, extract
from vdbcluster.pipeline.hierarchy_shards import hierarchy_in_shards


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
    graph = grouped()
    store, bounds = filled(folder, graph, 7)
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
