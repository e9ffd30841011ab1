"""Clusters that form among rows that no cluster of a run takes.

In: ``NewLabels``, the new rows, a ``CandidateSearch``, settings, the next free id.
Out: ``NewLabels`` again, with what ``Emerged``. Promise: nothing is written; cost depends on the
new rows that are noise: others are looked at where they are near one of them, for what has formed
without any new row would have been a cluster before.

Measured on 12 classes of three sets of labelled texts, each held back and then added: one step from
the new rows finds the clusters that all noise of the run gives, but for a row or two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vdbcluster.assign import core_distances, emerging, kindred, pool_graph, support_within
from vdbcluster.config.settings import Settings
from vdbcluster.graph.distance import ON_SPHERE, prepare
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array, Keys
from vdbcluster.model.assign import AssignParams, Surroundings
from vdbcluster.model.hierarchy import NOISE, Clustering
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.around import surroundings
from vdbcluster.pipeline.assign import Emerged, NewLabels
from vdbcluster.pipeline.cluster import cluster_graph
from vdbcluster.pipeline.kept import Kept
from vdbcluster.pipeline.resample import cluster_stability
from vdbcluster.ports import Observer
from vdbcluster.ports.candidates import CandidateSearch
from vdbcluster.quality.stability import REPEATS

_FETCHED = 5000
"""Rows of noise whose vectors are asked for at once."""


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
    pool = _pool(found, rows, search, observer)
    if pool is None:
        return found
    left = kindred(kept.reference, pool.around, pool.members, rule)
    pool = pool.take(np.flatnonzero(left))
    if len(pool.members) < 2:
        return found
    points = prepare(pool.vectors, kept.reference.metric, mean=kept.mean)
    graph = pool_graph(pool.around, pool.members, kept.reference.metric)
    result = cluster_graph(graph, points, settings, exact=False)
    stability = cluster_stability(result, points, REPEATS, observer)
    new = emerging(
        kept.reference,
        pool.around,
        pool.members,
        result.clustering.labels,
        stability,
        least_size(kept, settings.cluster.min_cluster_size),
        rule,
    )
    if (new == NOISE).all():
        return found
    return _with_new(found, _emerged(kept, pool, new, result.clustering, stability, next_id))


def least_size(kept: Kept, asked: int | str) -> int:
    """How many rows a new cluster needs: as in a run over all rows, unless it is said."""
    from vdbcluster.methods.rule import sizes

    return sizes(kept.reference.n_rows).min_cluster_size if isinstance(asked, str) else asked


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """Rows of noise among their like: positions, keys, vectors as they are held, surroundings."""

    members: Int64Array
    keys: Keys
    vectors: Float32Array
    around: Surroundings

    def take(self, rows: Int64Array) -> _Pool:
        return _Pool(
            self.members[rows], self.keys[rows], self.vectors[rows], self.around.take(rows)
        )

    def __add__(self, other: _Pool) -> _Pool:
        return _Pool(
            np.concatenate([self.members, other.members]),
            np.concatenate([self.keys, other.keys]),
            np.concatenate([self.vectors, other.vectors]),
            Surroundings(
                np.concatenate([self.around.indices, other.around.indices]),
                np.concatenate([self.around.distances, other.around.distances]),
            ),
        )


def _pool(
    found: NewLabels, rows: Rows, search: CandidateSearch, observer: Observer
) -> _Pool | None:
    """New rows that are noise, and noise of the run near them; None where there is no new one."""
    kept, n = found.kept, found.kept.reference.n_rows
    new = np.flatnonzero(found.assigned.labels == NOISE)
    if not len(new):
        return None
    fresh = _Pool(n + new, rows.keys[new], rows.vectors[new], found.around.take(new))
    near = np.unique(fresh.around.indices).astype(np.int64)
    near = near[(near >= 0) & (near < n)]
    near = near[kept.reference.labels[near] == NOISE]
    return fresh + _old(kept, near, rows, search, observer)


def _old(
    kept: Kept, near: Int64Array, rows: Rows, search: CandidateSearch, observer: Observer
) -> _Pool:
    """Rows of the run as they are now; without those that are gone."""
    keys = kept.keys[near]
    parts = [search.vectors(keys[i : i + _FETCHED]) for i in range(0, len(keys), _FETCHED)]
    vectors = np.concatenate([np.empty((0, rows.vectors.shape[1]), np.float32), *parts])
    there = np.isfinite(vectors).all(axis=1)
    there &= (kept.reference.metric not in ON_SPHERE) | vectors.any(axis=1)
    keys, vectors = keys[there], vectors[there]
    around = surroundings(kept, keys, vectors, rows.keys, search, observer)
    return _Pool(near[there], keys, vectors, around)


def _emerged(
    kept: Kept,
    pool: _Pool,
    new: Int64Array,
    clustering: Clustering,
    stability: Float64Array,
    first_id: int,
) -> Emerged:
    """``new (p,)``: the number of the new cluster of each row of the pool, -1 for none."""
    inside = np.flatnonzero(new != NOISE)
    place = np.full(len(new), -1)
    place[inside] = np.arange(len(inside))
    _, first = np.unique(new[inside], return_index=True)
    was = clustering.labels[inside[first]]  # their numbers before those that are none went
    support = support_within(kept.reference, pool.around, pool.members, new)
    return Emerged(
        first_id=first_id,
        members=pool.members[inside],
        keys=pool.keys[inside],
        vectors=pool.vectors[inside],
        clustering=Clustering(
            labels=new[inside],
            probabilities=clustering.probabilities[inside],
            outlier_scores=np.zeros(len(inside)),
            persistence=clustering.persistence[was],
            exemplars=tuple(place[clustering.exemplars[c]] for c in was.tolist()),
            soft=clustering.soft[inside],
        ),
        stability=stability[was],
        core_distances=core_distances(pool.around, kept.reference.min_samples)[inside],
        support=support[inside].astype(np.float32),
    )


def _with_new(found: NewLabels, emerged: Emerged) -> NewLabels:
    """The labels with those of the new clusters over them."""
    later = emerged.members >= found.kept.reference.n_rows
    at = emerged.members[later] - found.kept.reference.n_rows
    over = emerged.assigned(later)
    columns = {}
    for name in ("labels", "probabilities", "outlier_scores", "soft", "support"):
        columns[name] = getattr(found.assigned, name).copy()
        columns[name][at] = getattr(over, name)
    return replace(found, assigned=replace(found.assigned, **columns), emerged=emerged)
