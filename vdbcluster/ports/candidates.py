"""Who finds rows near vectors that need not be among those that were read."""

from __future__ import annotations

from typing import Protocol

from vdbcluster.model.arrays import BoolArray, Float32Array, Keys


class CandidateSearch(Protocol):
    """The rows of a selection as it is now, searched by vector and fetched by key.

    What it proposes is measured by whoever asked, so it returns keys and no distances.
    """

    @property
    def description(self) -> str:
        """Engine, index and search effort in a few words."""
        ...

    def propose(self, vectors: Float32Array, limit: int) -> tuple[Keys, BoolArray]:
        """The keys of the ``limit`` nearest rows of each of ``vectors (m, d) float32``.

        Returns ``keys (m, limit)`` and ``present (m, limit) bool``, false where fewer were found;
        what ``keys`` holds there has no meaning. Rows without a label are found like any other, a
        row whose own vector is asked for among them. In any order, repeats allowed.
        """
        ...

    def vectors(self, keys: Keys) -> Float32Array:
        """The vectors of rows by key, ``(p, d) float32``; NaN for a row that is gone."""
        ...
