"""Which rows the known pairs connect, before any join.

In: ``Hierarchy``. Out: a component number per row.
Promise: numbered from 0 by the first row of each; as many as ``Hierarchy.n_components``.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.model.arrays import Int32Array
from vdbcluster.model.hierarchy import Hierarchy


def connected_components(hierarchy: Hierarchy) -> Int32Array:
    """The component of every row in the mutual reachability graph, ``(n,) int32``.

    A row with fewer than ``min_samples`` neighbours is a component of its own.
    """
    # a third of a second to import, and most runs have one component
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components as label_components

    tree, n = hierarchy.spanning_tree, hierarchy.n_rows
    known = ~tree.joined
    ends = (tree.left[known], tree.right[known])
    pairs = coo_array((np.ones(ends[0].shape[0], np.bool_), ends), shape=(n, n))
    labels = label_components(pairs, directed=False)[1]
    _, first, number = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(first.shape[0], np.int32)
    rank[np.argsort(first)] = np.arange(first.shape[0], dtype=np.int32)
    return np.asarray(rank[number], np.int32)
