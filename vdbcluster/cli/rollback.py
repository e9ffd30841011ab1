"""``vdbcluster rollback``."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from vdbcluster.cli.asking import agreed
from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.render import print_json
from vdbcluster.config.settings import Settings
from vdbcluster.errors import VdbclusterError
from vdbcluster.model.manifest import RunManifest

TOLD = (
    ("restored", "rows have their old label again"),
    ("erased", "rows had no label before, and have none again"),
    ("already", "rows were as before the run already"),
    ("changed_since", "rows hold another label by now, and keep it"),
    ("vanished", "rows are gone, or somebody took their label away"),
    ("failed", "rows could not be written"),
    ("mismatched", "rows read back as the run left them"),
)


def rollback(
    run_id: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Run id, its beginning, or last: the newest written."),
    ],
    settings: Settings,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do all but write.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask, though a later run has written.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Put back the labels, and the catalogue, that were there before a run.

    Rows whose label was changed since, by a later run or by somebody, keep it; rows that had no
    label have none again. Ids that the run made stay retired. Interrupted anywhere, the same
    command finishes the job.

    Example: vdbcluster rollback last --dry-run
    """
    from vdbcluster.wiring.rollback import rollback_job

    manifest = rollback_job(
        run_id,
        settings,
        TerminalObserver(),
        dry_run=dry_run,
        forced=yes,
        confirm=_ask if sys.stdin.isatty() and not yes else _agree,
    )
    told = manifest.facts.get("rollback", {})
    if as_json:
        names = {"run_id": manifest.run_id, "state": manifest.state, "dry_run": dry_run}
        print_json({**names, "collection": manifest.collection, "rollback": told})
    else:
        _print(manifest, told, dry_run=dry_run)
    if wrong := told.get("failed", 0) + told.get("mismatched", 0):
        raise VdbclusterError(
            f"{wrong:,} rows could not be put back ({'; '.join(told['messages']) or 'no reason'}); "
            "run the same command again"
        )


def _agree(_: RunManifest) -> bool:
    return True


def _ask(manifest: RunManifest) -> bool:
    told = manifest.facts["rollback"]
    rows = told["restored"] + told["erased"]
    return rows == 0 or agreed(
        f"Put the labels of {rows:,} rows back to before run {manifest.run_id}?"
    )


def _print(manifest: RunManifest, told: dict[str, Any], *, dry_run: bool) -> None:
    done = "would be put back" if dry_run else "put back"
    typer.echo(f"run {manifest.run_id} of {manifest.collection!r}: {done}")
    for name, text in TOLD:
        if told.get(name):
            typer.echo(f"{told[name]:>12,} {text}")
