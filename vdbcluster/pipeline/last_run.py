"""What new rows are judged by: the last run that was written, and what was assigned since.

In: the records of all runs, the manifest of an assignment that begins. Out: ``LastRun``; from it
``Kept``. Promise: no database is asked; a run whose clusters are not those of the rows in question
is refused, with the reason and what to do.

    last = last_run(runs.every(), begun)
    kept = recalled(runs, last)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from vdbcluster.errors import RefusedError
from vdbcluster.model.catalogue import Catalogue
from vdbcluster.model.manifest import RunManifest, RunState, is_assignment
from vdbcluster.pipeline.kept import Kept, recall
from vdbcluster.ports import RunStore

HAS_WRITTEN: tuple[RunState, ...] = ("writing", "written")
"""States of a run that has, or may have, written labels which are not taken back."""
CLUSTERED, KEPT = "clustering", "kept"
"""Facts of a run that clustered all rows, and of one that kept what later rows are judged by."""


@dataclass(frozen=True, slots=True)
class LastRun:
    """``run``: the last that clustered all rows and was written; ``since``: what was assigned.

    The oldest first; the newest of them may have been interrupted (``unfinished``).
    """

    run: RunManifest
    since: tuple[RunManifest, ...]

    @property
    def unfinished(self) -> RunManifest | None:
        """An assignment that was interrupted while it wrote labels, or before its catalogue."""
        last = self.since[-1] if self.since else None
        if last is None or (last.state == "written" and not _lacks_catalogue(last)):
            return None
        return last

    @property
    def next_id(self) -> int:
        """No id below it may be given to a cluster."""
        every = (self.run, *self.since)
        return max(int(one.facts.get("identity", {}).get("next_id", 0)) for one in every)


def _lacks_catalogue(manifest: RunManifest) -> bool:
    return not manifest.facts.get("catalogue", {}).get("written", True)


def last_run(every: Sequence[RunManifest], begun: RunManifest) -> LastRun:
    """For an assignment to the rows that ``begun`` selects; ``every``: the oldest first.

    Raises ``RefusedError`` where there is no such run: none yet, the collection was created anew
    since, other rows or another vector field were clustered, it was interrupted, or it kept nothing
    that later rows could be judged by.
    """
    written = [one for one in every if one.state in HAS_WRITTEN and _same_labels(one, begun)]
    clustered = [one for one in written if CLUSTERED in one.facts and not is_assignment(one)]
    same = [one for one in clustered if _rows(one) == _rows(begun)]
    if not same or same[-1].identity != begun.identity:
        raise RefusedError(_why_none(clustered, same, begun))
    found = same[-1]
    if why := _why_not(found, begun):
        raise RefusedError(why)
    later = (one for one in written if is_assignment(one))
    since = tuple(one for one in later if one.facts["assign"]["run"] == found.run_id)
    return LastRun(found, since)


def _same_labels(one: RunManifest, other: RunManifest) -> bool:
    return one.collection == other.collection and _prefix(one) == _prefix(other)


def _prefix(manifest: RunManifest) -> object:
    return manifest.settings.get("write", {}).get("label_prefix")


def _rows(manifest: RunManifest) -> tuple[str, tuple[str, ...]]:
    chosen = manifest.selection
    return chosen.get("filter", ""), tuple(sorted(chosen.get("partitions", ())))


def _why_none(
    clustered: Sequence[RunManifest], same: Sequence[RunManifest], begun: RunManifest
) -> str:
    name = begun.collection
    if same:
        return (
            f"the collection {name!r} was dropped and created anew since run {same[-1].run_id}; "
            "run vdbcluster run first"
        )
    if clustered:
        text, partitions = _rows(clustered[-1])
        told = f"filter {text!r}" if text else "no filter"
        told += f", partitions {', '.join(partitions)}" if partitions else ""
        return (
            f"no run has labelled the rows that are selected: run {clustered[-1].run_id} of "
            f"{name!r} had {told}; select the same, or run vdbcluster run first"
        )
    return (
        f"no run has labelled {name!r} yet, as far as the runs directory tells; run vdbcluster run "
        "first, or name its directory with --runs-dir"
    )


def _why_not(found: RunManifest, begun: RunManifest) -> str:
    name = found.run_id
    field, wanted = found.selection["vector_field"], begun.selection["vector_field"]
    if field != wanted:
        return (
            f"run {name} clustered by the field {field!r}, not by {wanted!r}; pass --vector-field"
        )
    if found.state == "writing":
        return (
            f"run {name} was interrupted while it wrote its labels; finish it with vdbcluster "
            f"apply {name}, or run vdbcluster run again"
        )
    if KEPT in found.facts:
        return ""
    if found.settings.get("neighbors", {}).get("center") == "language":
        return (
            f"run {name} took the language of each text out of the vectors (center language), and "
            "what a new row is to be compared with then is not known; run vdbcluster run again"
        )
    return (
        f"run {name} kept nothing that later rows could be judged by (an earlier version of "
        "vdbcluster made it, or it had no two rows to compare); run vdbcluster run again"
    )


def recalled(runs: RunStore, last: LastRun, held: Catalogue | None) -> Kept:
    """By what new rows are judged; clusters that people merged (``held``) are one.

    An assignment that was not finished counts for nothing: what it wrote is labelled, and votes
    for nobody.
    """
    heirs = held.heirs() if held is not None else {}
    run = _of(runs, last.run).renamed(heirs)
    done = [_of(runs, one) for one in last.since if one.state == "written"]
    if not done:
        return run
    return run.followed_by(reduce(Kept.patched, done).renamed(heirs))


def _of(runs: RunStore, manifest: RunManifest) -> Kept:
    try:
        return recall(runs.load_arrays(manifest.run_id, "kept"), manifest.facts["kept"])
    except KeyError as error:
        raise RefusedError(
            f"the record of run {manifest.run_id} lacks {error.args[0]!r} (another version of "
            "vdbcluster made it); run vdbcluster run again"
        ) from error
