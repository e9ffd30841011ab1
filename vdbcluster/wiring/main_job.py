"""Settings to a run on Milvus: which adapters, and in what order they are opened.

In: ``Settings``, an observer. Out: the ``RunManifest`` of a finished run.
Promise: what cannot work is said early: no collection or no vector field before any vector is read,
no way of writing as soon as that is known, which is tried out beside the reading and searching.
"""

from __future__ import annotations

from importlib.metadata import version
from platform import python_version

from vdbcluster.adapters.milvus.source import MilvusSource
from vdbcluster.adapters.this_machine import ThisMachine
from vdbcluster.config.settings import Settings
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.run_id import new_run_id
from vdbcluster.pipeline.apply import apply_run, recall_plan
from vdbcluster.pipeline.budget import check_budget
from vdbcluster.pipeline.copies import text_field
from vdbcluster.pipeline.run import Agree, agree, run
from vdbcluster.ports import Observer
from vdbcluster.wiring.bench import Bench as Bench
from vdbcluster.wiring.bench import check_text_field as check_text_field
from vdbcluster.wiring.bench import open_bench as open_bench
from vdbcluster.wiring.budget import job_of
from vdbcluster.wiring.choice import unfinished_index
from vdbcluster.wiring.history import found_run
from vdbcluster.wiring.named import address as address
from vdbcluster.wiring.named import label_settings as label_settings
from vdbcluster.wiring.named import search_settings as search_settings
from vdbcluster.wiring.named import selection as selection
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
    with open_bench(settings, observer, shared=True) as bench:
        if settings.duplicates.mark:
            text_field(settings, bench.source.found)
        observer.note(f"{bench.choice.engine} neighbours: {bench.choice.reason}")
        job = job_of(settings, bench.connection, bench.source, bench.choice, _about(bench.source))
        check_budget(job, settings, ThisMachine(), observer)
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


def _about(source: MilvusSource) -> int:
    """Rows in the selection: of a whole collection those that were told when it was opened.

    Rows of the last seconds may be missing there; counting them once more takes a server's tick.
    """
    part = source.selection.where or source.selection.partitions
    return source.count() if part or not source.found.loaded else source.found.rows


def versions() -> dict[str, str]:
    """What is installed, for the record of a run."""
    return {"python": python_version()} | {name: version(name) for name in PACKAGES}
