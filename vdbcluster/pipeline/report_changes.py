"""What became of the clusters of the run before, in words.

In: the records of two runs. Out: ``Changes``; the run before. Promise: no database is asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from vdbcluster.errors import VdbclusterError
from vdbcluster.model.arrays import Int64Array
from vdbcluster.model.manifest import RunManifest, is_assignment
from vdbcluster.model.matching import EventKind
from vdbcluster.model.report import Became, Changes, Move
from vdbcluster.pipeline.diff import Difference, Side, difference
from vdbcluster.ports import RunStore

SAME = (EventKind.UNCHANGED,)
MOVES = 12
HISTORY = 8
ORDER = (
    EventKind.BORN,
    EventKind.SPLIT_FROM,
    EventKind.SPLIT_INTO,
    EventKind.MERGED_FROM,
    EventKind.MERGED_INTO,
    EventKind.DIED,
    EventKind.GROWN,
    EventKind.SHRUNK,
)
"""As a reader wants them: first what is new or no more."""


def run_before(every: Sequence[RunManifest], run: RunManifest) -> RunManifest | None:
    """The last that clustered the same rows by the same labels before ``run``, and was written."""
    earlier = [
        one
        for one in every
        if one.state == "written"
        and "clustering" in one.facts
        and not is_assignment(one)
        and (one.started, one.run_id) < (run.started, run.run_id)
        and _rows(one) == _rows(run)
    ]
    return earlier[-1] if earlier else None


def _rows(one: RunManifest) -> tuple[object, ...]:
    chosen = one.selection
    prefix = one.settings.get("write", {}).get("label_prefix")
    partitions = tuple(sorted(chosen.get("partitions", ())))
    return one.identity, chosen.get("filter", ""), partitions, prefix


def changes_since(
    runs: RunStore, before: RunManifest, after: RunManifest, heirs: Mapping[int, int]
) -> Changes:
    """Row by row; clusters that people merged (``heirs``) are one in both.

    ``VdbclusterError`` if either record holds no labels.
    """
    found = difference(_side(runs, before, heirs), _side(runs, after, heirs))
    return Changes(
        run_id=before.run_id,
        started=before.started,
        rows_before=found.rows_before,
        rows_after=found.rows_after,
        both=found.rows_both,
        gone=found.only_before,
        new=found.only_after,
        unchanged=found.unchanged,
        moved=found.moved,
        to_noise=found.to_noise,
        from_noise=found.from_noise,
        noise_before=found.noise_before,
        noise_after=found.noise_after,
        clusters_before=found.clusters_before,
        clusters_after=found.clusters_after,
        became=_became(found),
        moves=tuple(Move(f.before, f.after, f.rows, f.share) for f in found.flows[:MOVES]),
    )


def _side(runs: RunStore, manifest: RunManifest, heirs: Mapping[int, int]) -> Side:
    arrays = runs.load_arrays(manifest.run_id)
    try:
        return Side(arrays["keys"], joined_labels(arrays["cluster_id"], heirs))
    except KeyError as error:
        raise VdbclusterError(
            f"the record of run {manifest.run_id} holds no {error.args[0]}; run again"
        ) from error


def joined_labels(labels: Int64Array, heirs: Mapping[int, int]) -> Int64Array:
    """With the id that clusters have which people merged since."""
    found = labels.copy()
    for old, new in heirs.items():
        found[labels == old] = new
    return found


def _became(found: Difference) -> tuple[Became, ...]:
    told = [event for event in found.events if event.kind not in SAME]
    told.sort(key=lambda e: (ORDER.index(e.kind), -max(e.before, e.after), e.id))
    return tuple(
        Became(e.kind.value, e.id, e.before, e.after, event_line(e.to_json())) for e in told
    )


def event_line(event: Mapping[str, Any]) -> str:
    """One event in words: ``120 rows became 340``, ``split into 7 (80%), 31 (20%)``."""
    before, after = event.get("before", 0), event.get("after", 0)
    parts = ", ".join(f"{part['id']} ({part['share']:.0%})" for part in event.get("parts", ()))
    kind = str(event.get("kind", "")).replace("-", " ")
    if kind in ("grown", "shrunk", "unchanged"):
        return f"{before:,} rows became {after:,}" if before != after else f"{after:,} rows still"
    rows = f"{after or before:,} rows"
    if kind == "born":
        return f"new, {rows}" + (f"; some were in {parts}" if parts else "")
    if kind == "died":
        return f"is no more, {rows}" + (f"; they went to {parts}" if parts else "")
    return f"{kind} {parts}, {rows}".replace("  ", " ")


def history_lines(lineage: str, when: Mapping[str, str]) -> tuple[str, ...]:
    """The latest events of a cluster's lineage in words, oldest first.

    ``when``: day by run id, as far as it is known. Nothing where the lineage cannot be read.
    """
    try:
        events = json.loads(lineage)
        return tuple(_dated(event, when) for event in events[-HISTORY:])
    except (ValueError, TypeError, KeyError, AttributeError):
        return ()


def _dated(event: Mapping[str, Any], when: Mapping[str, str]) -> str:
    run = str(event.get("run", ""))
    day = when.get(run, run)
    return f"{day}: {event_line(event)}" if day else event_line(event)
