"""The plan of a run: what was clustered, matched with what is stored, and put in the record.

In: rows, their graph and clustering, adapters, the journal of the run. Out: ``Planned``.
Promise: nothing is written to the database; what is stored is enough to apply the run later, to
judge rows that come after it, and to put back what was there before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.config.settings import Settings
from vdbcluster.duplicates import Duplicates
from vdbcluster.model.arrays import Float32Array, Float64Array
from vdbcluster.model.catalogue import Catalogue
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.labels import LabelBatch, LabelPlan
from vdbcluster.model.maps import MapLayout
from vdbcluster.model.matching import EventKind
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.adapters import Adapters
from vdbcluster.pipeline.catalogue import Points
from vdbcluster.pipeline.copies import marks, standing
from vdbcluster.pipeline.held import catalogue_before
from vdbcluster.pipeline.identity import Found, Identity, described, identified
from vdbcluster.pipeline.journal import Journal
from vdbcluster.pipeline.kept import Kept, remember
from vdbcluster.pipeline.languages import Prepared
from vdbcluster.pipeline.map_record import keep_layout
from vdbcluster.pipeline.plan import plan_labels
from vdbcluster.pipeline.record import catalogue_arrays, plan_arrays
from vdbcluster.pipeline.told import identity_facts, plan_facts, representative, table
from vdbcluster.ports import Observer

if TYPE_CHECKING:
    from vdbcluster.pipeline.cluster import ClusterResult


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """What would be written, and the record of it.

    ``catalogue``: what is to be stored of the clusters; None where none is kept, or where nothing
    has changed since ``before``, that of the last run. ``left_out``: rows without a usable vector.
    ``partial``: the plan is about some rows of the selection only.
    """

    journal: Journal
    plan: LabelPlan
    before: Catalogue | None
    catalogue: Catalogue | None
    left_out: int
    partial: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Clustered:
    """All that a plan is made from. ``stability (c,)`` of the clusters, NaN where none was drawn;
    ``copies``: duplicates, if rows are to be marked.
    """

    rows: Rows
    prepared: Prepared
    graph: NeighborGraph
    result: ClusterResult
    stability: Float64Array
    copies: Duplicates | None
    left_out: int


def make_plan(
    adapters: Adapters,
    settings: Settings,
    observer: Observer,
    journal: Journal,
    clustered: Clustered,
) -> Planned:
    """See the module."""
    return _Planning(adapters, settings, observer, journal, clustered).plan()


@dataclass
class _Planning:
    """``places``: where rows are written to lie, once that is known."""

    adapters: Adapters
    settings: Settings
    observer: Observer
    journal: Journal
    done: Clustered
    places: Float32Array | None = field(default=None, init=False)

    @property
    def facts(self) -> dict[str, Any]:
        return self.journal.facts

    def plan(self) -> Planned:
        rows, graph, result = self.done.rows, self.done.graph, self.done.result
        raw = Points(rows.vectors, self.adapters.metric)
        found = Found(rows, raw, graph, result.clustering, self.done.stability)
        with self.journal.timed("plan"):
            sink = self.adapters.sink.result()
            if sink.way.stale:
                self.observer.warn(sink.way.stale)
            stored = list(sink.stored())
            before = self._catalogue_before()
            identity = identified(found, stored, before, margin=self.settings.cluster.hold)
            ids, clustering = identity.ids, self._gone_into(identity, stored)
            plan = plan_labels(
                rows,
                clustering,
                stored,
                self.journal.run_id,
                ids=ids,
                duplicate_of=self._marks(stored),
                places=self._places(stored),
            )
            after = self._catalogue_after(found, identity, before, plan)
            self._store(plan, before, after, self._kept(identity))
        texts = self._representatives(clustering)
        self.journal.clusters = table(clustering, ids, identity.stability, texts)
        self.facts["identity"] = identity_facts(identity.matching) | {"held": identity.kept}
        self.facts["plan"] = plan_facts(plan)
        self.facts["way"] = asdict(sink.way)
        self.journal.record("planned")
        return Planned(self.journal, plan, before, after, self.done.left_out)

    def _gone_into(self, identity: Identity, stored: Sequence[LabelBatch]) -> Clustering:
        """With the paths of what lies in large clusters, where that is asked for."""
        if not self.settings.cluster.recurse:
            return identity.clustering
        from vdbcluster.pipeline.recursion import gone_into

        with self.journal.timed("recursion"):
            found = gone_into(
                self.adapters,
                self.settings,
                self.observer,
                keys=self.done.rows.keys,
                points=self.done.prepared.points,
                ids=identity.labels,
                stored=stored,
                begun=self.journal.begun,
            )
        self.facts["recursion"] = found.facts
        return replace(identity.clustering, paths=found.paths)

    def _marks(self, stored: Sequence[LabelBatch]) -> NDArray[Any] | None:
        copies, keys = self.done.copies, self.done.rows.keys
        return None if copies is None else marks(standing(copies, keys, stored), keys)

    def _places(self, stored: Sequence[LabelBatch]) -> Float32Array | None:
        """Where rows are written to lie, if they are to be; kept as the map of the run."""
        if not self.settings.map.write:
            return None
        from vdbcluster.pipeline.layout import Laying
        from vdbcluster.pipeline.map_steady import map_to_write

        runs, begun = self.journal.runs, self.journal.begun
        with self.journal.timed("layout"):
            points, keys = self.done.prepared.points, self.done.rows.keys
            laying = Laying(self.done.graph, points, keys, self.settings, self.observer)
            found = map_to_write(runs, begun, laying, stored)
        self.facts["map"] = found.facts
        self.places = found.flat
        return found.flat

    def _store(
        self, plan: LabelPlan, before: Catalogue | None, after: Catalogue | None, kept: Kept | None
    ) -> None:
        runs, run_id = self.journal.runs, self.journal.run_id
        runs.save_arrays(run_id, plan_arrays(plan))
        runs.save_arrays(run_id, catalogue_arrays(before, after), "catalogue")
        if self.places is not None:
            keep_layout(runs, run_id, MapLayout(self.places))
        if kept is not None:
            runs.save_arrays(run_id, kept.arrays(), "kept")
            self.facts["kept"] = kept.facts()

    def _kept(self, identity: Identity) -> Kept | None:
        """What rows that come later are judged by; None where a run says nothing of them."""
        graph, prepared = self.done.graph, self.done.prepared
        if not prepared.repeatable or not graph.n_neighbors:
            return None
        keys, how = self.done.rows.keys, self.done.result.recipe
        return remember(keys, graph, identity.clustering, how, prepared.mean, identity.labels)

    def _representatives(self, clustering: Clustering) -> list[str | None]:
        field_name = self.settings.run.text_field or self.adapters.profile.text_field()
        if not field_name or not clustering.n_clusters:
            return [None] * clustering.n_clusters
        points, keys = self.done.prepared.points, self.done.rows.keys
        which = np.array([representative(points, e) for e in clustering.exemplars], np.int64)
        return self.adapters.source.texts(keys[which], field_name)

    def _catalogue_before(self) -> Catalogue | None:
        held, facts = catalogue_before(self.adapters, self.observer)
        if facts:
            self.facts["catalogue"] = facts
        return held

    def _catalogue_after(
        self, found: Found, identity: Identity, before: Catalogue | None, plan: LabelPlan
    ) -> Catalogue | None:
        """None where none is kept, or where the clusters are as they were."""
        if "name" not in self.facts.get("catalogue", {}):
            return None
        news = {event.kind for event in identity.matching.events} - {EventKind.UNCHANGED}
        told = before is not None and all(before.get(int(i)) for i in identity.ids)
        if told and not plan.changed.any() and not news:
            return None
        return described(
            found,
            identity,
            before,
            run_id=self.journal.run_id,
            now=datetime.now(UTC),
            collection=self.adapters.source.identity(),
        )
