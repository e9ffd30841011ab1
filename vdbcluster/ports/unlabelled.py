"""Who tells the rows that carry no label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from vdbcluster.model.rows import VectorPage


class UnlabelledRows(Protocol):
    """The rows of a selection without a label, as it is now. Never writes."""

    def pages(self) -> Iterator[VectorPage]:
        """All of them that have a vector, partition by partition; keys in any order.

        Raises ``CollectionChangedError`` if the collection is dropped or re-created in mid-stream.
        """
        ...

    @property
    def told_by(self) -> str:
        """What tells them from the others, in a few words; known once ``pages`` has begun."""
        ...
