"""An open connection with all that a run needs, each part behind its port.

In: ``Settings``, an observer. Out: ``Bench`` while its context is open; from it ``Adapters``.
Promise: what cannot work is said early: no collection or no vector field before any vector is read,
no way of writing as soon as that is known, which is tried out beside the reading and searching.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace

from vdbcluster.adapters.gpu_graph import GraphNeighbors, host_bytes
from vdbcluster.adapters.gpu_neighbors import GpuNeighbors
from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.adapters.leased import LeasedSink
from vdbcluster.adapters.local_neighbors import TARGET_RECALL, LocalNeighbors
from vdbcluster.adapters.milvus.catalogue import MilvusCatalogue
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.like_others import readers_of
from vdbcluster.adapters.milvus.search import MilvusNeighbors
from vdbcluster.adapters.milvus.source import MilvusSource
from vdbcluster.adapters.milvus.writeback import choose_sink
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.adapters.sharded_source import ShardedSource
from vdbcluster.adapters.this_machine import ThisMachine
from vdbcluster.adapters.throttled import throttled
from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError, UsageError, VdbclusterError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.labels import MAP_FIELDS, Extra, LabelFields
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.beside import beside
from vdbcluster.pipeline.map_record import has_written_map
from vdbcluster.pipeline.room import room_of
from vdbcluster.ports import LabelSink, NeighborSearch, Observer
from vdbcluster.ports.lock import Lease
from vdbcluster.wiring.catalogues import catalogue_of
from vdbcluster.wiring.choice import Choice, choose
from vdbcluster.wiring.crew import Crew, alone, choice_of_crew, crew
from vdbcluster.wiring.locking import locked_run, opened
from vdbcluster.wiring.named import (
    address,
    label_settings,
    search_settings,
    selection,
    throttle,
)
from vdbcluster.wiring.searching import engine_of, searching


@dataclass(frozen=True, slots=True)
class Bench:
    """An open connection and what was decided about the collection behind it."""

    connection: MilvusConnection
    source: MilvusSource
    settings: Settings
    choice: Choice
    observer: Observer
    crew: Crew

    def sink(self, *, dry_run: bool) -> LabelSink:
        """The way of writing, probed unless ``dry_run``; ``RefusedError`` if none is safe."""
        return choose_sink(
            self.connection,
            self.source.selection,
            label_settings(self.settings, unwritten=self._unwritten()),
            dry_run=dry_run,
        )

    def _unwritten(self) -> tuple[Extra, ...]:
        """The fields of the map, until a record tells that a run has written them."""
        found, settings = self.source.found, self.settings
        if not settings.map.write:
            return ()
        every = RunDirectory(settings.run.runs_dir).every()
        prefix = settings.write.label_prefix
        return () if has_written_map(every, found.identity, prefix) else MAP_FIELDS

    @contextmanager
    def looking(self) -> Iterator[Adapters]:
        """Everything behind its port; nothing is probed, so nothing is written."""
        with beside(lambda: self.sink(dry_run=True)) as sink:
            yield self.adapters(sink)

    @contextmanager
    def writing(self, run_id: str) -> Iterator[Adapters]:
        """Everything behind its port, under the lock of these labels.

        Raises ``LockedError`` if another run holds it, or has taken it when we are to write.
        """
        found, settings = self.source.found, self.settings
        with locked_run(settings, self.connection, found, run_id, self.observer) as lease:
            self._call_off_others()
            with beside(lambda: self._leased(lease)) as sink:
                writers = self.crew.writers(found.identity, sink, self._unwritten(), lease)
                yield replace(self.adapters(sink), elsewhere=writers)

    def _call_off_others(self) -> None:
        try:
            self.crew.call_off_others(self.source.found.identity)
        except VdbclusterError as error:
            self.observer.warn(
                f"workers of a run that died may still be writing these labels ({error})"
            )

    def _leased(self, lease: Lease) -> LabelSink:
        return self.paced(LeasedSink(self.sink(dry_run=False), lease))

    def paced(self, sink: LabelSink) -> LabelSink:
        """The same sink, writing as fast as the settings allow."""
        name, field = self.source.found.name, self.source.vector.name
        readers = readers_of(self.connection, name, field, sink.way.target)
        return throttled(sink, throttle(self.settings), readers)

    def search(self, rows: Rows, points: Float32Array) -> NeighborSearch:
        """The engine that was chosen, over these rows."""
        neighbors, metric = self.settings.neighbors, self.choice.metric
        exact = self.settings.cluster.certify
        target = 1.0 if exact else TARGET_RECALL[neighbors.effort]
        if self.choice.graph:
            return GraphNeighbors(
                points,
                metric,
                empty=room_of(self.settings).empty,
                host_bytes=host_bytes(self._memory()),
                target_recall=target,
                observer=self.observer,
                threads=neighbors.concurrency,
                seed=self.settings.run.seed,
            )
        if self.choice.engine == "gpu":
            return GpuNeighbors(points, metric, threads=neighbors.concurrency)
        if self.choice.engine == "local":
            return LocalNeighbors(
                points,
                metric,
                target_recall=target,
                memory_bytes=room_of(self.settings).memory_bytes,
                threads=neighbors.concurrency,
                seed=self.settings.run.seed,
                folder=self.settings.run.runs_dir,
                observer=self.observer,
            )
        return MilvusNeighbors(self.connection, self.source, rows, search_settings(neighbors))

    def _memory(self) -> int:
        """What this process may take beside what it has: by the settings, else what is free."""
        machine, limit = ThisMachine(), self.settings.scale.memory_limit
        if limit == "auto":
            return machine.free_memory() or 0
        return max(0, limit - (machine.own_memory() or 0))

    def among(self, points: Float32Array) -> NeighborSearch:
        """Search on this machine among some rows by themselves."""
        neighbors = self.settings.neighbors
        return LocalNeighbors(
            points,
            self.choice.metric,
            target_recall=TARGET_RECALL[neighbors.effort],
            memory_bytes=neighbors.memory_mb << 20,
            threads=neighbors.concurrency,
            seed=self.settings.run.seed,
        )

    def _rows_may_be_scaled(self) -> bool:
        """Whether Milvus finds the same neighbours for a vector brought to unit length."""
        return self.source.vector.type != "INT8_VECTOR" and self.source.vector.metric != "IP"

    def catalogue(self) -> MilvusCatalogue:
        """What the clusters of the collection are, as it is now (a run may have added fields)."""
        name, write = self.source.found.name, self.settings.write
        return catalogue_of(self.connection, name, self.source.vector, write)

    def _keeps_catalogue(self) -> bool:
        """One catalogue cannot hold the clusters of several parts, which count from 0 each."""
        milvus, write = self.settings.milvus, self.settings.write
        if not write.catalogue:
            return False
        own = write.catalogue_name or write.label_prefix != LabelFields().prefix
        if (milvus.filter or milvus.partitions) and not own:
            self.observer.note(
                "a part of the collection is clustered: no catalogue is kept; to have one, give "
                "this part its own --label-prefix"
            )
            return False
        return True

    def adapters(self, sink: Future[LabelSink]) -> Adapters:
        """Everything behind its port."""
        local, vector = self.choice.local, self.source.vector
        return Adapters(
            source=self.source,
            machine=ThisMachine(),
            profile=self.source.found,
            sink=sink,
            search=self.search,
            runs=RunDirectory(self.settings.run.runs_dir),
            metric=self.choice.metric,
            languages=Py3LangId(),
            catalogue=self.catalogue if self._keeps_catalogue() else None,
            local=local,
            prepare_in_place=local or self._rows_may_be_scaled(),
            among=self.among,
            searching=searching(self.choice, vector, self.settings),
            engine=engine_of(self.choice, vector, self.settings, self.source.found.rows),
            work=self.crew.place,
            shards=self.crew.shards(self.choice.engine, self.source.found.identity),
            build=self.crew.build if self.crew.count else None,
        )


@contextmanager
def open_bench(settings: Settings, observer: Observer, *, shared: bool = False) -> Iterator[Bench]:
    """Connect, find the collection and its vector field, choose the engine; close afterwards.

    ``shared``: the work may be shared with other processes, if the settings name any.
    """
    milvus = settings.milvus
    if not milvus.collection:
        raise UsageError("no collection was named; pass --collection NAME")
    for name in label_settings(settings).fields.every:
        if re.search(rf"\b{name}\b", milvus.filter):
            raise UsageError(
                f"the filter {milvus.filter!r} selects by {name}, which this run rewrites; select "
                "by another field, or write under other names with --label-prefix sub_"
            )
    with opened(address(milvus), settings) as connection:
        one_process, parallel = connection.address.is_file, shared and settings.scale.parallel
        source = MilvusSource(connection, selection(milvus), milvus.page_bytes)
        # Lite opens every file with its collections released; loading there costs nobody else.
        if milvus.load or connection.is_lite:
            source.load()
        check_text_field(source.found, settings.run.text_field)
        choice = choose(source.found, source.vector, settings.neighbors)
        if parallel and one_process:
            choice = choice_of_crew(choice, settings)
        if settings.cluster.certify and choice.engine == "milvus":
            raise RefusedError(
                "certify needs exact neighbours, and Milvus searches by an index; "
                "pass --neighbors local"
            )
        if not parallel:
            here = alone(settings)
            if shared and settings.scale.work_dir:
                here.place.check()  # what cannot be had is told now
            yield Bench(connection, source, settings, choice, observer, here)
            return
        with crew(settings, observer, one_process=one_process) as found:
            if found.readers is not None:
                source = ShardedSource(
                    connection, selection(milvus), found.readers, milvus.page_bytes
                )
            yield Bench(connection, source, settings, choice, observer, found)


def check_text_field(found: CollectionProfile, name: str) -> None:
    """``UsageError`` if rows cannot have the field, or it holds vectors; no ``name`` is fine."""
    if found.vector(name) is not None:
        raise UsageError(f"{name!r} holds vectors, not texts (--text-field)")
    if name and not found.dynamic and name != found.key.name and found.scalar(name) is None:
        fields = ", ".join(s.name for s in found.scalars) or "none"
        raise UsageError(f"{found.name!r} has no field {name!r} (--text-field); it has: {fields}")
