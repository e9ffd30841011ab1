"""How a neighbourhood votes.

In: ``Surroundings``, a label for each position. Out: the cluster with the most votes, its share.
Promise: votes are whole numbers, so the order of equal neighbours decides nothing; of clusters with
equal votes the lower one wins; O(m k).

A neighbour at distance d weighs ``(c / max(c, d))^2`` with the core distance c of the row: the
squared lambda of the density tree, 1 for those within the core distance. So a cluster smaller than
k outvotes the crowd behind it where it is that much nearer. On embeddings of hundreds of dimensions
it is little different from a count of heads, and that was measured no worse than the cosine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.model.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from vdbcluster.model.assign import Surroundings
from vdbcluster.model.hierarchy import NOISE
from vdbcluster.model.neighbors import PADDING

_ONE = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Vote:
    """``winner (m,) int64``, -1 where nobody voted; ``support (m,) float64``: its share of all."""

    winner: Int64Array
    support: Float64Array


def core_distances(around: Surroundings, min_samples: int) -> Float32Array:
    """Distance to the ``min_samples``-th neighbour, ``(m,)``; ``ValueError`` if k is less."""
    if min_samples > around.indices.shape[1]:
        raise ValueError(
            f"{around.indices.shape[1]} neighbours of each row are known, but min_samples is "
            f"{min_samples}"
        )
    return around.distances[:, min_samples - 1].copy()


def weights(around: Surroundings, min_samples: int) -> Int64Array:
    """What each neighbour weighs, ``(m, k)``, in units of 2^-30; 0 for padding."""
    d = around.distances.astype(np.float64)
    known = np.isfinite(d)
    core = core_distances(around, min_samples).astype(np.float64)
    farthest = np.where(known, d, 0.0).max(axis=1, initial=0.0)
    core = np.where(np.isfinite(core), core, farthest)[:, None]
    reach = np.maximum(d, core)
    near = np.where(reach > 0, core / np.where(reach > 0, reach, 1.0), 1.0)
    return np.where(known, np.rint(near * near * _ONE), 0).astype(np.int64)


def share(weight: Int64Array, counted: BoolArray) -> Float64Array:
    """The weight of the neighbours that are counted over that of all, ``(m,)``; 0 for no one."""
    within = np.where(counted, weight, 0).sum(axis=1)
    return np.asarray(within / np.maximum(weight.sum(axis=1), 1))


def labels_around(around: Surroundings, labels: Int64Array) -> Int64Array:
    """The label of each neighbour, ``(m, k)``; -1 for padding and for rows behind ``labels``."""
    if not len(labels):
        return np.full(around.indices.shape, NOISE)
    found = labels.take(around.indices, mode="clip")  # a copy of all labels would cost more
    found[(around.indices == PADDING) | (around.indices >= len(labels))] = NOISE
    return found


def vote(weight: Int64Array, ballots: Int64Array, n_clusters: int) -> Vote:
    """Let neighbours vote for ``ballots (m, k)``, clusters ``0 .. n_clusters - 1``, -1 abstains."""
    from scipy.sparse import csr_array  # a third of a second to import

    m = len(weight)
    if not m or not n_clusters:
        return Vote(np.full(m, NOISE), np.zeros(m))
    valid = (ballots != NOISE) & (weight > 0)
    row = np.nonzero(valid)[0]
    votes = csr_array((weight[valid], (row, ballots[valid])), shape=(m, n_clusters))
    votes.sum_duplicates()
    most = np.asarray(votes.max(axis=1).todense()).ravel()
    winner = np.where(most > 0, np.asarray(votes.argmax(axis=1)).ravel(), NOISE)
    return Vote(winner.astype(np.int64), most / np.maximum(weight.sum(axis=1), 1))
