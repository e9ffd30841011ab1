"""What of a clustering a reader should not rely on.

In: the manifest of a run, what was measured. Out: lines. Promise: no I/O; nothing where nothing is
doubtful.
"""

from __future__ import annotations

from collections.abc import Iterator

from vdbcluster.model.manifest import ClusterRow, RunManifest, unwritten_catalogue
from vdbcluster.model.report import Grade, Measure
from vdbcluster.pipeline.report_quality import DISSOLVED, PATTERN

NAMED = 6
"""Clusters that a line names."""


def doubts(manifest: RunManifest, found: tuple[Measure, ...]) -> tuple[str, ...]:
    """What a reader should not rely on; empty if nothing is doubtful."""
    told = [f"{one.name}: {one.verdict}" for one in found if one.grade == Grade.DOUBTFUL]
    return (*told, *_shaky(manifest.clusters), *_records(manifest))


def cluster_doubts(row: ClusterRow) -> tuple[str, ...]:
    """Why one cluster may be none."""
    told = []
    if row.stability is not None and row.stability < PATTERN:
        told.append(
            f"stability {row.stability:.2f}: samples of the data hardly find it again"
            if row.stability < DISSOLVED
            else f"stability {row.stability:.2f}: samples of the data find a part of it again"
        )
    if row.soft * 3 > 2 * row.size:
        told.append(
            f"{row.soft / row.size:.0%} of its rows were noise at first and are here because "
            "their neighbours are"
        )
    return tuple(told)


def _shaky(rows: tuple[ClusterRow, ...]) -> Iterator[str]:
    shaky = [row for row in rows if row.stability is not None and row.stability < PATTERN]
    if shaky:
        named = ", ".join(str(row.id) for row in shaky[:NAMED])
        more = f" and {len(shaky) - NAMED} more" if len(shaky) > NAMED else ""
        yield (
            f"{'Cluster' if len(shaky) == 1 else 'Clusters'} {named}{more}: stability below "
            f"{PATTERN}; samples of the data find hardly more than a part again."
        )


def _records(manifest: RunManifest) -> Iterator[str]:
    if manifest.state == "rolled-back":
        yield "The run was rolled back: the collection no longer has these labels."
    elif manifest.state != "written":
        yield f"The run is {manifest.state}: its labels are not, or not all, in the collection."
    if why := unwritten_catalogue(manifest):
        yield f"The catalogue of clusters could not be written: {why}"
