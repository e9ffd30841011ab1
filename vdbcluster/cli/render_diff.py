"""How two clusterings that were compared look on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdbcluster.cli.console import output, plain_table, print_pairs, print_table
from vdbcluster.cli.render_plan import event_lines
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.manifest import RunManifest
from vdbcluster.model.matching import EventKind

if TYPE_CHECKING:
    from vdbcluster.pipeline.diff import Difference
    from vdbcluster.wiring.comparing import Compared

SHOWN_FLOWS = 20
SHOWN_IDS = 20
SAME = (EventKind.UNCHANGED, EventKind.GROWN, EventKind.SHRUNK)


def print_comparison(compared: Compared) -> None:
    """The counts, what became of clusters, and the largest flows."""
    console, found = output(), compared.difference
    after = "now: as stored" if compared.after is None else _run(compared.after)
    lines = [("from", _run(compared.before)), ("to", after)]
    print_pairs(console, lines + _counts(found) + _clusters(found))
    if found.flows:
        console.print()
        table = plain_table("from", "to", "rows", "of from", left=("from", "to"))
        for flow in found.flows[:SHOWN_FLOWS]:
            row = (_name(flow.before), _name(flow.after), f"{flow.rows:,}", f"{flow.share:.0%}")
            table.add_row(*row)
        print_table(console, table)
        if (left := len(found.flows) - SHOWN_FLOWS) > 0:
            console.print(f"and {left:,} smaller flows; --json lists all")


def _run(manifest: RunManifest) -> str:
    return f"run {manifest.run_id} of {manifest.collection} ({manifest.state})"


def _name(cluster: int) -> str:
    return "noise" if cluster == NOISE else str(cluster)


def _counts(found: Difference) -> list[tuple[str, str]]:
    both = found.rows_both
    lines = [
        ("rows", f"{found.rows_before:,} before, {found.rows_after:,} after, {both:,} in both")
    ]
    if found.only_before or found.only_after:
        told = f"{found.only_before:,} only before, {found.only_after:,} only after"
        lines.append(("others", told))
    for name, rows, what in (
        ("unchanged", found.unchanged, "have the cluster they had"),
        ("moved", found.moved, "went to another cluster"),
        ("to noise", found.to_noise, "lost their cluster"),
        ("from noise", found.from_noise, "found a cluster"),
    ):
        share = f" ({rows / both:.1%})" if both else ""
        lines.append((name, f"{rows:,} rows{share} {what}"))
    noise = [
        f"{noise:,} rows ({noise / max(rows, 1):.1%}) {when}"
        for noise, rows, when in (
            (found.noise_before, found.rows_before, "before"),
            (found.noise_after, found.rows_after, "after"),
        )
    ]
    lines.append(("noise", ", ".join(noise)))
    return lines


def _clusters(found: Difference) -> list[tuple[str, str]]:
    lines = [("clusters", f"{found.clusters_before:,} before, {found.clusters_after:,} after")]
    for name, ids in (("ended", found.ended), ("begun", found.begun)):
        if ids:
            more = len(ids) - SHOWN_IDS
            told = ", ".join(map(str, ids[:SHOWN_IDS]))
            lines.append((name, told + (f" and {more:,} more" if more > 0 else "")))
    events = [event.to_json() for event in found.events if event.kind not in SAME]
    kinds = {event.kind.value for event in found.events}
    return lines + event_lines({"identity": {"events": kinds, "told": events}})
