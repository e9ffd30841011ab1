"""Rows that were read: keys and vectors, in one canonical order.

Promise of ``Rows``: keys are unique and ascending (numbers by value, strings by code point), so
that the same collection gives the same arrays whatever order the database returned them in.
"""

from __future__ import annotations

from dataclasses import dataclass

from vdbcluster.model.arrays import Float32Array, Int32Array, Keys


@dataclass(frozen=True, slots=True, eq=False)
class VectorPage:
    """One page from a source: ``keys (m,)``, ``vectors (m, d) float32``, all of one partition.

    ``without_vector`` counts the rows of this page that have none and are left out.
    """

    keys: Keys
    vectors: Float32Array
    partition: str
    without_vector: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """All rows of a selection.

    ``keys (n,)``; ``vectors (n, d) float32``, in memory or memory-mapped;
    ``partition_of (n,) int32`` indexes ``partitions``.
    """

    keys: Keys
    vectors: Float32Array
    partition_of: Int32Array
    partitions: tuple[str, ...]

    def __len__(self) -> int:
        return int(self.keys.shape[0])


@dataclass(frozen=True, slots=True)
class ReadReport:
    """What reading found; ``counted`` is the server's own ``count(*)`` before and after.

    ``unreadable`` rows are counted by the server but given to nobody; they make a read incomplete.
    """

    rows: int
    duplicates: int
    without_vector: int
    counted_before: int
    counted_after: int
    unreadable: int = 0

    @property
    def complete(self) -> bool:
        """Whether rows read agree with the count, duplicates and concurrent change allowed for."""
        low, high = sorted((self.counted_before, self.counted_after))
        read = self.rows + self.duplicates + self.without_vector
        return low <= read <= high
