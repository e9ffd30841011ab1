"""``vdbcluster sweep``."""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.render import print_json
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError

if TYPE_CHECKING:
    from vdbcluster.wiring.sweep import Cell, Stretch, Sweep


def sweep(
    settings: Settings,
    min_cluster_size: Annotated[
        str,
        typer.Option("--min-cluster-size", help="Values, as 5,10,20. Default 5 to 200 and auto."),
    ] = "",
    min_samples: Annotated[
        str, typer.Option("--min-samples", help="Values, as 1,5,15. Default 1, 5, 15 and auto.")
    ] = "",
    truth: Annotated[
        str, typer.Option("--truth", help="Field that holds the class each row really has.")
    ] = "",
    repeats: Annotated[
        int, typer.Option("--repeats", min=0, max=100, help="Samples for stability; 0 is none.")
    ] = 3,
    output: Annotated[
        Path | None, typer.Option("--output", help="Also draw it, into this HTML file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Show what min_cluster_size and min_samples would give; changes nothing.

    Neighbours are searched once, and smoothed once. For each pair of values: clusters, noise, the
    share of the largest cluster, and stability: how nearly (AMI) the same comes out of a sample of
    four fifths of the rows. Marked are the plateau, the longest run of min_cluster_size over which
    all results agree by an AMI of 0.95 or more, and what run chooses by itself (auto).

    Example: vdbcluster sweep --uri http://localhost:19530 -c articles --output sweep.html
    """
    sizes = _numbers("--min-cluster-size", min_cluster_size)
    samples = _numbers("--min-samples", min_samples)
    _check(output)
    observer = TerminalObserver()
    if settings.milvus.collection:
        observer.note(f"Sweeping {settings.milvus.collection} ...")
    from vdbcluster.wiring.sweep import sweep as sweep_collection

    found = sweep_collection(
        settings,
        observer,
        sizes=sizes,
        min_samples=samples,
        truth=truth,
        repeats=repeats,
    )
    if output is not None:
        from vdbcluster.cli.sweep_plot import write_plot

        write_plot(found, output)
        observer.note(f"drawn in {output}")
    if as_json:
        print_json(found.to_json())
    else:
        print_sweep(found)


def print_sweep(found: Sweep) -> None:
    """The table, the plateau, and the line that uses it."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"{'collection':<12} {found.collection}, {found.rows:,} rows")
    console.print(f"{'neighbours':<12} {found.neighbors}, smooth {found.smooth}")
    if found.truth_field:
        told = f", {found.without_truth:,} rows have none" if found.without_truth else ""
        console.print(f"{'truth':<12} {found.truth_field}{told}")
    for m in sorted({cell.min_samples for cell in found.cells}):
        console.print(f"\nmin_samples {m}", style="bold")
        console.print(_table([c for c in found.cells if c.min_samples == m], found))
    console.print()
    console.print(_verdict(found.plateau))


def _numbers(option: str, text: str) -> list[int]:
    """``5,10,20`` as numbers; nothing as none."""
    try:
        return [int(part) for part in text.split(",")] if text.strip() else []
    except ValueError:
        raise UsageError(f"{option} takes whole numbers, as 5,10,20, not {text!r}") from None


def _check(output: Path | None) -> None:
    """``UsageError`` at once, rather than after all the work, if the plot has no place."""
    if output is None:
        return
    if output.is_dir() or not output.absolute().parent.is_dir():
        raise UsageError(f"--output {output} is no file in a directory that exists")


def _table(cells: list[Cell], found: Sweep) -> Table:
    longest = found.plateau is not None and found.plateau.min_samples == cells[0].min_samples
    mark = "longest" if longest else "yes"
    table = Table(box=None, pad_edge=False, header_style="dim")
    rows = [
        _figures(cell, found) | {"plateau": mark * cell.plateau, "auto": "auto" * cell.auto}
        for cell in cells
    ]
    for heading in rows[0]:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row.values())
    return table


def _figures(cell: Cell, found: Sweep) -> dict[str, str]:
    """What the table says of a cell, by heading."""
    told = {
        "min_cluster_size": str(cell.min_cluster_size),
        "clusters": f"{cell.clusters:,}",
        "noise": f"{cell.noise:.0%}",
        "largest": f"{cell.largest:.0%}",
    }
    if found.repeats:
        told["stability"] = _decimal(cell.stability)
    told["next"] = _decimal(cell.next)
    if found.truth_field:
        told["truth"] = _decimal(cell.ami)
    return told


def _decimal(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _verdict(plateau: Stretch | None) -> str:
    if plateau is None:
        return "No plateau: every step of min_cluster_size changes the clusters."
    middle = round(sqrt(plateau.first * plateau.last))
    return (
        f"Longest plateau: min_cluster_size {plateau.first} to {plateau.last} with min_samples "
        f"{plateau.min_samples} give nearly the same clusters (AMI {plateau.agreement:.2f} or "
        f"more): --min-cluster-size {middle} --min-samples {plateau.min_samples}"
    )
