"""The runs that a directory keeps: found by name, listed, pruned.

In: a directory of runs, and names as people type them. Out: manifests, and which may be removed.
Promise: no database is asked; what ``assign``, ``rollback`` or a run under way still needs is never
offered for removal, nor is a record that cannot be read.

    found_run(runs_dir, "last")
    found_run(runs_dir, "20260301T03")          # a beginning that only one run has
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.model.manifest import RunManifest, RunState, is_assignment
from vdbcluster.model.outcome import Figures, figures_of

LAST = "last"
SHOWN = 5
UNITS = {"h": "hours", "d": "days", "w": "weeks"}
UNFINISHED: tuple[RunState, ...] = ("reading", "planned", "writing")
KINDS = ("clustering", "kept")
"""Facts of a run that clustered all rows, and of one that ``assign`` can go by."""


@dataclass(frozen=True, slots=True)
class History:
    """All runs of a directory, oldest first; ``damaged``: what is wrong, by run id."""

    runs: tuple[RunManifest, ...]
    damaged: dict[str, str]


def history(runs_dir: Path) -> History:
    """What ``runs_dir`` holds; nothing if it is not there."""
    runs = RunDirectory(runs_dir)
    every = runs.every()
    damaged: dict[str, str] = {}
    for run_id in sorted(set(runs.ids()) - {manifest.run_id for manifest in every}):
        try:
            runs.load(run_id)
        except VdbclusterError as error:
            damaged[run_id] = str(error)
    return History(every, damaged)


def found_run(runs_dir: Path, name: str) -> RunManifest:
    """The run ``name``: its id, the beginning of one id alone, or ``last`` for the newest.

    Raises ``UsageError`` that names the directory and what there is, ``VdbclusterError`` if its
    record is damaged.
    """
    runs = RunDirectory(runs_dir)
    ids = runs.ids()
    if name == LAST:
        return _newest(runs, runs_dir)
    begun = [run_id for run_id in ids if name and run_id.startswith(name)]
    if name in ids or not begun:
        return runs.load(name)
    if len(begun) > 1:
        told = ", ".join(begun[:SHOWN]) + (" ..." if len(begun) > SHOWN else "")
        raise UsageError(f"{len(begun)} runs in {runs_dir} begin with {name!r}: {told}; type more")
    return runs.load(begun[0])


def clustered_run(runs_dir: Path, name: str) -> RunManifest:
    """As ``found_run``, but ``last`` is the newest that clustered all rows: assignments and merges
    are passed over.
    """
    if name == LAST:
        every = RunDirectory(runs_dir).every()
        clustered = [one for one in every if "plan" in one.facts and not is_assignment(one)]
        if clustered:
            return clustered[-1]
    return found_run(runs_dir, name)


def _newest(runs: RunDirectory, runs_dir: Path) -> RunManifest:
    """By when it started; one that is damaged is not passed over for an older one."""
    every = runs.every()
    readable = {manifest.run_id for manifest in every}
    damaged = max((run_id for run_id in runs.ids() if run_id not in readable), default="")
    if damaged and (not every or damaged > every[-1].run_id):
        return runs.load(damaged)
    if not every:
        raise UsageError(
            f"there is no run in {runs_dir}; vdbcluster run makes one, or name the directory of "
            "its record with --runs-dir"
        )
    return every[-1]


def started(manifest: RunManifest) -> datetime | None:
    """When, in UTC; of records of version 1 what their id says; None if nothing does."""
    try:
        if manifest.started:
            return datetime.fromisoformat(manifest.started).astimezone(UTC)
        return datetime.strptime(manifest.run_id[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def figures(manifest: RunManifest) -> Figures:
    """Rows, clusters, noise and rows that change, as far as the run came."""
    return figures_of(manifest.to_json())


def listed(manifest: RunManifest) -> dict[str, Any]:
    """One line of the list, as plain values."""
    moment, found = started(manifest), figures(manifest)
    return {
        "run_id": manifest.run_id,
        "state": manifest.state,
        "started": None if moment is None else moment.isoformat(timespec="seconds"),
        "collection": manifest.collection,
        "selection": dict(manifest.selection),
        "rows": found.rows,
        "clusters": found.clusters,
        "noise_share": found.noise_share,
        "changed": found.changed,
    }


def age(text: str) -> timedelta:
    """``30d``, ``12h``, ``2w``. Raises ``UsageError`` for anything else."""
    said = re.fullmatch(r"([0-9]{1,5})([hdw])", text.strip())
    if said is None:
        raise UsageError(f"{text!r} is no age; write 12h, 30d or 2w")
    return timedelta(**{UNITS[said[2]]: int(said[1])})


def removable(
    runs: Sequence[RunManifest],
    *,
    keep: int | None = None,
    older: timedelta | None = None,
    now: datetime,
) -> tuple[RunManifest, ...]:
    """Of ``runs``, oldest first, those that may go: beyond the newest ``keep`` and ``older``.

    Each selection counts for itself. A run of which nobody knows when it started is not old.
    """
    groups: dict[str, list[RunManifest]] = defaultdict(list)
    for manifest in runs:
        groups[_selection(manifest)].append(manifest)
    found: list[RunManifest] = []
    for group in groups.values():
        beyond = group if keep is None else group[: max(0, len(group) - keep)]
        needed = _needed(group)
        found += [one for one in beyond if one.run_id not in needed and _is_old(one, older, now)]
    return tuple(found)


def remove(runs_dir: Path, runs: Sequence[RunManifest]) -> None:
    """Remove the records of ``runs``."""
    for manifest in runs:
        RunDirectory(runs_dir).remove(manifest.run_id)


def _selection(manifest: RunManifest) -> str:
    """What two runs have in common that write the same labels."""
    write = manifest.settings.get("write", {})
    return repr(
        (
            manifest.collection,
            sorted(manifest.selection.items()),
            write.get("label_prefix"),
        )
    )


def _needed(group: Sequence[RunManifest]) -> set[str]:
    """Runs that stay: the newest that is written, of each kind too, and the newest unfinished.

    The newest that gave numbers within clusters too, rolled back or not: it knows those of all runs
    before. And all that was assigned by their clusters: the next rows are judged by that as well.
    """
    from vdbcluster.pipeline.paths import GAVE  # a list of runs needs none of what that loads

    written = [one for one in group if one.state == "written"]
    runs = [one for one in written if not is_assignment(one)]
    kinds = [[one for one in runs if kind in one.facts] for kind in KINDS]
    unfinished = [one for one in group if one.state in UNFINISHED]
    numbered = [one for one in group if one.state in GAVE and "recursion" in one.facts]
    needed = {found[-1].run_id for found in (written, *kinds, unfinished, numbered) if found}
    assigned = (one for one in written if is_assignment(one))
    return needed | {one.run_id for one in assigned if one.facts["assign"]["run"] in needed}


def _is_old(manifest: RunManifest, older: timedelta | None, now: datetime) -> bool:
    if older is None:
        return True
    moment = started(manifest)
    return moment is not None and now - moment > older
