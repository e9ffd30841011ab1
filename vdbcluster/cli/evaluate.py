"""``vdbcluster evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from vdbcluster.cli.observer import TerminalObserver
from vdbcluster.cli.render import print_json
from vdbcluster.config.settings import Settings

if TYPE_CHECKING:
    from vdbcluster.pipeline.holdout import HoldOut
    from vdbcluster.quality.report import ClusterQuality, Spread
    from vdbcluster.quality.scores import TruthReport
    from vdbcluster.wiring.evaluation import Evaluation, Resampled

SHOWN = 40
SCORES = ("AMI", "ARI", "V_measure", "homogeneity", "completeness", "purity")


def evaluate(
    settings: Settings,
    truth: Annotated[
        str, typer.Option("--truth", help="Field that holds the class each row really has.")
    ] = "",
    repeats: Annotated[
        int, typer.Option("--repeats", min=0, max=100, help="Samples for stability; 0 is none.")
    ] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Say how good the labels are that a collection carries; changes nothing.

    With a truth field: AMI, ARI, V-measure, purity and what became of each class. Always, from the
    neighbour graph: validity by density, agreement of neighbours, and whether clusters survive
    when a fifth of the rows is left out. Give it the options of the run that wrote the labels.

    Example: vdbcluster evaluate --uri http://localhost:19530 -c articles --truth topic
    """
    observer = TerminalObserver()
    if settings.milvus.collection:
        observer.note(f"Evaluating {settings.milvus.collection} ...")
    from vdbcluster.wiring.evaluation import evaluate as judge

    found = judge(settings, observer, truth=truth, repeats=repeats)
    if as_json:
        print_json(found.to_json())
    else:
        print_evaluation(found)


def print_evaluation(found: Evaluation) -> None:
    """All figures, the classes of the truth, the clusters."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for name, text in _lines(found):
        console.print(f"{name:<12} {text}")
    tables = [_score_table(found.truth), _class_table(found.truth)] if found.truth else []
    for table in [*tables, _cluster_table(found.graph.by_cluster)]:
        console.print()
        console.print(table, soft_wrap=False)
    for name, count in (
        ("classes", len(found.truth.classes) if found.truth else 0),
        ("clusters", len(found.graph.by_cluster)),
    ):
        if count > SHOWN:
            console.print(f"the {SHOWN} largest of {count:,} {name} are shown; --json lists all")


def _lines(found: Evaluation) -> list[tuple[str, str]]:
    graph = found.graph
    labels = f"{graph.rows:,} in {found.labels_in}"
    if found.unlabelled:
        labels += f"; {found.unlabelled:,} rows carry none and are left out"
    lines = [
        ("collection", f"{found.collection}, {found.rows:,} rows"),
        ("labels", labels),
        (
            "clusters",
            f"{graph.clusters:,}, noise {graph.noise:.0%}, "
            f"the largest holds {graph.largest:.0%} of the rows",
        ),
        ("neighbours", found.neighbors),
        ("validity", f"{graph.validity:.3f} by density on the graph (-1 to 1, noise counts as 0)"),
        ("agreement", f"{graph.agreement:.0%} of a clustered row's neighbours are in its cluster"),
    ]
    lines += _stability(found.resampled) if found.resampled else []
    lines += [("assign", _assigned(found.assigned))] if found.assigned else []
    if found.truth:
        lines.append(("truth", _truth(found.truth, found.truth_field, found.without_truth)))
    return lines


def _stability(found: Resampled) -> list[tuple[str, str]]:
    lines = [
        (
            "stability",
            f"AMI {found.ami:.3f}, ARI {found.ari:.3f} with {found.repeats} samples of "
            f"{found.share:.0%} of the rows; of a cluster {_spread(found.jaccard)}",
        ),
        ("persistence", _spread(found.persistence)),
    ]
    if found.same < 1:
        lines.append(
            (
                "note",
                f"stability and persistence are those of these settings ({found.clusters:,} "
                f"clusters, noise {found.noise:.0%}), whose labels agree with the stored ones by "
                f"AMI {found.same:.3f}",
            )
        )
    return lines


def _assigned(found: HoldOut) -> str:
    return (
        f"{found.same:.0%} of {found.rows:,} rows held out get what clustering them all gives them "
        f"({found.same_others:.0%} of the others do), AMI {found.ami:.3f}; noise "
        f"{found.noise:.0%}, else {found.noise_whole:.0%}"
    )


def _spread(values: Spread) -> str:
    return f"{values.median:.2f} ({values.least:.2f} to {values.greatest:.2f})"


def _truth(truth: TruthReport, field: str, missing: int) -> str:
    told = f"{field}: {len(truth.classes):,} classes, {truth.clusters:,} clusters"
    return f"{told}; {missing:,} labelled rows have no value" if missing else told


def _score_table(truth: TruthReport) -> Table:
    clustered = f"{truth.share_clustered:.0%} clustered"
    table = _table("", "all, noise a class", clustered)
    both = (truth.all_rows, truth.clustered)
    table.add_row("rows", *(f"{scores.rows:,}" for scores in both))
    for name in SCORES:
        figures = (f"{getattr(scores, name.lower()):.3f}" for scores in both)
        table.add_row(name.replace("_", "-"), *figures)
    return table


def _class_table(truth: TruthReport) -> Table:
    table = _table("class", "rows", "clustered", "main cluster", "share in it", "precision")
    for row in truth.classes[:SHOWN]:
        table.add_row(
            _printable(row.name),
            f"{row.rows:,}",
            f"{row.clustered:.0%}",
            "-" if row.cluster is None else str(row.cluster),
            f"{row.share:.0%}",
            f"{row.precision:.0%}",
        )
    return table


def _cluster_table(clusters: tuple[ClusterQuality, ...]) -> Table:
    table = _table("cluster", "size", "validity", "agreement", "in one piece")
    for cluster in clusters[:SHOWN]:
        table.add_row(
            str(cluster.id),
            f"{cluster.size:,}",
            f"{cluster.validity:.3f}",
            "-" if cluster.agreement is None else f"{cluster.agreement:.0%}",
            f"{cluster.connected:.0%}",
        )
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, overflow="ellipsis", no_wrap=True, max_width=32)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _printable(text: str) -> str:
    """What is not printable could steer the terminal that it is shown on."""
    return "".join(c if c.isprintable() else " " for c in text)
