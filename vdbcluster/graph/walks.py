"""Random walks on the neighbour graph: the matrix whose slow eigenvectors tell groups apart.

In: a ``NeighborGraph``. Out: ``Walks``, its weights over the roots of the degrees of both ends.
Promise: five bytes for an edge at each of its ends, twice that while they are put in order; each
row of a product is summed in the order of its edges, whatever the threads.

A product is a kernel of our own because no library has it: scipy multiplies on one thread, and the
recurrence around each product costs it four more passes over memory; MKL's sparse product (package
``sparse-dot-mkl``) has threads, for Intel's processors, wants the weights as floats, and fuses
nothing either. Rows that walks do not part come to lie together (``in_order``), so that what a row
multiplies is in the processor's cache rather than anywhere in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba
import numpy as np

from vdbcluster.graph.by_rows import RowBlocks
from vdbcluster.graph.chebyshev import COLUMNS
from vdbcluster.model.arrays import (
    BoolArray,
    Float32Array,
    Int8Array,
    Int32Array,
    Int64Array,
)
from vdbcluster.model.neighbors import NeighborGraph


@dataclass(frozen=True, slots=True, eq=False)
class Walks:
    """A symmetric matrix ``(n, n)``: ``weight / (root_i root_j)``, its eigenvalues in [-1, 1].

    ``ends (n + 1,)``, ``columns``, ``weights``: the edges of each row, which weigh 1, or 2 where
    both rows found each other. ``inverse (n,)``: 1 over the roots of the degrees. ``component
    (n,)``: connected components; ``share (n,)``: where walks come to rest in each, eigenvalue 1.
    """

    blocks: RowBlocks
    ends: Int32Array | Int64Array
    columns: Int32Array
    weights: Int8Array
    inverse: Float32Array
    component: Int32Array
    share: Float32Array

    def step(
        self,
        block: Float32Array,
        scale: float = 1,
        shift: float = 0,
        before: Float32Array | None = None,
    ) -> Float32Array:
        """``scale * matrix @ block + shift * block - before``, in the place of ``before``.

        ``block (n, COLUMNS) float32``.
        """
        found = np.empty_like(block) if before is None else before
        factors = np.array([scale, shift], np.float32)

        def work(rows: slice) -> None:
            _walk(
                *(self.ends, self.columns, self.weights, self.inverse, block),
                *(found, factors, before is not None, rows.start, rows.stop),
            )

        self.blocks.each(work)
        return found

    def clear(self, block: Float32Array) -> None:
        """Take out, in place, the directions in which all rows of a component agree."""
        count = int(self.component.max(initial=-1)) + 1
        _clear(block, self.component, self.share, count)

    def in_order(self, order: Int64Array) -> Walks:
        """The same with row ``order[i]`` as row i."""
        place = np.empty(len(order), np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        ends = ends_of(np.diff(self.ends)[order])
        columns, weights = np.empty_like(self.columns), np.empty_like(self.weights)

        def work(rows: slice) -> None:
            _moved(
                *(self.ends, self.columns, self.weights, order, place),
                *(ends, columns, weights, rows.start, rows.stop),
            )

        self.blocks.each(work)
        return replace(
            self,
            ends=ends,
            columns=columns,
            weights=weights,
            inverse=self.inverse[order],
            component=self.component[order],
            share=self.share[order],
        )


def walks_on(graph: NeighborGraph, blocks: RowBlocks) -> Walks:
    """The walks on a graph, whose lists hold each row at most once."""
    indices = np.asarray(graph.indices)
    mutual = np.zeros(indices.shape, np.bool_)
    blocks.each(lambda rows: _found_each_other(indices, mutual, rows.start, rows.stop))
    counts = _counts(indices, mutual)
    ends = ends_of(counts)
    columns, weights = np.empty(ends[-1], np.int32), np.empty(ends[-1], np.int8)
    _seen_from_both_ends(indices, mutual, ends, columns, weights)
    degree = (counts + mutual.sum(axis=1)).astype(np.float64)
    degree = np.maximum(degree, 1e-12)  # of a row without edges any number will do
    component = _components(ends, columns)
    share = np.sqrt(degree / np.bincount(component, degree)[component])
    inverse = (1 / np.sqrt(degree)).astype(np.float32)
    return Walks(blocks, ends, columns, weights, inverse, component, share.astype(np.float32))


def ends_of(counts: Int64Array) -> Int32Array | Int64Array:
    """Where rows of so many edges begin and end, ``(n + 1,)``; int64 where int32 is too narrow."""
    ends = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)))
    return ends if ends[-1] > np.iinfo(np.int32).max else ends.astype(np.int32)


@numba.njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _walk(
    ends: Int32Array,
    columns: Int32Array,
    weights: Int8Array,
    inverse: Float32Array,
    block: Float32Array,
    found: Float32Array,
    factors: Float32Array,
    less_found: bool,
    start: int,
    stop: int,
) -> None:
    """Rows ``start`` to ``stop`` of ``Walks.step``.

    Four edges at a time, and a width that is known when it is compiled: 1.6 times as fast.
    """
    total = np.empty(COLUMNS, np.float32)
    for i in range(start, stop):
        for c in range(COLUMNS):
            total[c] = np.float32(0)
        e, end = ends[i], ends[i + 1]
        while e + 4 <= end:
            j0, j1 = np.uint32(columns[e]), np.uint32(columns[e + 1])
            j2, j3 = np.uint32(columns[e + 2]), np.uint32(columns[e + 3])
            w0 = np.float32(weights[e]) * inverse[j0]
            w1 = np.float32(weights[e + 1]) * inverse[j1]
            w2 = np.float32(weights[e + 2]) * inverse[j2]
            w3 = np.float32(weights[e + 3]) * inverse[j3]
            for c in range(COLUMNS):
                first = w0 * block[j0, c] + w1 * block[j1, c]
                total[c] += first + (w2 * block[j2, c] + w3 * block[j3, c])
            e += 4
        while e < end:
            j = np.uint32(columns[e])
            weight = np.float32(weights[e]) * inverse[j]
            for c in range(COLUMNS):
                total[c] += weight * block[j, c]
            e += 1
        scale, shift = factors[0] * inverse[i], factors[1]
        if less_found:
            for c in range(COLUMNS):
                found[i, c] = scale * total[c] + shift * block[i, c] - found[i, c]
        else:
            for c in range(COLUMNS):
                found[i, c] = scale * total[c] + shift * block[i, c]


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _clear(block: Float32Array, component: Int32Array, share: Float32Array, count: int) -> None:
    n, width = block.shape
    along = np.zeros((count, width), np.float64)
    for i in range(n):
        for c in range(width):
            along[component[i], c] += share[i] * block[i, c]
    for i in range(n):
        for c in range(width):
            block[i, c] -= share[i] * np.float32(along[component[i], c])


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _moved(
    ends: Int32Array,
    columns: Int32Array,
    weights: Int8Array,
    order: Int64Array,
    place: Int32Array,
    new_ends: Int32Array,
    new_columns: Int32Array,
    new_weights: Int8Array,
    start: int,
    stop: int,
) -> None:
    for i in range(start, stop):
        at = new_ends[i]
        for e in range(ends[order[i]], ends[order[i] + 1]):
            new_columns[at] = place[columns[e]]
            new_weights[at] = weights[e]
            at += 1


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _found_each_other(indices: Int32Array, mutual: BoolArray, start: int, stop: int) -> None:
    k = indices.shape[1]
    for i in range(start, stop):
        for t in range(k):
            j = indices[i, t]
            if j < 0:
                continue
            for u in range(k):
                if indices[j, u] == i:
                    mutual[i, t] = True
                    break


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _counts(indices: Int32Array, mutual: BoolArray) -> Int64Array:
    """How many edges each row has, those that only the other end found included, ``(n,)``."""
    n, k = indices.shape
    counts = np.zeros(n, np.int64)
    for i in range(n):
        for t in range(k):
            j = indices[i, t]
            if j >= 0:
                counts[i] += 1
                if not mutual[i, t]:
                    counts[j] += 1
    return counts


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _seen_from_both_ends(
    indices: Int32Array,
    mutual: BoolArray,
    ends: Int32Array,
    columns: Int32Array,
    weights: Int8Array,
) -> None:
    n, k = indices.shape
    free = ends[:-1].copy()
    for i in range(n):
        for t in range(k):
            j = indices[i, t]
            if j < 0:
                continue
            columns[free[i]] = j
            weights[free[i]] = 2 if mutual[i, t] else 1
            free[i] += 1
            if not mutual[i, t]:
                columns[free[j]] = i
                weights[free[j]] = 1
                free[j] += 1


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _components(ends: Int32Array, columns: Int32Array) -> Int32Array:
    """Which connected component each row is in, ``(n,)``, in the order of rows.

    ``ends``, ``columns``: those of a symmetric matrix. Nothing is copied: scipy's own makes two
    matrices of float64 of it.
    """
    n = ends.shape[0] - 1
    component = np.full(n, -1, np.int32)
    waiting = np.empty(n, np.int32)
    count = 0
    for first in range(n):
        if component[first] >= 0:
            continue
        component[first], waiting[0], left = count, first, 1
        while left > 0:
            left -= 1
            row = waiting[left]
            for e in range(ends[row], ends[row + 1]):
                other = columns[e]
                if component[other] < 0:
                    component[other] = count
                    waiting[left] = other
                    left += 1
        count += 1
    return component
