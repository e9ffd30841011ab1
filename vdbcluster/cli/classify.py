"""``vdbcluster classify``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from vdbcluster.cli.console import output, plain_table, print_pairs, print_table
from vdbcluster.cli.printable import printable
from vdbcluster.cli.render import print_json
from vdbcluster.config.settings import Settings
from vdbcluster.errors import UsageError

SHOWN = 20


def classify(
    settings: Settings,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its beginning, or last.")],
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Table of rows, or - for standard input.")
    ],
    id_field: Annotated[
        str, typer.Option("--id-field", help="A field to show beside the number of each row.")
    ] = "",
    to: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="Write all rows to a .csv or .jsonl."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all rows as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")] = False,  # noqa: ARG001
) -> None:
    """Tell which cluster of a run the rows of a file are like, by their scalar fields alone.

    The file needs the fields that the classifiers of the run were learnt from (made by explain
    --features), no vectors. cluster_id is -1 where no cluster is as probable as --threshold.
    Nothing is written to the database, nor is it asked.

    Example: vdbcluster classify last customers.csv --id-field customer --output clusters.csv
    """
    from vdbcluster.adapters.classified_file import lines_of
    from vdbcluster.wiring.classify import check_output, classify_job, write_job

    if to is not None and as_json:
        raise UsageError("--output and --json exclude each other; name a .jsonl file")
    if to is not None:
        check_output(to, file)
    found = classify_job(run_id, file, settings, id_field)
    if to is not None:
        _print_counts(found.run_id, write_job(found, to, id_field), settings.features.threshold)
        output().print(f"written to  {printable(str(to))}")
        return
    lines = (line for batch in found.batches for line in lines_of(batch, id_field))
    if as_json:
        print_json({"run_id": found.run_id, "rows": list(lines)})
        return
    first = list(islice(lines, SHOWN))
    counts = Counter(line["cluster_id"] for line in first)
    counts.update(line["cluster_id"] for line in lines)
    _print_rows(first, id_field)
    if (more := counts.total() - len(first)) > 0:
        output().print(f"and {more:,} more rows; --output FILE writes all of them")
    output().print()
    _print_counts(found.run_id, counts, settings.features.threshold)


def _print_rows(lines: list[dict[str, Any]], id_field: str) -> None:
    named = [printable(id_field)] if id_field else []
    table = plain_table("row", *named, "cluster_id", "probability", left=named)
    for line in lines:
        name = [printable(_text(line[id_field]))] if id_field else []
        probability = f"{line['cluster_probability']:.2f}"
        table.add_row(f"{line['row']:,}", *name, str(line["cluster_id"]), probability)
    print_table(output(), table)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _print_counts(run_id: str, counts: Mapping[int, int], threshold: float) -> None:
    told = [f"{count:,} in {label}" for label, count in sorted(counts.items()) if label >= 0]
    unsure = counts.get(-1, 0)
    print_pairs(
        output(),
        [
            ("run", run_id),
            ("rows", f"{sum(counts.values()):,}"),
            ("clusters", ", ".join(told) or "none"),
            ("-1", f"{unsure:,} like no cluster with a probability of {threshold:g} or more"),
        ],
    )
