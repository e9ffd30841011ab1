"""Where unfinished work lies between two runs, and who searches for neighbours in pieces.

In: names of work; rows and their search. Out: a store for the pieces of each; what is to be done on
each piece, and by whom. Promise: a name that nobody has used is an empty store; only what was put
there through such a store is ever removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.rows import Rows
from vdbcluster.ports.neighbors import NeighborSearch
from vdbcluster.ports.shards import ShardStore, Work, Workers


class WorkPlace(Protocol):
    """Folders of pieces, by name."""

    def store(self, name: str) -> ShardStore:
        """That of ``name``; nothing is made before something is saved."""
        ...

    def clear(self, stem: str, keep: str, seconds: float) -> None:
        """Drop all whose name begins with ``stem``, but ``keep`` and those that somebody has
        written to within these seconds.

        Raises ``VdbclusterError`` where it cannot.
        """
        ...


class ShardSearch(Protocol):
    """How the neighbours of many rows are searched in pieces."""

    def bounds(self, n_rows: int) -> Sequence[int]:
        """Where pieces begin among so many rows: 0 first, ``n_rows`` last."""
        ...

    def search(
        self,
        store: ShardStore,
        bounds: Sequence[int],
        search: NeighborSearch,
        rows: Rows,
        points: Float32Array,
        metric: str,
        n_neighbors: int,
    ) -> tuple[Work, Workers]:
        """What leaves each piece of the graph in the store, and who does it.

        ``search`` is over these rows; ``points (n, d)`` are the rows as prepared for ``metric``.
        """
        ...
