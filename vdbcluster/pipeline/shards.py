"""The pieces of a neighbour graph, as they lie in a store.

In: a store, the number of a piece. Out: ``GraphShard``; the store holds it under ``graph_piece``.
"""

from __future__ import annotations

from vdbcluster.hierarchy.pieces import GraphShard
from vdbcluster.ports.shards import ShardStore


def save_shard(store: ShardStore, number: int, shard: GraphShard) -> None:
    """The piece ``number`` of the graph."""
    store.save(graph_piece(number), {"indices": shard.indices, "distances": shard.distances})


def load_shard(store: ShardStore, number: int, start: int) -> GraphShard:
    """The same again; ``start``: where it begins among all rows."""
    held = store.load(graph_piece(number), "indices", "distances")
    return GraphShard(start, held["indices"], held["distances"])


def has_shard(store: ShardStore, number: int) -> bool:
    """Whether it need not be searched again."""
    return store.has(graph_piece(number))


def graph_piece(number: int) -> str:
    """The name under which the piece ``number`` of the graph is kept."""
    return f"graph-{number:05}"
