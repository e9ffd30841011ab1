"""Rows of a source into a collection: shape, embed, write, remember how far.

In: adapters behind ports, ``IngestRules``. Out: ``IngestReport``.
Promise: memory is some batches of rows and a digest of each content; rows are written by key, in
the order of the source; a row that the collection holds already is neither embedded nor written;
stopped anywhere, the same call goes on and ends with every row of the source there once.

    source -> shape -> duplicates -> groups -> (threads) what is new? embed -> write -> checkpoint
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from vdbcluster.errors import BudgetError, SourceRowError, UsageError, VdbclusterError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.records import (
    EmbedUsage,
    IngestReport,
    Record,
    RecordBatch,
    RowFault,
    SourceBatch,
    SourceRow,
)
from vdbcluster.pipeline.flow import in_order
from vdbcluster.ports import Observer, Progress
from vdbcluster.ports.embedder import BatchLimits, Embedder, TextsRefusedError
from vdbcluster.ports.records import Checkpoint, IngestLog, RecordSource, RecordWriter

VECTOR_ROWS, VECTOR_BYTES = 10_000, 32 << 20
"""Rows, and bytes of vectors, taken together where no text has to be embedded."""
CHECKPOINT_SECONDS = 5.0

OnError = Literal["stop", "skip", "quarantine"]
Sift = Callable[[Record], Record | RowFault | None]
"""The record as it is to be written, None for a copy of one that came before, or a fault."""


@dataclass(frozen=True, slots=True)
class IngestAdapters:
    """What an ingest works with; without ``embedder`` the source brings the vectors."""

    source: RecordSource
    shape: Callable[[SourceRow], Record | RowFault]
    sift: Sift
    embedder: Embedder | None
    writer: RecordWriter
    log: IngestLog


@dataclass(frozen=True, slots=True)
class IngestRules:
    """``settings``: fingerprint of all that decides what is written; ``model``: of the vectors."""

    settings: str
    model: str = ""
    on_error: OnError = "stop"
    concurrency: int = 1


def ingest(adapters: IngestAdapters, rules: IngestRules, observer: Observer) -> IngestReport:
    """Take all rows in; see the module for what is promised.

    Raises ``SourceRowError`` for a bad row if the user wants to stop there, ``BudgetError`` where
    a limit is reached, after all rows before it were written; ``UsageError`` if there is no row.
    """
    job = _Job(adapters, rules)
    if job.resume():
        return job.report()
    stopped = job.run(observer)
    if stopped is None and not job.rows:
        raise UsageError(f"{adapters.source.description} has no row; nothing was written")
    if job.dim:
        job.stored = adapters.writer.finish()
    job.checkpoint(complete=stopped is None)
    if stopped is not None:
        raise stopped
    return job.report()


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Rows up to number ``last``: records to be written, and those that are not."""

    last: int
    records: tuple[Record, ...] = ()
    vectors: Float32Array | None = None
    faults: tuple[RowFault, ...] = ()
    duplicates: int = 0
    skipped: int = 0
    unchanged: int = 0


