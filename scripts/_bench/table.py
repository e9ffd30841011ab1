"""A table, as text and as Markdown.

In: a title, the heads, lines of cells, notes. Out: text; the first column to the left, the others
to the right.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Each line has as many cells as ``head``. ``wide``: the last column is prose, to the left."""

    title: str
    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    wide: bool = False

    def left(self, column: int) -> bool:
        return column == 0 or (self.wide and column == len(self.head) - 1)


def as_text(table: Table) -> str:
    lines = (table.head, *table.lines)
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.head))]
    told = [
        "  ".join(
            cell.ljust(width) if table.left(i) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([table.title, *told, *table.notes])


def as_markdown(table: Table) -> str:
    rule = tuple("---" if table.left(i) else "---:" for i in range(len(table.head)))
    lines = [f"| {' | '.join(line)} |" for line in (table.head, rule, *map(_safe, table.lines))]
    return "\n".join([f"### {table.title}", "", *lines, *(f"\n{note}" for note in table.notes)])


def _safe(line: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cell.replace("|", r"\|") for cell in line)
