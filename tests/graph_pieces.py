"""A graph of a few groups, whole and in pieces, as the tests of work in pieces use it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from tests.unit.engine_graphs import exact
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.hierarchy.shards import GraphShard
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.pipeline.shards import save_shard


def grouped() -> NeighborGraph:
    """900 rows in four groups, 12 neighbours each."""
    rng = np.random.default_rng(0)
    return exact(rng.normal(size=(900, 3)) + 6.0 * rng.integers(0, 4, (900, 1)), 12)


def filled(folder: Path, graph: NeighborGraph, n_shards: int) -> tuple[ShardFiles, list[int]]:
    """A store that holds the pieces of a graph, and where they begin and end."""
    store = ShardFiles(str(folder))
    bounds = np.linspace(0, graph.n_rows, n_shards + 1).astype(int).tolist()
    for number, (a, b) in enumerate(pairwise(bounds)):
        save_shard(store, number, GraphShard(a, graph.indices[a:b], graph.distances[a:b]))
    return store, bounds
