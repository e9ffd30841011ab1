"""Rows of a collection as they are now, with their labels, and which of them are asked for.

    Chosen(clusters=(7, 9), where="year > 2020")     rows of two clusters that satisfy a filter
    LiveRow(12, cluster=7, fields={"text": "..."})   a row and its label

Promise: frozen, plain values only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vdbcluster.model.catalogue import RowKey
from vdbcluster.model.hierarchy import NOISE

LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which rows: of one of ``clusters`` (-1 is noise; none named: of any, labelled or not).

    ``assignment``: ``core``, ``soft`` or ``noise``, empty for any. ``where``: an expression in the
    language of the database, written by whoever asks; it can narrow a choice and never widen it.
    ``copies``: only rows that are marked as a duplicate of another. Raises ``ValueError`` for ids
    that no cluster can have.
    """

    clusters: tuple[int, ...] = ()
    assignment: str = ""
    where: str = ""
    copies: bool = False

    def __post_init__(self) -> None:
        for cluster in self.clusters:
            if not NOISE <= cluster <= LARGEST_ID:
                raise ValueError(f"{cluster} is no id of a cluster")

    @property
    def by_label(self) -> bool:
        """Whether labels decide."""
        return bool(self.clusters or self.assignment or self.copies)


@dataclass(frozen=True, slots=True)
class LiveLabel:
    """``cluster``: -1 is noise. ``duplicate_of``: the key, as text, of the row to keep."""

    cluster: int
    probability: float = 0.0
    outlier_score: float = 0.0
    run_id: str = ""
    assignment: str = ""
    path: str = ""
    duplicate_of: str = ""


@dataclass(frozen=True, slots=True)
class LiveRow:
    """``label``: None where no run has labelled it. ``score``: of a search, see ``LiveHits``."""

    key: RowKey
    label: LiveLabel | None = None
    fields: Mapping[str, object] = field(default_factory=dict)
    score: float | None = None


@dataclass(frozen=True, slots=True)
class LivePage:
    """Rows in order of key; ``more``: whether any may follow the last."""

    rows: tuple[LiveRow, ...] = ()
    more: bool = False
