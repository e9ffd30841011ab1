"""``inspect``: what a collection is and what a run would do, without touching anything.

In: ``Settings``. Out: ``Inspection``. Promise: only reads; what a run would refuse is a problem in
the result, not an error, so that everything else can still be told.
"""

from __future__ import annotations

from dataclasses import replace

from vdbcluster.adapters.gpu_neighbors import expected_seconds, find_gpu
from vdbcluster.adapters.milvus.client import MilvusConnection, connect
from vdbcluster.adapters.milvus.profile import profile
from vdbcluster.adapters.milvus.selection import choose_vector
from vdbcluster.adapters.milvus.source import MilvusSource
from vdbcluster.adapters.milvus.writeback import choose_sink
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.adapters.this_machine import ThisMachine
from vdbcluster.config.settings import FEW_NEIGHBORS, Settings
from vdbcluster.errors import RefusedError, UsageError, VdbclusterError
from vdbcluster.graph.distance import ON_SPHERE, is_narrow, mean_direction, prepare
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.collection import CollectionProfile, VectorField
from vdbcluster.model.inspection import Estimate, Inspection
from vdbcluster.model.labels import WriteWay
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.budget import scarce, shortage
from vdbcluster.pipeline.cost import Load
from vdbcluster.pipeline.estimate import estimate, load_of, time_sample
from vdbcluster.pipeline.needs import Job
from vdbcluster.pipeline.read import usable
from vdbcluster.pipeline.recipe import recipe, wanted_neighbors
from vdbcluster.pipeline.room import room_of
from vdbcluster.ports import NeighborSearch, Observer
from vdbcluster.wiring.budget import job_of
from vdbcluster.wiring.choice import Choice, choose, unfinished_index
from vdbcluster.wiring.crew import alone
from vdbcluster.wiring.main_job import Bench, address, check_text_field, label_settings, selection
from vdbcluster.wiring.searching import engine_of


def inspect_collection(settings: Settings, observer: Observer) -> Inspection:
    """Look at the collection that ``settings`` name. Raises ``UsageError`` if there is none."""
    if not settings.milvus.collection:
        raise UsageError("no collection was named; pass --collection NAME")
    with connect(address(settings.milvus)) as connection:
        return _Look(settings, observer, connection).inspection()


