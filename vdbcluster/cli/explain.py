"""``vdbcluster explain``."""

from __future__ import annotations

from typing import Annotated

import typer

from vdbcluster.cli.console import output, plain_table, print_pairs, print_table
from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.printable import printable
from vdbcluster.cli.render import print_json
from vdbcluster.config.settings import Settings
from vdbcluster.model.manifest import RunManifest


def explain(
    settings: Settings,
    run_id: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Run id, its beginning, or last."),
    ] = "last",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Find the words that tell the clusters of a run apart; they go into its catalogue and record.

    No label and no row is touched, and names that people gave stay. Japanese and Chinese texts are
    cut into words with the extras ja and zh; without them keywords are pieces of a few characters,
    and it says so.

    Example: vdbcluster explain last --text-field title
    """
    from vdbcluster.wiring.explaining import explain_job

    manifest = explain_job(run_id, settings, TerminalObserver())
    if as_json:
        names = {"run_id": manifest.run_id, "collection": manifest.collection}
        print_json({**names, "explain": manifest.facts["explain"]})
    else:
        print_explained(manifest)


def print_explained(manifest: RunManifest) -> None:
    """Where the words are from and where they are kept, and a line for each cluster."""
    from vdbcluster.pipeline.explain import shown

    told, console = manifest.facts["explain"], output()
    kept = f"{told['catalogue']} and the record" if told["catalogue"] else "the record of the run"
    print_pairs(
        console,
        [
            ("run", f"{manifest.run_id} of {manifest.collection!r}"),
            ("texts", f"{told['text_field']} of {told['rows']:,} rows"),
            ("terms", told["terms"]),
            ("kept in", kept),
        ],
    )
    console.print()
    table = plain_table("id", "rows", "keywords", left=("keywords",))
    for line in shown(manifest):
        words = printable(", ".join(line["keywords"])) or "-"
        table.add_row(str(line["id"]), f"{line['size']:,}", words)
    print_table(console, table)
