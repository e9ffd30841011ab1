"""Read a selection into ``Rows``, and say whether everything was read.

In: a ``VectorSource``. Out: ``Selected``: usable ``Rows`` in canonical order, and counts.
Promise: a key that comes twice is kept once and counted; memory beyond the rows themselves is one
page; vectors live where ``room`` says, in memory or in a file that vanishes with the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from vdbcluster.errors import CollectionChangedError, ReadRefusedError
from vdbcluster.model.arrays import Float32Array, Int32Array, Int64Array, Keys
from vdbcluster.model.collection import CollectionProfile
from vdbcluster.model.rows import ReadReport, Rows, VectorPage
from vdbcluster.pipeline.room import Room
from vdbcluster.ports import Observer, VectorSource


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """Rows that can be clustered; ``facts`` count those that were read, by name.

    ``left_out``: rows that the server counts and that are not among ``rows``.
    """

    rows: Rows
    facts: Mapping[str, int]
    left_out: int


def read_usable(
    source: VectorSource,
    observer: Observer,
    *,
    room: Room,
    direction: bool,
    accept_mismatch: bool = False,
) -> Selected:
    """Read all rows, leave out those without a usable vector, and tell the observer of them.

    ``direction``: as in ``usable``. Raises ``ReadRefusedError`` if nothing is selected of a
    collection that has rows and, unless ``accept_mismatch``, if the server counts other rows than
    it gave.
    """
    found, report = read_rows(source, observer, room=room)
    rows, unusable = usable(found, direction=direction, room=room)
    facts: dict[str, int] = asdict(report) | {"unusable": unusable}
    if not report.counted_before and not report.counted_after and (why := source.why_empty()):
        raise ReadRefusedError(why, facts)
    _tell(report, unusable, observer)
    if not report.complete:
        told = _mismatch(report)
        if not accept_mismatch:
            raise ReadRefusedError(
                f"{told}; nothing was written. Run again when writes have settled, or pass "
                "--accept-mismatch",
                facts,
            )
        observer.warn(f"{told}; going on as --accept-mismatch says")
    return Selected(rows, facts, unusable + report.without_vector + report.duplicates)


def _tell(report: ReadReport, unusable: int, observer: Observer) -> None:
    if unusable:
        observer.warn(f"{unusable:,} rows hold NaN, an infinity or only zeros and are left out")
    if report.duplicates:
        observer.warn(f"{report.duplicates:,} rows share their key with another; kept once")
    if report.without_vector:
        observer.note(f"{report.without_vector:,} rows have no vector and are left out")
    if not report.rows:
        observer.warn("there is no row with a vector, so there is nothing to cluster")


def _mismatch(report: ReadReport) -> str:
    told = (
        f"{report.rows + report.duplicates + report.without_vector:,} rows were read, but the "
        f"server counted {report.counted_before:,} before and {report.counted_after:,} after"
    )
    if report.unreadable:
        told += (
            f" ({report.unreadable:,} of them the server gives to nobody: their key is the "
            "largest INT64)"
        )
    return told


def check_same(source: VectorSource, read: CollectionProfile) -> None:
    """``CollectionChangedError`` if the collection is not the one that was ``read``."""
    if source.identity() != read.identity:
        raise CollectionChangedError(
            f"the collection {read.name} was dropped and created anew while it was "
            "clustered; nothing was written, run again"
        )


def read_rows(source: VectorSource, observer: Observer, *, room: Room) -> tuple[Rows, ReadReport]:
    """Stream all pages of ``source``; see the module for what is promised."""
    before = source.count()
    collected = _Collected(expected=before, room=room)
    with observer.stage("read", before) as progress:
        for page in source.pages():
            collected.add(page)
            progress.advance(page.keys.shape[0] + page.without_vector)
    rows, duplicates = collected.rows()
    report = ReadReport(
        rows=len(rows),
        duplicates=duplicates,
        without_vector=collected.without_vector,
        counted_before=before,
        counted_after=source.count(),
    )
    return rows, report if report.complete else _explained(report, source)


def collect(
    pages: Iterable[VectorPage], observer: Observer, *, room: Room
) -> tuple[Rows, ReadReport]:
    """All rows of ``pages``, in the order of their keys; of a number that nobody has counted."""
    collected = _Collected(expected=0, room=room)
    with observer.stage("read", None) as progress:
        for page in pages:
            collected.add(page)
            progress.advance(page.keys.shape[0] + page.without_vector)
    rows, duplicates = collected.rows()
    every = len(rows) + duplicates + collected.without_vector
    return rows, ReadReport(
        rows=len(rows),
        duplicates=duplicates,
        without_vector=collected.without_vector,
        counted_before=every,
        counted_after=every,
    )


def _explained(report: ReadReport, source: VectorSource) -> ReadReport:
    """Rows that are missing because another row has their key, or because nobody gets them."""
    return replace(
        report,
        duplicates=report.duplicates + source.repeated_rows(),
        unreadable=source.hidden_rows(),
    )


def usable(rows: Rows, *, direction: bool, room: Room | None = None) -> tuple[Rows, int]:
    """Rows whose vectors can be compared, and how many cannot and are left out.

    ``room``: where the vectors of the others lie then, in memory by default.

    A vector of NaN or infinity has no distance; where a ``direction`` is needed, one of zeros has
    none either (Milvus Lite reads a null vector back as zeros).
    """
    fit = np.ones(len(rows), bool)
    for start in range(0, len(rows), 8192):
        part = slice(start, start + 8192)
        block = rows.vectors[part]
        fit[part] = np.isfinite(block).all(axis=1)
        if direction:
            fit[part] &= block.any(axis=1)
    if fit.all():
        return rows, 0
    vectors = rows.vectors[fit] if room is None else _gather(rows.vectors, fit.nonzero()[0], room)
    kept = replace(rows, keys=rows.keys[fit], vectors=vectors, partition_of=rows.partition_of[fit])
    return kept, int(np.count_nonzero(~fit))


@dataclass
class _Collected:
    """Pages so far, the vectors in one growing matrix."""

    expected: int
    room: Room
    keys: list[Keys] = field(default_factory=list)
    partitions: list[str] = field(default_factory=list)
    partition_of: list[Int32Array] = field(default_factory=list)
    without_vector: int = 0
    n_rows: int = 0
    vectors: Float32Array | None = None

    def add(self, page: VectorPage) -> None:
        self.without_vector += page.without_vector
        m = page.keys.shape[0]
        if m == 0:
            return
        if page.partition not in self.partitions:
            self.partitions.append(page.partition)
        code = self.partitions.index(page.partition)
        self.keys.append(page.keys)
        self.partition_of.append(np.full(m, code, np.int32))
        self._room_for(m, page.vectors.shape[1])[self.n_rows : self.n_rows + m] = page.vectors
        self.n_rows += m

    def _room_for(self, more: int, dim: int) -> Float32Array:
        need = self.n_rows + more
        if self.vectors is None:
            self.vectors = self.room.empty((max(need, self.expected), dim), np.float32)
        elif need > self.vectors.shape[0]:
            grown = self.room.empty((need + need // 4, dim), np.float32)
            grown[: self.n_rows] = self.vectors[: self.n_rows]
            self.vectors = grown
        return self.vectors

    def rows(self) -> tuple[Rows, int]:
        """Canonical order, first occurrence of each key; and how many came twice."""
        if self.vectors is None:
            empty = np.empty(0, np.int64)
            nothing = Rows(empty, np.empty((0, 0), np.float32), empty.astype(np.int32), ())
            return nothing, 0
        keys = np.concatenate(self.keys)
        partition_of = np.concatenate(self.partition_of)
        vectors = self.vectors[: self.n_rows]
        first = first_of_each(keys)
        duplicates = self.n_rows - first.shape[0]
        if duplicates or not np.array_equal(first, np.arange(self.n_rows)):
            keys, partition_of = keys[first], partition_of[first]
            vectors = _gather(vectors, first, self.room)
        return Rows(keys, vectors, partition_of, tuple(self.partitions)), duplicates


def first_of_each(keys: Keys) -> Int64Array:
    """Positions of the first occurrence of each key, in ascending order of the keys."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    new = np.ones(order.shape[0], bool)
    new[1:] = ordered[1:] != ordered[:-1]
    return order[new]


def positions(keys: Keys, among: Keys) -> Int64Array:
    """Position of each of ``keys`` in the ascending unique ``among``, -1 where it is absent."""
    if among.shape[0] == 0:
        return np.full(keys.shape[0], -1, np.int64)
    at = np.minimum(np.searchsorted(among, keys), among.shape[0] - 1)
    return np.where(among[at] == keys, at, -1).astype(np.int64)


def _gather(vectors: Float32Array, order: Int64Array, room: Room) -> Float32Array:
    out = room.empty((order.shape[0], vectors.shape[1]), np.float32)
    for start in range(0, order.shape[0], 8192):
        part = slice(start, start + 8192)
        out[part] = vectors[order[part]]
    return out
