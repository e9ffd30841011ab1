"""A collection that several processes read: ``MilvusSource`` whose pages workers have fetched.

In: a connection, a selection, ``Readers``. Out: the rows that ``MilvusSource.pages`` gives, in the
same order of partitions and keys.
Promise: this process reads keys alone, cuts them into ranges and hands out what workers have read;
while one wave of pieces is handed out the next is read, and each is removed once it was taken, so
that two waves lie on disk at most. A row is in one piece, whatever comes or goes meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from threading import Event, Thread

import numpy as np

from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.decode import bytes_per_vector
from vdbcluster.adapters.milvus.key_ranges import KeyRange
from vdbcluster.adapters.milvus.source import PAGE_BYTES, MilvusSource, Selection
from vdbcluster.adapters.npz import flat, whole
from vdbcluster.errors import VdbclusterError
from vdbcluster.model.rows import VectorPage
from vdbcluster.ports.shards import ShardStore, Work, Workers

PIECE_BYTES = 64 << 20
PIECE_ROWS = 50_000
"""A piece is no more than either of them: some seconds of work, and memory of a worker."""

Reading = Callable[[ShardStore, tuple[KeyRange, ...], str], Work]
"""Work that leaves the rows of range n in the store as piece n (``save_piece``), and raises
``CollectionChangedError`` where the collection has not the identity that is given."""


@dataclass(frozen=True, slots=True)
class Readers:
    """Who reads: ``reading`` makes the work; ``wave``: pieces that are read before any is taken.

    ``folder`` gives an empty store at each call.
    """

    workers: Workers
    folder: Callable[[], ShardStore]
    reading: Reading
    wave: int


def save_piece(store: ShardStore, number: int, pages: Iterator[VectorPage]) -> None:
    """All pages of a range, as one piece; passed if it is there."""
    if store.has(_piece(number)):
        return
    every = list(pages)
    held = [page for page in every if len(page.keys)]
    arrays = {"without": np.array([sum(page.without_vector for page in every)])}
    if held:
        arrays["keys"] = np.concatenate([page.keys for page in held])
        arrays["vectors"] = np.concatenate([page.vectors for page in held])
    store.save(_piece(number), flat(arrays))


def load_piece(store: ShardStore, number: int, partition: str) -> VectorPage:
    """The same as one page, which may have no rows."""
    held = whole(store.load(_piece(number)))
    keys = held.get("keys", np.empty(0, np.int64))
    vectors = held.get("vectors", np.empty((0, 0), np.float32))
    return VectorPage(keys, vectors, partition, int(held["without"][0]))


def _piece(number: int) -> str:
    return f"rows-{number:05}"


class ShardedSource(MilvusSource):
    """See the module."""

    def __init__(
        self,
        connection: MilvusConnection,
        selection: Selection,
        readers: Readers,
        page_bytes: int = PAGE_BYTES,
    ) -> None:
        """Raises what ``MilvusSource`` raises."""
        super().__init__(connection, selection, page_bytes)
        self._readers = readers

    def pages(self) -> Iterator[VectorPage]:
        """See ``ports.VectorSource``; a page is a piece. Raises what a worker's reading raises."""
        rows = max(1, min(PIECE_ROWS, PIECE_BYTES // max(1, bytes_per_vector(self.vector))))
        ranges = self.ranges(rows)
        reading = self._begun(ranges)
        try:
            while (wave := reading.taken()).ranges:
                reading = self._begun(ranges)  # while this one is handed out
                yield from wave.pages()
        finally:
            reading.stop()

    def _begun(self, ranges: Iterator[KeyRange]) -> _Reading:
        return _Reading(self._readers, ranges, self.found.identity)


@dataclass(frozen=True, slots=True)
class _Wave:
    """Pieces that are in the store."""

    store: ShardStore
    ranges: tuple[KeyRange, ...]

    def pages(self) -> Iterator[VectorPage]:
        """One after the other; afterwards they are gone."""
        try:
            for number, part in enumerate(self.ranges):
                yield load_piece(self.store, number, part.partition)
        finally:
            self.store.drop()


class _Reading:
    """One wave on its way, in a thread of its own."""

    def __init__(self, readers: Readers, ranges: Iterator[KeyRange], identity: str) -> None:
        self._readers, self._ranges, self._identity = readers, ranges, identity
        self._store = readers.folder()
        self._stopped = Event()
        self._future: Future[_Wave] = Future()
        Thread(target=self._settle, name="read-wave", daemon=True).start()

    def taken(self) -> _Wave:
        """Wait for it."""
        return self._future.result()

    def stop(self) -> None:
        """Have it end soon; what it has read is removed."""
        self._stopped.set()
        self._store.drop()

    def _settle(self) -> None:
        try:
            self._future.set_result(self._read())
        except BaseException as error:  # noqa: BLE001  raised again where the wave is taken
            self._future.set_exception(error)

    def _read(self) -> _Wave:
        ranges = tuple(islice(self._ranges, self._readers.wave))
        if ranges:
            self._go_on(0)  # reading the keys took a while
            work = self._readers.reading(self._store, ranges, self._identity)
            self._readers.workers.each(work, range(len(ranges)), self._go_on)
        return _Wave(self._store, ranges)

    def _go_on(self, _: int) -> None:
        if self._stopped.is_set():
            raise VdbclusterError("reading was called off")