@dataclass
class _Job:
    """The state of one ingest."""

    adapters: IngestAdapters
    rules: IngestRules
    rows: int = 0
    written: int = 0
    unchanged: int = 0
    duplicates: int = 0
    faults: int = 0
    skipped: int = 0
    stored: int = 0
    dim: int = 0
    quarantined: int = 0
    _skip: int = 0
    _source: str = ""
    _saved: float = field(default_factory=time.monotonic)
    _began: float = field(default_factory=time.monotonic)
    _stopped: VdbclusterError | None = None

    def resume(self) -> bool:
        """Find out what an earlier run has done; whether that was everything."""
        log, writer = self.adapters.log, self.adapters.writer
        self._source = self.adapters.source.fingerprint()
        self.stored = writer.count()
        last = log.load()
        self._same_model([last, *log.others()] if last else log.others())
        if last is None or not self._holds(last):
            log.begin(0)
            return False
        log.begin(last.faults)
        self._skip, self.quarantined = last.rows, last.faults
        if last.complete:
            self.rows = self.skipped = last.rows
        return last.complete

    def _holds(self, last: Checkpoint) -> bool:
        """Whether what the checkpoint says is still so."""
        return (
            last.source == self._source
            and last.settings == self.rules.settings
            and last.collection == self.adapters.writer.identity
            and last.stored <= self.stored
        )

    def _same_model(self, checkpoints: list[Checkpoint]) -> None:
        """Refuse to put vectors of two models beside each other: nothing compares them."""
        mine = self.rules.model
        for other in checkpoints:
            same_place = other.collection == self.adapters.writer.identity
            if same_place and self.stored and mine and other.embedder not in ("", mine):
                raise UsageError(
                    f"the collection holds vectors of {other.embedder}, which those of {mine} "
                    "cannot be compared with; name another collection, or drop this one"
                )

    def run(self, observer: Observer) -> VdbclusterError | None:
        """Take in all rows; the reason if this ends early but in good order."""
        workers = self.rules.concurrency if self.adapters.embedder else 1
        with (
            observer.stage("ingest", self.adapters.source.total, "rows") as progress,
            closing(in_order(self._embed, self._groups(), workers)) as groups,
        ):
            try:
                for group in groups:
                    self._commit(group)
                    if late := self._refused(group):
                        return late
                    self._show(progress, group)
            except BudgetError as error:
                return error
        return self._stopped

    def _refused(self, group: _Group) -> SourceRowError | None:
        """What to stop for, if the model refused a row; the rows beside it are written."""
        if not group.faults or self.rules.on_error != "stop":
            return None
        first = group.faults[0]
        self.rows = first.number - 1
        return SourceRowError(f"row {first.number:,}: {first.reason}")

    def _show(self, progress: Progress, group: _Group) -> None:
        progress.advance(group.last - self.rows)
        self.rows = group.last
        if self.adapters.embedder is not None:
            seconds = time.monotonic() - self._began
            progress.detail(_told(self.adapters.embedder.usage, seconds, self.faults))

    # ---- in the main thread, ahead of the others: rows become groups

    def _groups(self) -> Iterator[_Group]:
        limits = BatchLimits(VECTOR_ROWS, 0)
        tokens: Callable[[str], int] = lambda _: 0  # noqa: E731
        if self.adapters.embedder is not None:
            limits, tokens = self.adapters.embedder.limits, self.adapters.embedder.tokens
        pile = _Pile(limits, tokens)
        try:
            for item, vector in _all_rows(self.adapters.source):
                found = self._sifted(item)
                self._check(found)
                if isinstance(found, Record) and pile.is_full(found):
                    yield pile.take()
                pile.add(item.number, found, vector)
        except SourceRowError as error:  # what came before it goes in all the same
            self._stopped = error
        yield pile.take()

    def _check(self, found: object) -> None:
        if isinstance(found, RowFault) and self.rules.on_error == "stop":
            raise SourceRowError(
                f"row {found.number:,}: {found.reason}; mend it, or pass --on-error skip or "
                "quarantine. The rows before it were written"
            )

    def _sifted(self, item: SourceRow | RowFault) -> Record | RowFault | Literal["copy", "done"]:
        found = self.adapters.shape(item) if isinstance(item, SourceRow) else item
        kept = self.adapters.sift(found) if isinstance(found, Record) else found
        if item.number <= self._skip:
            return "done"
        return "copy" if kept is None else kept

    # ---- in several threads: groups get vectors

    def _embed(self, group: _Group) -> _Group:
        group = self._fitting(group)
        if not group.records:
            return group
        known = self.adapters.writer.unchanged(group.records, group.vectors)
        new = np.flatnonzero(~known)
        records = tuple(group.records[i] for i in new)
        rest = replace(group, records=records, unchanged=int(known.sum()))
        if self.adapters.embedder is None:
            return replace(rest, vectors=None if group.vectors is None else group.vectors[new])
        return _embedded(rest, self.adapters.embedder)

    def _fitting(self, group: _Group) -> _Group:
        """The group without the records that the collection cannot hold."""
        misfits = self.adapters.writer.misfits(group.records)
        if not misfits:
            return group
        faults = [
            RowFault(group.records[i].number, reason, dict(group.records[i].fields))
            for i, reason in misfits.items()
        ]
        keep = [i for i in range(len(group.records)) if i not in misfits]
        return replace(
            group,
            records=tuple(group.records[i] for i in keep),
            vectors=None if group.vectors is None else group.vectors[keep],
            faults=_sorted([*group.faults, *faults]),
        )

    # ---- in the main thread, in order: groups are written

    def _commit(self, group: _Group) -> None:
        """Write a group, put its bad rows aside, remember it."""
        if group.records and group.vectors is not None:
            if not self.dim:
                self.dim = int(group.vectors.shape[1])
                self.adapters.writer.prepare(self.dim)
            self.adapters.writer.write(RecordBatch(group.records, group.vectors))
        if group.faults and self.rules.on_error == "quarantine":
            self.adapters.log.quarantine(group.faults)
            self.quarantined += len(group.faults)
        self.written += len(group.records)
        self.unchanged += group.unchanged
        self.duplicates += group.duplicates
        self.faults += len(group.faults)
        self.skipped += group.skipped
        if time.monotonic() - self._saved > CHECKPOINT_SECONDS:
            self.stored = self.adapters.writer.count()
            self.checkpoint(complete=False, rows=group.last)

    def checkpoint(self, *, complete: bool, rows: int | None = None) -> None:
        """Remember that all rows up to number ``rows`` are dealt with."""
        self.adapters.log.save(
            Checkpoint(
                source=self._source,
                settings=self.rules.settings,
                collection=self.adapters.writer.identity,
                rows=self.rows if rows is None else rows,
                stored=self.stored,
                faults=self.quarantined,
                embedder=self.rules.model,
                complete=complete,
            )
        )
        self._saved = time.monotonic()

    def report(self) -> IngestReport:
        embedder = self.adapters.embedder
        return IngestReport(
            read=self.rows,
            written=self.written,
            unchanged=self.unchanged,
            duplicates=self.duplicates,
            faults=self.faults,
            skipped=self.skipped,
            stored=self.stored,
            dim=self.dim,
            usage=embedder.usage if embedder else EmbedUsage(),
        )


