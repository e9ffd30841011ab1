"""Exact nearest neighbours by blocks, in array code that runs on a CPU or a GPU.

In: ``xp``, numpy or cupy; prepared vectors (see ``distance.prepare``) in memory of the host, or in
a memory map. Out: their nearest rows, as ``exact.exact_neighbors`` gives them, to the last bit.
Promise: the arrays of ``xp`` take at most ``memory_bytes`` at a time, but for a least block of 256
columns; the vectors stay there if they take half of it, else they are brought anew at each search.

A matrix product and ``least.least_columns`` propose more rows than asked for, with a bound below
which no other row lies; the kernel of ``measure`` measures them on the host, and a row whose list
could miss a neighbour within the rounding error of the product is asked again: see
``exact.proven_neighbors``. So a GPU decides nothing by its own arithmetic, as long as the rounding
error is that of float32, which ``multiplies_in_float32`` tells; TF32 keeps 10 bits of 23.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from vdbcluster.graph.distance import ON_BITS, check_metric
from vdbcluster.graph.exact import ROUNDING, column_means, proven_neighbors
from vdbcluster.graph.least import FOLD, least_columns, most_columns
from vdbcluster.model.arrays import Float32Array, Float64Array, Int32Array, Int64Array
from vdbcluster.model.neighbors import PADDING

_QUERY_ROWS = 4096
_STEP = FOLD * FOLD
_BYTES_FOLDED, _BYTES_SORTED = 16, 48
"""Memory for a value that is folded, and for one that is sorted, at most; measured with numpy."""
_FAR = 1e30
_BYTES_CENTRED = 20
"""For a value of the vectors, while its mean is subtracted in float64."""


def blocked_neighbors(
    vectors: Float32Array,
    which: Int64Array,
    n_neighbors: int,
    metric: str,
    *,
    xp: Any = np,
    memory_bytes: int = 1 << 30,
    exclude_self: bool = True,
) -> tuple[Int32Array, Float32Array]:
    """``exact_neighbors`` with the products and the selection done by ``xp``."""
    blocks = Blocks(xp, vectors, metric, memory_bytes)
    return proven_neighbors(vectors, which, n_neighbors, metric, blocks.propose, exclude_self)


def multiplies_in_float32(xp: Any) -> bool:
    """Whether products of float32 matrices keep float32, rather than TF32 or less."""
    size, one = 256, 1 + 2.0**-20
    product = xp.full((size, size), one, xp.float32) @ xp.eye(size, dtype=xp.float32)
    return bool((product == xp.float32(one)).all())


_Found = tuple[Any, Any]
"""Values and columns or positions, both ``(q, w)`` of ``xp``."""


@dataclass(frozen=True, slots=True)
class _Base:
    """Some rows of the vectors, centred: ``rows (m, d)``, squared lengths ``(m,)``, of ``xp``.

    m is a multiple of 256; the rows beyond the last are farther than all others. ``start``:
    position of the first; ``longest``: the greatest squared length.
    """

    start: int
    rows: Any
    squares: Any
    longest: float


class Blocks:
    """Proposals for ``exact.proven_neighbors`` among a fixed set of vectors ``(n, d) float32``.

    ``memory_bytes`` bounds the arrays of ``xp``. Vectors that stay are brought over at once.
    """

    def __init__(self, xp: Any, vectors: Float32Array, metric: str, memory_bytes: int) -> None:
        check_metric(metric)
        self._xp = xp
        self._vectors = vectors
        self._metric = metric
        self._mean = column_means(vectors, metric) if len(vectors) else np.zeros(vectors.shape[1])
        n, d = vectors.shape
        kept = _padded(n) * (d + 1) * 4
        self.resident = 2 * kept <= memory_bytes
        self._free = memory_bytes - kept if self.resident else memory_bytes
        self._kept = self._bring(0, n) if self.resident and n else None

    def propose(self, which: Int64Array, width: int) -> tuple[Int64Array, Float64Array]:
        """The nearest ``width`` rows of each, and a bound below which no other lies.

        As ``exact.propose``: ``candidates (m, width) int64``, ascending by (value, position), and
        ``bound (m,) float64``. ``width`` is at most n.
        """
        rows = np.asarray(which, np.int64)
        candidates = np.empty((len(rows), width), np.int64)
        bound = np.empty(len(rows), np.float64)
        step = self._rows_at_once(width)
        for start in range(0, len(rows), step):
            part = slice(start, min(start + step, len(rows)))
            candidates[part], bound[part] = self._propose(rows[part], width)
        return candidates, bound

    def _propose(self, which: Int64Array, width: int) -> tuple[Int64Array, Float64Array]:
        xp, host = self._xp, getattr(self._xp, "asnumpy", np.asarray)
        queries = (self._vectors[which] - self._mean).astype(np.float32)
        lengths = np.einsum("ij,ij->i", queries, queries)
        twice, own = xp.asarray(-2 * queries), xp.asarray(lengths)
        nearest: _Found = (
            xp.zeros((len(which), 0), xp.float32),
            xp.zeros((len(which), 0), xp.int64),
        )
        longest = 0.0
        for base in self._bases(len(which)):
            values, columns = self._least(self._values(twice, own, base), width)
            nearest = self._merged(nearest, (values, columns + base.start), width)
            longest = max(longest, base.longest)
        values, positions = nearest
        candidates = host(positions)
        candidates[candidates >= len(self._vectors)] = PADDING
        return candidates, self._bound(host(values[:, -1]).astype(np.float64), lengths, longest)

    def _merged(self, best: _Found, more: _Found, width: int) -> _Found:
        """The nearest of both; the positions of ``more`` are the greater ones."""
        if not best[0].size:
            return more
        both, positions = (
            self._xp.concatenate(pair, axis=1) for pair in zip(best, more, strict=True)
        )
        values, chosen = self._least(both, width)
        return values, self._xp.take_along_axis(positions, chosen, axis=1)

    def _least(self, block: Any, width: int) -> _Found:
        columns = least_columns(self._xp, block, min(width, block.shape[1]))
        return self._xp.take_along_axis(block, columns, axis=1), columns

    def _values(self, twice: Any, own: Any, base: _Base) -> Any:
        """What orders the base rows for each query, ``(q, m) float32``.

        Squared distance less the query's own squared length; for ``jaccard`` the distance.
        """
        block = twice @ base.rows.T
        if self._metric != "jaccard":
            block += base.squares
            return block
        common = block / -2
        apart = block + base.squares + own[:, None]
        return apart / self._xp.maximum(apart + common, 1)

    def _bound(self, farthest: Float64Array, lengths: Float32Array, longest: float) -> Float64Array:
        if self._metric == "jaccard":
            return farthest
        own = lengths.astype(np.float64)
        if self._metric in ON_BITS:
            return farthest + own
        reach = np.sqrt(own) + np.sqrt(longest)
        off = 2 * (self._vectors.shape[1] + 8) * ROUNDING * reach**2
        return np.asarray(farthest + own - off)

    def _bases(self, rows: int) -> Iterator[_Base]:
        step = self._columns_at_once(rows)
        n = len(self._vectors)
        for start in range(0, n, step):
            if self._kept is None:
                yield self._bring(start, min(start + step, n))
            else:
                part = slice(start, start + step)
                kept = self._kept
                yield _Base(start, kept.rows[part], kept.squares[part], kept.longest)

    def _bring(self, start: int, stop: int) -> _Base:
        """Rows ``start .. stop`` from the host, centred and padded."""
        xp, d = self._xp, self._vectors.shape[1]
        rows = xp.zeros((_padded(stop - start), d), xp.float32)
        mean = xp.asarray(self._mean)
        step = max(1, min(1 << 24, self._free // 4) // (_BYTES_CENTRED * d))
        for first in range(start, stop, step):
            part = slice(first, min(first + step, stop))
            brought = xp.asarray(np.ascontiguousarray(self._vectors[part]))
            rows[part.start - start : part.stop - start] = (brought - mean).astype(xp.float32)
        beyond = _FAR if self._metric == "jaccard" else np.inf  # where inf / inf would be NaN
        squares = xp.full(len(rows), beyond, xp.float32)
        for first in range(0, stop - start, step):
            some = slice(first, min(first + step, stop - start))
            squares[some] = (rows[some] * rows[some]).sum(axis=1)
        return _Base(start, rows, squares, float(squares[: stop - start].max()))

    def _rows_at_once(self, width: int) -> int:
        """Queries for whose chosen groups a quarter of the memory is enough."""
        a_row = 2 * FOLD * width * _BYTES_SORTED
        return max(1, min(_QUERY_ROWS, self._free // 4 // a_row))

    def _columns_at_once(self, rows: int) -> int:
        """Base rows whose block takes half of the memory."""
        # Rows that are brought are there twice: while the next come, the last are still held.
        brought = 0 if self.resident else 8 * (self._vectors.shape[1] + 1)
        fitting = self._free // 2 // (rows * _BYTES_FOLDED + brought)
        most = min(most_columns(rows), _padded(len(self._vectors)))
        return max(_STEP, min(fitting, most) // _STEP * _STEP)


def _padded(count: int) -> int:
    return -(-count // _STEP) * _STEP
