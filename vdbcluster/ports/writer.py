"""Where rows with vectors go."""

from __future__ import annotations

from typing import Protocol

from vdbcluster.model.texts import EmbeddedBatch


class RowWriter(Protocol):
    """One collection that rows are put into, by key."""

    def prepare(self, dim: int) -> None:
        """Make the collection for vectors of ``dim`` if it is absent; check it if it is there.

        Raises ``UsageError`` where an existing collection does not fit, field by field.
        """
        ...

    def upsert(self, batch: EmbeddedBatch) -> None:
        """Insert rows, or replace those with the same key. All or an error."""
        ...

    def finish(self) -> int:
        """Make the rows durable and searchable; how many the collection holds now."""
        ...
