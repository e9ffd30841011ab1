"""What was found: sets of duplicates, and rows that belong nowhere.

In: nothing. Out: frozen value types with plain arrays.
Promise: a row is in at most one exact set and at most one near set; an exact set lies wholly within
a near set or outside all; ``duplicate_of`` points to a row that is nobody's duplicate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vdbcluster.model.arrays import BoolArray, Float64Array, Int64Array

Kind = Literal["equal vectors", "equal texts", "equal vectors and texts", "mixed", "near"]
"""``mixed``: some have the vector in common, some the text, and together they are one set."""


@dataclass(frozen=True, slots=True, eq=False)
class DuplicateSet:
    """Rows that say the same; ``members (m,) int64``, ascending, at least two.

    ``representative``: the row to keep, one of the members. ``distances (m,) float64``: to it, in
    the metric of the graph. ``scores (m,) float64`` in [0, 1]: 1 for equal, 0 for as far apart as
    rows around here usually are. ``reasons``: one line for each member. ``scale``: the usual
    distance, NaN for exact sets.
    """

    kind: Kind
    members: Int64Array
    representative: int
    distances: Float64Array
    scores: Float64Array
    reasons: tuple[str, ...]
    scale: float = float("nan")

    def __len__(self) -> int:
        return int(self.members.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Duplicates:
    """All sets, largest first, ties by first member.

    ``duplicate_of (n,) int64``: the row to keep instead of this one, -1 for rows to keep.
    ``scores (n,) float64``: that of the row in its set, NaN for rows to keep.
    ``threshold``: near means nearer than about this share of the usual distance around the set; it
    follows the dimension of the data there, this is the median.
    """

    exact: tuple[DuplicateSet, ...]
    near: tuple[DuplicateSet, ...]
    duplicate_of: Int64Array
    scores: Float64Array
    threshold: float

    def counts(self) -> dict[str, int]:
        """Numbers for a summary; ``surplus`` rows are those that could go."""
        return {
            "exact_sets": len(self.exact),
            "exact_rows": sum(map(len, self.exact)),
            "near_sets": len(self.near),
            "near_rows": sum(map(len, self.near)),
            "surplus": int(np.count_nonzero(self.duplicate_of >= 0)),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Outliers:
    """How little each row belongs anywhere.

    ``scores (n,) float64`` in [0, 1]; ``outlier``, ``potential``: ``(n,) bool``, disjoint.
    ``parts (n, 3) float64``: how many spreads above the median the row lies in distance to its
    neighbours, in that beside theirs, and in distance to the centre of all rows.
    ``rows (m,) int64``: outliers and potential outliers by descending score, ties by position, and
    a line about each in ``reasons``.
    """

    scores: Float64Array
    outlier: BoolArray
    potential: BoolArray
    parts: Float64Array
    rows: Int64Array
    reasons: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Numbers for a summary."""
        return {
            "outliers": int(np.count_nonzero(self.outlier)),
            "potential_outliers": int(np.count_nonzero(self.potential)),
        }
