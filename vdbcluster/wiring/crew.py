"""Who does the work of a run: this process, processes of this machine, or a Dask cluster.

In: settings. Out: ``Crew``, while its context is open: who reads, searches, clusters and writes in
shards; None where this process does it as a whole.
Promise: the same labels either way. Before anything is read it is told who works, and refused what
cannot work: no scheduler, workers of another version, pieces where nobody can put them. Processes
of this machine end with the context.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from vdbcluster.adapters.dask_workers import DaskWorkers, dask_workers
from vdbcluster.adapters.here import Here
from vdbcluster.adapters.local_neighbors import LocalNeighbors
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.adapters.sharded_source import Readers
from vdbcluster.adapters.throttled import ThrottledSink
from vdbcluster.adapters.work_folders import WorkFolders
from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.labels import Extra, WriteOutcome, WriteWay
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.graph_shards import SearchHere, bounds_for
from vdbcluster.pipeline.neighbors import BATCH
from vdbcluster.pipeline.write_shards import PART_ROWS, PartsInStore, PlanPart, call_off
from vdbcluster.ports import LabelSink, NeighborSearch, Observer
from vdbcluster.ports.lock import Lease
from vdbcluster.ports.shards import ShardStore, Work, Workers
from vdbcluster.wiring.choice import Choice
from vdbcluster.wiring.named import address, throttle
from vdbcluster.wiring.shard_work import ReadShard, SearchShard, WriteShard, forget, save_search

if TYPE_CHECKING:
    from vdbcluster.pipeline.hierarchy_shards import BuildInShards

SENT = ("milvus", "neighbors", "cluster", "duplicates", "write", "map")
"""Sections that works read; those of others hold secrets that are none of a worker's business."""
PIECES_A_WORKER = 3
"""At least, where pieces are not too small: so that all have work to the end."""
WHOLE_ROWS = ("guarded-upsert",)
"""Ways of writing that read a row and send all of it back."""
OLD = 86_400.0
"""Seconds after which pieces are nobody's any more."""


