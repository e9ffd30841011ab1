"""``vdbcluster demo``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from vdbcluster.cli.observer import TerminalObserver

if TYPE_CHECKING:
    from vdbcluster.wiring.demo import DemoCluster

SHOWN_CLUSTERS = 30


def demo(
    output: Annotated[
        Path, typer.Option("--output", help="Folder for the database and the record of the run.")
    ] = Path("demo-output"),
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Cluster the docstrings of Python's standard library in an embedded Milvus Lite.

    No server, no API key, no download: the texts come with Python, the embedding model with the
    extra vdbcluster[local].

    Example: vdbcluster demo
    """
    observer = TerminalObserver()
    from vdbcluster.wiring.demo import run_demo, run_query

    result = run_demo(output, observer)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    clustering = result.manifest.facts["clustering"]
    console.print(
        f"\n{clustering['rows']:,} docstrings, {len(result.clusters)} clusters; "
        f"{result.noise:.0%} are noise, close to no dense group.\n"
        "Modules were not part of the texts, yet "
        f"{result.purity:.0%} of the rows in a cluster are of its commonest module.\n"
    )
    console.print(_table(result.clusters), soft_wrap=False)
    if len(result.clusters) > SHOWN_CLUSTERS:
        console.print(f"and {len(result.clusters) - SHOWN_CLUSTERS} smaller ones")
    console.print(f"\nThe same again, and on your own collection:\n\n  {result.command}\n")
    console.print(f"One cluster, by a plain pymilvus query ({result.query}):\n")
    for line in result.query.read_text(encoding="utf-8").splitlines():
        console.print(f"  {line}")
    console.print()
    run_query(result.query)
    console.print("\nTo look at, in any browser:\n")
    for name, place in (("map", result.map), ("report", result.report)):
        console.print(f"  {name:<7} {place.resolve().as_uri()}")


def _table(clusters: Sequence[DemoCluster]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("id", justify="right", width=3)
    table.add_column("size", justify="right", width=4)
    table.add_column("modules", overflow="ellipsis", no_wrap=True, ratio=2)
    table.add_column("representative", overflow="ellipsis", no_wrap=True, ratio=3)
    for cluster in clusters[:SHOWN_CLUSTERS]:
        modules = ", ".join(f"{name} {count}" for name, count in cluster.modules)
        table.add_row(str(cluster.id), str(cluster.size), modules, cluster.representative)
    return table
