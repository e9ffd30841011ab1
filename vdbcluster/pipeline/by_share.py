"""Pieces that are done, told as rows: workers do not say which of them it was.

In: rows, and the pieces that they are cut into; how many pieces are done by now. Out: rows, all of
them once all pieces are done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class ByShare:
    """``advance(rows)`` is called for each ``__call__(pieces)``."""

    rows: int
    pieces: int
    advance: Callable[[int], None]
    finished: int = 0

    def __call__(self, count: int) -> None:
        before = self.rows * self.finished // self.pieces
        self.finished += count
        self.advance(self.rows * self.finished // self.pieces - before)
