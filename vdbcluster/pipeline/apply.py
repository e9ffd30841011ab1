"""Write what a run has planned: the labels, then what its clusters are.

In: ``Planned``, of this process or recalled from the record of a run; outlets.
Out: ``RunManifest``.
Promise: the collection is the one that was read, or nothing is written; interrupted anywhere, the
same again (or a new run) finishes the job; edits that people made meanwhile stay.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import asdict
from typing import Any

from vdbcluster.errors import BackendError, CollectionChangedError, RefusedError, UsageError
from vdbcluster.model.manifest import RunManifest, is_assignment
from vdbcluster.pipeline.adapters import Outlets
from vdbcluster.pipeline.beside import beside, minded
from vdbcluster.pipeline.journal import Journal
from vdbcluster.pipeline.planned import Planned
from vdbcluster.pipeline.read import check_same
from vdbcluster.pipeline.record import catalogues, plan_arrays, planned, still
from vdbcluster.pipeline.write import write_labels
from vdbcluster.ports import Observer
from vdbcluster.ports.catalogue import Ready


def recall_plan(outlets: Outlets, manifest: RunManifest, *, forced: bool = False) -> Planned:
    """The plan of a run that was recorded, against what is stored now.

    What the run has written already, when it was interrupted, stays; ``old`` in its record becomes
    what is stored now, but for these rows. Raises ``UsageError`` if the run has no plan,
    ``CollectionChangedError`` if the collection was created anew since, ``RefusedError`` if rows
    have other labels by now than when it was planned, unless ``forced``.
    """
    if "plan" not in manifest.facts:
        raise UsageError(
            f"run {manifest.run_id} has no plan (it ended as {manifest.state!r}); plan again"
        )
    if manifest.identity != outlets.profile.identity:
        raise CollectionChangedError(
            f"run {manifest.run_id} was planned for an earlier collection {manifest.collection!r}, "
            "which was created anew since; plan again"
        )
    runs, run_id = outlets.runs, manifest.run_id
    recorded = planned(runs.load_arrays(run_id))
    before, after = catalogues(runs.load_arrays(run_id, "catalogue"))
    partial = is_assignment(manifest)
    keys = recorded.new.keys if partial else None
    standing = still(recorded, outlets.sink.result().stored(keys))
    if (others := standing.meanwhile + standing.gone) and not forced:
        raise RefusedError(
            f"{others:,} rows have other labels by now than when run {run_id} was planned (another "
            "run has written, or somebody else); plan again, or write over them with --yes"
        )
    runs.save_arrays(run_id, plan_arrays(standing.before))
    read = manifest.facts["read"]
    left_out = read["unusable"] + read["without_vector"]
    return Planned(
        Journal(runs, manifest, outlets.machine), standing.plan, before, after, left_out, partial
    )


def apply_run(made: Planned, outlets: Outlets, observer: Observer) -> RunManifest:
    """Write the labels that differ, read them back; then replace the catalogue."""
    journal = made.journal
    sink = outlets.sink.result()
    journal.facts["way"] = asdict(sink.way)  # the plan could only foresee it
    journal.record("writing")
    check_same(outlets.source, outlets.profile)
    with beside(lambda: _prepared(made, outlets)) as news:
        with journal.timed("write"):
            report = write_labels(
                made.plan,
                sink,
                outlets.source,
                minded(observer, outlets.sink),
                left_out=made.left_out,
                partial=made.partial,
                elsewhere=outlets.elsewhere,
            )
        journal.facts["write"] = asdict(report)
        written = journal.record("written")
        if made.catalogue is None or outlets.catalogue is None:
            return written
        with journal.timed("catalogue"):
            name = journal.facts["catalogue"].get("name", "")
            journal.facts["catalogue"] = {"name": name, **_shown(news)}
    return journal.record("written")


def _prepared(made: Planned, outlets: Outlets) -> Ready | BackendError | None:
    """The catalogue, stored while the labels are written: a server takes seconds to load it.

    What people have edited since ``made.before`` was read stays. Nobody sees it before the labels.
    """
    if made.catalogue is None or outlets.catalogue is None:
        return None
    try:
        return outlets.catalogue().prepare(made.catalogue, since=made.before)
    except BackendError as error:
        return error


def _shown(news: Future[Ready | BackendError | None]) -> dict[str, Any]:
    """What becomes of the catalogue once the labels are written.

    An error is a fact of the run (``unwritten_catalogue``) by then; the next run finishes the job.
    """
    try:
        ready = news.result()
        if isinstance(ready, BackendError):
            raise ready
        assert ready is not None
        ready.show()
    except BackendError as error:
        return {"error": str(error), "written": False}
    return {"written": True}