@dataclass(frozen=True, slots=True)
class Crew:
    """``count`` workers, of whom each ``reaches`` the database or not; 0: this process alone."""

    settings: Settings
    place: WorkFolders
    workers: Workers = field(default_factory=Here)
    count: int = 0
    reaches: bool = False

    @property
    def now(self) -> int:
        """Workers that there are by now: those of a cluster come and go."""
        found = self.workers.count if isinstance(self.workers, DaskWorkers) else 0
        return max(self.count, found)

    def writing_workers(self, way: WriteWay, at_once: int | None) -> Workers:
        """The same workers as writers: ``at_once`` at most, whoever joins meanwhile.

        Where whole rows are sent back, a part is never begun a second time: the first worker, which
        has read them, would undo what others have changed since. Elsewhere labels alone are sent;
        the first asks before each call whether it is to go on (``Standing``), so when the run is
        over all that it could still send is the call that it hung in.
        """
        if isinstance(self.workers, DaskWorkers):
            return replace(self.workers, at_once=at_once, twice=way.name not in WHOLE_ROWS)
        return self.workers

    @property
    def readers(self) -> Readers | None:
        """Who reads the rows, if it is not this process."""
        if not self.count or not self.reaches:
            return None
        settings = self.settings.milvus
        return Readers(
            self.workers,
            lambda: self.attempt(self._stem("read"), OLD),
            lambda store, ranges, identity: ReadShard(settings, store, ranges, identity),
            PIECES_A_WORKER * self.count,
        )

    def shards(self, engine: str, identity: str) -> SearchedByCrew:
        """Who searches for neighbours, in pieces in any case, by that engine."""
        return SearchedByCrew(self, engine, identity)

    def build(self, observer: Observer) -> BuildInShards:
        """Who builds the hierarchy; for one process it is quicker to build it as a whole."""
        from vdbcluster.pipeline.hierarchy_shards import BuildInShards

        return BuildInShards(self.place, self._stem("tree"), self.workers, self.bounds, observer)

    def writers(
        self, identity: str, sink: Future[LabelSink], unwritten: tuple[Extra, ...], lease: Lease
    ) -> WrittenByCrew | None:
        """Who writes the labels, for as long as the ``lease`` is ours."""
        if not self.count or not self.reaches:
            return None
        return WrittenByCrew(self, identity, sink, unwritten, lease)

    def bounds(self, n_rows: int) -> list[int]:
        """Where pieces of so many rows begin: enough for all workers, none below ``BATCH`` rows."""
        asked = self.settings.scale.shards
        if asked == "auto":
            usual = len(bounds_for(n_rows, asked)) - 1
            asked = max(1, usual, min(PIECES_A_WORKER * self.count, n_rows // BATCH))
        return bounds_for(n_rows, asked)

    def attempt(self, stem: str, seconds: float) -> ShardFiles:
        """A folder of this attempt alone; others of its ``stem`` go, once they are so old."""
        name = f"{stem}-{uuid4().hex}"
        self.place.clear(stem, name, seconds)
        return self.place.store(name)

    def writing(self, identity: str) -> ShardFiles:
        """A folder to write labels from, by whoever has the lock of these labels.

        Any other such folder is that of a run that died: see ``call_off_others``.
        """
        return self.attempt(self._written(identity), -math.inf)

    def call_off_others(self, identity: str) -> None:
        """Workers of a run that died go on writing, as far as they have parts: here that ends.

        For whoever has the lock of these labels, with workers or without. Those whose pieces lie in
        another folder are not found. Raises ``VdbclusterError`` where the folder is out of reach.
        """
        self.place.clear(self._written(identity), "", -math.inf)

    def _written(self, identity: str) -> str:
        """The beginning of names of folders that these labels are written from."""
        settings = self.settings
        where = (settings.milvus.db, settings.milvus.collection, identity)
        return self._name("write", *where, settings.write.label_prefix)

    def _stem(self, what: str) -> str:
        """The beginning of names of folders of one kind, of one collection."""
        milvus = self.settings.milvus
        named = (milvus.db, milvus.collection, milvus.vector_field, milvus.partitions)
        return self._name(what, *named)

    def _name(self, *what: object) -> str:
        """A digest of that and the server's address."""
        of = repr((address(self.settings.milvus).shown, *what))
        return blake2b(of.encode(), digest_size=6).hexdigest()


@dataclass(frozen=True, slots=True)
class SearchedByCrew:
    """See ``ports.work.ShardSearch``."""

    crew: Crew
    engine: str
    identity: str

    def bounds(self, n_rows: int) -> Sequence[int]:
        return self.crew.bounds(n_rows)

    def search(
        self,
        store: ShardStore,
        bounds: Sequence[int],
        search: NeighborSearch,
        rows: Rows,
        points: Float32Array,
        metric: str,
        n_neighbors: int,
    ) -> tuple[Work, Workers]:
        """By this process where it is alone, or has the GPU that searches."""
        crew, server = self.crew, self.engine == "milvus"
        if not crew.count or not (server or isinstance(search, LocalNeighbors)):
            return SearchHere(store, bounds, search, points, metric, n_neighbors), Here()
        save_search(store, rows, points, server=server)
        if isinstance(search, LocalNeighbors):
            search.save(store, n_neighbors)
        work = SearchShard(
            sent(crew.settings),
            store,
            tuple(bounds),
            metric,
            n_neighbors,
            self.identity,
            server,
            max(1, crew.settings.neighbors.concurrency // crew.count),
        )
        return work, crew.workers


@dataclass(frozen=True, slots=True)
class WrittenByCrew:
    """See ``pipeline.write_shards.Elsewhere``."""

    crew: Crew
    identity: str
    sink: Future[LabelSink]
    unwritten: tuple[Extra, ...]
    lease: Lease

    @property
    def part_rows(self) -> int:
        return PART_ROWS

    def write(
        self, parts: Sequence[PlanPart], done: Callable[[int], None]
    ) -> Sequence[WriteOutcome]:
        """Whatever ends this calls off what workers are still at."""

        def told(rows: int) -> None:
            self.lease.check()
            done(rows)

        self.lease.check()
        store = self.crew.writing(self.identity)
        sink, settings = self.sink.result(), self.crew.settings
        # Measured before anybody writes: a worker that begins later would find reads slow already.
        usual = sink.usual if isinstance(sink, ThrottledSink) else 0.0
        writers = self.crew.now
        pace = throttle(settings, writers=writers, usual=usual)
        work = WriteShard(sent(settings), store, sink.way, self.unwritten, self.identity, pace)
        at_once = None if isinstance(pace.rate, str) else writers
        try:
            writing = self.crew.writing_workers(sink.way, at_once)
            return PartsInStore(store, writing, work).write(parts, told)
        finally:
            call_off(store)


def sent(settings: Settings) -> Settings:
    """What works need of it, else defaults, as a plain ``Settings``: a class that knows a file
    cannot travel.
    """
    return Settings.model_construct(**{name: getattr(settings, name) for name in SENT})


def alone(settings: Settings) -> Crew:
    """This process."""
    return Crew(settings, WorkFolders(work_url(settings)))


@contextmanager
def crew(settings: Settings, observer: Observer, *, one_process: bool) -> Iterator[Crew]:
    """The workers that the settings name, until the context ends.

    ``one_process``: the database can be open in this process only. Raises ``UsageError`` where the
    workers or the folder of the pieces are not to be had.
    """
    scale = settings.scale
    place = WorkFolders(work_url(settings))
    if one_process:
        observer.note(
            "a Milvus Lite file is open in one process only: this one reads and writes, the "
            "workers search and cluster; behind 'milvus-lite server' they would do all of it"
        )
    place.check()  # what cannot be had is told now
    with dask_workers(scheduler=scale.scheduler, processes=scale.workers) as workers:
        observer.note(f"{workers.count} workers; what they do is shown at {workers.dashboard}")
        try:
            yield Crew(settings, place, workers, workers.count, not one_process)
        finally:
            if scale.scheduler:  # its workers outlive the run; what they hold open of it is closed
                workers.tell(forget)


def work_url(settings: Settings) -> str:
    """Where pieces lie, as workers of this machine understand it, too."""
    named = settings.scale.work_dir or str(settings.run.runs_dir / "work")
    return named if "://" in named else str(Path(named).expanduser().absolute())


def choice_of_crew(choice: Choice, settings: Settings) -> Choice:
    """Workers search the rows of a Lite file by their vectors; ``RefusedError`` if not to be."""
    if choice.engine != "milvus":
        return choice
    if settings.neighbors.engine == "milvus":
        raise RefusedError(
            f"{settings.milvus.uri!r} is a Milvus Lite file, which is open in one process only, so "
            "workers cannot search it; leave out --neighbors milvus or the workers, or serve the "
            "file with 'milvus-lite server' and use its http address"
        )
    return replace(choice, engine="local", reason="workers cannot open a Lite file")
