"""``vdbcluster assign``."""

from __future__ import annotations

from typing import Annotated

import typer

from vdbcluster.cli.console import output, plain_table, print_pairs, print_table
from vdbcluster.cli.logs import observer_of
from vdbcluster.cli.render import print_json
from vdbcluster.cli.run import AsJson, Verbose, agreeing, check_written
from vdbcluster.config.settings import Settings
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.run_id import new_run_id
from vdbcluster.wiring.telemetry import reported

SHOWN = 20


def assign(
    settings: Settings,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do all but write.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before writing.")] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,  # noqa: ARG001
) -> None:
    """Label the rows that came since the last run, by its clusters.

    A row joins the cluster that most of its neighbours are in, if it lies as dense there as the
    cluster's own rows do; else it is noise. What forms among rows of noise becomes a cluster with
    an id of its own. Labels that a run has given to a cluster are never touched. Cost depends on
    the new rows, not on those of the run.

    Example: vdbcluster assign --uri http://localhost:19530 -c articles
    """
    run_id = new_run_id()
    observer = observer_of(settings, "assign", run_id)
    with reported(settings, "assign", observer.warn, run_id) as report:
        from vdbcluster.wiring.assigning import assign_job

        report.manifest = manifest = assign_job(
            settings, observer, run_id=run_id, dry_run=dry_run, confirm=agreeing(yes=yes)
        )
        if as_json:
            print_json(manifest.to_json())
        else:
            print_assignment(manifest)
        check_written(manifest)


def print_assignment(manifest: RunManifest) -> None:
    """What the new rows got, and the clusters that formed."""
    console = output()
    print_pairs(console, _lines(manifest))
    if manifest.clusters:
        console.print()
        table = plain_table("new cluster", "size", "stability", "representative",
                            left=("representative",))  # fmt: skip
        for row in manifest.clusters[:SHOWN]:
            stability = "-" if row.stability is None else f"{row.stability:.2f}"
            table.add_row(str(row.id), f"{row.size:,}", stability, row.representative or "")
        print_table(console, table)


def _lines(manifest: RunManifest) -> list[tuple[str, str]]:
    facts = manifest.facts
    told, read = facts["assign"], facts["read"]
    lines = [
        ("collection", f"{manifest.collection} at {manifest.selection['server']}"),
        ("by", f"the clusters of run {told['run']}"),
        ("new rows", f"{told['rows']:,}, told by {told['told_by']}"),
    ]
    if left := read["unusable"] + read["without_vector"]:
        lines.append(("left out", f"{left:,} rows have no vector that can be compared"))
    if "plan" not in facts:
        return [*lines, ("labels", "nothing to write")]
    joined = told["core"] + told["soft"]
    lines += [
        ("assigned", f"{joined:,}, {told['soft']:,} of them at a border (soft)"),
        ("noise", f"{told['noise']:,}"),
        ("emerged", _emerged(manifest)),
        ("took", f"{sum(manifest.seconds.values()):.1f} s by {told['engine']}"),
        ("run", manifest.run_id),
    ]
    return [*lines, _writing(manifest)]


def _emerged(manifest: RunManifest) -> str:
    told, emerged = manifest.facts["assign"], manifest.facts["emergence"]
    if not emerged["clusters"]:
        return "no new cluster"
    text = f"{emerged['clusters']:,} new clusters of {emerged['rows']:,} rows"
    return f"{text}, {told['rejoined']:,} of which had a label" if told["rejoined"] else text


def _writing(manifest: RunManifest) -> tuple[str, str]:
    write = manifest.facts.get("write")
    if write is None:
        changed = manifest.facts["plan"]["changed"]
        return "would write", f"{changed:,} rows; vdbcluster apply {manifest.run_id} writes them"
    skipped, failed = write["vanished"] + write["skipped"], write["failed"] + write["mismatched"]
    return "labels", f"{write['written']:,} written, {skipped:,} skipped, {failed:,} failed"
