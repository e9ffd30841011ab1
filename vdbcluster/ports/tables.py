"""Where the rows of an export come from, where they wait, and what they are written into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from vdbcluster.model.tables import RowBatch, RowPage, TableShape, Written


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the rows is asked for.

    ``fields``: scalar or dynamic ones by name; None for all that rows have. ``clusters``: rows with
    one of these labels are enough; others may come too. Empty: all rows.
    """

    fields: Sequence[str] | None = None
    vectors: bool = False
    clusters: Sequence[int] = ()


class LabelledRows(Protocol):
    """The rows of a selection with the labels that they carry now. Never writes."""

    def pages(self, wanted: Wanted) -> Iterator[RowPage]:
        """All rows, those without a vector and without a label too; a page in memory at a time.

        Partition by partition, keys ascending within each. Raises ``UsageError`` for a name that is
        no field, or one of vectors; ``CollectionChangedError`` if the collection is dropped or
        created anew in mid-stream; ``RefusedError`` where values that are not ours have the names
        of labels.
        """
        ...


class PageStore(Protocol):
    """Pages that wait on the disk."""

    def put(self, page: RowPage) -> None: ...

    def __iter__(self) -> Iterator[RowPage]:
        """All of them, from the first, as often as is asked."""
        ...


class TableFile(Protocol):
    """One file (or stream) that is written as a whole or not at all."""

    @property
    def passes(self) -> int:
        """How often ``write`` goes over the batches: once, or twice to see all columns first."""
        ...

    def write(self, shape: TableShape, batches: Iterable[RowBatch]) -> Written:
        """Write all of them. ``VdbclusterError`` where that cannot be done; what ``batches`` raises
        is passed on, and no file is there then.
        """
        ...


class StoreMaker(Protocol):
    """Opens an empty ``PageStore``, which is gone with its context."""

    def __call__(self) -> AbstractContextManager[PageStore]: ...
