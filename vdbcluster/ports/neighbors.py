"""Who finds neighbours."""

from __future__ import annotations

from typing import Protocol

from vdbcluster.model.arrays import Float32Array, Int32Array, Int64Array


class NeighborSearch(Protocol):
    """Nearest neighbours among a fixed set of rows, which the adapter was made with."""

    @property
    def description(self) -> str:
        """Engine, index and search effort in a few words, for the run's summary."""
        ...

    @property
    def metric(self) -> str:
        """The distance that ``search`` returns: ``euclidean``, ``chord``, ``angular``, ..."""
        ...

    @property
    def exact(self) -> bool:
        """Whether every neighbour is certain to be found."""
        ...

    @property
    def measured(self) -> bool:
        """Whether distances are those of ``graph.measure``.

        A database's own are rounded, sometimes quantised, and differ between (i, j) and (j, i).
        """
        ...

    def search(self, which: Int64Array, n_neighbors: int) -> tuple[Int32Array, Float32Array]:
        """Neighbours of the rows at positions ``which (m,)``.

        Returns ``indices (m, n_neighbors) int32`` and ``distances (m, n_neighbors) float32``,
        ascending, ties by position, self excluded by identity of the row and never by its place,
        padded with ``-1`` / ``+inf`` where fewer were found.
        """
        ...
