"""Texts into a collection: embed in batches, upsert by key.

In: ``TextRow`` from any source, an ``Embedder``, a ``RowWriter``. Out: ``IngestReport``.
Promise: memory is one batch of texts and the set of keys seen; a key that comes twice is written
once (the first); the same texts again add no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from vdbcluster.errors import UsageError
from vdbcluster.model.texts import EmbeddedBatch, IngestReport, TextRow
from vdbcluster.ports.embedder import Embedder
from vdbcluster.ports.observer import Observer
from vdbcluster.ports.writer import RowWriter


def ingest(
    rows: Iterable[TextRow],
    embedder: Embedder,
    writer: RowWriter,
    observer: Observer,
    *,
    total: int | None = None,
) -> IngestReport:
    """Embed and store all rows; ``total`` is for the progress bar only.

    Raises ``UsageError`` if there is no row at all, else what embedder and writer raise; the rows
    written until then stay, and a second run completes them.
    """
    seen = _Seen()
    dim = written = 0
    with observer.stage("ingest", total, "texts") as progress:
        for batch in _batches(seen.first_of_each(rows), embedder.batch_size):
            vectors = embedder.embed([row.text for row in batch])
            if not dim:
                dim = int(vectors.shape[1])
                writer.prepare(dim)
            writer.upsert(EmbeddedBatch(batch, vectors))
            written += len(batch)
            progress.advance(len(batch))
    if not written:
        raise UsageError("the source has no text; nothing was written")
    return IngestReport(seen.read, seen.read - len(seen.keys), written, writer.finish(), dim)


class _Seen:
    """Rows read so far and their keys."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.read = 0

    def first_of_each(self, rows: Iterable[TextRow]) -> Iterator[TextRow]:
        for row in rows:
            self.read += 1
            if row.key not in self.keys:
                self.keys.add(row.key)
                yield row


def _batches(rows: Iterator[TextRow], size: int) -> Iterator[tuple[TextRow, ...]]:
    while batch := tuple(islice(rows, size)):
        yield batch
