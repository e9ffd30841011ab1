"""``vdbcluster map``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vdbcluster.cli.console import output as console_output
from vdbcluster.cli.console import print_pairs
from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.render import print_json
from vdbcluster.config.settings import Settings

if TYPE_CHECKING:
    from vdbcluster.wiring.mapping import Mapped


def map_(
    settings: Settings,
    run_id: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Run id, its beginning, or last."),
    ] = "last",
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="File to write: .html, .png or .svg."),
    ] = Path("map.html"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Draw the rows of a run as a map: one HTML file that opens anywhere, without a network.

    Points have the colour of their cluster, names stand beside them, more as one zooms in. It has
    hover texts or thumbnails, a search box, and the clusters by size. Hidden clusters are grey and
    have no name. PNG and SVG are for a paper (extra plots); thumbnails take the extra images.

    Example: vdbcluster map last --output map.html
    """
    from vdbcluster.wiring.mapping import map_job

    made = map_job(run_id, settings, output, TerminalObserver())
    if as_json:
        print_json(_json(made))
    else:
        _print(made)


def _json(made: Mapped) -> dict[str, object]:
    return {
        "run_id": made.manifest.run_id,
        "collection": made.manifest.collection,
        "output": str(made.place),
        "bytes": made.size,
        **made.facts,
        "told": list(made.told),
    }


def _print(made: Mapped) -> None:
    facts = made.facts
    lines = [
        ("run", made.manifest.run_id),
        ("points", f"{facts['drawn']:,} of {facts['rows']:,} rows, {facts['clusters']:,} clusters"),
        *(("left out", line) for line in made.told),
        ("map", f"{made.place}, {made.size / 1e6:.1f} MB"),
    ]
    print_pairs(console_output(), lines)
