"""From a neighbour graph to the density hierarchy.

In: ``NeighborGraph``, ``HdbscanParams``, further known pairs. Out: ``Hierarchy``.
Promise: HDBSCAN on the infinity-padded matrix without the matrix, O(n k log n) in time, O(n k) in
memory; several threads, one result. ``ties="together"`` does not depend on the order of rows;
``ties="reference"`` with ``join="inf"`` is bit for bit what hdbscan 0.8.43 makes of the dense,
symmetrised matrix of the same pairs. What still is to be joined in a graph without any finite
weight above 0 joins at infinity.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.graph.by_rows import RowBlocks, row_blocks
from vdbcluster.hierarchy import condense as condensing
from vdbcluster.hierarchy import forest, linkage, reachability, selection
from vdbcluster.hierarchy.jit import all_cached
from vdbcluster.hierarchy.reachability import Reachability, mutual_reachability
from vdbcluster.hierarchy.reference import reference_hierarchy
from vdbcluster.model.arrays import Allocate, Float32Array, Int32Array
from vdbcluster.model.hierarchy import CondensedTree, ExtraEdges, Hierarchy, SpanningTree
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.model.params import HdbscanParams


def build(
    graph: NeighborGraph,
    params: HdbscanParams,
    *,
    extra: ExtraEdges | None = None,
    empty: Allocate = np.empty,
) -> Hierarchy:
    """Spanning tree and condensed tree of the mutual reachability graph.

    ``extra``: known pairs beside the graph, as if the graph had held them: core distances count
    them too. With ``join="bridge"`` they hold the bridges; what stays apart joins as by ``max``.
    ``min_samples`` greater than n - 1 means n - 1, as in hdbscan. ``empty``: where the copy of the
    graph lies that is worked on.
    Raises ``ValueError`` if the graph has fewer neighbours than ``min_samples``, or if a row or a
    distance of the graph or of ``extra`` cannot be one.
    """
    n = graph.n_rows
    _check(graph, extra)
    min_samples = min(params.min_samples, n - 1)
    if min_samples > graph.n_neighbors:
        raise ValueError(
            f"min_samples is {params.min_samples}, but the neighbour graph has only "
            f"{graph.n_neighbors} neighbours per row; search for at least {min_samples} "
            f"(better {max(30, 2 * min_samples)}) or lower min_samples"
        )
    if n < 2:
        return _without_pairs(n)
    with row_blocks(n) as blocks:
        if params.ties == "reference":
            reach = mutual_reachability(graph, extra, min_samples, blocks, empty)
            return reference_hierarchy(reach, params)
        core, tree = _forest(mutual_reachability(graph, extra, min_samples, blocks, empty), blocks)
    return tree_of(tree.left, tree.right, tree.distances, core, params)


def _check(graph: NeighborGraph, extra: ExtraEdges | None) -> None:
    """Refuse what would lead the kernels out of their arrays, or NaN into the order of weights."""
    highest, lowest = graph.indices.max(initial=PADDING), graph.indices.min(initial=PADDING)
    if highest >= graph.n_rows or lowest < PADDING or not graph.distances.min(initial=0.0) >= 0:
        graph.validate()
    if extra is None or not len(extra):
        return
    for ends in (extra.left, extra.right):
        if ends.min() < 0 or ends.max() >= graph.n_rows:
            raise ValueError(
                f"extra pairs name rows {ends.min()} to {ends.max()}; the graph has "
                f"{graph.n_rows} rows, counted from 0"
            )
    if not extra.distances.min() >= 0:
        raise ValueError("extra pairs have a distance that is NaN or negative")


def is_compiled() -> bool:
    """Whether a first ``build`` and ``extract`` with default settings need no compilation."""
    modules = (reachability, forest, linkage, condensing, selection)
    return all_cached(function for module in modules for function in module.KERNELS)


def _forest(reach: Reachability, blocks: RowBlocks) -> tuple[Float32Array, ExtraEdges]:
    """Core distances, and pairs that hold a minimum spanning forest.

    Nobody else may hold ``reach``: the pairs are spent, and their memory is wanted for the trees.
    """
    left, right, weights = forest.spanning_forest(reach.indices, reach.weights, blocks)
    extra = reach.extra
    if len(extra):
        left = np.concatenate((left, extra.left))
        right = np.concatenate((right, extra.right))
        weights = np.concatenate((weights, extra.distances))
    return reach.core, ExtraEdges(left, right, weights)


def tree_of(
    left: Int32Array,
    right: Int32Array,
    weights: Float32Array,
    core: Float32Array,
    params: HdbscanParams,
) -> Hierarchy:
    """The hierarchy of n rows, at least 2, from pairs that hold a minimum spanning forest of them.

    ``left``, ``right (m,)``, ``weights (m,)``: in any order; ``core (n,)``.
    """
    n = len(core)
    at = np.inf if params.join == "inf" else 0.0
    links = linkage.link(left, right, weights, np.argsort(weights), n, at)
    return Hierarchy(
        n_rows=n,
        n_components=n - links.n_known,
        core_distances=core.astype(np.float64),
        spanning_tree=SpanningTree(
            links.left,
            links.right,
            links.weights.astype(np.float64),
            np.arange(n - 1) >= links.n_known,
        ),
        condensed_tree=condensing.condense(links.dendrogram, params.min_cluster_size),
    )


def _without_pairs(n: int) -> Hierarchy:
    """The hierarchy of no row or one."""
    whole, real = np.empty(0, np.int64), np.empty(0, np.float64)
    ends = np.empty(0, np.int32)
    return Hierarchy(
        n_rows=n,
        n_components=n,
        core_distances=np.full(n, np.inf),
        spanning_tree=SpanningTree(ends, ends, real, np.empty(0, np.bool_)),
        condensed_tree=CondensedTree(whole, whole, real, whole),
    )
