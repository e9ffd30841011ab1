"""What an ingest would do, found out without a request or a write."""

from __future__ import annotations

from dataclasses import dataclass

from vdbcluster.model.records import Record, RecordShape, RowFault


@dataclass(frozen=True, slots=True)
class IngestPreview:
    """``records``: the first ten; ``faults``: the first ten of ``faulty``.

    ``tokens`` and ``cost`` are estimates that err high; ``dim`` 0: known only once embedded.
    """

    source: str
    collection: str
    exists: bool
    shape: RecordShape
    records: tuple[Record, ...]
    rows: int
    duplicates: int
    faulty: int
    faults: tuple[RowFault, ...]
    embedder: str
    tokens: int
    requests: int
    cost: float
    dim: int
    notes: tuple[str, ...] = ()
