"""The stability of each cluster, by resampling the graph that was clustered.

In: ``ClusterResult``, prepared vectors. Out: ``(c,) float64`` in [0, 1].
Promise: nothing is searched or smoothed again: what is drawn anew is which rows there are; the same
seed gives the same figures.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vdbcluster.methods.density import on_edges
from vdbcluster.methods.interface import cluster_with
from vdbcluster.model.arrays import Allocate, Float32Array, Float64Array, Int64Array
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import DENSITY
from vdbcluster.pipeline.cluster import ClusterResult
from vdbcluster.ports import Observer
from vdbcluster.quality.stability import recovery


def cluster_stability(
    result: ClusterResult,
    vectors: Float32Array,
    repeats: int,
    observer: Observer,
    *,
    empty: Allocate = np.empty,
) -> Float64Array:
    """How well each cluster is found again in samples of the rows, NaN where none held a row.

    ``empty``: where the graphs of the samples lie, and the copies that are worked on.
    Hennig's mean Jaccard coefficient (``quality.stability``): below 0.6 a cluster is doubtful,
    above 0.75 it is real.
    """
    recipe = result.recipe
    with observer.stage("stability", repeats, "samples") as progress:

        def relabel(edges: NeighborGraph, rows: Int64Array) -> Int64Array:
            progress.advance(1)
            if recipe.method in DENSITY:
                return on_edges(edges, recipe, empty=empty).labels
            told = min(result.clustering.n_clusters, len(rows)) if recipe.method == "kmeans" else 0
            return cluster_with(edges, vectors[rows], replace(recipe, n_clusters=told)).labels

        return recovery(
            result.edges,
            result.clustering.labels,
            relabel,
            repeats=repeats,
            seed=recipe.seed,
            empty=empty,
        )
