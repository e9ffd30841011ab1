"""Optimal pairs: each old cluster with at most one new one, and the other way round.

In: admissible pairs with whole weights. Out: which of them to take.
Promise: most favoured pairs first, then the largest sum of weights (the assignment problem; Jonker
and Volgenant 1987, sparse); of equal sums the one with smaller numbers. Never a dense matrix.
scipy is imported where there are pairs: it takes longer than many a command that imports this.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vdbcluster.model.arrays import BoolArray, Float64Array, Int64Array

_EXACT = 2.0**50
"""Sums of whole numbers up to here are exact in float64, with room for those of a path."""
_BATCH_PAIRS = 1000


def best_pairs(
    old: Int64Array, new: Int64Array, weights: Int64Array, favoured: BoolArray
) -> Int64Array:
    """Positions of the pairs to take, ascending; ``old``, ``new``, ``weights (p,)``, all > 0.

    Ties are broken by the smaller numbers of ``old`` and ``new``, so these should mean something
    (the older id, the smaller key). A component with so many rows and clusters that this cannot be
    told exactly in float64 (10^10 rows times clusters squared) is left to the solver.
    """
    if not len(old):
        return np.empty(0, np.int64)
    left = np.unique(old, return_inverse=True)[1]
    right = np.unique(new, return_inverse=True)[1]
    component = _components(left, right)
    values = _values(left, right, weights, favoured, component)
    taken = [rows[_solved(left[rows], right[rows], values[rows])] for rows in _batches(component)]
    return np.sort(np.concatenate(taken))


def _components(left: Int64Array, right: Int64Array) -> Int64Array:
    """Of each pair the connected component of the graph of all pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b = int(left.max()) + 1, int(right.max()) + 1
    graph = coo_array((np.ones(len(left), np.int8), (left, a + right)), shape=(a + b, a + b))
    of_left: Int64Array = connected_components(graph, directed=False)[1].astype(np.int64)[left]
    return of_left


def _batches(component: Int64Array) -> Iterator[Int64Array]:
    """Whole components, so many at once that the solver, quadratic in clusters, stays quick."""
    order = np.argsort(component, kind="stable")
    ordered = component[order]
    begins = np.searchsorted(ordered, ordered)
    cuts = np.flatnonzero(np.diff(begins // _BATCH_PAIRS)) + 1
    yield from np.split(order, cuts)


def _solved(left: Int64Array, right: Int64Array, values: Float64Array) -> BoolArray:
    """Which pairs are in the assignment of the largest sum, which need not be complete."""
    from scipy.sparse import coo_array, csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    lefts, row = np.unique(left, return_inverse=True)
    rights, column = np.unique(right, return_inverse=True)
    # A full matching of minimal cost: each old one may also take a column of its own for nothing.
    a, b = len(lefts), len(rights)
    top = np.zeros(a)
    np.maximum.at(top, row, values)
    costs = np.concatenate([top[row] + 1 - values, top + 1])
    rows = np.concatenate([row, np.arange(a)])
    columns = np.concatenate([column, b + np.arange(a)])
    table = csr_array(coo_array((costs, (rows, columns)), shape=(a, b + a)))
    chosen, partners = min_weight_full_bipartite_matching(table)
    partner = np.full(a, -1, np.int64)
    partner[chosen] = partners
    taken: BoolArray = partner[row] == column
    return taken


def _values(
    left: Int64Array,
    right: Int64Array,
    weights: Int64Array,
    favoured: BoolArray,
    component: Int64Array,
) -> Float64Array:
    """Weights so that sums compare by favoured pairs, then weight, then smaller numbers."""
    n = int(component.max()) + 1
    n_left, first_left = _ranked(left, component, n)
    n_right, first_right = _ranked(right, component, n)
    total = np.bincount(component, weights, minlength=n)
    step = np.minimum(n_left, n_right) * (n_left + n_right) + 1.0
    exact = (2 * total + 1) * step < _EXACT
    step = np.where(exact, step, 1.0)[component]
    ties = exact[component] * (first_left + first_right)
    values: Float64Array = (weights + favoured * (total[component] + 1)) * step + ties
    return values


def _ranked(numbers: Int64Array, component: Int64Array, n: int) -> tuple[Int64Array, Int64Array]:
    """Size of each component on one side, ``(n,)``; of each pair how many there do not precede."""
    _, first = np.unique(numbers, return_index=True)
    own = component[first]
    size = np.bincount(own, minlength=n)
    return size, (size[own] - _ranks(own))[numbers]


def _ranks(groups: Int64Array) -> Int64Array:
    """Place of each entry among those of its group, from 0."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    begins = np.searchsorted(ordered, ordered)
    ranks = np.empty(len(groups), np.int64)
    ranks[order] = np.arange(len(groups)) - begins
    return ranks
