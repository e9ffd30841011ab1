"""How results look on a terminal, and as JSON; standard output only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from vdbcluster.cli.render_copies import copies_lines
from vdbcluster.cli.render_plan import has_changes, plan_lines
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.inspection import Estimate, Inspection
from vdbcluster.model.manifest import RunManifest, unwritten_catalogue

SHOWN_CLUSTERS = 40
TOLD_SECONDS = 1.0
"""Writing that took less is not worth a line about how fast it was."""


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON document."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _console() -> Console:
    return Console(highlight=False, markup=False, soft_wrap=True)


def print_run(manifest: RunManifest) -> None:
    """Summary of a run and the table of its clusters."""
    console = _console()
    for name, text in _summary(manifest):
        console.print(f"{name:<12} {text}")
    if manifest.clusters:
        console.print()
        console.print(_cluster_table(manifest), soft_wrap=False)
        left = len(manifest.clusters) - SHOWN_CLUSTERS
        if left > 0:
            console.print(f"and {left:,} smaller clusters; --json lists all")
    console.print()
    console.print(_next_step(manifest))


def _summary(manifest: RunManifest) -> list[tuple[str, str]]:
    facts = manifest.facts
    neighbors, clustering = facts["neighbors"], facts["clustering"]
    noise = clustering["noise"] / clustering["rows"] if clustering["rows"] else 0.0
    lines = [
        ("collection", f"{manifest.collection} at {manifest.selection['server']}"),
        ("rows", f"{clustering['rows']:,} of {facts['read']['counted_after']:,} counted"),
        (
            "neighbours",
            f"{neighbors['n_neighbors']} by {neighbors['engine']}, {neighbors['metric']}"
            f"{_reused(neighbors)}",
        ),
        ("recall", _recall(facts["audit"])),
        (
            "clusters",
            f"{clustering['clusters']:,}, noise {clustering['noise']:,} rows ({noise:.0%})"
            f"{_soft(clustering)}",
        ),
        ("method", _method(clustering["recipe"])),
    ]
    if "components" in clustering:
        lines.append(("components", f"{clustering['components']:,} in the neighbour graph"))
    if "certified" in clustering:
        lines.append(
            ("certified", f"{clustering['certified']:.1%} of merges equal HDBSCAN on the vectors")
        )
    if "recursion" in facts:
        lines.append(("recursion", facts["recursion"]["told"]))
    if told := _identity(facts):
        lines.append(("identity", told))
    lines += copies_lines(facts)
    lines += [
        ("run", manifest.run_id),
        ("way", f"{facts['way']['name']}: {facts['way']['reason']}"),
    ]
    if told := _memory(facts):
        lines.append(("memory", told))
    return lines + _writing(manifest)


def _memory(facts: Mapping[str, Any]) -> str:
    """The peak of our own memory and its stage; empty where nothing was measured."""
    stages = facts.get("memory", {}).get("stages")
    if not stages:
        return ""
    most = max(stages, key=lambda stage: stages[stage]["own_mb"])
    mapped = max(stage["files_mb"] for stage in stages.values())
    return f"{stages[most]['own_mb']:,} MiB at the peak ({most}), {mapped:,} MiB of mapped files"


def _reused(neighbors: Mapping[str, Any]) -> str:
    """Whose neighbours they are, if not those of this run alone."""
    how = neighbors.get("from", "searched")
    if how == "kept":
        return f"; found by run {neighbors['run']}, nothing has changed since"
    if how == "carried":
        return f"; carried over from run {neighbors['run']}, {neighbors['searched']:,} searched"
    return ""


def _soft(clustering: Mapping[str, Any]) -> str:
    soft, rows = clustering["soft"], clustering["rows"]
    return f", {soft:,} ({soft / rows:.0%}) given to clusters by their neighbours" if soft else ""


def _method(recipe: Mapping[str, Any]) -> str:
    """What ``auto`` came to, in the words of the settings."""
    told = str(recipe["method"])
    if recipe["smooth"] != "none":
        told += f", smooth {recipe['smooth']}"
    if recipe["method"] in ("kmeans", "leiden"):
        return told
    params = recipe["hdbscan"]
    return (
        f"{told}, min_cluster_size {params['min_cluster_size']}, "
        f"min_samples {params['min_samples']}"
    )


SAME = ("unchanged", "grown", "shrunk")
"""Events of clusters that were there before and still are."""


def _identity(facts: Mapping[str, Any]) -> str:
    """What became of the clusters of the last run; empty where there was none."""
    events = dict(facts.get("identity", {}).get("events", {}))
    kept = sum(events.pop(kind, 0) for kind in SAME)
    if not kept and set(events) <= {"born"}:
        return ""
    others = ", ".join(f"{count} {kind.replace('-', ' ')}" for kind, count in events.items())
    held = facts["identity"].get("held", 0)
    stay = f"; {held:,} border rows stay where they were" if held else ""
    return f"{kept} clusters keep their id" + (f"; {others}" if others else "") + stay


def _recall(audit: Mapping[str, Any]) -> str:
    if not audit["sample"]:
        return "not audited"
    return (
        f"{audit['recall']:.3f} (95 % {audit['low']:.3f} to {audit['high']:.3f}) of the true "
        f"neighbours, on {audit['sample']:,} rows"
        + (f"; as run {audit['run']} found" if "run" in audit else "")
    )


def writing_speed(write: Mapping[str, Any]) -> str:
    """How fast labels were sent, where that took a while; empty elsewhere and for older runs."""
    seconds, paused = write.get("seconds", 0.0), write.get("paused", 0.0)
    if seconds < TOLD_SECONDS and not paused:
        return ""
    told = f"{write['written'] / max(seconds, 1e-3):,.0f} rows a second, {seconds:,.0f} s"
    return f"{told}; paused {paused:,.0f} s for readers" if paused else told


def _writing(manifest: RunManifest) -> list[tuple[str, str]]:
    if "write" not in manifest.facts:
        return plan_lines(manifest)
    write = manifest.facts["write"]
    skipped = write["vanished"] + write["skipped"]
    lines = [
        (
            "labels",
            f"{write['written']:,} written, {write['unchanged']:,} unchanged, "
            f"{skipped:,} skipped, {write['failed'] + write['mismatched']:,} failed",
        )
    ]
    if told := writing_speed(write):
        lines.append(("speed", told))
    if write["vanished"]:
        lines.append(("deleted", f"{write['vanished']:,} rows were deleted meanwhile"))
    read = manifest.facts["read"]
    if left := read["unusable"] + read["without_vector"]:
        lines.append(("left out", f"{left:,} rows have no vector that can be compared"))
    if write["unlabelled"]:
        lines.append(("new", f"{write['unlabelled']:,} rows carry no label (added meanwhile)"))
    name = manifest.facts.get("catalogue", {}).get("name")
    if name and not unwritten_catalogue(manifest):
        lines.append(("catalogue", f"{name}: size, stability, medoid and centroid of each cluster"))
    lines += [("note", message) for message in write["messages"]]
    return lines


def _cluster_table(manifest: RunManifest) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for heading in ("id", "size", "soft", "stability"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    table.add_column("representative", overflow="ellipsis", no_wrap=True, ratio=1)
    for cluster in manifest.clusters[:SHOWN_CLUSTERS]:
        table.add_row(
            str(cluster.id),
            f"{cluster.size:,}",
            f"{cluster.soft / cluster.size:.0%}",
            "-" if cluster.stability is None else f"{cluster.stability:.2f}",
            cluster.representative or "",
        )
    return table


def _next_step(manifest: RunManifest) -> str:
    if manifest.state == "rolled-back":
        return "It was rolled back: the labels of before are there again."
    if "write" not in manifest.facts:
        if not has_changes(manifest):
            return "Nothing would change, and nothing was written."
        return f"Nothing was written. To write it: vdbcluster apply {manifest.run_id}"
    if not manifest.clusters:
        return "No cluster was found; lower --min-cluster-size, or pass --allow-single-cluster."
    way, chosen = manifest.facts["way"], manifest.selection["filter"]
    own = f"{manifest.settings['write']['label_prefix']}id == {manifest.clusters[0].id}"
    if way["name"] == "side-collection":
        return (
            f"Filter by it: keys of {way['target']} where {own}; the README shows how to use them."
        )
    return f"Filter by it in {way['target']}: {own}{f' and ({chosen})' if chosen else ''}"


def print_inspection(inspection: Inspection) -> None:
    """What the collection is, and what a run would do."""
    console = _console()
    for name, text in [*_profile_lines(inspection.profile), *_outlook(inspection)]:
        console.print(f"{name:<14} {text}")
    for remark in inspection.remarks:
        console.print(f"{'remark':<14} {remark}")
    for problem in inspection.problems:
        console.print(f"{'problem':<14} {problem}", style="red")


def _profile_lines(profile: CollectionProfile) -> list[tuple[str, str]]:
    key = profile.key
    lines = [
        ("server", f"{profile.server.kind} {profile.server.version} at {profile.server.address}"),
        (
            "collection",
            f"{profile.name}{_aliases(profile)}, {profile.rows:,} rows, {_state(profile)}",
        ),
        ("primary key", f"{key.name} {key.type}{', auto id' if key.auto_id else ''}"),
    ]
    for vector in profile.vectors:
        index = f"{vector.index} index, {vector.metric}" if vector.index else "no index"
        lines.append(("vector", f"{vector.name} {vector.type}({vector.dim}), {index}"))
    fields = ", ".join(
        f"{s.name} {s.type}{' nullable' if s.nullable else ''}" for s in profile.scalars
    )
    lines.append(("fields", fields or "none"))
    lines.append(("dynamic field", "on" if profile.dynamic else "off"))
    lines.append(("partitions", ", ".join(profile.partitions)))
    if profile.partition_key:
        lines.append(("partition key", profile.partition_key))
    return lines


def _aliases(profile: CollectionProfile) -> str:
    return f" (alias {', '.join(profile.aliases)})" if profile.aliases else ""


def _state(profile: CollectionProfile) -> str:
    if profile.server.kind == "lite":
        return "loaded when opened"
    return "loaded" if profile.loaded else "not loaded"


def _outlook(inspection: Inspection) -> list[tuple[str, str]]:
    estimate = inspection.estimate
    lines = [
        (
            "selected",
            f"{inspection.selected_rows:,} rows by {inspection.vector_field or 'no field'}",
        ),
        ("neighbours", inspection.neighbors),
        ("write-back", _way(inspection)),
        ("memory", f"about {estimate.memory_mb:,} MiB at the peak{_of_workers(estimate)}"),
        (
            "disk",
            f"about {estimate.disk_mb:,.0f} MiB while it runs, {estimate.record_mb:,.1f} MiB kept",
        ),
    ]
    if estimate.sampled_rows:
        parts = ", ".join(
            f"{stage} {seconds:,.0f} s" for stage, seconds in estimate.seconds.items()
        )
        lines.append(("time", f"about {estimate.total_seconds:,.0f} s ({parts})"))
    return lines


def _of_workers(estimate: Estimate) -> str:
    return f", and {estimate.worker_mb:,} MiB in each worker" if estimate.worker_mb else ""


def _way(inspection: Inspection) -> str:
    way = inspection.way
    return f"{way.name}: {way.reason}" if way else "none"
