"""Standard output, as the commands that answer a question use it.

In: pairs of a name and a text, tables. Out: lines. Promise: plain text, not broken at the width of
the terminal; what is piped into a file has room for every column of a table.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from vdbcluster.cli.printable import printable

PIPED = 160
"""Columns where there is no terminal."""


def output() -> Console:
    """Standard output without colours and markup of its own."""
    width = None if sys.stdout.isatty() else PIPED
    return Console(highlight=False, markup=False, soft_wrap=True, width=width)


def print_pairs(console: Console, lines: Iterable[tuple[str, str]]) -> None:
    """One line each, the names in a column."""
    for name, text in lines:
        console.print(f"{name:<12} {printable(text)}")


def print_table(console: Console, table: Table) -> None:
    """Cut off where the terminal ends."""
    console.print(table, soft_wrap=False)


def plain_table(*headings: str, left: Iterable[str] = ()) -> Table:
    """A table of figures, to the right but for the columns named in ``left``."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    texts = set(left)
    for heading in headings:
        table.add_column(
            heading,
            justify="left" if heading in texts else "right",
            no_wrap=True,
            overflow="ellipsis",
        )
    return table
