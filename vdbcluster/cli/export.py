"""``vdbcluster export``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from vdbcluster.cli.console import output as stdout
from vdbcluster.cli.console import print_pairs
from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.printable import printable
from vdbcluster.cli.render import print_json
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError

if TYPE_CHECKING:
    from vdbcluster.wiring.exporting import ExportedFile

PATH_HELP = "A .parquet, .csv or .jsonl file, the last two also with .gz; - for standard output."


def export(
    settings: Settings,
    output: Annotated[str, typer.Option("--output", "-o", metavar="PATH", help=PATH_HELP)],
    run_id: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Run id, its beginning, or last: whose collection, and whose map. Default last; "
            "with --collection the newest run of it that has a map, if there is one.",
            show_default=False,
        ),
    ] = "",
    form: Annotated[
        Literal["parquet", "csv", "jsonl"] | None,
        typer.Option(
            "--format",
            metavar="TEXT",
            help="parquet, csv or jsonl, where the ending does not say it; jsonl for -.",
        ),
    ] = None,
    layout: Annotated[
        Literal["plain", "atlas"],
        typer.Option(
            "--layout",
            metavar="TEXT",
            help="plain; atlas: as embedding-atlas opens it, with neighbours.",
        ),
    ] = "plain",
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field", metavar="TEXT", help="A scalar or dynamic field; repeatable. Default all."
        ),
    ] = None,
    cluster: Annotated[
        list[int] | None,
        typer.Option("--cluster", metavar="ID", help="Rows of this cluster; repeatable."),
    ] = None,
    noise: Annotated[
        bool | None,
        typer.Option("--noise/--no-noise", help="Noise too, or not; default unless --cluster."),
    ] = None,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="The vectors too (Parquet alone).")
    ] = False,
    spreadsheet: Annotated[
        bool,
        typer.Option(
            "--spreadsheet",
            help="CSV for a spreadsheet: an apostrophe before texts that begin with = + - @ (they "
            "would run as formulas), and a mark that it is UTF-8.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Write the rows of a collection with their labels, as stored now, into a file.

    Columns: the key, scalar fields, dynamic ones, the labels (empty where a row
    has none, -1 for noise), the name of the cluster from the catalogue, map
    coordinates where the run has a map. Nothing is written to the database. The
    file is there as a whole or not at all.

    Parquet and CSV keep what a field is: scores and map are float32, arrays are
    lists (in CSV JSON), JSON is text. A dynamic field has the narrowest type that
    holds all of its values, else it is JSON. In CSV an empty text is "", and
    nothing is no value. JSONL writes whole numbers in full, which JavaScript
    rounds beyond 2^53; NaN is null.

    Example: vdbcluster export -c articles --output articles.parquet
    """
    from vdbcluster.pipeline.export import ExportRequest
    from vdbcluster.wiring.exporting import STDOUT, atlas_command, export_job, table_place

    place = table_place(output, form or "", vectors=vectors, spreadsheet=spreadsheet)
    atlas = layout == "atlas"
    if atlas and place.form != "parquet":
        raise UsageError(f"--layout atlas needs Parquet, and {output} is {place.form}")
    if as_json and output == STDOUT:
        raise UsageError("--json and --output - both want standard output; name a file")
    request = ExportRequest(tuple(field) if field else None, tuple(cluster or ()), noise, vectors)
    found = export_job(run_id, place, request, settings, TerminalObserver(), atlas=atlas)
    command = atlas_command(output, found) if atlas else ""
    if as_json:
        print_json(_told(found, output) | ({"command": command} if command else {}))
        return
    console = stdout() if output != STDOUT else Console(file=sys.stderr, soft_wrap=True)
    _print(console, found, output, spreadsheet=spreadsheet)
    if command:
        console.print(f"\nOpen it (pip install embedding-atlas):\n\n  {printable(command)}")


def _told(found: ExportedFile, output: str) -> dict[str, object]:
    exported = found.exported
    return {
        "output": output,
        "collection": found.collection,
        "labels_in": found.labels_in,
        "map_of_run": found.run or None,
        "rows_read": exported.read,
        "rows": exported.rows,
        "labelled": exported.labelled,
        "noise": exported.noise,
        "on_the_map": exported.placed,
        "columns": list(exported.columns),
        "formulas": exported.formulas,
    }


def _print(console: Console, found: ExportedFile, output: str, *, spreadsheet: bool) -> None:
    exported = found.exported
    clustered = exported.labelled - exported.noise
    lines = [
        ("written to", output),
        (
            "rows",
            f"{exported.rows:,} of {exported.read:,} that were read from {found.collection!r}",
        ),
        (
            "labels",
            f"{clustered:,} in a cluster, {exported.noise:,} noise, "
            f"{exported.rows - exported.labelled:,} without; from {found.labels_in!r}",
        ),
    ]
    if found.run:
        lines.append(("map", f"{exported.placed:,} rows, of run {found.run}"))
    if exported.columns:
        lines.append(("columns", ", ".join(exported.columns)))
    print_pairs(console, lines)
    if exported.formulas and not spreadsheet:
        console.print(
            f"\n{exported.formulas:,} texts begin as a formula does; if the file is for a "
            "spreadsheet, add --spreadsheet"
        )
