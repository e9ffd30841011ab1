"""Settings to a run on Milvus: which adapters, and in what order they are opened.

In: ``Settings``, an observer. Out: the ``RunManifest`` of a finished run.
Promise: what cannot work is said early: no collection or no vector field before any vector is read,
no way of writing as soon as that is known, which is tried out beside the reading and searching.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from platform import python_version

from vdbcluster.adapters.gpu_neighbors import GpuNeighbors
from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.adapters.leased import LeasedSink
from vdbcluster.adapters.local_neighbors import TARGET_RECALL, LocalNeighbors
from vdbcluster.adapters.milvus.catalogue import MilvusCatalogue
from vdbcluster.adapters.milvus.client import MilvusAddress, MilvusConnection
from vdbcluster.adapters.milvus.search import MilvusNeighbors, SearchSettings
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.adapters.milvus.tls import Tls
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.milvus import MilvusSettings
from vdbcluster.config.settings import NeighborSettings, Settings
from vdbcluster.errors import RefusedError, UsageError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.labels import MAP_FIELDS, Extra, LabelFields
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.rows import Rows
from vdbcluster.model.run_id import new_run_id
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.apply import apply_run, recall_plan
from vdbcluster.pipeline.beside import beside
from vdbcluster.pipeline.copies import text_field
from vdbcluster.pipeline.map_record import has_written_map
from vdbcluster.pipeline.run import Agree, agree, run
from vdbcluster.ports import LabelSink, NeighborSearch, Observer
from vdbcluster.ports.lock import Lease
from vdbcluster.wiring.catalogues import catalogue_of
from vdbcluster.wiring.choice import Choice, choose, unfinished_index
from vdbcluster.wiring.history import found_run
from vdbcluster.wiring.locking import locked_run, opened
from vdbcluster.wiring.recorded import recorded_settings

PACKAGES = (
    "vdbcluster",
    "pymilvus",
    "milvus-lite",
    "numpy",
    "numba",
    "faiss-cpu",
    "hdbscan",
    "py3langid",
)


def run_job(
    settings: Settings,
    observer: Observer,
    *,
    run_id: str = "",
    dry_run: bool = False,
    gated: bool = True,
    confirm: Agree = lambda _: True,
) -> RunManifest:
    """Open everything that ``settings`` name and run the main job; ``dry_run`` only plans.

    Raises ``LockedError`` if another run writes the same labels.
    """
    name = run_id or new_run_id()
    with open_bench(settings, observer) as bench:
        if settings.duplicates.mark:
            text_field(settings, bench.source.found)
        observer.note(f"{bench.choice.engine} neighbours: {bench.choice.reason}")
        if bench.choice.engine == "milvus" and (told := unfinished_index(bench.source.vector)):
            observer.warn(told)
        with bench.looking() if dry_run else bench.writing(name) as adapters:
            return run(
                adapters,
                settings,
                observer,
                run_id=name,
                versions=versions(),
                dry_run=dry_run,
                gated=gated,
                confirm=confirm,
            )


def apply_job(
    name: str,
    settings: Settings,
    observer: Observer,
    *,
    forced: bool = False,
    confirm: Agree = lambda _: True,
) -> RunManifest:
    """Write what run ``name`` has planned, under the settings it was planned with.

    ``forced``: whatever the gate says, and though rows have other labels by now.
    """
    manifest = found_run(settings.run.runs_dir, name)
    then = recorded_settings(manifest, settings)
    with open_bench(then, observer) as bench, bench.writing(manifest.run_id) as adapters:
        planned = recall_plan(adapters, manifest, forced=forced)
        gated = not (forced or planned.partial)  # the gate is about all rows
        agree(planned, then, gated=gated, confirm=confirm)
        return apply_run(planned, adapters, observer)


@dataclass(frozen=True, slots=True)
class Bench:
    """An open connection and what was decided about the collection behind it."""

    connection: MilvusConnection
    source: MilvusSource
    settings: Settings
    choice: Choice
    observer: Observer

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
        with (
            locked_run(settings, self.connection, found, run_id, self.observer) as lease,
            beside(lambda: self._leased(lease)) as sink,
        ):
            yield self.adapters(sink)

    def _leased(self, lease: Lease) -> LabelSink:
        return LeasedSink(self.sink(dry_run=False), lease)

    def search(self, rows: Rows, points: Float32Array) -> NeighborSearch:
        """The engine that was chosen, over these rows."""
        neighbors, metric = self.settings.neighbors, self.choice.metric
        if self.choice.engine == "gpu":
            return GpuNeighbors(points, metric, threads=neighbors.concurrency)
        if self.choice.engine == "local":
            exact = self.settings.cluster.certify
            return LocalNeighbors(
                points,
                metric,
                target_recall=1.0 if exact else TARGET_RECALL[neighbors.effort],
                memory_bytes=neighbors.memory_mb << 20,
                threads=neighbors.concurrency,
                seed=self.settings.run.seed,
                observer=self.observer,
            )
        return MilvusNeighbors(self.connection, self.source, rows, search_settings(neighbors))

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
        local = self.choice.local
        return Adapters(
            source=self.source,
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
        )


@contextmanager
def open_bench(settings: Settings, observer: Observer) -> Iterator[Bench]:
    """Connect, find the collection and its vector field, choose the engine; close afterwards."""
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
        source = MilvusSource(connection, selection(milvus), milvus.page_bytes)
        # Lite opens every file with its collections released; loading there costs nobody else.
        if milvus.load or connection.is_lite:
            source.load()
        check_text_field(source.found, settings.run.text_field)
        choice = choose(source.found, source.vector, settings.neighbors)
        if settings.cluster.certify and choice.engine == "milvus":
            raise RefusedError(
                "certify needs exact neighbours, and Milvus searches by an index; "
                "pass --neighbors local"
            )
        yield Bench(connection, source, settings, choice, observer)


def check_text_field(found: CollectionProfile, name: str) -> None:
    """``UsageError`` if rows cannot have the field, or it holds vectors; no ``name`` is fine."""
    if found.vector(name) is not None:
        raise UsageError(f"{name!r} holds vectors, not texts (--text-field)")
    if name and not found.dynamic and name != found.key.name and found.scalar(name) is None:
        fields = ", ".join(s.name for s in found.scalars) or "none"
        raise UsageError(f"{found.name!r} has no field {name!r} (--text-field); it has: {fields}")


def address(milvus: MilvusSettings) -> MilvusAddress:
    """Where the server is."""
    return MilvusAddress(
        milvus.uri,
        milvus.token.get_secret_value(),
        milvus.db,
        milvus.timeout,
        milvus.patience,
        Tls(milvus.tls_ca, milvus.tls_cert, milvus.tls_key, milvus.tls_name),
    )


def selection(milvus: MilvusSettings) -> Selection:
    """Which rows are meant."""
    return Selection(milvus.collection, milvus.vector_field, milvus.filter, milvus.partitions)


def label_settings(settings: Settings, *, unwritten: tuple[Extra, ...] = ()) -> LabelSettings:
    """How labels may be written, and which; ``unwritten``: see ``LabelFields``."""
    write = settings.write
    wanted: dict[Extra, bool] = {
        "path": settings.cluster.method == "layers" or settings.cluster.recurse > 0,
        "duplicate_of": settings.duplicates.mark,
        **dict.fromkeys(MAP_FIELDS, settings.map.write),
    }
    extras = tuple(extra for extra, on in wanted.items() if on)
    return LabelSettings(
        fields=LabelFields(write.label_prefix, extras, unwritten),
        way=write.way,
        allow_full_upsert=write.allow_full_upsert,
        adopt=write.adopt,
        batch_rows=write.batch,
    )


def search_settings(neighbors: NeighborSettings) -> SearchSettings:
    """How Milvus is asked for neighbours."""
    return SearchSettings(neighbors.effort, neighbors.batch, neighbors.concurrency)


def versions() -> dict[str, str]:
    """What is installed, for the record of a run."""
    return {"python": python_version()} | {name: version(name) for name in PACKAGES}
