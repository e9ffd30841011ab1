"""``vdbcluster inspect``."""

from __future__ import annotations

from typing import Annotated

import typer

from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.render import print_inspection, print_json
from vdbcluster.config.settings import Settings


def inspect(
    settings: Settings,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Say what a collection is and what a run would do; changes nothing.

    Takes the options of run, so that the same line can be looked at first.

    Example: vdbcluster inspect --uri http://localhost:19530 -c articles
    """
    observer = TerminalObserver()
    if settings.milvus.collection:
        observer.note(f"Looking at {settings.milvus.collection} ...")
    from vdbcluster.wiring.inspection import inspect_collection

    inspection = inspect_collection(settings, observer)
    if as_json:
        print_json(inspection.to_json())
    else:
        print_inspection(inspection)
