"""Take a run back: which run, whether it may be, and on what.

In: the name of a run, the settings of now. Out: its ``RunManifest`` afterwards.
Promise: server, collection, filter, names of the fields and way of writing are those that the run
recorded (another address or token may be given); nothing is written while a later run of the same
rows stands, unless that is forced, nor while another run holds the lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError, UsageError
from vdbcluster.model.manifest import RunManifest, RunState
from vdbcluster.pipeline.rollback import Confirm, roll_back_run
from vdbcluster.ports import Observer
from vdbcluster.wiring.history import LAST, found_run
from vdbcluster.wiring.main_job import open_bench
from vdbcluster.wiring.recorded import recorded_settings

WRITTEN: tuple[RunState, ...] = ("writing", "written")
"""States of a run that has, or may have, written labels which are not taken back."""


def rollback_job(
    name: str,
    settings: Settings,
    observer: Observer,
    *,
    dry_run: bool = False,
    forced: bool = False,
    confirm: Confirm = lambda _: True,
) -> RunManifest:
    """Put back what was there before run ``name``; ``last`` is the newest that has written.

    ``forced``: though a later run has written, whose labels stay. Raises ``UsageError`` if the run
    has written nothing, ``RefusedError`` if a later one has or ``confirm`` says no. A run that is
    rolled back already is returned as it is.
    """
    runs = RunDirectory(settings.run.runs_dir)
    manifest = _last(runs) if name == LAST else found_run(settings.run.runs_dir, name)
    if manifest.state == "rolled-back":
        observer.note(f"run {manifest.run_id} is rolled back already; nothing was written")
        return manifest
    if manifest.state not in WRITTEN:
        raise UsageError(
            f"run {manifest.run_id} has written nothing (it ended as {manifest.state!r}), so there "
            "is nothing to roll back"
        )
    then = _as_written(manifest, recorded_settings(manifest, settings))
    with (
        open_bench(then, observer) as bench,
        bench.looking() if dry_run else bench.writing(manifest.run_id) as adapters,
    ):
        # Looked at again under the lock: another run may have ended meanwhile.
        later = [one.run_id for one in written_later(runs.every(), manifest)]
        if later and not forced and not dry_run:
            raise RefusedError(
                f"run {later[-1]} has written labels of the same rows later; roll that back "
                f"first, or pass --yes to put back only what it has left of run {manifest.run_id}"
            )
        manifest = runs.load(manifest.run_id)
        return roll_back_run(adapters, manifest, observer, dry_run=dry_run, confirm=confirm)


def written_later(runs: Sequence[RunManifest], this: RunManifest) -> list[RunManifest]:
    """Of ``runs``, oldest first, those after ``this`` that have written labels of its rows.

    By when they started: one that was planned before ``this`` and applied after it is not among
    them, and its labels stay all the same, as rows that were changed since.
    """
    ids = [manifest.run_id for manifest in runs]
    after = runs[ids.index(this.run_id) + 1 :] if this.run_id in ids else ()
    return [one for one in after if one.state in WRITTEN and _overlap(one, this)]


def _overlap(one: RunManifest, other: RunManifest) -> bool:
    """Whether both certainly write to some of the same rows, under the same names."""
    if one.identity != other.identity or _prefix(one) != _prefix(other):
        return False
    parts = [_part(one), _part(other)]
    return parts[0] == parts[1] or ("", ()) in parts


def _part(manifest: RunManifest) -> tuple[str, tuple[str, ...]]:
    chosen = manifest.selection
    return chosen.get("filter", ""), tuple(chosen.get("partitions", ()))


def _prefix(manifest: RunManifest) -> Any:
    return manifest.settings.get("write", {}).get("label_prefix")


def _last(runs: RunDirectory) -> RunManifest:
    written = [manifest for manifest in runs.every() if manifest.state in WRITTEN]
    if not written:
        raise UsageError("no run here has written labels that are not rolled back; see --runs-dir")
    return written[-1]


def _as_written(manifest: RunManifest, settings: Settings) -> Settings:
    """Labels are taken back the way they were written, whatever would be chosen today.

    Values that nobody knows may stand in other rows: they are left alone, so need not be adopted.
    """
    told = manifest.facts.get("way", {}).get("name", settings.write.way)
    write = settings.write.model_copy(update={"way": told, "adopt": True})
    return settings.model_copy(update={"write": write})
