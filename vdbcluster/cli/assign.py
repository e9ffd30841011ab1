"""``vdbcluster assign``."""

from __future__ import annotations

from typing import Annotated

import typer

from vdbcluster.cli.logs import observer_of
from vdbcluster.cli.render import print_json
from vdbcluster.cli.render_assign import print_assignment
from vdbcluster.cli.run import AsJson, Verbose, agreeing, check_written
from vdbcluster.config.settings import Settings
from vdbcluster.model.run_id import new_run_id
from vdbcluster.wiring.telemetry import reported


def assign(
    settings: Settings,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do all but write.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before writing.")] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """Label the rows that came since the last run, by its clusters.

    A row joins the cluster that most of its neighbours are in, if it lies as dense there as the
    cluster's own rows do; else it is noise. What forms among rows of noise becomes a cluster with
    an id of its own. Labels that a run has given to a cluster are never touched. Cost depends on
    the new rows, not on those of the run.

    Example: vdbcluster assign --uri http://localhost:19530 -c articles
    """
    run_id = new_run_id()
    observer = observer_of(settings, "assign", run_id)
    with reported(settings, "assign", observer.warn, run_id) as report:
        from vdbcluster.wiring.assigning import assign_job

        report.manifest = manifest = assign_job(
            settings, observer, run_id=run_id, dry_run=dry_run, confirm=agreeing(yes=yes)
        )
        if as_json:
            print_json(manifest.to_json())
        else:
            print_assignment(manifest)
        check_written(manifest)
