"""Labels for rows that came after a run, and ids for clusters that form among them.

In: what was kept of the run, rows without a label, a ``CandidateSearch``, settings.
Out: ``NewLabels``. Promise: nothing is written; O(m k) searches, fetches and time for m new rows
(and for the rows of noise, where clusters are looked for), whatever the number of rows in the run;
distances are those of ``graph.measure`` on vectors prepared as the run prepared its own.

    kept = remember(rows.keys, graph, clustering, recipe, mean)   # at the end of a run
    found = assign_rows(kept, new_rows, search, observer)
    found = emerge(found, new_rows, search, settings, next_id, observer)
    write(found.batch(run_id))
    kept = found.extended()                                       # for the next time
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vdbcluster.assign import (
    assign,
    core_distances,
    emerging,
    kindred,
    pool_graph,
    support_within,
)
from vdbcluster.config.settings import Settings
from vdbcluster.graph.distance import ON_SPHERE, prepare_as
from vdbcluster.model.arrays import BoolArray, Float32Array, Int64Array, Keys
from vdbcluster.model.assign import Assigned, AssignParams, Surroundings
from vdbcluster.model.hierarchy import NOISE, Clustering
from vdbcluster.model.labels import LabelBatch
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.around import surroundings
from vdbcluster.pipeline.cluster import cluster_graph
from vdbcluster.pipeline.kept import Kept
from vdbcluster.pipeline.resample import cluster_stability
from vdbcluster.ports import Observer
from vdbcluster.ports.candidates import CandidateSearch
from vdbcluster.quality.stability import REPEATS

_FETCHED = 5000
"""Rows of noise whose vectors are asked for at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Emerged:
    """Clusters that formed: their ``ids``, and every row that is in one, ``(q,)`` each.

    ``members``: positions in the run, or n + place among the new rows; ``labels``: their ids;
    ``probabilities``, ``soft``: as clustered; ``core_distances``, ``support``: as of a
    ``Reference``.
    """

    ids: tuple[int, ...]
    members: Int64Array
    labels: Int64Array
    probabilities: Float32Array
    soft: BoolArray
    core_distances: Float32Array
    support: Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class NewLabels:
    """What rows that came after a run get: ``keys (m,)`` of the new ones, ``assigned``.

    ``emerged``: None where no cluster formed. Its new rows are in ``assigned`` by its ids; rows
    that were noise in the run, and are in it now, are told by ``batch``.
    """

    kept: Kept
    keys: Keys
    assigned: Assigned
    emerged: Emerged | None = None

    def batch(self, run_id: str) -> LabelBatch:
        """What is to be written: the new rows, and rows of the run that are in a new cluster."""
        new = _label_batch(self.keys, self.assigned, run_id)
        if self.emerged is None:
            return new
        found, n = self.emerged, self.kept.reference.n_rows
        old = found.members < n
        size = int(old.sum())
        joined = Assigned(
            labels=found.labels[old],
            probabilities=found.probabilities[old],
            outlier_scores=np.zeros(size, np.float32),
            soft=found.soft[old],
            support=found.support[old],
            core_distances=found.core_distances[old],
        )
        return _joined(new, _label_batch(self.kept.keys[found.members[old]], joined, run_id))

    def extended(self) -> Kept:
        """What is kept of the run, with these rows: the next ones are judged by both.

        Rows that a cluster of the run took vote, but move none of its bounds; those of a cluster
        that formed set the bounds of it.
        """
        kept = self.kept.reference.extended(self.assigned)
        if self.emerged is not None:
            found = self.emerged
            for name in ("labels", "probabilities", "soft", "core_distances", "support"):
                getattr(kept, name)[found.members] = getattr(found, name)
        keys = np.concatenate([self.kept.keys, self.keys])
        order = np.argsort(keys, kind="stable")
        return replace(self.kept, keys=keys[order], reference=kept.take(order))


def assign_rows(
    kept: Kept,
    rows: Rows,
    search: CandidateSearch,
    observer: Observer,
    params: AssignParams | None = None,
) -> NewLabels:
    """Labels of ``rows``, usable and none of them in the run, by the clusters of the run."""
    around = surroundings(kept, rows.keys, rows.vectors, rows.keys, search, observer)
    found = assign(kept.reference, around, params or AssignParams())
    return NewLabels(kept, rows.keys, found)


