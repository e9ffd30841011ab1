"""``vdbcluster diff``."""

from __future__ import annotations

from typing import Annotated

import typer

from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.render import print_json
from vdbcluster.cli.render_diff import print_comparison
from vdbcluster.config.settings import Settings


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="Run id, its beginning, or last.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The same, or now.")],
    settings: Settings,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Show what changed from run A to run B: rows that moved, clusters that came and went.

    B can be now: the labels that the collection holds, which the options of the connection are
    for. Two runs are compared by their records alone, without the database.

    Example: vdbcluster diff last now
    """
    from vdbcluster.wiring.comparing import compare

    compared = compare(first, second, settings, TerminalObserver())
    if as_json:
        print_json(compared.to_json())
    else:
        print_comparison(compared)
