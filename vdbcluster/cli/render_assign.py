"""How an assignment looks on a terminal."""

from __future__ import annotations

from vdbcluster.cli.console import output, plain_table, print_pairs, print_table
from vdbcluster.cli.printable import printable
from vdbcluster.model.manifest import RunManifest

SHOWN = 20


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
            table.add_row(
                str(row.id), f"{row.size:,}", stability, printable(row.representative or "")
            )
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
