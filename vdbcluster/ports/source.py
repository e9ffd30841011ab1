"""Where vectors come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from vdbcluster.model.arrays import Keys
from vdbcluster.model.collection import CollectionProfile, VectorField
from vdbcluster.model.rows import VectorPage


class VectorSource(Protocol):
    """A selection (vector field, filter, partitions) of one collection. Never writes."""

    @property
    def vector(self) -> VectorField:
        """The vector field that is read."""
        ...

    def profile(self) -> CollectionProfile:
        """What the collection is now. Raises ``BackendError`` if it does not exist."""
        ...

    def identity(self) -> str:
        """As in ``profile``, at less cost. Raises ``CollectionChangedError`` if it is gone."""
        ...

    def count(self) -> int:
        """Rows in the selection by the server's own strong count, duplicate keys counted."""
        ...

    def pages(self) -> Iterator[VectorPage]:
        """All rows, partition by partition, keys ascending within each.

        A row whose vector is null is left out. Raises ``CollectionChangedError`` if the collection
        is dropped or re-created in mid-stream.
        """
        ...

    def repeated_rows(self) -> int:
        """Rows that ``count`` counts but ``pages`` hides behind another row with the same key.

        May read all keys again: for when fewer rows came than were counted.
        """
        ...

    def hidden_rows(self) -> int:
        """Rows that the server counts but gives to nobody."""
        ...

    def why_empty(self) -> str:
        """For when ``count`` is 0: why no row is selected; empty if the collection has none."""
        ...

    def texts(self, keys: Keys, field: str) -> list[str | None]:
        """The value of a scalar field for some keys, in their order; None where a row has none."""
        ...

    def columns(self, keys: Keys, fields: Sequence[str]) -> dict[str, list[object]]:
        """Values of scalar or dynamic fields as plain Python values, each in the order of ``keys``.

        None where a row has none, is gone or is not selected. Raises ``UsageError`` for a name that
        is no field where there are no dynamic ones. For many keys as well as for few.
        """
        ...

    def dynamic_fields(self, keys: Keys) -> tuple[str, ...]:
        """Names that rows with these keys have in the dynamic field, in order of the alphabet.

        Empty where there is no dynamic field. Meant for a sample: values are read as well.
        """
        ...
