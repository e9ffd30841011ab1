"""A collection as it is now: searched and browsed by the labels that its rows have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vdbcluster.errors import VdbclusterError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.catalogue import RowKey
from vdbcluster.model.collection import CollectionProfile, VectorField
from vdbcluster.model.live import Chosen, LiveLabel, LivePage, LiveRow

MOST_HITS = 16_384
"""Rows that one search can find, those left out by an offset included."""


class NoRowError(VdbclusterError):
    """There is no row of this key, or none that is selected."""


class LiveCollection(Protocol):
    """A selection of one collection, always as it is now. Never writes. Threads may share it.

    Labels come from wherever runs have written them. All methods raise ``BackendUnavailableError``
    while the database is away and work again once it is back, ``UsageError`` with one line for a
    ``Chosen.where`` that is no expression, or that is none by itself.
    """

    def profile(self) -> CollectionProfile:
        """What it is; may be some seconds old."""
        ...

    @property
    def vector_field(self) -> VectorField:
        """The field that is searched."""
        ...

    @property
    def labels_in(self) -> str:
        """Where labels are read, in a few words."""
        ...

    def search(
        self,
        vector: Float32Array,
        chosen: Chosen,
        fields: Sequence[str],
        limit: int,
        offset: int = 0,
    ) -> tuple[LiveRow, ...]:
        """The rows of ``chosen`` nearest to ``vector (d,)``, the nearest first, from ``offset`` on.

        They are chosen by the search itself, so that there are as many as there can be.
        ``LiveRow.score``: similarity for COSINE and IP, true distance for L2 and the others.
        """
        ...

    def labels_near(
        self, vector: Float32Array, where: str, limit: int
    ) -> tuple[LiveLabel | None, ...]:
        """The labels of the nearest rows, whatever these are, without the rows."""
        ...

    def page(
        self, chosen: Chosen, fields: Sequence[str], limit: int, after: RowKey | None = None
    ) -> LivePage:
        """Rows of ``chosen`` by ascending key, behind ``after``."""
        ...

    def rows(self, keys: Sequence[RowKey], fields: Sequence[str]) -> dict[RowKey, LiveRow]:
        """Those of the keys that are there and selected."""
        ...

    def whole(self, key: RowKey) -> LiveRow:
        """One row with all its scalar and dynamic fields. ``NoRowError`` if it is not there."""
        ...

    def vector(self, key: RowKey) -> Float32Array:
        """``(d,) float32``. ``NoRowError`` if there is no such row, or it has no vector."""
        ...

    def count(self, chosen: Chosen) -> int:
        """How many rows of ``chosen`` there are."""
        ...

    def forget(self) -> None:
        """Labels were written just now: what was remembered of them is old."""
        ...