def emerge(
    found: NewLabels,
    rows: Rows,
    search: CandidateSearch,
    settings: Settings,
    next_id: int,
    observer: Observer,
    params: AssignParams | None = None,
) -> NewLabels:
    """Give ids from ``next_id`` on to clusters that form among noise, old and new.

    The pool is clustered as ``settings`` say for so many rows; what becomes an id is said in
    ``assign.emergence``. Rows in one are ``core`` or ``soft`` as they are there.
    """
    kept, rule = found.kept, params or AssignParams()
    smallest = settings.cluster.min_cluster_size
    pool = _pool(found, rows, search, observer, rule)
    if len(pool.members) < 2:
        return found
    graph = pool_graph(pool.around, pool.members, kept.reference.metric)
    result = cluster_graph(graph, pool.points, settings, exact=False)
    stability = cluster_stability(result, pool.points, REPEATS, observer)
    size = least_size(kept, smallest)
    new = emerging(
        kept.reference, pool.around, pool.members, result.clustering.labels, stability, size, rule
    )
    return _with_new(found, pool, new, result.clustering, next_id)


def least_size(kept: Kept, asked: int | str) -> int:
    """How many rows a new cluster needs: as in a run over all rows, unless it is said."""
    from vdbcluster.methods.rule import sizes

    return sizes(kept.reference.n_rows).min_cluster_size if isinstance(asked, str) else asked


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """Rows of noise among their like: positions, surroundings, points."""

    members: Int64Array
    around: Surroundings
    points: Float32Array


def _pool(
    found: NewLabels,
    rows: Rows,
    search: CandidateSearch,
    observer: Observer,
    params: AssignParams,
) -> _Pool:
    kept, n = found.kept, found.kept.reference.n_rows
    old = np.flatnonzero(kept.reference.labels == NOISE)
    new = np.flatnonzero(found.assigned.labels == NOISE)
    vectors = np.concatenate([_fetched(search, kept.keys[old], rows), rows.vectors[new]])
    there = np.isfinite(vectors).all(axis=1)
    there &= (kept.reference.metric not in ON_SPHERE) | vectors.any(axis=1)
    members = np.concatenate([old, n + new])[there]
    keys = np.concatenate([kept.keys[old], rows.keys[new]])[there]
    vectors = vectors[there]
    around = surroundings(kept, keys, vectors, rows.keys, search, observer)
    left = kindred(kept.reference, around, members, params)
    points = prepare_as(vectors[left], kept.reference.metric, kept.mean)
    return _Pool(members[left], around.take(left), points)


def _fetched(search: CandidateSearch, keys: Keys, rows: Rows) -> Float32Array:
    parts = [search.vectors(keys[i : i + _FETCHED]) for i in range(0, len(keys), _FETCHED)]
    return np.concatenate([np.empty((0, rows.vectors.shape[1]), np.float32), *parts])


def _with_new(
    found: NewLabels, pool: _Pool, new: Int64Array, clustering: Clustering, next_id: int
) -> NewLabels:
    """The labels with those of the new clusters, ``new (p,)``, over them."""
    kept, inside = found.kept.reference, new != NOISE
    if not inside.any():
        return found
    support = support_within(kept, pool.around, pool.members, new)
    core = core_distances(pool.around, kept.min_samples)
    emerged = Emerged(
        ids=tuple(range(next_id, next_id + int(new.max()) + 1)),
        members=pool.members[inside],
        labels=next_id + new[inside],
        probabilities=clustering.probabilities[inside].astype(np.float32),
        soft=clustering.soft[inside],
        core_distances=core[inside],
        support=support[inside].astype(np.float32),
    )
    later = emerged.members >= kept.n_rows
    at, assigned = emerged.members[later] - kept.n_rows, found.assigned
    labels, soft = assigned.labels.copy(), assigned.soft.copy()
    probabilities, share = assigned.probabilities.copy(), assigned.support.copy()
    outlier_scores = assigned.outlier_scores.copy()
    labels[at], soft[at] = emerged.labels[later], emerged.soft[later]
    probabilities[at], share[at] = emerged.probabilities[later], emerged.support[later]
    outlier_scores[at] = 0
    assigned = replace(
        assigned,
        labels=labels,
        soft=soft,
        probabilities=probabilities,
        support=share,
        outlier_scores=outlier_scores,
    )
    return replace(found, assigned=assigned, emerged=emerged)


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
