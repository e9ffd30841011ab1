"""What ``hierarchy.shards`` takes and gives, without the compiler that its steps need.

In: nothing. Out: ``GraphShard``, ``Mail``, ``Edges``, ``Settled``.
"""

from __future__ import annotations

from dataclasses import dataclass

from vdbcluster.model.arrays import Float32Array, Int32Array


@dataclass(frozen=True, slots=True, eq=False)
class GraphShard:
    """Rows ``start`` to ``start + m`` of a neighbour graph.

    ``indices (m, k) int32``: places among all rows, as in ``NeighborGraph``; ``distances (m, k)``.
    """

    start: int
    indices: Int32Array
    distances: Float32Array

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True, slots=True, eq=False)
class Mail:
    """Pairs that rows of one shard list and rows of another must know of.

    ``to``, ``by (m,) int32``: places among all rows, ``to`` ascending; ``distances (m,) float32``.
    """

    to: Int32Array
    by: Int32Array
    distances: Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """``left``, ``right (m,) int32``: places among all rows; ``weights (m,) float32``."""

    left: Int32Array
    right: Int32Array
    weights: Float32Array

    def __len__(self) -> int:
        return len(self.left)


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """``core (m,) float32`` of the rows of a shard, ``pairs`` that it holds, each in one shard."""

    core: Float32Array
    pairs: Edges
