"""Labels for rows that came after a run.

In: what was kept of the run, rows without a label, a ``CandidateSearch``. Out: ``NewLabels``.
Promise: nothing is written; O(m k) searches, fetches and time for m new rows, whatever the number
of rows in the run; distances are those of ``graph.measure`` on vectors prepared as the run prepared
its own.

    kept = remember(rows.keys, graph, clustering, recipe, mean)   # at the end of a run
    found = assign_rows(kept, new_rows, search, observer)
    found = emerge(found, new_rows, search, settings, next_id, observer)   # pipeline.emerge
    write(found.batch(run_id))
    kept = kept.patched(found.added())                            # for the next time
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vdbcluster.assign import assign
from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array, Int64Array, Keys
from vdbcluster.model.assign import Assigned, AssignParams, Reference, Surroundings
from vdbcluster.model.hierarchy import Clustering
from vdbcluster.model.labels import LabelBatch
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.around import surroundings
from vdbcluster.pipeline.kept import Kept
from vdbcluster.ports import Observer
from vdbcluster.ports.candidates import CandidateSearch


@dataclass(frozen=True, slots=True, eq=False)
class Emerged:
    """Clusters that formed, of q rows.

    ``members (q,)``: positions in the run, or n + place among the new rows; ``keys``, ``vectors``:
    theirs, as the collection holds them. ``clustering``: of these rows; its cluster c has the id
    ``first_id + c``, and ``stability (e,)``. ``core_distances``, ``support``: as of a
    ``Reference``, by the ids.
    """

    first_id: int
    members: Int64Array
    keys: Keys
    vectors: Float32Array
    clustering: Clustering
    stability: Float64Array
    core_distances: Float32Array
    support: Float32Array

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(range(self.first_id, self.first_id + self.clustering.n_clusters))

    def assigned(self, which: BoolArray) -> Assigned:
        """What a selection of its rows gets."""
        size = int(np.count_nonzero(which))
        return Assigned(
            labels=self.first_id + self.clustering.labels[which],
            probabilities=self.clustering.probabilities[which].astype(np.float32),
            outlier_scores=np.zeros(size, np.float32),
            soft=self.clustering.soft[which],
            support=self.support[which],
            core_distances=self.core_distances[which],
        )

    def kept(self, like: Kept) -> Kept:
        """What is kept of all of them, as a part of what is kept of a run."""
        found = self.assigned(np.ones(len(self.keys), np.bool_))
        order = np.argsort(self.keys, kind="stable")
        return Kept(self.keys[order], _reference(found, like.reference).take(order), like.mean)


@dataclass(frozen=True, slots=True, eq=False)
class NewLabels:
    """What rows that came after a run get: ``keys (m,)`` of the new ones, ``assigned``.

    ``around``: their nearest, in positions of the run. ``emerged``: None where no cluster formed.
    Its new rows are in ``assigned`` by its ids; rows that were noise in the run, and are in it now,
    are told by ``batch``.
    """

    kept: Kept
    keys: Keys
    around: Surroundings
    assigned: Assigned
    emerged: Emerged | None = None

    @property
    def rejoined(self) -> Keys:
        """Keys of rows that were noise in the run and are in a new cluster now, ascending."""
        return np.sort(self.emerged.keys[self._old]) if self.emerged else self.keys[:0]

    @property
    def _old(self) -> BoolArray:
        """Which members of new clusters were in the run."""
        assert self.emerged is not None
        return np.asarray(self.emerged.members < self.kept.reference.n_rows)

    def batch(self, run_id: str) -> LabelBatch:
        """What is to be written, keys ascending: the new rows, and those that ``rejoined``."""
        new = _label_batch(self.keys, self.assigned, run_id)
        if self.emerged is None:
            return new
        old = self._old
        return _joined(
            new, _label_batch(self.emerged.keys[old], self.emerged.assigned(old), run_id)
        )

    def added(self) -> Kept:
        """What is kept of these rows: the next ones are judged by them and by the run.

        Rows that a cluster of the run took vote, but move none of its bounds; those of a cluster
        that formed set the bounds of it.
        """
        unknown = np.full(len(self.keys), np.nan, np.float32)
        found = replace(self.assigned, core_distances=unknown, support=unknown)
        new = Kept(self.keys, _reference(found, self.kept.reference), self.kept.mean)
        return new if self.emerged is None else new.patched(self.emerged.kept(self.kept))


def assign_rows(
    kept: Kept,
    rows: Rows,
    search: CandidateSearch,
    observer: Observer,
    params: AssignParams | None = None,
) -> NewLabels:
    """Labels of ``rows``, usable and none of them in ``kept``, by the clusters of the run."""
    around = surroundings(kept, rows.keys, rows.vectors, rows.keys, search, observer)
    found = assign(kept.reference, around, params or AssignParams())
    return NewLabels(kept, rows.keys, around, found)


def _reference(found: Assigned, like: Reference) -> Reference:
    return replace(
        like,
        labels=found.labels,
        probabilities=found.probabilities,
        soft=found.soft,
        core_distances=found.core_distances,
        support=found.support,
    )


def _label_batch(keys: Keys, found: Assigned, run_id: str) -> LabelBatch:
    return LabelBatch(
        keys=keys,
        cluster_id=found.labels,
        probability=found.probabilities,
        outlier_score=found.outlier_scores,
        run_ids=np.full(len(keys), run_id, object),
        assignment=np.array([str(value) for value in found.assignment], object),
    )


def _joined(first: LabelBatch, second: LabelBatch) -> LabelBatch:
    """Both, keys ascending."""
    keys = np.concatenate([first.keys, second.keys])
    order = np.argsort(keys, kind="stable")
    columns = {
        which.column: np.concatenate([values, getattr(second, which.column)])[order]
        for which, values in first.columns()
    }
    return LabelBatch(keys=keys[order], **columns)
