"""The pieces of a neighbour graph, as they lie in a store.

In: a store, the number of a piece. Out: ``GraphShard``; the store holds it under ``graph_piece``.
"""

from __future__ import annotations

import numpy as np

from vdbcluster.errors import VdbclusterError
from vdbcluster.hierarchy.pieces import GraphShard
from vdbcluster.ports.shards import ShardStore


def save_shard(store: ShardStore, number: int, shard: GraphShard) -> None:
    """The piece ``number`` of the graph."""
    held = {"indices": shard.indices, "distances": shard.distances, "start": np.array(shard.start)}
    store.save(graph_piece(number), held)


def load_shard(store: ShardStore, number: int, start: int) -> GraphShard:
    """The same again; ``start``: where it begins among all rows.

    Raises ``VdbclusterError`` if it is damaged, or begins elsewhere: somebody has cut otherwise.
    """
    held = store.load(graph_piece(number), "indices", "distances", "start")
    if int(held["start"]) != start:
        raise VdbclusterError(
            f"the piece {number} of the neighbour graph begins at row {int(held['start']):,}, not "
            f"{start:,}; another run cuts the same rows into other pieces: run again when it is "
            "done"
        )
    return GraphShard(start, held["indices"], held["distances"])


def has_shard(store: ShardStore, number: int) -> bool:
    """Whether it need not be searched again."""
    return store.has(graph_piece(number))


def graph_piece(number: int) -> str:
    """The name under which the piece ``number`` of the graph is kept."""
    return f"graph-{number:05}"
