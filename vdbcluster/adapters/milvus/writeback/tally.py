"""What became of each row of one write, while it is going on.

In: marks by position. Out: ``WriteOutcome``. Promise: the first message is the one that is told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vdbcluster.adapters.milvus.expressions import Key
from vdbcluster.model.arrays import Int64Array
from vdbcluster.model.labels import LabelBatch, RowStatus, WriteOutcome

PATIENCE = 20
"""So many rows in a row may fail one by one before the others are not even tried."""


class Tally:
    """Rows that nobody marks are ``FAILED``."""

    def __init__(self, rows: int) -> None:
        self._status = np.full(rows, RowStatus.FAILED, np.int8)
        self._message = ""
        self._failures = 0

    @property
    def hopeless(self) -> bool:
        """Whether it is plain that the cause of the failures is not in single rows."""
        return self._failures >= PATIENCE

    def mark(self, rows: Int64Array, status: RowStatus, message: str = "") -> None:
        self._status[rows] = status
        if rows.size and not self._message:
            self._message = message
        self._failures = self._failures + 1 if status == RowStatus.FAILED else 0

    def outcome(self) -> WriteOutcome:
        return WriteOutcome(self._status, self._message)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One call of ``write``: the labels, the partition of their rows, and the tally.

    ``erase``: the fields of the labels are to hold nothing.
    """

    batch: LabelBatch
    partition: str
    tally: Tally
    erase: bool = False

    def keep(self, rows: Int64Array, keys: set[Key], otherwise: RowStatus) -> Int64Array:
        """Those of ``rows`` whose key is among ``keys``; the others are marked."""
        held = np.array([key in keys for key in self.batch.keys[rows].tolist()], np.bool_)
        if not held.all():
            self.tally.mark(rows[~held], otherwise)
        return rows[held]
