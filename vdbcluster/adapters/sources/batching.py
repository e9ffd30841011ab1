"""Rows as they are parsed, numbered and gathered into batches of bounded memory.

In: ``Parsed`` and ``Unreadable`` in the order of the source. Out: ``SourceBatch``.
Promise: at most 2,000 rows and about 16 MB a batch; numbers count every row, bad ones too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vdbcluster.adapters.sources.vectors import VectorReader
from vdbcluster.model.records import RowFault, SourceBatch, SourceRow
from vdbcluster.records.names import check_known
from vdbcluster.records.values import MisfitError

BATCH_ROWS = 2000
BATCH_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Parsed:
    """One row; ``size`` is about what it takes in memory, in bytes."""

    values: dict[str, Any]
    size: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One row that could not be parsed."""

    reason: str
    raw: Any = None


def batched(items: Iterable[Parsed | Unreadable], vector_field: str) -> Iterator[SourceBatch]:
    """Batches; where ``vector_field`` is named its vectors are taken out of the rows.

    Raises ``UsageError`` if no row of the first batch has that field.
    """
    pile = _Pile(vector_field)
    for number, item in enumerate(items, start=1):
        pile.add(number, item)
        if pile.is_full:
            yield pile.take()
    if not pile.is_empty:
        yield pile.take()


def rows_per_batch(rows: int, size: int) -> int:
    """Rows of a table of ``size`` bytes that make a batch."""
    each = max(1, size // max(rows, 1))
    return max(1, min(BATCH_ROWS, BATCH_BYTES // each))


def check_vector_field(name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Raises ``UsageError`` if none of the rows has the field."""
    known: dict[str, None] = {}
    for values in rows:
        if name in values:
            return
        known.update(dict.fromkeys(values))
    if known:
        check_known(name, known, "the vector field")


class _Pile:
    def __init__(self, vector_field: str) -> None:
        self._field = vector_field
        self._reader = VectorReader()
        self._checked = not vector_field
        self._clear()

    def _clear(self) -> None:
        self._parsed: list[tuple[int, dict[str, Any]]] = []
        self._faults: list[RowFault] = []
        self._bytes = 0

    @property
    def is_empty(self) -> bool:
        return not self._parsed and not self._faults

    @property
    def is_full(self) -> bool:
        rows = len(self._parsed) + len(self._faults)
        return rows >= BATCH_ROWS or self._bytes >= BATCH_BYTES

    def add(self, number: int, item: Parsed | Unreadable) -> None:
        if isinstance(item, Parsed):
            self._parsed.append((number, item.values))
            self._bytes += item.size
        else:
            self._faults.append(RowFault(number, item.reason, item.raw))

    def take(self) -> SourceBatch:
        if self._field:
            batch = self._with_vectors()
        else:
            rows = tuple(SourceRow(number, values) for number, values in self._parsed)
            batch = SourceBatch(rows, faults=tuple(self._faults))
        self._clear()
        return batch

    def _with_vectors(self) -> SourceBatch:
        if not self._checked:
            check_vector_field(self._field, (values for _, values in self._parsed))
            self._checked = True
        rows, vectors = [], []
        for number, values in self._parsed:
            raw = dict(values)
            try:
                vectors.append(self._reader.vector(values.pop(self._field, None)))
            except MisfitError as error:
                self._faults.append(RowFault(number, f"the vector {error}", raw))
            else:
                rows.append(SourceRow(number, values))
        faults = tuple(sorted(self._faults, key=lambda fault: fault.number))
        return SourceBatch(tuple(rows), self._reader.stack(vectors), faults)
