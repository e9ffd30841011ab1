"""HDBSCAN on the neighbour graph, with what comes before and after it.

In: ``NeighborGraph``, ``Recipe``. Out: ``Clustering`` and the ``Hierarchy`` that it was cut from.
Promise: no vectors, no lots but the seed of the recipe; each step can be left out by the recipe.

    smoothed graph -> hierarchy -> eom or leaf -> merge -> noise to its neighbours

``finish`` is what follows the extraction, whichever way the clusters were extracted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vdbcluster.graph.smooth import smoothed
from vdbcluster.hierarchy import build, extract
from vdbcluster.methods.merge import by_size, merge
from vdbcluster.methods.soft import assign, withdrawn
from vdbcluster.model.arrays import Allocate
from vdbcluster.model.hierarchy import Clustering, Hierarchy
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams, Recipe


def cluster_density(graph: NeighborGraph, recipe: Recipe) -> tuple[Clustering, Hierarchy]:
    """Cluster by density; ``recipe.method`` is ``leaf`` or else means what ``recipe.hdbscan`` says.

    Raises ``ValueError`` where the graph has fewer neighbours than ``min_samples``.
    """
    edges = smoothed(graph, recipe.smooth, recipe.seed, recipe.cut)
    hierarchy = build(edges, parameters(recipe))
    return extracted(edges, hierarchy, recipe), hierarchy


def on_edges(edges: NeighborGraph, recipe: Recipe, *, empty: Allocate = np.empty) -> Clustering:
    """What a graph gives that is smoothed already; ``empty``: as in ``hierarchy.build``."""
    hierarchy = build(edges, parameters(recipe), empty=empty)
    return extracted(edges, hierarchy, recipe, empty=empty)


def extracted(
    edges: NeighborGraph, hierarchy: Hierarchy, recipe: Recipe, *, empty: Allocate = np.empty
) -> Clustering:
    """From the hierarchy to the labels that are written; ``empty``: as in ``methods.soft``."""
    found = extract(hierarchy, parameters(recipe))
    return finish(edges, whole_if_uncut(found, hierarchy, recipe), recipe, empty=empty)


def parameters(recipe: Recipe) -> HdbscanParams:
    """The parameters of the hierarchy, with the selection that the method asks for."""
    if recipe.method != "leaf":
        return recipe.hdbscan
    return replace(recipe.hdbscan, cluster_selection_method="leaf")


def whole_if_uncut(clustering: Clustering, hierarchy: Hierarchy, recipe: Recipe) -> Clustering:
    """One cluster of all rows where spectral smoothing left nothing to cut.

    Slow walks that tell no groups apart say that the rows are one group: no eigenvalue lies below
    the cut, or what lies there separates nothing as large as ``min_cluster_size``. Distances of
    vectors say nothing of the kind, so without this smoothing such rows stay noise. They do too
    if the graph falls apart, or has fewer rows than a cluster needs.
    """
    n, whole = hierarchy.n_rows, recipe.smooth == "spectral" and hierarchy.n_components == 1
    if clustering.n_clusters or not whole or n < recipe.hdbscan.min_cluster_size:
        return clustering
    core = hierarchy.core_distances
    return replace(
        clustering,
        labels=np.zeros(n, np.int64),
        probabilities=np.ones(n),
        persistence=np.zeros(1),
        exemplars=(np.flatnonzero(core == core.min()),),
    )


def finish(
    edges: NeighborGraph, clustering: Clustering, recipe: Recipe, *, empty: Allocate = np.empty
) -> Clustering:
    """Merge clusters and give them noise, as far as the recipe says; ``edges`` as clustered.

    Merging sees all rows in their clusters, so how much noise is wanted does not change which
    clusters there are. Clusters are numbered by size anew, unless ``ties`` keeps to hdbscan's
    numbers and nothing was merged.
    """
    if not (recipe.merge or recipe.soft):
        return clustering
    if recipe.merge and recipe.soft:
        given = assign(edges, clustering, empty=empty)
        clustering = withdrawn(merge(edges, given, recipe.merge))
    elif recipe.merge:
        clustering = merge(edges, clustering, recipe.merge)
    if recipe.soft:
        clustering = assign(
            edges,
            clustering,
            max_noise=recipe.max_noise,
            min_confidence=recipe.min_confidence,
            empty=empty,
        )
    return clustering if recipe.hdbscan.ties == "reference" else by_size(clustering)
