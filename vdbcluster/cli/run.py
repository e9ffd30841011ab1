"""``vdbcluster run``, ``plan`` and ``apply``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vdbcluster.cli.asking import agreed
from vdbcluster.cli.console import output
from vdbcluster.cli.logs import observer_of
from vdbcluster.cli.render import print_json, print_run
from vdbcluster.cli.render_assign import print_assignment
from vdbcluster.cli.render_plan import has_changes
from vdbcluster.config.settings import Settings
from vdbcluster.errors import VdbclusterError
from vdbcluster.model.labels import LabelPlan
from vdbcluster.model.manifest import RunManifest, is_assignment, unwritten_catalogue
from vdbcluster.model.run_id import new_run_id
from vdbcluster.ports import Observer
from vdbcluster.wiring.telemetry import reported

if TYPE_CHECKING:
    from vdbcluster.pipeline.commentary_forecast import Forecast
    from vdbcluster.pipeline.explain_record import Explained

CHANGES = 3
"""Exit code of a plan that has something to write."""

Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask, and write whatever the gate says.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")]


def run(
    settings: Settings,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do all but write.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """Cluster a collection and write the labels back.

    Reads the vectors, finds each row's neighbours, clusters them and writes cluster_id,
    cluster_probability, cluster_outlier_score and cluster_assignment (cluster_duplicate_of too with
    --mark-duplicates, map_x and map_y with --write-map), touching nothing else.
    What changes more than the gate allows is refused, unless --yes. Interrupted anywhere, the same
    command finishes the job.

    Example: vdbcluster run --uri http://localhost:19530 -c articles --method layers
    """
    run_id = new_run_id()
    observer = observer_of(settings, "run", run_id)
    with reported(settings, "run", observer.warn, run_id) as report:
        report.manifest = manifest = _made(
            settings,
            observer,
            run_id=run_id,
            dry_run=dry_run,
            gated=not yes,
            confirm=agreeing(yes=yes),
        )
        if settings.explain.after_run and manifest.state == "written":
            report.manifest = _shown_and_explained(
                settings, observer, manifest, yes=yes, as_json=as_json
            )
        else:
            _show(manifest, as_json=as_json)
            check_written(manifest)


def plan(
    settings: Settings,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """Show what a run would change, and keep it: apply writes it later.

    Writes nothing to the database. Exit code 3 if there is something to write, 0 if not.

    Example: vdbcluster plan -c articles && echo nothing to do
    """
    run_id = new_run_id()
    observer = observer_of(settings, "plan", run_id)
    manifest = _made(settings, observer, run_id=run_id, dry_run=True)
    _show(manifest, as_json=as_json)
    if has_changes(manifest):
        raise typer.Exit(CHANGES)


def apply(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its beginning, or last.")],
    settings: Settings,
    yes: Yes = False,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """Write what a run has planned, under the settings that it was planned with.

    Rows that were added since stay without a label, rows that were deleted stay deleted. Refused,
    unless --yes, if the gate says no or if rows have got other labels since. Applied twice, or
    again after an interruption, it writes what is left.

    Example: vdbcluster apply last
    """
    from vdbcluster.wiring.main_job import apply_job

    observer = observer_of(settings, "apply", run_id)
    with reported(settings, "apply", observer.warn) as report:
        report.manifest = manifest = apply_job(
            run_id, settings, observer, forced=yes, confirm=agreeing(yes=yes)
        )
        _show(manifest, as_json=as_json)
        check_written(manifest)


def _made(settings: Settings, observer: Observer, **how: Any) -> RunManifest:
    if settings.milvus.collection:
        observer.note(f"Clustering {settings.milvus.collection} ...")
    from vdbcluster.wiring.main_job import run_job

    return run_job(settings, observer, **how)


def _shown_and_explained(
    settings: Settings, observer: Observer, manifest: RunManifest, *, yes: bool, as_json: bool
) -> RunManifest:
    """The record of a run that has written, with its explanation; JSON is printed once."""
    from vdbcluster.cli.explain import print_explained

    if not as_json:
        print_run(manifest)
    told = manifest
    try:
        check_written(manifest)
        found = _explained(settings, observer, manifest.run_id, yes=yes)
        told = found.manifest
    finally:
        if as_json:
            print_json(told.to_json())
    if not as_json:
        output().print()
        print_explained(found)
    return told


def _explained(settings: Settings, observer: Observer, run_id: str, *, yes: bool) -> Explained:
    from vdbcluster.cli.commentary import agreed_after_run
    from vdbcluster.wiring.explaining import explain_job

    asked = settings.explain.commentary

    def agree(told: Forecast) -> bool:
        return agreed_after_run(told, settings.chat, observer, yes=yes)

    try:
        return explain_job(run_id, settings, observer, agree=agree)
    except VdbclusterError as error:
        raise VdbclusterError(
            f"the labels are written, but the clusters are not wholly explained: {error}; "
            f"vdbcluster explain {run_id}{' --commentary' * asked} finishes it"
        ) from error


def agreeing(*, yes: bool) -> Callable[[LabelPlan], bool]:
    return _agree_at_once if yes or not sys.stdin.isatty() else _ask


def _show(manifest: RunManifest, *, as_json: bool) -> None:
    if as_json:
        print_json(manifest.to_json())
    elif is_assignment(manifest):
        print_assignment(manifest)
    else:
        print_run(manifest)


def check_written(manifest: RunManifest) -> None:
    written = manifest.facts.get("write", {})
    if wrong := written.get("failed", 0) + written.get("mismatched", 0):
        raise VdbclusterError(
            f"{wrong:,} rows could not be labelled, or hold other labels by now (does another run "
            "write to this collection?); run the same command again"
        )
    if why := unwritten_catalogue(manifest):
        raise VdbclusterError(
            f"the labels are written, but not the catalogue of the clusters: {why}; "
            "run the same command again"
        )


def _agree_at_once(_: LabelPlan) -> bool:
    return True


def _ask(plan: LabelPlan) -> bool:
    rows = int(plan.changed.sum())
    return rows == 0 or agreed(f"Write labels of {rows:,} rows?")
