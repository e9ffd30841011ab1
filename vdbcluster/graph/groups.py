"""Centring by groups of rows: takes out of the vectors which group a row is of.

In: vectors ``(n, d)`` and a group for each row, for instance its language. Out: unit vectors whose
mean is next to nothing within every group, so that rows of different groups can be neighbours.
Promise: deterministic; rows without a group, and groups too small for a mean of their own, count
with the group whose mean is nearest, so groups of a sample of the rows suffice.

Multilingual embeddings hold the language of a text as an offset that all its texts share
(Libovicky, Rosa and Fraser 2020: "On the language neutrality of pre-trained multilingual
representations"). Taking out the leading direction of each language (LIR: Yang, Yang, Cer and
Darve 2021) or the plane through the languages' means measured the same to 0.01 AMI; the mean is
the simplest of them.

    points = centered_by_group(vectors, np.array(["en", "ja", None], object))
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vdbcluster.graph.distance import blocks, directions, prepare
from vdbcluster.model.arrays import Float32Array, Float64Array, Int64Array

UNKNOWN = "und"
"""Group of rows that were asked for theirs and have none; None: were not asked."""
LEAST_ROWS, LEAST_SHARE = 20, 0.01
"""A group has a mean of its own from so many rows, and this share of the rows with a group."""
_NONE = -1


def centered_by_group(
    vectors: Float32Array, groups: NDArray[Any], *, out: Float32Array | None = None
) -> Float32Array:
    """Unit vectors ``(n, d) float32``: each row less the mean direction of its group.

    ``groups (n,)``: ``str``; None and ``UNKNOWN`` for rows without one. ``out`` as in
    ``distance.prepare``; may be ``vectors`` itself. If no group is large enough all rows are one,
    as in ``distance.center``. Rows equal to their mean become zero.

    Raises ``ValueError`` for vectors without a direction and if the lengths differ.
    """
    if len(groups) != len(vectors):
        raise ValueError(f"{len(vectors)} vectors, but {len(groups)} groups")
    target = np.empty(vectors.shape, np.float32) if out is None else out
    prepare(vectors, "chord", out=target)
    members = settled(target, groups)
    means = _means(target, members)
    for rows in blocks(target):
        target[rows] = directions(target[rows].astype(np.float64) - means[members[rows]])
    return target


def settled(points: Float32Array, groups: NDArray[Any]) -> Int64Array:
    """The group that each row counts with, ``(n,)``, numbered from 0.

    Groups are numbered in order of their names. ``points``: unit vectors, ``(n, d)``.
    """
    members = _numbered(groups)
    if not (members != _NONE).any():
        return np.zeros(len(members), np.int64)
    means = _means(points, members)
    bias = (means**2).sum(axis=1) / 2
    for rows in blocks(points):
        lost = np.flatnonzero(members[rows] == _NONE)
        if len(lost):
            near = points[rows][lost].astype(np.float64) @ means.T - bias
            members[rows.start + lost] = near.argmax(axis=1)
    return members


def _numbered(groups: NDArray[Any]) -> Int64Array:
    """Number of each row's group, -1 for rows that have none or one that is too small."""
    known = np.array([group is not None and group != UNKNOWN for group in groups], bool)
    members = np.full(len(groups), _NONE, np.int64)
    if not known.any():
        return members
    _, which, sizes = np.unique(groups[known].astype(str), return_inverse=True, return_counts=True)
    large = sizes >= max(LEAST_ROWS, LEAST_SHARE * known.sum())
    number = np.where(large, np.cumsum(large) - 1, _NONE)
    members[known] = number[which]
    return members


def _means(points: Float32Array, members: Int64Array) -> Float64Array:
    """Mean of the rows of each group, ``(groups, d)``; rows at -1 are of none."""
    numbers = np.arange(int(members.max(initial=0)) + 1)
    total = np.zeros((len(numbers), points.shape[1]))
    for rows in blocks(points):
        belongs = (members[rows] == numbers[:, None]).astype(np.float64)
        total += belongs @ points[rows].astype(np.float64)
    sizes = np.bincount(members[members != _NONE], minlength=len(numbers))
    means: Float64Array = total / np.maximum(sizes, 1)[:, None]
    return means
