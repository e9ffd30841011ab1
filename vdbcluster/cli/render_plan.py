"""What a run changes, in words: rows that move, noise, and what becomes of clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vdbcluster.model.manifest import RunManifest

SHOWN_EVENTS = 20


def has_changes(manifest: RunManifest) -> bool:
    """Whether writing the run would change a row or a cluster."""
    facts = manifest.facts
    return bool(facts["plan"]["changed"] or facts["identity"].get("told"))


def plan_lines(manifest: RunManifest) -> list[tuple[str, str]]:
    """For the summary of a run that is not written."""
    plan = manifest.facts["plan"]
    new, rows = plan["unlabelled_before"], plan["rows"]
    labelled = rows - new
    told = f"{plan['changed']:,} rows"
    if new:
        told += f"; {new:,} have no label yet"
    if labelled:
        told += f"; {plan['moved']:,} of {labelled:,} ({plan['moved'] / labelled:.0%}) move cluster"
    lines = [("would write", told if plan["changed"] else "nothing")]
    if labelled:
        before, after = plan["noise_before"] / labelled, plan["noise"] / rows
        lines.append(("noise", f"{before:.1%} of the labelled rows before, {after:.1%} then"))
    return lines + event_lines(manifest.facts)


def event_lines(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What becomes of clusters, those of most rows first; nothing on a first run."""
    identity = facts["identity"]
    told = identity.get("told", [])
    if set(identity["events"]) <= {"born"}:
        return []
    ordered = sorted(told, key=lambda e: (-max(e["before"], e["after"]), e["id"]))
    lines = [("event", event_text(event)) for event in ordered[:SHOWN_EVENTS]]
    if (left := len(ordered) - SHOWN_EVENTS) > 0:
        lines.append(("event", f"and {left:,} more; --json lists all"))
    return lines


def event_text(event: Mapping[str, Any]) -> str:
    """One event in words: ``cluster 7 (120 rows) split into 7 (80%), 31 (20%)``."""
    parts = ", ".join(f"{part['id']} ({part['share']:.0%})" for part in event["parts"])
    rows = event["after"] or event["before"]
    kind = event["kind"].replace("-", " ")
    if event["kind"] in ("born", "died") and parts:
        parts = ("with rows of " if event["kind"] == "born" else "its rows went to ") + parts
        return f"cluster {event['id']} ({rows:,} rows) {kind}; {parts}"
    return f"cluster {event['id']} ({rows:,} rows) {kind} {parts}".rstrip()
