"""Settings to a run on Milvus: which adapters, and in what order they are opened.

In: ``Settings``, an observer. Out: the ``RunManifest`` of a finished run.
Promise: what cannot work is said early: no collection or no vector field before any vector is read,
no way of writing as soon as that is known, which is tried out beside the reading and searching.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from platform import python_version

from vdbcluster.adapters.languages import Py3LangId
from vdbcluster.adapters.local_neighbors import TARGET_RECALL, LocalNeighbors
from vdbcluster.adapters.milvus.catalogue import MilvusCatalogue, catalogue_name
from vdbcluster.adapters.milvus.client import MilvusAddress, MilvusConnection, connect
from vdbcluster.adapters.milvus.profile import profile
from vdbcluster.adapters.milvus.search import MilvusNeighbors, SearchSettings
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.adapters.milvus.writeback.target import Target
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.settings import MilvusSettings, NeighborSettings, Settings
from vdbcluster.errors import RefusedError, UsageError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.labels import LabelFields, LabelPlan
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.beside import beside
from vdbcluster.pipeline.run import Adapters, run
from vdbcluster.ports import LabelSink, NeighborSearch, Observer
from vdbcluster.wiring.choice import Choice, choose, unfinished_index

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
    dry_run: bool = False,
    confirm: Callable[[LabelPlan], bool] = lambda _: True,
) -> RunManifest:
    """Open everything that ``settings`` name and run the main job."""
    with open_bench(settings, observer) as bench:
        observer.note(f"{bench.choice.engine} neighbours: {bench.choice.reason}")
        if bench.choice.engine == "milvus" and (told := unfinished_index(bench.source.vector)):
            observer.warn(told)
        with beside(lambda: bench.sink(dry_run=dry_run)) as sink:
            return run(
                bench.adapters(sink),
                settings,
                observer,
                run_id=new_run_id(),
                versions=versions(),
                dry_run=dry_run,
                confirm=confirm,
            )


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
            label_settings(self.settings),
            dry_run=dry_run,
        )

    def search(self, rows: Rows, points: Float32Array) -> NeighborSearch:
        """The engine that was chosen, over these rows."""
        neighbors = self.settings.neighbors
        if self.choice.engine == "local":
            exact = self.settings.cluster.certify
            return LocalNeighbors(
                points,
                self.choice.metric,
                target_recall=1.0 if exact else TARGET_RECALL[neighbors.effort],
                memory_bytes=neighbors.memory_mb << 20,
                threads=neighbors.concurrency,
                seed=self.settings.run.seed,
                observer=self.observer,
            )
        return MilvusNeighbors(self.connection, self.source, rows, search_settings(neighbors))

    def _rows_may_be_scaled(self) -> bool:
        """Whether Milvus finds the same neighbours for a vector brought to unit length."""
        return self.source.vector.type != "INT8_VECTOR" and self.source.vector.metric != "IP"

    def catalogue(self) -> MilvusCatalogue:
        """What the clusters of the collection are, as it is now (a run may have added fields)."""
        found = profile(self.connection, self.source.found.name)
        write = self.settings.write
        usual = catalogue_name(found.name)
        if write.label_prefix != LabelFields().prefix:
            usual = catalogue_name(f"{found.name}_{write.label_prefix.rstrip('_')}")
        name = write.catalogue_name or usual
        return MilvusCatalogue(Target(self.connection, found), self.source.vector, name)

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
        local = self.choice.engine == "local"
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
        )


@contextmanager
def open_bench(settings: Settings, observer: Observer) -> Iterator[Bench]:
    """Connect, find the collection and its vector field, choose the engine; close afterwards."""
    milvus = settings.milvus
    if not milvus.collection:
        raise UsageError("no collection was named; pass --collection NAME")
    for name in LabelFields(settings.write.label_prefix).every:
        if re.search(rf"\b{name}\b", milvus.filter):
            raise UsageError(
                f"the filter {milvus.filter!r} selects by {name}, which this run rewrites; select "
                "by another field, or write under other names with --label-prefix sub_"
            )
    with connect(address(milvus)) as connection:
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
    """``UsageError`` if rows cannot have the field; no ``name`` is fine."""
    if name and not found.dynamic and name != found.key.name and found.scalar(name) is None:
        fields = ", ".join(s.name for s in found.scalars) or "none"
        raise UsageError(f"{found.name!r} has no field {name!r} (--text-field); it has: {fields}")


def address(milvus: MilvusSettings) -> MilvusAddress:
    """Where the server is."""
    return MilvusAddress(milvus.uri, milvus.token.get_secret_value(), milvus.db, milvus.timeout)


def selection(milvus: MilvusSettings) -> Selection:
    """Which rows are meant."""
    return Selection(milvus.collection, milvus.vector_field, milvus.filter, milvus.partitions)


def label_settings(settings: Settings) -> LabelSettings:
    """How labels may be written, and which."""
    write = settings.write
    paths = settings.cluster.method == "layers"
    return LabelSettings(
        fields=LabelFields(write.label_prefix, extras=("path",) if paths else ()),
        way=write.way,
        allow_full_upsert=write.allow_full_upsert,
        adopt=write.adopt,
        batch_rows=write.batch,
    )


def search_settings(neighbors: NeighborSettings) -> SearchSettings:
    """How Milvus is asked for neighbours."""
    return SearchSettings(neighbors.effort, neighbors.batch, neighbors.concurrency)


def new_run_id() -> str:
    """Time in UTC, then six random hexadecimal digits: sorts by time, never meets another."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def versions() -> dict[str, str]:
    """What is installed, for the record of a run."""
    return {"python": python_version()} | {name: version(name) for name in PACKAGES}
