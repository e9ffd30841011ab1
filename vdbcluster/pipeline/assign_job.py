"""Label the rows that came since the last run: find them, judge them, write.

In: adapters behind ports, ``Settings``, the last run. Out: ``RunManifest`` of a run of its own.
Promise: only rows without a label get one, but for rows that no cluster of the last run has as its
own: noise, and what was assigned since, may go to a cluster that forms. Nothing is written before
the plan is stored; interrupted anywhere, the next assignment finishes it first. Where there is no
new row, nothing is recorded either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError
from vdbcluster.model.labels import LabelPlan
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.apply import apply_run, recall_plan
from vdbcluster.pipeline.assign_plan import AssignOutlets, plan_assignment
from vdbcluster.pipeline.beside import minded
from vdbcluster.pipeline.journal import begin
from vdbcluster.pipeline.last_run import LastRun
from vdbcluster.ports import Observer


def assign_run(
    outlets: AssignOutlets,
    settings: Settings,
    observer: Observer,
    last: LastRun,
    *,
    run_id: str,
    versions: Mapping[str, str],
    dry_run: bool = False,
    confirm: Callable[[LabelPlan], bool] = lambda _: True,
) -> RunManifest:
    """Do the whole job; see the module. With ``dry_run`` the plan is recorded, and can be applied.

    ``settings``: those of the last run, where they decide what clusters are. Raises
    ``RefusedError`` if most rows of the run have lost their labels, or if ``confirm`` says no.
    """
    observer = minded(observer, outlets.sink)
    if last.unfinished is not None and not dry_run:
        last = _finished(outlets, observer, last, last.unfinished)
    journal = begin(outlets, settings, run_id, dict(versions))
    made = plan_assignment(outlets, settings, observer, journal, last)
    if made is None:
        return journal.manifest("written")
    if dry_run:
        return journal.manifest("planned")
    if not confirm(made.plan):
        journal.record("refused")
        raise RefusedError("not confirmed; nothing was written")
    return apply_run(made, outlets, observer)


def _finished(
    outlets: AssignOutlets, observer: Observer, last: LastRun, manifest: RunManifest
) -> LastRun:
    """With the interrupted assignment done; left as it is where others have written its rows."""
    try:
        done = apply_run(recall_plan(outlets, manifest), outlets, observer)
    except RefusedError as error:
        observer.warn(f"assignment {manifest.run_id} was interrupted and is left so: {error}")
        return last
    observer.note(f"assignment {manifest.run_id} was interrupted; it is finished now")
    return replace(last, since=(*last.since[:-1], done))