class _Pile:
    """Rows until they are enough for a group."""

    def __init__(self, limits: BatchLimits, tokens: Callable[[str], int]) -> None:
        self._limits = limits
        self._tokens_of = tokens
        self._clear()

    def _clear(self) -> None:
        self._last = self._tokens = self._duplicates = self._skipped = 0
        self._records: list[Record] = []
        self._vectors: list[Float32Array] = []
        self._faults: list[RowFault] = []

    def is_full(self, record: Record) -> bool:
        """Whether ``record`` should begin another group."""
        if not self._records:
            return False
        if self._vectors and len(self._vectors) * self._vectors[0].nbytes >= VECTOR_BYTES:
            return True
        more = self._tokens + self._tokens_of(record.text or "")
        return len(self._records) >= self._limits.texts or more > self._limits.tokens > 0

    def add(
        self,
        number: int,
        found: Record | RowFault | Literal["copy", "done"],
        vector: Float32Array | None,
    ) -> None:
        self._last = number
        if isinstance(found, Record):
            self._records.append(found)
            self._tokens += self._tokens_of(found.text or "")
            if vector is not None:
                self._vectors.append(vector)
        elif isinstance(found, RowFault):
            self._faults.append(found)
        else:
            self._duplicates += found == "copy"
            self._skipped += found == "done"

    def take(self) -> _Group:
        group = _Group(
            last=self._last,
            records=tuple(self._records),
            vectors=np.stack(self._vectors) if self._vectors else None,
            faults=tuple(self._faults),
            duplicates=self._duplicates,
            skipped=self._skipped,
        )
        last = self._last
        self._clear()
        self._last = last
        return group


def _all_rows(
    source: RecordSource,
) -> Iterator[tuple[SourceRow | RowFault, Float32Array | None]]:
    for batch in source.batches():
        yield from _by_number(batch)


def _by_number(
    batch: SourceBatch,
) -> Iterator[tuple[SourceRow | RowFault, Float32Array | None]]:
    """Rows with their vectors, and the faults between them, in the order of the source."""
    vectors = batch.vectors if batch.vectors is not None else [None] * len(batch.rows)
    if not batch.faults:
        yield from zip(batch.rows, vectors, strict=True)
        return
    both: list[tuple[SourceRow | RowFault, Float32Array | None]] = [
        *zip(batch.rows, vectors, strict=True),
        *((fault, None) for fault in batch.faults),
    ]
    yield from sorted(both, key=lambda pair: pair[0].number)


def _embedded(group: _Group, embedder: Embedder) -> _Group:
    """The group with vectors; texts that the model refuses become faults."""
    if not group.records:
        return group
    try:
        vectors = embedder.embed([record.text or "" for record in group.records])
    except TextsRefusedError as error:
        refused = [
            RowFault(group.records[i].number, reason, group.records[i].text)
            for i, reason in error.faults.items()
        ]
        kept = tuple(r for i, r in enumerate(group.records) if i not in error.faults)
        faults = _sorted([*group.faults, *refused])
        return replace(group, records=kept, vectors=error.vectors, faults=faults)
    return replace(group, vectors=vectors)


def _sorted(faults: list[RowFault]) -> tuple[RowFault, ...]:
    return tuple(sorted(faults, key=lambda fault: fault.number))


def _told(usage: EmbedUsage, seconds: float, faults: int) -> str:
    parts = [f"{usage.tokens / max(seconds, 1e-9):,.0f} tokens/s"]
    if usage.cached:
        parts.append(f"{usage.cached:,} cached")
    if usage.retries:
        parts.append(f"{usage.retries:,} retries")
    if faults:
        parts.append(f"{faults:,} bad rows")
    return ", ".join(parts)
