"""An assignment until something would be written: read the new rows, judge them, plan.

In: adapters behind ports, ``Settings``, the last run. Out: ``Planned``, also kept in the run store.
Promise: nothing is written to the database; vectors are read of new rows and of those near them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from vdbcluster.config.settings import Settings
from vdbcluster.errors import RefusedError
from vdbcluster.graph.distance import ON_SPHERE
from vdbcluster.layout import coordinates, placed
from vdbcluster.model.arrays import Int32Array, Keys
from vdbcluster.model.assign import AssignParams
from vdbcluster.model.catalogue import Catalogue
from vdbcluster.model.labels import LabelBatch, LabelPlan
from vdbcluster.model.maps import MapLayout
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.adapters import Outlets
from vdbcluster.pipeline.assign import NewLabels, assign_rows
from vdbcluster.pipeline.assign_told import advice, assign_facts, emergence_facts, shared_paths
from vdbcluster.pipeline.copies import said
from vdbcluster.pipeline.edits import Places
from vdbcluster.pipeline.growing import birth, grown
from vdbcluster.pipeline.held import catalogue_before
from vdbcluster.pipeline.journal import Journal
from vdbcluster.pipeline.kept import Kept
from vdbcluster.pipeline.last_run import LastRun, recalled
from vdbcluster.pipeline.map_later import later_places
from vdbcluster.pipeline.map_record import keep_layout
from vdbcluster.pipeline.paths import Paths, stored_paths, voted_paths
from vdbcluster.pipeline.plan import compared
from vdbcluster.pipeline.planned import Planned
from vdbcluster.pipeline.read import collect, positions, usable
from vdbcluster.pipeline.record import catalogue_arrays, plan_arrays, planned
from vdbcluster.pipeline.room import room_of
from vdbcluster.pipeline.told import plan_facts, representative, table
from vdbcluster.ports import Observer
from vdbcluster.ports.candidates import CandidateSearch
from vdbcluster.ports.unlabelled import UnlabelledRows

LOST = 0.5
"""Share of the rows of the run that may have lost their label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignOutlets(Outlets):
    """What an assignment works with, all of one selection.

    ``unlabelled`` is made for the sink that labels are written to, ``search`` for the distance that
    the last run compared by; ``places`` tells where rows are that are no new ones.
    """

    unlabelled: Callable[[], UnlabelledRows]
    search: Callable[[str], CandidateSearch]
    places: Places


def plan_assignment(
    outlets: AssignOutlets,
    settings: Settings,
    observer: Observer,
    journal: Journal,
    last: LastRun,
) -> Planned | None:
    """Do everything but write; None where no row is new. Raises as ``assign_job`` says."""
    planning = _Planning(outlets, settings, observer, journal, last)
    rows = planning.read()
    if not len(rows):
        return None
    return planning.plan(rows, planning.judge(rows))


