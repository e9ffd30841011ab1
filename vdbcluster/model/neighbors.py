"""The neighbour graph: the infinity-padded distance matrix, held sparse.

In: arrays from a neighbour search. Out: ``NeighborGraph``, the one input of every later stage.
Promise: self is never a neighbour, rows ascend, smaller is nearer, padding is ``-1`` / ``+inf``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vdbcluster.model.arrays import Float32Array, Int32Array

PADDING = -1


@dataclass(frozen=True, slots=True, eq=False)
class NeighborGraph:
    """The k nearest neighbours of n rows; pairs that nobody found are infinitely far.

    ``indices`` is ``(n, k) int32``, row positions, ``-1`` where a row has fewer neighbours;
    ``distances`` is ``(n, k) float32``, ascending along each row, ``+inf`` where ``indices`` is -1;
    ``metric`` names the distance (``euclidean``, ``chord``, ``angular``, ``hamming``, ...).
    Raises ``ValueError`` on arrays of the wrong shape or dtype; ``validate`` checks the contents.
    """

    indices: Int32Array
    distances: Float32Array
    metric: str

    def __post_init__(self) -> None:
        check_lists(self.indices, self.distances)

    @property
    def n_rows(self) -> int:
        return int(self.indices.shape[0])

    @property
    def n_neighbors(self) -> int:
        return int(self.indices.shape[1])

    def validate(self) -> None:
        """Check every promise in O(n k); ``ValueError`` names the first row that breaks one."""
        absent = self.indices == PADDING
        before, after = self.distances[:, :-1], self.distances[:, 1:]
        checks = (
            ("a neighbour out of range", (self.indices < PADDING) | (self.indices >= self.n_rows)),
            ("itself as a neighbour", self.indices == np.arange(self.n_rows)[:, None]),
            ("a distance that is NaN or negative", ~(self.distances >= 0)),
            ("padding without infinity", absent & ~np.isinf(self.distances)),
            ("a neighbour at infinity", ~absent & np.isinf(self.distances)),
        )
        for what, bad in checks:
            self._refuse(what, bad.any(axis=1))
        self._refuse("distances that do not ascend", (after < before).any(axis=1))

    def _refuse(self, what: str, rows: Any) -> None:
        if rows.any():
            raise ValueError(f"row {int(np.argmax(rows))} of the neighbour graph has {what}")


def check_lists(indices: Int32Array, distances: Float32Array) -> None:
    """``ValueError`` unless these are neighbour lists, ``(n, k) int32`` and ``float32``."""
    if indices.ndim != 2 or indices.shape != distances.shape:
        raise ValueError(
            f"indices {indices.shape} and distances {distances.shape} "
            "must both be (n_rows, n_neighbors)"
        )
    if indices.dtype != np.int32 or distances.dtype != np.float32:
        raise ValueError(
            f"indices must be int32 and distances float32, "
            f"not {indices.dtype} and {distances.dtype}"
        )
