"""``vdbcluster dense``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from vdbcluster.cli.console import output as standard_output
from vdbcluster.cli.console import print_pairs, print_table
from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.printable import printable
from vdbcluster.cli.render import print_json
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError
from vdbcluster.model.lines import one_line

if TYPE_CHECKING:
    from vdbcluster.pipeline.commentary_forecast import Forecast
    from vdbcluster.pipeline.dense import Group
    from vdbcluster.wiring.dense import Dense

SHOWN = 200
"""Characters of a text; the terminal cuts it off before."""
NAME_COLUMNS = 30
"""Room for a name; the rest of the line is for the text in the middle of the group."""


def dense(
    settings: Settings,
    top: Annotated[int, typer.Option("--top", min=0, help="Groups shown here; 0 shows all.")] = 20,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", help="Also write them as CSV, Markdown and JSON into this folder."
        ),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="What these files are called.")
    ] = "dense-groups",
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask a language model without asking you first.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """List the densest small groups: what is said again and again; changes nothing.

    Most rows are in no group. Density: how many times nearer the rows of a group have their
    neighbours than rows usually have. Duplicates count once, unless --no-distinct. With
    --commentary a language model names the groups, and the interesting ones rise.

    Example: vdbcluster dense -c opinions --max-cluster-size 50 --output groups
    """
    _check(output, name)
    observer = TerminalObserver()
    if settings.milvus.collection:
        observer.note(f"Looking for dense groups in {settings.milvus.collection} ...")
    from vdbcluster.cli.commentary import agreed_to
    from vdbcluster.wiring.dense import dense as find
    from vdbcluster.wiring.dense import save

    def agree(told: Forecast) -> bool:
        return agreed_to(told, settings.chat, yes=yes)

    found = find(settings, observer, agree=agree)
    if output is not None:
        for place in save(found, output, name):
            observer.note(f"written to {place}")
    if as_json:
        print_json(found.to_json())
    else:
        print_dense(found, top)


def print_dense(found: Dense, top: int) -> None:
    """What was looked at, and a line for each group."""
    console = standard_output()
    print_pairs(console, _lines(found))
    shown = found.groups[: top or len(found.groups)]
    if not shown:
        console.print("\nNo group is so dense; lower --min-cluster-size, or raise its maximum.")
        return
    console.print()
    print_table(console, _table(shown))
    if (left := len(found.groups) - len(shown) + found.unlisted) > 0:
        console.print(f"and {left:,} more; --top and --n-groups show them")


def _lines(found: Dense) -> list[tuple[str, str]]:
    rows = f"{found.rows:,}"
    if found.copies:
        rows += f", {found.copies:,} of them copies that are left out"
    members = sum(len(group.members) for group in found.groups)
    return [
        ("collection", found.collection),
        ("rows", rows),
        ("neighbours", found.neighbors),
        ("groups", f"{len(found.groups):,} of {members:,} rows"),
    ]


def _table(groups: tuple[Group, ...]) -> Table:
    """Names and texts are cut where the terminal ends; 80 columns show some of both."""
    judged = any(group.interestingness is not None for group in groups)
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for heading in ("rank", "rows", "density", *(["interest"] if judged else [])):
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    table.add_column("name", overflow="ellipsis", no_wrap=True, max_width=NAME_COLUMNS)
    table.add_column("in its middle", overflow="ellipsis", no_wrap=True, ratio=1)
    for rank, group in enumerate(groups, 1):
        interest = "-" if group.interestingness is None else str(group.interestingness)
        table.add_row(
            str(rank),
            f"{len(group.members):,}",
            f"{group.density:.2f}",
            *([interest] if judged else []),
            printable(group.name) or "-",
            one_line(group.members[0].text or "", SHOWN) or printable(str(group.members[0].key)),
        )
    return table


def _check(output: Path | None, name: str) -> None:
    """``UsageError`` at once, rather than after all the work, if the files have no place."""
    if output is not None and output.exists() and not output.is_dir():
        raise UsageError(f"--output {output} is no folder")
    if not name or Path(name).name != name or not name.isprintable():
        raise UsageError(f"--name {name!r} is no name of a file; a folder goes into --output")