@dataclass
class _Planning:
    """The state of one assignment on its way to a plan.

    ``held``: the catalogue as it is, ``keeping``: what the manifest says of it.
    """

    outlets: AssignOutlets
    settings: Settings
    observer: Observer
    journal: Journal
    last: LastRun
    held: Catalogue | None = None
    keeping: dict[str, Any] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Any]:
        return self.journal.facts

    def read(self) -> Rows:
        """The new rows with a vector that can be compared."""
        metric = self.last.run.facts["kept"]["metric"]
        unlabelled = self.outlets.unlabelled()
        with self.journal.timed("read"):
            room = room_of(self.settings)
            found, report = collect(unlabelled.pages(), self.observer, room=room)
            rows, unusable = usable(found, direction=metric in ON_SPHERE, room=room)
        self.facts["read"] = asdict(report) | {"unusable": unusable}
        self.facts["assign"] = {
            "run": self.last.run.run_id,
            "told_by": unlabelled.told_by,
            "rows": len(rows),
        }
        return rows

    def judge(self, rows: Rows) -> NewLabels:
        with self.journal.timed("recall"):
            self.held, self.keeping = catalogue_before(self.outlets, self.observer)
            kept = self._without_lost(recalled(self.outlets.runs, self.last, self.held), rows)
        search = self.outlets.search(kept.reference.metric)
        chosen = self.settings.assign
        params = AssignParams(
            min_support=chosen.min_support, min_stability=chosen.min_emergence_stability
        )
        with self.journal.timed("assign"):
            found = assign_rows(kept, rows, search, self.observer, params)
        if chosen.emerge:
            with self.journal.timed("emerge"):
                found = self._emerged(found, rows, search, params)
        self.facts["assign"] |= assign_facts(found) | {"engine": search.description}
        self.facts["emergence"] = emergence_facts(found.emerged)
        if told := advice(self.last, self.facts["assign"]):
            self.observer.warn(told)
        self.facts["assign"]["advice"] = told
        return found

    def _emerged(
        self, found: NewLabels, rows: Rows, search: CandidateSearch, params: AssignParams
    ) -> NewLabels:
        # The compiler behind the clustering takes longer to import than most assignments take.
        from vdbcluster.pipeline.emerge import emerge

        next_id = self._next_id(found.kept)
        return emerge(found, rows, search, self.settings, next_id, self.observer, params)

    def _without_lost(self, kept: Kept, rows: Rows) -> Kept:
        """Rows that were labelled once and are not any more count as new."""
        left = kept.without(rows.keys)
        lost, run_id = len(kept.keys) - len(left.keys), self.last.run.run_id
        self.facts["assign"]["lost"] = lost
        if lost > LOST * max(1, len(kept.keys)):
            raise RefusedError(
                f"{lost:,} of the {len(kept.keys):,} rows of run {run_id} carry no label any more; "
                "run vdbcluster run again"
            )
        if lost:
            self.observer.note(
                f"{lost:,} rows of run {run_id} have lost their label (rewritten since?) and are "
                "judged as new ones"
            )
        return left

    def _next_id(self, kept: Kept) -> int:
        listed = 0 if self.held is None else self.held.next_id
        return max(listed, self.last.next_id, int(kept.reference.labels.max(initial=-1)) + 1)

    def plan(self, rows: Rows, found: NewLabels) -> Planned:
        """What is to be written, recorded."""
        sink, runs, run_id = self.outlets.sink.result(), self.journal.runs, self.journal.run_id
        with self.journal.timed("plan"):
            batch = self._with_paths(found.batch(run_id), found)
            stored = list(sink.stored(batch.keys))
            if self.settings.duplicates.mark:  # new rows are no duplicates until the next run
                batch = replace(batch, duplicate_of=said(batch.keys, stored))
            flat = later_places(runs, self.last.run, found, batch.keys)
            if self.settings.map.write and flat is not None:
                map_x, map_y = coordinates(flat)
                batch = replace(batch, map_x=map_x, map_y=map_y)
            where, partitions = self._placed(batch.keys, rows)
            plan = compared(batch, where, partitions, stored)
            after = self._catalogue_after(plan, found)
        self._tell_clusters(found)
        self.facts["plan"] = plan_facts(plan)
        self.facts["way"] = asdict(sink.way)
        self.facts["kept"] = found.kept.facts()
        runs.save_arrays(run_id, plan_arrays(plan))
        runs.save_arrays(run_id, catalogue_arrays(self.held, after), "catalogue")
        runs.save_arrays(run_id, found.added().arrays(), "kept")
        if flat is not None:
            self.facts["assign"]["placed"] = int(np.count_nonzero(placed(flat)))
            keep_layout(runs, run_id, MapLayout(flat))
        self.journal.record("planned")
        left_out = self.facts["read"]["unusable"] + self.facts["read"]["without_vector"]
        return Planned(self.journal, plan, self.held, after, left_out, partial=True)

    def _placed(self, keys: Keys, rows: Rows) -> tuple[Int32Array, tuple[str, ...]]:
        """The partition of each row: of new ones it is known."""
        if len(keys) == len(rows):
            return rows.partition_of, rows.partitions
        return self.outlets.places(keys)

    def _with_paths(self, batch: LabelBatch, found: NewLabels) -> LabelBatch:
        """In layers the path that all rows of a cluster share; in a recursion that of the nearest.

        Nothing where the run has written no paths.
        """
        if self.settings.cluster.recurse:
            return replace(batch, path=self._nearest_paths(batch, found))
        if self.settings.cluster.method != "layers":
            return batch
        run = planned(self.outlets.runs.load_arrays(self.last.run.run_id)).new
        shared = shared_paths(run)
        paths = np.array([shared.get(i, "") for i in batch.cluster_id.tolist()], object)
        return batch if run.path is None else replace(batch, path=paths)

    def _nearest_paths(self, batch: LabelBatch, found: NewLabels) -> Paths:
        """By the paths of the neighbours as they are stored: people may have merged clusters."""
        near, known = found.around.indices, found.kept.reference.n_rows
        seen = np.unique(near[(near >= 0) & (near < known)])
        keys = found.kept.keys[seen]
        paths = np.append(stored_paths(keys, self.outlets.sink.result().stored(keys)), "")
        place = np.full(known + 1, len(seen))
        place[seen] = np.arange(len(seen))
        inside = np.where((near >= 0) & (near < known), near, known)
        around = np.full((len(batch), near.shape[1]), len(seen))
        around[positions(found.keys, batch.keys)] = place[inside]
        return voted_paths(batch.cluster_id, around, paths)

    def _catalogue_after(self, plan: LabelPlan, found: NewLabels) -> Catalogue | None:
        """None where none is kept, or no cluster has changed."""
        if self.held is None or (plan.new.cluster_id < 0).all():
            return None
        self.facts["catalogue"] = self.keeping
        return grown(
            self.held,
            plan,
            found.emerged,
            found.kept.reference.metric,
            run_id=self.journal.run_id,
            now=datetime.now(UTC),
        )

    def _tell_clusters(self, found: NewLabels) -> None:
        """The clusters that formed, in the table and as events; ids that are taken now."""
        emerged, taken = found.emerged, self._next_id(found.kept)
        ids = () if emerged is None else emerged.ids
        self.facts["identity"] = {"next_id": taken + len(ids), "events": {}, "told": []}
        if emerged is None:
            return
        clustering, texts_in = emerged.clustering, self._text_field()
        texts: list[str | None] = [None] * len(ids)
        if texts_in:
            rows = [representative(emerged.vectors, e) for e in clustering.exemplars]
            texts = self.outlets.source.texts(emerged.keys[rows], texts_in)
        self.journal.clusters = table(clustering, np.array(ids), emerged.stability, texts)
        sizes = clustering.sizes().tolist()
        told = [birth(i, size) for i, size in zip(ids, sizes, strict=True)]
        self.facts["identity"] |= {"events": {"born": len(ids)}, "told": told}

    def _text_field(self) -> str:
        return self.settings.run.text_field or self.outlets.profile.text_field() or ""
