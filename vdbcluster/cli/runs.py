"""``vdbcluster runs``: list, show and prune what is kept of the runs."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from vdbcluster.cli.asking import agreed
from vdbcluster.cli.options import with_settings
from vdbcluster.cli.render import print_json
from vdbcluster.cli.render_runs import print_history, print_record, print_removal
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")]

runs = typer.Typer(no_args_is_help=True, help="List, show and prune what is kept of the runs.")


def list_runs(
    settings: Settings,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """List the runs of --runs-dir, the newest last.

    Changed are the rows that were to be written; records that cannot be read are named at the end.

    Example: vdbcluster runs list
    """
    from vdbcluster.wiring.history import history, listed

    found = history(settings.run.runs_dir)
    lines = [listed(manifest) for manifest in found.runs]
    if as_json:
        print_json({"runs": lines, "damaged": found.damaged})
    else:
        print_history(lines, found.damaged, settings.run.runs_dir)


def show(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its beginning, or last.")],
    settings: Settings,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """Show one run as it was shown when it ended; --json prints all of its manifest.

    Example: vdbcluster runs show last
    """
    from vdbcluster.wiring.history import found_run

    manifest = found_run(settings.run.runs_dir, run_id)
    if as_json:
        print_json(manifest.to_json())
    else:
        print_record(manifest, settings.run.runs_dir / manifest.run_id)


def prune(
    settings: Settings,
    keep: Annotated[
        int | None, typer.Option("--keep", min=0, metavar="N", help="Keep the newest N.")
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Only older ones: 12h, 30d, 8w."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """Remove the records of old runs; labels and catalogue in the database stay as they are.

    Counts each selection for itself. The newest written run of each always stays, as does the
    newest that is not finished: assign, apply and rollback need them.

    Example: vdbcluster runs prune --keep 10 --older-than 30d
    """
    from vdbcluster.wiring.history import age, history, listed, removable, remove

    if keep is None and older_than is None:
        raise UsageError("say which runs may go: --keep 10, --older-than 30d, or both")
    older = None if older_than is None else age(older_than)
    found = history(settings.run.runs_dir)
    gone = removable(found.runs, keep=keep, older=older, now=datetime.now(UTC))
    lines = [listed(manifest) for manifest in gone]
    left = len(found.runs) - len(gone)
    if gone and not yes:
        if not as_json:
            print_removal(lines, left, found.damaged, done=False)
        _ask(len(gone))
    remove(settings.run.runs_dir, gone)
    if as_json:
        removed = [line["run_id"] for line in lines]
        print_json({"removed": removed, "left": left, "damaged": found.damaged})
    else:
        print_removal(lines, left, found.damaged, done=True)


def _ask(count: int) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"{count:,} run(s) would be removed; pass --yes, as nobody can be asked")
    if not agreed(f"Remove {count:,} record(s)?"):
        raise UsageError("nothing was removed")


runs.command("list")(with_settings(run=("runs_dir",))(list_runs))
runs.command("show")(with_settings(run=("runs_dir",))(show))
runs.command("prune")(with_settings(run=("runs_dir",))(prune))
