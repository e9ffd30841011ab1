"""``vdbcluster run``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.render import print_json, print_run
from vdbcluster.config.settings import Settings
from vdbcluster.errors import VdbclusterError
from vdbcluster.model.labels import LabelPlan


def run(
    settings: Settings,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do all but write.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before writing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Cluster a collection and write the labels back.

    Reads the vectors, finds each row's neighbours, clusters them and writes cluster_id,
    cluster_probability, cluster_outlier_score and cluster_assignment, touching nothing else.
    Interrupted anywhere, the same command finishes the job.

    Example: vdbcluster run --uri http://localhost:19530 -c articles --method layers
    """
    observer = TerminalObserver()
    if settings.milvus.collection:
        observer.note(f"Clustering {settings.milvus.collection} ...")
    from vdbcluster.wiring.main_job import run_job

    manifest = run_job(
        settings,
        observer,
        dry_run=dry_run,
        confirm=_agree_at_once if yes or not sys.stdin.isatty() else _ask,
    )
    if as_json:
        print_json(manifest.to_json())
    else:
        print_run(manifest)
    written = manifest.facts.get("write", {})
    if wrong := written.get("failed", 0) + written.get("mismatched", 0):
        raise VdbclusterError(
            f"{wrong:,} rows could not be labelled, or hold other labels by now (does another run "
            "write to this collection?); run the same command again"
        )


def _agree_at_once(_: LabelPlan) -> bool:
    return True


def _ask(plan: LabelPlan) -> bool:
    rows = int(plan.changed.sum())
    try:
        return rows == 0 or typer.confirm(f"Write labels of {rows:,} rows?", err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None
