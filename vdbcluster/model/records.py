"""Rows of a person's file on their way into a collection.

    SourceRow   what a file says: a number and plain values
    RecordShape what rows become: key, text, declared fields, the rest
    Record      one row as the collection will hold it, without its vector
    RowFault    a row that cannot be taken, with the reason

Promise: frozen; row numbers count from 1, in the order of the source, faulty rows included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vdbcluster.model.arrays import Float32Array

FieldType = Literal["VARCHAR", "INT64", "DOUBLE", "BOOL", "JSON"]
Rest = Literal["dynamic", "drop"]

MAX_VARCHAR = 65_535
"""The most bytes of UTF-8 that a VARCHAR field of Milvus can be declared with."""
MAX_KEY = 1024
"""Bytes of a VARCHAR key in a collection that we make."""
HASH_KEY_BYTES = 32
"""A key made from the content: 128 bits as hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """Row ``number`` of the source; values are str, int, float, bool, None, list or dict."""

    number: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that cannot be taken. ``raw`` is as much of it as could be read, for the quarantine."""

    number: int
    reason: str
    raw: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class SourceBatch:
    """Consecutive rows; with ``vectors (len(rows), d) float32`` where the source brings them."""

    rows: tuple[SourceRow, ...]
    vectors: Float32Array | None = None
    faults: tuple[RowFault, ...] = ()

    def __post_init__(self) -> None:
        if self.vectors is not None and len(self.vectors) != len(self.rows):
            raise ValueError(f"{len(self.rows)} rows but {len(self.vectors)} vectors")

    @property
    def last(self) -> int:
        """The number of the last row, good or bad; 0 if there is none."""
        ends = [part[-1].number for part in (self.rows, self.faults) if part]
        return max(ends, default=0)


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One scalar field of the collection; ``max_length`` in bytes, for VARCHAR."""

    name: str
    type: FieldType
    max_length: int = MAX_VARCHAR
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class RecordShape:
    """What every row of a source becomes.

    ``id_field``: the source's field that is the key; empty: the key is a hash of the content.
    ``template``: the text, with source fields in braces; empty: rows have no text.
    ``text.name`` and ``key.name`` are the collection's names. ``fields`` are declared columns,
    named as in the source; ``rest`` says what becomes of all other source fields. ``loose`` are
    fields that go into the dynamic field whatever ``rest`` says, as the given type where the value
    fits it and as they are where it does not.
    ``auto_id``: the server makes the keys (asked for; a second ingest then adds the rows again).
    """

    key: FieldSpec
    text: FieldSpec | None
    id_field: str = ""
    template: str = ""
    fields: tuple[FieldSpec, ...] = ()
    loose: tuple[FieldSpec, ...] = ()
    rest: Rest = "dynamic"
    vector_name: str = "vector"
    auto_id: bool = False

    @property
    def declared(self) -> tuple[FieldSpec, ...]:
        """All scalar fields of the collection, the key first."""
        return (self.key, *([self.text] if self.text else []), *self.fields)


@dataclass(frozen=True, slots=True)
class Record:
    """One row as the collection holds it, but for its vector.

    ``fields``: declared fields and, beside them, the keys of the dynamic field. ``content`` is
    the hash of text and fields that tells duplicates and changed rows.
    """

    number: int
    key: int | str
    text: str | None
    fields: Mapping[str, Any] = field(default_factory=dict)
    content: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class RecordBatch:
    """Records with their vectors, ``(len(records), d) float32``, in the same order."""

    records: tuple[Record, ...]
    vectors: Float32Array

    def __post_init__(self) -> None:
        if len(self.vectors) != len(self.records):
            raise ValueError(f"{len(self.records)} records but {len(self.vectors)} vectors")


@dataclass(frozen=True, slots=True)
class EmbedUsage:
    """What embedding has taken so far. ``cost`` in the currency of the price that was given."""

    requests: int = 0
    retries: int = 0
    texts: int = 0
    cached: int = 0
    tokens: int = 0
    shortened: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class IngestReport:
    """Rows of the source by what became of them, and what the collection holds at the end.

    ``read = written + unchanged + duplicates + faults + skipped``; ``skipped`` are rows that the
    checkpoint of an earlier run vouches for; ``stored`` is the server's count.
    """

    read: int
    written: int
    unchanged: int
    duplicates: int
    faults: int
    skipped: int
    stored: int
    dim: int
    usage: EmbedUsage = EmbedUsage()
