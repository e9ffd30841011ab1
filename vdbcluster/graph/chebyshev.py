"""The largest eigenvalues of a sparse symmetric matrix, down to a bound, with their vectors.

In: the product of the matrix with a block of columns; eigenvalues lie in [-1, 1].
Out: eigenvalues descending and their vectors. Promise: time is bounded whatever the gaps between
eigenvalues, which a Krylov method needs to converge; the same seed gives the same result.

Chebyshev-filtered subspace iteration (Zhou, Saad, Tiago and Chelikowsky 2006): a polynomial that
is small up to the bound and grows steeply beyond is applied to a block of random columns, which
then span the wanted vectors. The width of the block comes from an estimate of their number, the
trace of a smoothed step function (Di Napoli, Polizzi and Saad 2016).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vdbcluster.model.arrays import Float32Array, Float64Array

Product = Callable[[Float32Array], Float32Array]

DEGREE, ROUNDS, ENOUGH = 10, 10, 2e-4
"""Of the filter; filters and orthogonalisations at most; residual at which they end before.

At 2e-3 the clusters of one set in three still depended on the seed, at 2e-4 on none."""
MARGIN = 0.03
"""The block reaches this far below the bound, so that what lies there does not mix in."""
_PROBES, _MOMENTS = 8, 60
_COLUMNS, _ROWS = 32, 4096


def largest(
    product: Product, n: int, above: float, most: int, seed: int
) -> tuple[Float64Array, Float32Array]:
    """Eigenvalues ``(m,)`` greater than ``above`` and vectors ``(n, m)``, the ``most`` largest."""
    random = np.random.default_rng(seed)
    limit = min(n, most + 8)
    count = max(0.0, _count(product, n, above - MARGIN, random))
    width = min(limit, int(count + 2 * np.sqrt(2 * count / _PROBES)) + 12)  # two deviations more
    block: Float32Array = random.standard_normal((n, width), dtype=np.float32)
    while True:
        values = _iterated(product, block, above)
        if values[-1] < above or block.shape[1] >= limit:
            found = min(most, int(np.count_nonzero(values > above)))
            return values[:found], np.ascontiguousarray(block[:, :found])
        more = min(limit, 2 * block.shape[1]) - block.shape[1]
        block = np.hstack((block, random.standard_normal((n, more), dtype=np.float32)))


def _iterated(product: Product, block: Float32Array, above: float) -> Float64Array:
    """Ritz values, descending; the block becomes their vectors, in as many rounds as it needs.

    In place, a few columns or rows at a time: the block is what takes memory.
    """
    parts = [slice(i, i + _COLUMNS) for i in range(0, block.shape[1], _COLUMNS)]
    for _ in range(ROUNDS):
        for part in parts:
            columns = _filtered(product, np.ascontiguousarray(block[:, part]), above)
            earlier = block[:, : part.start]
            for _ in range(2):  # the second takes out what rounding left of the first
                columns -= earlier @ (earlier.T @ columns)
                columns = np.linalg.qr(columns)[0]
            block[:, part] = columns
        inner = np.hstack([block.T @ product(block[:, part]) for part in parts])
        values, turn = np.linalg.eigh(inner.astype(np.float64))
        values, turn = values[::-1], turn[:, ::-1].astype(np.float32)
        for start in range(0, len(block), _ROWS):
            block[start : start + _ROWS] = block[start : start + _ROWS] @ turn
        wanted = [part for part in parts if values[part.start] > above]
        if all(_settled(product, block[:, part], values[part], above) for part in wanted):
            break
    return values


def _settled(product: Product, vectors: Float32Array, values: Float64Array, above: float) -> bool:
    apart = product(vectors) - vectors * values.astype(np.float32)
    residual = np.sqrt(np.einsum("ij,ij->j", apart, apart))
    return bool((residual[values > above] < ENOUGH).all())


def _filtered(product: Product, block: Float32Array, above: float) -> Float32Array:
    """The Chebyshev polynomial that is at most 1 on [-1, above - 0.1]."""
    top = above - 0.1
    middle, half = (top - 1) / 2, (top + 1) / 2
    before, now = block, product(block)
    now -= middle * block
    now /= half
    for _ in range(DEGREE - 1):
        then = product(now)
        then -= middle * now
        then *= 2 / half
        then -= before
        before, now = now, then
    return now


def _count(product: Product, n: int, above: float, random: np.random.Generator) -> float:
    """About how many eigenvalues are greater: the trace of a step, by moments of random signs."""
    coins = random.random((n, _PROBES)) < 0.5
    signs: Float32Array = np.where(coins, -1, 1).astype(np.float32)
    j, turn, angle = np.arange(_MOMENTS), np.pi / (_MOMENTS + 1), np.arccos(above)
    step = np.append(angle, 2 * np.sin(j[1:] * angle) / j[1:]) / np.pi
    damped = (_MOMENTS - j + 1) * np.cos(turn * j) + np.sin(turn * j) / np.tan(turn)
    weights = (step * damped / (_MOMENTS + 1)).tolist()
    before, now = signs, product(signs)
    total = weights[0] * signs.size + weights[1] * float(np.vdot(signs, now))
    for weight in weights[2:]:
        then = product(now)
        then *= 2
        then -= before
        before, now = now, then
        total += weight * float(np.vdot(signs, now))
    return float(total / _PROBES)
