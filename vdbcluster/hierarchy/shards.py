"""The density hierarchy of a graph that lies in pieces, each too large a part to hold them all.

In: ``GraphShard``s that cover the rows, in order. Out: ``Hierarchy``, as ``build`` makes it.
Promise: the same labels, probabilities and scores as those of the whole graph, to the last bit,
however it is cut. Beside one shard nothing larger than O(n) is held: no step sees two shards.

    mail = [outgoing(shard, bounds) for shard in shards]           # what others must know
    settled = [settle(s, incoming, min_samples) for ...]           # core distances, each pair once
    forests = [shard_forest(part.pairs, core) for part in settled]
    hierarchy = hierarchy_of(merge(*forests), core, params)

Why it holds: a core distance needs a row's own list and those that list it. A minimum spanning
forest of a union of edge sets is one of the union of their minimum spanning forests (the cycle
property: an edge that is the greatest of a cycle within a part is so in the whole), and the tree is
made of connected components at each threshold, which all minimum spanning forests share.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from vdbcluster.hierarchy import linkage
from vdbcluster.hierarchy.engine import tree_of
from vdbcluster.hierarchy.jit import kernel
from vdbcluster.hierarchy.pieces import Edges as Edges
from vdbcluster.hierarchy.pieces import GraphShard as GraphShard
from vdbcluster.hierarchy.pieces import Mail as Mail
from vdbcluster.hierarchy.pieces import Settled as Settled
from vdbcluster.hierarchy.reachability import insert
from vdbcluster.model.arrays import BoolArray, Float32Array, Int32Array, Int64Array
from vdbcluster.model.hierarchy import Hierarchy
from vdbcluster.model.neighbors import PADDING
from vdbcluster.model.params import HdbscanParams


def outgoing(shard: GraphShard, bounds: Int64Array) -> list[Mail]:
    """What the rows of ``shard`` say of others, by the shard that these are in, its own included.

    ``bounds (s + 1,) int64``: where shards begin, ascending, 0 first and n last.
    """
    rows, places = np.nonzero(shard.indices != PADDING)
    to = shard.indices[rows, places]
    order = np.argsort(to, kind="stable")
    to = to[order]
    by = (rows[order] + shard.start).astype(np.int32)
    distances = shard.distances[rows, places][order]
    cuts = np.searchsorted(to, bounds)
    parts = itertools.pairwise(cuts)
    return [Mail(to[a:b], by[a:b], distances[a:b]) for a, b in parts]


def settle(shard: GraphShard, incoming: Sequence[Mail], min_samples: int) -> Settled:
    """Core distances of the rows of ``shard``, and the pairs that it holds.

    ``incoming``: the mail to it from every shard. A pair that both rows list is held by the smaller
    row, with the lesser distance; a pair that one of them lists, by that one.
    """
    to = np.concatenate([mail.to for mail in incoming])
    by = np.concatenate([mail.by for mail in incoming])
    said = np.concatenate([mail.distances for mail in incoming])
    order = np.argsort(to, kind="stable")
    begins = np.searchsorted(to[order], np.arange(len(shard) + 1) + shard.start)
    distances = np.array(shard.distances, order="C")
    core, holds = _settle(
        shard.start, shard.indices, distances, begins, by[order], said[order], min_samples
    )
    rows, places = np.nonzero(holds)
    left = (rows + shard.start).astype(np.int32)
    return Settled(core, Edges(left, shard.indices[rows, places], distances[rows, places]))


@kernel
def _settle(
    start: int,
    indices: Int32Array,
    distances: Float32Array,
    begins: Int64Array,
    by: Int32Array,
    said: Float32Array,
    min_samples: int,
) -> tuple[Float32Array, BoolArray]:
    """Core distances, and which pairs are held; lowers ``distances`` to what either row says."""
    m, k = indices.shape
    nearest = np.full((m, min_samples), np.inf, np.float32)
    holds = np.zeros((m, k), np.bool_)
    for row in range(m):
        for t in range(k):
            holds[row, t] = indices[row, t] >= 0
        for e in range(begins[row], begins[row + 1]):
            known = False
            for t in range(k):
                if indices[row, t] == by[e]:
                    known = True
                    distances[row, t] = min(distances[row, t], said[e])
                    holds[row, t] = row + start < by[e]
            if not known:
                insert(nearest, row, said[e])
        for t in range(k):
            if indices[row, t] >= 0:
                insert(nearest, row, distances[row, t])
    return nearest[:, -1].copy(), holds


def shard_forest(pairs: Edges, core: Float32Array) -> Edges:
    """The minimum spanning forest of the pairs that one shard holds, by mutual reachability.

    ``core (n,) float32``: of all rows.
    """
    weights = np.maximum(pairs.weights, np.maximum(core[pairs.left], core[pairs.right]))
    finite = np.isfinite(weights)
    return forest(Edges(pairs.left[finite], pairs.right[finite], weights[finite]))


def merge(*forests: Edges) -> Edges:
    """The minimum spanning forest of all of them together."""
    return forest(
        Edges(
            np.concatenate([one.left for one in forests]),
            np.concatenate([one.right for one in forests]),
            np.concatenate([one.weights for one in forests]),
        )
    )


def forest(edges: Edges) -> Edges:
    """A minimum spanning forest of ``edges`` by Kruskal's method, ascending by weight."""
    left, right, n = _numbered(edges)
    order = np.argsort(edges.weights, kind="stable")
    kept = order[_acyclic(left, right, order, n)]
    return Edges(edges.left[kept], edges.right[kept], edges.weights[kept])


def _numbered(edges: Edges) -> tuple[Int32Array, Int32Array, int]:
    """The ends counted among themselves where they are few of all rows, and how many there are."""
    highest = int(max(edges.left.max(initial=-1), edges.right.max(initial=-1)))
    if highest < 4 * len(edges):
        return edges.left, edges.right, highest + 1
    nodes, place = np.unique(np.concatenate((edges.left, edges.right)), return_inverse=True)
    left, right = place.reshape(2, -1).astype(np.int32)
    return left, right, len(nodes)


@kernel
def _acyclic(left: Int32Array, right: Int32Array, order: Int64Array, n: int) -> Int64Array:
    """Places in ``order`` of edges that join what is still apart."""
    parent = np.arange(n).astype(np.int32)
    kept = np.empty(min(order.shape[0], max(n - 1, 0)), np.int64)
    m = 0
    for place in range(order.shape[0]):
        a, b = linkage.find(parent, left[order[place]]), linkage.find(parent, right[order[place]])
        if a != b:
            parent[max(a, b)] = min(a, b)
            kept[m] = place
            m += 1
    return kept[:m]


def hierarchy_of(whole: Edges, core: Float32Array, params: HdbscanParams) -> Hierarchy:
    """The hierarchy of the rows whose minimum spanning forest ``whole`` is.

    ``core (n,) float32``, n at least 2. Joins by ``bridge`` need vectors: they count as ``max``.
    """
    return tree_of(whole.left, whole.right, whole.weights, core, params)
