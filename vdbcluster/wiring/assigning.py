"""Settings to an assignment on Milvus.

In: ``Settings``, an observer. Out: the ``RunManifest`` of an assignment.
Promise: what decides what clusters are, and how labels are written, is as the last run recorded it;
which run that is, is looked up again under the lock.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import fields, replace

from vdbcluster.adapters.milvus.candidates import MilvusCandidates
from vdbcluster.adapters.milvus.unlabelled import MilvusUnlabelled
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.settings import Settings
from vdbcluster.model.labels import LabelFields, LabelPlan
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.run_id import new_run_id
from vdbcluster.pipeline.adapters import Outlets
from vdbcluster.pipeline.assign_job import assign_run
from vdbcluster.pipeline.assign_plan import AssignOutlets
from vdbcluster.pipeline.journal import begin
from vdbcluster.pipeline.last_run import LastRun, last_run
from vdbcluster.ports import Observer
from vdbcluster.wiring.edits import places
from vdbcluster.wiring.main_job import Bench, open_bench, search_settings, versions
from vdbcluster.wiring.recorded import recorded_settings


def assign_job(
    settings: Settings,
    observer: Observer,
    *,
    run_id: str = "",
    dry_run: bool = False,
    confirm: Callable[[LabelPlan], bool] = lambda _: True,
) -> RunManifest:
    """Label the rows that came since the last run of the selection.

    Raises ``RefusedError`` where no run can say what its clusters are, ``LockedError`` if another
    run writes the same labels.
    """
    name = run_id or new_run_id()
    with open_bench(settings, observer) as opened:
        before = _last(opened, name)
        while True:
            bench = replace(opened, settings=_as_written(before.run, settings))
            with bench.looking() if dry_run else bench.writing(name) as adapters:
                last = _last(opened, name)  # again: another run may have ended meanwhile
                if last.run.run_id == before.run.run_id:
                    return assign_run(
                        _outlets(bench, adapters),
                        bench.settings,
                        observer,
                        last,
                        run_id=name,
                        versions=versions(),
                        dry_run=dry_run,
                        confirm=confirm,
                    )
            before = last


def _last(bench: Bench, run_id: str) -> LastRun:
    runs = RunDirectory(bench.settings.run.runs_dir)
    found = Outlets(source=bench.source, profile=bench.source.found, sink=Future(), runs=runs)
    return last_run(runs.every(), begin(found, bench.settings, run_id, {}).begun)


def _as_written(run: RunManifest, settings: Settings) -> Settings:
    """The settings of the run; labels go where it has written its own."""
    then = recorded_settings(run, settings)
    write = then.write.model_copy(update={"way": run.facts["way"]["name"]})
    return then.model_copy(update={"write": write})


def _outlets(bench: Bench, adapters: Outlets) -> AssignOutlets:
    connection, source = bench.connection, bench.source
    search = search_settings(bench.settings.neighbors)
    names = LabelFields(bench.settings.write.label_prefix)
    return AssignOutlets(
        **{field.name: getattr(adapters, field.name) for field in fields(Outlets)},
        unlabelled=lambda: MilvusUnlabelled(connection, source, adapters.sink.result(), names),
        search=lambda metric: MilvusCandidates(connection, source, search, metric),
        places=lambda keys: places(source, keys),
    )
