"""The largest eigenvalues of a sparse symmetric matrix, down to a bound, with their vectors.

In: the product of the matrix with a block of columns; eigenvalues lie in [-1, 1].
Out: eigenvalues descending and their vectors. Promise: time is bounded whatever the gaps between
eigenvalues, which a Krylov method needs to converge; the same seed gives the same result.

Chebyshev-filtered subspace iteration (Zhou, Saad, Tiago and Chelikowsky 2006): a polynomial that
is small up to the bound and grows steeply beyond is applied to a block of random columns, which
then span the wanted vectors. The block is widened while more than it holds is wanted. Once values
are known, the polynomial is small up to the least of the block, and as long for each part of it as
its residual asks for; what has settled is locked (Winkelmann, Springer and Di Napoli 2019).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from vdbcluster.graph.by_rows import RowBlocks
from vdbcluster.model.arrays import Float32Array, Float64Array

DEGREE, STEPS, ENOUGH = 10, 110, 2e-4
"""Of the first filter; products for a column at most; residual at which they end before.

At 2e-3 the clusters of one set in three still depended on the seed, at 2e-4 on none."""
_GAP = 0.1
"""As far below the bound the filter is small at first."""
_LEAST, _MOST, _SPARE, _RANGE = 4, 40, 3.0, 10.0
"""Shortest and longest filter; how far below ``ENOUGH`` it aims; by how much, as a logarithm, it
may raise an eigenvalue of 1 above one that is wanted: beyond, rounding drowns what is wanted."""
COLUMNS = 32
"""Of a block that the matrix is multiplied with."""
_BESIDE = 12
"""So many columns more than are wanted, at least: the more, the sooner these settle."""
_DEPENDENT = 1e-9
"""Of columns of unit length, those with less of their own than this (squared) are rounding."""


_WIDENED, _AS_WIDE = 18, 8
"""Products for a column that are left, about: of a block that has been widened, and of one that has
been through a round since."""
Told = Callable[[int, int], None]
"""Told before each round how many products with a block are done since the first, and about how
many are left."""


class Symmetric(Protocol):
    """A symmetric matrix ``(n, n)``, its eigenvalues in [-1, 1]; ``blocks``: of its n rows."""

    @property
    def blocks(self) -> RowBlocks: ...

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

    def clear(self, block: Float32Array) -> None:
        """Take out, in place, what is not to be found: it may have any eigenvalue."""


def beginning(matrix: Symmetric, above: float, random: np.random.Generator) -> Float32Array:
    """Random columns ``(n, COLUMNS)`` that little is left of but what ``largest`` looks for."""
    drawn = random.standard_normal((matrix.blocks.n, COLUMNS), dtype=np.float32)
    found = _filtered(matrix, drawn, matrix.step(drawn), DEGREE, above - _GAP)
    matrix.clear(found)
    return found


def largest(
    matrix: Symmetric,
    block: Float32Array,
    above: float,
    most: int,
    random: np.random.Generator,
    told: Told | None = None,
) -> tuple[Float64Array, Float32Array]:
    """Eigenvalues ``(m,)`` greater than ``above`` and vectors ``(n, m)``, the ``most`` largest.

    ``block``: what ``beginning`` gave.
    """
    found = _Subspace(matrix, block, above, most)
    left, spent, before = STEPS, DEGREE, -1
    while spent and left > spent:
        left -= spent
        wider = before < 0 or found.narrow
        while found.narrow:
            found.widen(random)
        before = found.products if before < 0 else before
        if told is not None:
            told(found.products - before, found.expected(left, _WIDENED if wider else _AS_WIDE))
        spent = found.turn()
    m = min(most, int(np.count_nonzero(found.values > above)))
    return found.values[:m], found.block[:, :m]


class _Subspace:
    """A block ``(n, w)`` on its way to the wanted vectors.

    ``values (w,)``: of its columns, descending. ``settled``: so many columns are left as they are.
    ``products``: of the matrix with a block of columns so far.
    """

    def __init__(self, matrix: Symmetric, block: Float32Array, above: float, most: int) -> None:
        self.matrix, self.above, self.most = matrix, above, most
        self._room = np.empty((len(block), COLUMNS * -(-(most + 8) // COLUMNS)), np.float32)
        self.block, self.settled, self.values = self._room[:, :0], 0, np.zeros(0)
        self.products = 0
        self._append(block)
        self._diagonalise()

    @property
    def narrow(self) -> bool:
        """Whether more may be wanted than there are columns, and there is room for more."""
        wanted = int(np.count_nonzero(self.values > self.above))
        return bool(self.block.shape[1] < min(wanted + _BESIDE, self._room.shape[1]))

    def widen(self, random: np.random.Generator) -> None:
        """Half as many columns more, as far as there is room."""
        width = self.block.shape[1]
        for _ in range(0, min(width // 2, self._room.shape[1] - width), COLUMNS):
            self._append(beginning(self.matrix, self.above, random))
            self.products += DEGREE
        self._diagonalise()

    def expected(self, left: int, usual: int) -> int:
        """Products that are still to come, about, where a column may have ``left`` more.

        All of these if more is wanted than there may be, whose values lie close to what is left
        out.
        """
        cut_off = np.count_nonzero(self.values > self.above) > self.most
        each = left if cut_off else min(left, usual)
        return int(each * (self.block.shape[1] - self.settled) // COLUMNS)

    def _append(self, columns: Float32Array) -> None:
        _orthonormal(self.matrix.blocks, columns, self.block)
        width = self.block.shape[1]
        self.block = self._room[:, : width + COLUMNS]
        self.block[:, width:] = columns

    def turn(self) -> int:
        """One round: filter, make orthogonal, diagonalise. Returns the length of the longest
        filter, 0 where nothing was left to do.
        """
        top = max(self.above - _GAP, self.values[-1])
        longest, width = 0, self.block.shape[1]
        for start in range(self.settled, width, COLUMNS):
            part = slice(start, start + COLUMNS)
            wanted = self._wanted(part)
            if not wanted and not longest:
                return 0
            columns = np.ascontiguousarray(self.block[:, part])
            product = self.matrix.step(columns)
            self.products += 1
            degree = longest
            if wanted:
                values = self.values[start : start + wanted]
                residual = self._residual(product, columns, values)
                if residual.max() < ENOUGH and not longest:
                    self.settled = part.stop
                    continue
                degree = _degree(values, residual, top)
            longest = max(longest, degree)
            self.products += degree - 1
            columns = _filtered(self.matrix, columns, product, degree, top)
            self.matrix.clear(columns)
            _orthonormal(self.matrix.blocks, columns, self.block[:, :start])
            self.block[:, part] = columns
        if longest:
            self._diagonalise()
        return longest

    def _wanted(self, part: slice) -> int:
        """So many columns of a part, its first, are to settle."""
        return int(
            np.count_nonzero(self.values[part.start : min(part.stop, self.most)] > self.above)
        )

    def _residual(
        self, product: Float32Array, columns: Float32Array, values: Float64Array
    ) -> Float64Array:
        """``|matrix v - value v|`` of the first columns, as many as there are values."""
        some, factors = slice(0, len(values)), values.astype(np.float32)

        def work(rows: slice) -> Float32Array:
            apart = product[rows, some] - columns[rows, some] * factors
            return np.asarray(np.einsum("ij,ij->j", apart, apart))

        return np.sqrt(self.matrix.blocks.summed(work))

    def _diagonalise(self) -> None:
        """Turn what has not settled to Ritz vectors, with their values."""
        blocks, active = self.matrix.blocks, self.block[:, self.settled :]
        inner = [
            _inner(
                blocks, active, self.matrix.step(np.ascontiguousarray(active[:, i : i + COLUMNS]))
            )
            for i in range(0, active.shape[1], COLUMNS)
        ]
        self.products += len(inner)
        values, vectors = np.linalg.eigh(np.hstack(inner))
        self.values = np.concatenate((self.values[: self.settled], values[::-1]))
        _turn(blocks, active, np.ascontiguousarray(vectors[:, ::-1]))


def _filtered(
    matrix: Symmetric, columns: Float32Array, product: Float32Array, degree: int, top: float
) -> Float32Array:
    """The Chebyshev polynomial that is at most 1 on [-1, top], of columns and their product, which
    are both overwritten.
    """
    middle, half = (top - 1) / 2, (top + 1) / 2

    def begin(rows: slice) -> None:
        product[rows] -= np.float32(middle) * columns[rows]
        product[rows] /= np.float32(half)

    matrix.blocks.each(begin)
    before, now = columns, product
    for _ in range(degree - 1):
        before, now = now, matrix.step(now, 2 / half, -2 * middle / half, before)
    return now


def _degree(values: Float64Array, residual: Float64Array, top: float) -> int:
    """How long a filter brings all these residuals below ``ENOUGH``, as far as one may."""
    middle, half = (top - 1) / 2, (top + 1) / 2
    rate = np.arccosh(np.maximum((values - middle) / half, 1 + 1e-6))
    needed = np.log(2 * _SPARE * residual / ENOUGH) / rate
    reach = _RANGE / max(np.arccosh((1 - middle) / half) - rate.min(), 1e-6)
    return int(max(_LEAST, min(np.ceil(needed.max()), reach, _MOST)))


def _orthonormal(blocks: RowBlocks, columns: Float32Array, earlier: Float32Array) -> None:
    """Make columns orthonormal and orthogonal to the earlier ones, in place; 0 where they depend.

    By Gram matrices in float64, which need no column as a whole (Stathopoulos and Wu 2002).
    """
    for _ in range(2):  # the second takes out what rounding left of the first
        inside = _inner(blocks, earlier, columns).astype(np.float32)
        _turn(blocks, columns, _whitening(_cut(blocks, columns, earlier, inside)))


def _inner(blocks: RowBlocks, left: Float32Array, right: Float32Array) -> Float64Array:
    return blocks.summed(lambda rows: left[rows].T @ right[rows])


def _cut(
    blocks: RowBlocks, columns: Float32Array, earlier: Float32Array, inside: Float32Array
) -> Float64Array:
    """Take the earlier ones out, in place; the Gram matrix of what is left."""

    def work(rows: slice) -> Float64Array:
        columns[rows] -= earlier[rows] @ inside
        wide = columns[rows].astype(np.float64)
        return np.asarray(wide.T @ wide)

    return blocks.summed(work)


def _whitening(gram: Float64Array) -> Float64Array:
    """What turns columns with these products into orthonormal ones."""
    length = np.sqrt(gram.diagonal())
    scale = np.divide(1, length, out=np.zeros_like(length), where=length > 0)
    values, vectors = np.linalg.eigh(gram * scale * scale[:, None])
    kept = values > _DEPENDENT
    spread = np.where(kept, 1 / np.sqrt(np.where(kept, values, 1)), 0)
    return np.asarray(scale[:, None] * vectors * spread)


def _turn(blocks: RowBlocks, columns: Float32Array, by: Float64Array) -> None:
    """``columns @ by``, in place."""
    factors = by.astype(np.float32)

    def work(rows: slice) -> None:
        columns[rows] = columns[rows] @ factors

    blocks.each(work)