class _Look:
    """One inspection; problems are collected on the way."""

    def __init__(
        self, settings: Settings, observer: Observer, connection: MilvusConnection
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._connection = connection
        self._problems: list[str] = []
        self._remarks: list[str] = []
        self._profile: CollectionProfile = profile(connection, settings.milvus.collection)

    def inspection(self) -> Inspection:
        vector = self._vector()
        source = self._source() if vector else None
        choice = self._choice(vector) if vector else None
        selected = self._count(source) if source else 0
        self._look_at_run_settings()
        return Inspection(
            profile=self._profile,
            vector_field=vector.name if vector else "",
            selected_rows=selected,
            way=self._way(),
            neighbors=f"{choice.engine}, {choice.metric}: {choice.reason}" if choice else "none",
            estimate=self._estimate(source, choice, selected),
            problems=tuple(self._problems),
            remarks=tuple(self._remarks),
        )

    def _vector(self) -> VectorField | None:
        try:
            vector = choose_vector(self._profile, self._settings.milvus.vector_field)
        except UsageError as error:
            self._problems.append(str(error))
            return None
        if vector.index is None:
            self._problems.append(
                f"{vector.name} has no index, and a collection without one cannot be loaded; "
                "create one with client.create_index"
            )
        return vector

    def _source(self) -> MilvusSource | None:
        try:
            source = MilvusSource(
                self._connection, selection(self._settings.milvus), self._settings.milvus.page_bytes
            )
        except UsageError as error:
            self._problems.append(str(error))
            return None
        if self._connection.is_lite or self._settings.milvus.load:
            source.load()
        elif not self._profile.loaded:
            self._problems.append(
                f"{self._profile.name} is not loaded; load it with client.load_collection or pass "
                "--load"
            )
            return None
        return source

    def _choice(self, vector: VectorField) -> Choice | None:
        if told := unfinished_index(vector):
            self._remarks.append(told)
        try:
            return choose(self._profile, vector, self._settings.neighbors)
        except UsageError as error:
            self._problems.append(str(error))
            return None

    def _count(self, source: MilvusSource) -> int:
        try:
            rows = source.count()
        except VdbclusterError as error:
            self._problems.append(str(error))
            return 0
        if rows == 0 and (why := source.why_empty()):
            self._problems.append(why)
        else:
            self._remark_on_size(rows)
        return rows

    def _remark_on_size(self, rows: int) -> None:
        if rows == 0:
            self._remarks.append("the collection has no row; there is nothing to cluster")
            return
        k = wanted_neighbors(self._settings, rows)
        chosen = recipe(self._settings, rows, k)
        size, samples = chosen.hdbscan.min_cluster_size, chosen.hdbscan.min_samples
        if rows < size:
            self._remarks.append(
                f"{rows:,} rows are fewer than min_cluster_size {size}: all would be noise"
            )
        wanted = max(FEW_NEIGHBORS, 2 * samples)
        if chosen.smooth == "none" and k < wanted:
            self._remarks.append(
                f"{k} neighbours are few for min_samples {samples}; {wanted} or more track HDBSCAN "
                "better"
            )

    def _look_at_run_settings(self) -> None:
        run = self._settings.run
        if told := RunDirectory(run.runs_dir).obstacle():
            self._problems.append(told)
        try:
            check_text_field(self._profile, run.text_field)
        except UsageError as error:
            self._problems.append(str(error))

    def _way(self) -> WriteWay | None:
        try:
            sink = choose_sink(
                self._connection,
                selection(self._settings.milvus),
                label_settings(self._settings),
                dry_run=True,
            )
        except RefusedError as error:
            self._problems.append(str(error))
            return None
        if sink.way.stale:
            self._remarks.append(sink.way.stale)
        return sink.way

    def _estimate(self, source: MilvusSource | None, choice: Choice | None, rows: int) -> Estimate:
        if source is None or choice is None:
            return Estimate(memory_mb=0, sampled_rows=0, seconds={})
        crew = alone(self._settings)
        bench = Bench(self._connection, source, self._settings, choice, self._observer, crew)

        looked: list[bool] = []

        def search(page: Rows) -> tuple[NeighborSearch, Float32Array]:
            on_sphere = choice.metric in ON_SPHERE
            fit, _ = usable(page, direction=on_sphere)
            looked.append(on_sphere and is_narrow(mean_direction(fit.vectors)))
            points = prepare(fit.vectors, choice.metric)
            return bench.search(fit, points), points

        job = job_of(self._settings, self._connection, source, choice, rows)
        load = self._load(source, choice, rows)
        sampled, timed = time_sample(source, search, load, choice.metric) if rows else (0, {})
        if choice.engine == "gpu" and sampled:  # a sample's size tells nothing about a GPU
            timed["neighbors"] = expected_seconds(find_gpu(), rows, load.dim, load.n_neighbors)
            if choice.graph:
                self._remarks.append("the neighbours' time is told for every pair, on the GPU")
        job = replace(job, centered=job.centered and any(looked or [True]))
        self._look_at_budget(job)
        return estimate(job, room_of(self._settings), load, sampled, timed)

    def _load(self, source: MilvusSource, choice: Choice, rows: int) -> Load:
        engine = engine_of(choice, source.vector, self._settings, rows)
        lite = self._connection.is_lite
        return load_of(self._settings, rows, source.vector.dim, engine, lite=lite)

    def _look_at_budget(self, job: Job) -> None:
        machine, settings = ThisMachine(), self._settings
        if short := shortage(job, settings, machine):
            self._problems.append(short)
        elif settings.scale.memory_limit == "auto" and (told := scarce(job, settings, machine)):
            self._remarks.append(told)
