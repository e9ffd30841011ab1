"""The neighbour graph: the infinity-padded distance matrix, held sparse.

In: arrays from a neighbour search. Out: ``NeighborGraph``, the one input of every later stage.
Promise: self is never a neighbour, rows ascend, smaller is nearer, padding is ``-1`` / ``+inf``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.model.arrays import Float32Array, Int32Array

PADDING = -1
_BLOCK_ROWS = 65536


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
        """Check every promise in O(n k) and memory of a block; ``ValueError`` names a row that
        breaks one.
        """
        for start in range(0, self.n_rows, _BLOCK_ROWS):
            self._validate(start, min(start + _BLOCK_ROWS, self.n_rows))

    def _validate(self, start: int, end: int) -> None:
        indices, distances = self.indices[start:end], self.distances[start:end]
        absent, endless = indices == PADDING, np.isinf(distances)
        checks = (
            ("a neighbour out of range", (indices < PADDING) | (indices >= self.n_rows)),
            ("itself as a neighbour", indices == np.arange(start, end)[:, None]),
            ("a distance that is NaN or negative", ~(distances >= 0)),
            ("padding without infinity", absent & ~endless),
            ("a neighbour at infinity", ~absent & endless),
            ("distances that do not ascend", distances[:, 1:] < distances[:, :-1]),
        )
        for what, bad in checks:
            if (rows := bad.any(axis=1)).any():
                row = start + int(np.argmax(rows))
                raise ValueError(f"row {row} of the neighbour graph has {what}")


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
