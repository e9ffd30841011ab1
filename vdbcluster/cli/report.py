"""``vdbcluster report``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vdbcluster.adapters.outputs import check_output
from vdbcluster.cli.console import output
from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.printable import printable
from vdbcluster.cli.render import print_json
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError

if TYPE_CHECKING:
    from vdbcluster.model.report import Report

KINDS = {
    ".html": "html",
    ".htm": "html",
    ".md": "markdown",
    ".markdown": "markdown",
    ".json": "json",
}


def report(
    settings: Settings,
    run_id: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Run id, its beginning, or last."),
    ] = "last",
    outputs: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="File to write: .html, .md or .json; repeatable. Default report.html.",
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the report as JSON; files only where --output says so."),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Write a report of a run for a reader who was not there.

    What was clustered, how good it is in words and numbers, a map, a card of each cluster, which
    are alike, what changed since the run before, clusters over time where a field says when rows
    are from. The HTML is one file that opens from disk, and prints. Cards are those of vdbcluster
    explain. Nothing is written to the database.

    Example: vdbcluster report last --output report.html --output report.md
    """
    places = list(dict.fromkeys(outputs or ([] if as_json else [Path("report.html")])))
    for place in places:
        check_place(place)
    from vdbcluster.wiring.reporting import report_job, save

    made = report_job(run_id, settings, TerminalObserver())
    for place in places:
        save(place, text_of(KINDS[place.suffix.lower()], settings)(made))
        if not as_json:
            size = place.stat().st_size / 1e6
            output().print(f"{printable(str(place))} ({size:.1f} MB)")
    if as_json:
        from vdbcluster.pages.report.as_json import as_json as plain

        print_json(plain(made))


def check_place(place: Path) -> None:
    """``UsageError`` where a report cannot be written, before any work."""
    if place.suffix.lower() not in KINDS:
        raise UsageError(
            f"{place} is no kind of report; its name must end with .html, .md or .json"
        )
    check_output(place)


def text_of(kind: str, settings: Settings) -> Callable[[Report], str]:
    """Who makes the text of a report."""
    from vdbcluster.pages.report.as_html import as_html
    from vdbcluster.pages.report.as_json import as_json
    from vdbcluster.pages.report.as_markdown import as_markdown

    def as_text(made: Report) -> str:
        return json.dumps(as_json(made), ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    def as_page(made: Report) -> str:
        return as_html(made, still=settings.report.picture != "interactive")

    return {"html": as_page, "markdown": as_markdown, "json": as_text}[kind]
