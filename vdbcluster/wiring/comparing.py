"""Two runs compared, or a run and the labels that the collection has now.

In: names of runs, or ``now`` for the second. Out: ``Compared``.
Promise: nothing is written; the database is asked for ``now`` alone, and then only if it is still
the collection that the run clustered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.settings import Settings
from vdbcluster.errors import CollectionChangedError, UsageError, VdbclusterError
from vdbcluster.model.labels import LabelBatch
from vdbcluster.model.manifest import RunManifest
from vdbcluster.pipeline.diff import Difference, Side, difference
from vdbcluster.ports import Observer
from vdbcluster.wiring.history import found_run, listed

NOW = "now"


@dataclass(frozen=True, slots=True)
class Compared:
    """``after`` is None where it is what the collection has now."""

    before: RunManifest
    after: RunManifest | None
    difference: Difference

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "before": listed(self.before),
            "after": NOW if self.after is None else listed(self.after),
            **self.difference.to_json(),
        }


def compare(first: str, second: str, settings: Settings, observer: Observer) -> Compared:
    """Raises ``UsageError`` if there is no such run, or if the two are of different collections."""
    if first == NOW:
        raise UsageError("now can only be the second: vdbcluster diff RUN now")
    runs = RunDirectory(settings.run.runs_dir)
    before = found_run(settings.run.runs_dir, first)
    side = _recorded(runs, before, observer)
    if second == NOW:
        return Compared(before, None, difference(side, _stored_now(before, settings, observer)))
    after = found_run(settings.run.runs_dir, second)
    if before.identity != after.identity:
        raise UsageError(_different(before, after))
    return Compared(before, after, difference(side, _recorded(runs, after, observer)))


def _different(before: RunManifest, after: RunManifest) -> str:
    told = f"run {before.run_id} is of the collection {before.collection!r}"
    if before.collection != after.collection:
        told += f", run {after.run_id} of {after.collection!r}"
    else:
        told += f", which was created anew before run {after.run_id}"
    return f"{told}; only runs of one collection can be compared"


def _recorded(runs: RunDirectory, manifest: RunManifest, observer: Observer) -> Side:
    """A run that clustered nothing has labels of the rows alone that it was about."""
    arrays = runs.load_arrays(manifest.run_id)
    if "clustering" not in manifest.facts:
        observer.note(f"run {manifest.run_id} labelled only some rows; the others are not in it")
    try:
        return Side(arrays["keys"], arrays["cluster_id"])
    except KeyError as error:
        raise VdbclusterError(
            f"the record {runs.path(manifest.run_id)} holds no {error.args[0]}; run again"
        ) from error


def _stored_now(manifest: RunManifest, settings: Settings, observer: Observer) -> Side:
    from vdbcluster.wiring.main_job import open_bench
    from vdbcluster.wiring.recorded import recorded_settings

    with open_bench(recorded_settings(manifest, settings), observer) as bench:
        found = bench.source.found
        if found.identity != manifest.identity:
            raise CollectionChangedError(
                f"the collection {found.name!r} was created anew since run {manifest.run_id}; "
                "only the same collection can be compared"
            )
        keys = np.empty(0, object if found.key.type == "VARCHAR" else np.int64)
        return _joined(Side(keys, np.empty(0, np.int64)), bench.sink(dry_run=True).stored())


def _joined(nothing: Side, batches: Iterable[LabelBatch]) -> Side:
    parts = [nothing, *(Side(batch.keys, batch.cluster_id) for batch in batches)]
    return Side(
        np.concatenate([part.keys for part in parts]),
        np.concatenate([part.cluster_id for part in parts]),
    )
