"""Where rows come from, where they go, and what remembers how far an ingest has come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vdbcluster.model.arrays import BoolArray, Float32Array
from vdbcluster.model.records import Record, RecordBatch, RecordShape, RowFault, SourceBatch


class RecordSource(Protocol):
    """A file, a folder or a stream of rows, read from the beginning each time."""

    @property
    def description(self) -> str:
        """Where it is and what kind, in a few words."""
        ...

    @property
    def total(self) -> int | None:
        """Rows, where that is known without reading everything."""
        ...

    @property
    def typed(self) -> bool:
        """False where every value is text, as in CSV, and the types are yet to be told."""
        ...

    def fingerprint(self) -> str:
        """Changes when the content does; cheap even for a large file."""
        ...

    def batches(self) -> Iterator[SourceBatch]:
        """All rows in order, in batches of bounded memory; bad rows are faults, not exceptions.

        Raises ``UsageError`` where the source as a whole cannot be read (absent, wrong kind,
        wrong encoding, not the named fields).
        """
        ...


class RecordWriter(Protocol):
    """One collection that records are put into, by key."""

    def fit(self, shape: RecordShape) -> RecordShape:
        """The shape as the collection wants it, before anything is embedded or written.

        A new collection takes it as it is, but for what the server cannot do (nullable columns
        go to the dynamic field); an existing one brings its own names, types and lengths. Raises
        ``UsageError``, field by field, where an existing collection cannot take such rows.
        """
        ...

    def prepare(self, dim: int) -> None:
        """Make the collection for vectors of ``dim`` if it is absent, load it either way."""
        ...

    @property
    def identity(self) -> str:
        """Which collection this is; another one of the same name has another, where told."""
        ...

    def count(self) -> int:
        """Rows there now, by the server's strong count; 0 if the collection is absent."""
        ...

    def unchanged(
        self, records: Sequence[Record], vectors: Float32Array | None = None
    ) -> BoolArray:
        """Which records the collection holds already, exactly so, ``(len(records),) bool``.

        ``vectors`` are compared where they are given; without them only the scalar fields.
        """
        ...

    def misfits(self, records: Sequence[Record]) -> Mapping[int, str]:
        """Records that the collection cannot hold, by place, with the reason; nothing is sent.

        Its columns may be narrower than the shape can say (INT8, an ARRAY of a few).
        """
        ...

    def write(self, batch: RecordBatch) -> None:
        """Insert rows, or update those with the same key. All or an error.

        Of a row that is there, fields that the record does not name stay as they are.
        """
        ...

    def finish(self) -> int:
        """Make the rows durable and searchable; how many the collection holds now."""
        ...


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far an ingest has come: the first ``rows`` of the source are dealt with.

    ``source``, ``settings``, ``collection``: fingerprints; if one differs, nothing is skipped.
    ``stored``: rows that the collection held at least when this was written; ``faults``: rows in
    the quarantine file that belong to these ``rows``.
    """

    source: str
    settings: str
    collection: str
    rows: int
    stored: int
    faults: int
    embedder: str
    complete: bool = False


class IngestLog(Protocol):
    """The files beside a run: checkpoint and quarantine."""

    def load(self) -> Checkpoint | None:
        """The last checkpoint, None if there is none or it cannot be understood."""
        ...

    def others(self) -> list[Checkpoint]:
        """Those of other sources that went into the same collection."""
        ...

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint, as a whole or not at all."""
        ...

    def begin(self, faults: int) -> None:
        """Keep the first ``faults`` of the quarantined rows, forget those after them."""
        ...

    def quarantine(self, faults: Sequence[RowFault]) -> None:
        """Append rows with their reasons; durable when it returns."""
        ...
