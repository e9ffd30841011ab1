"""Rows of a file and the clusters that their fields put them into.

In: numbers, labels, probabilities. Out: ``Classified``, frozen. Promise: of one length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vdbcluster.model.arrays import Float64Array, Int64Array


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """Rows of the source by their numbers ``(m,)``, counted from 1; ``names (m,)``: what the named
    field says of each, None without one. ``labels (m,) int64``, -1 where no cluster is probable
    enough; ``probabilities (m,) float64`` of the most probable one.
    """

    numbers: tuple[int, ...]
    names: tuple[Any, ...] | None
    labels: Int64Array
    probabilities: Float64Array
