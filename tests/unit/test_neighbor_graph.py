"""``NeighborGraph.validate``: each promise, wherever the row lies."""

from __future__ import annotations

import numpy as np
import pytest

from vdbcluster.model.neighbors import PADDING, NeighborGraph

ROWS = 70_000  # more than are looked at together


def ring() -> tuple[np.ndarray, np.ndarray]:
    """Each row lists the next one, and nobody else."""
    indices = np.full((ROWS, 2), PADDING, np.int32)
    indices[:, 0] = (np.arange(ROWS) + 1) % ROWS
    distances = np.tile(np.array([1, np.inf], np.float32), (ROWS, 1))
    return indices, distances


def test_what_keeps_its_promises() -> None:
    NeighborGraph(*ring(), "chord").validate()
    NeighborGraph(np.empty((0, 3), np.int32), np.empty((0, 3), np.float32), "chord").validate()


@pytest.mark.parametrize("row", [0, 65_536, ROWS - 1])
@pytest.mark.parametrize(
    ("listed", "apart", "told"),
    [
        ((ROWS, -1), (1, np.inf), "a neighbour out of range"),
        ((-2, -1), (1, np.inf), "a neighbour out of range"),
        ((None, -1), (1, np.inf), "itself as a neighbour"),
        ((5, -1), (np.nan, np.inf), "NaN or negative"),
        ((5, -1), (-1, np.inf), "NaN or negative"),
        ((5, -1), (1, 2), "padding without infinity"),
        ((5, 6), (1, np.inf), "a neighbour at infinity"),
        ((5, 6), (2, 1), "distances that do not ascend"),
    ],
)
def test_the_row_that_breaks_one_is_named(
    row: int, listed: tuple[int | None, int], apart: tuple[float, float], told: str
) -> None:
    indices, distances = ring()
    indices[row] = [row if listed[0] is None else listed[0], listed[1]]
    distances[row] = apart
    with pytest.raises(ValueError, match=rf"^row {row} of the neighbour graph has .*{told}"):
        NeighborGraph(indices, distances, "chord").validate()
