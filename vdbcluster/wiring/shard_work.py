"""What a worker does with one shard: read its rows, search their neighbours, write their labels.

In: settings, the folder of the pieces, the number of a shard. Out: a piece in the folder.
Promise: works travel to other processes as they are; each process opens one connection and one
index for all shards that it gets. The settings, which hold the token, travel with the work and are
shown nowhere: not by ``repr``, so not in what Dask logs, and never in a piece.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, TypeVar

import numpy as np

from vdbcluster.adapters.leased import LeasedSink
from vdbcluster.adapters.local_neighbors import LocalNeighbors
from vdbcluster.adapters.milvus.client import MilvusConnection, connect
from vdbcluster.adapters.milvus.key_ranges import KeyRange
from vdbcluster.adapters.milvus.like_others import readers_of
from vdbcluster.adapters.milvus.search import MilvusNeighbors
from vdbcluster.adapters.milvus.source import MilvusSource
from vdbcluster.adapters.milvus.writeback import sink_of_way
from vdbcluster.adapters.npz import flat, whole
from vdbcluster.adapters.sharded_source import save_piece
from vdbcluster.adapters.throttled import Throttle, throttled
from vdbcluster.config.milvus import MilvusSettings
from vdbcluster.config.settings import Settings
from vdbcluster.errors import CollectionChangedError
from vdbcluster.model.arrays import Float32Array, Keys
from vdbcluster.model.labels import Extra, WriteWay
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.graph_shards import SearchHere
from vdbcluster.pipeline.write_shards import (
    BATCH_ROWS,
    Standing,
    has_outcome,
    load_part,
    save_outcome,
    write_shard,
)
from vdbcluster.ports import LabelSink, NeighborSearch
from vdbcluster.ports.shards import ShardStore
from vdbcluster.wiring.named import address, label_settings, search_settings, selection

POINTS, VECTORS, KEYS = "points", "vectors", "keys"
"""Names of what all shards of a search need: prepared rows, rows as the server has them, keys."""

T = TypeVar("T")
_held: dict[str, tuple[Hashable, Any]] = {}
_opening = RLock()
_under_way: list[object] = []
_writing = RLock()
"""One part at a time in each process: a sink is for one thread, and a rate is that of a process."""
SLOW_ROWS = 1000
"""Rows that a worker writes before it asks whether it is to go on, where each call takes long."""


def _once(kind: str, of: Hashable, make: Callable[[], T]) -> T:
    """What this process holds of a kind, made anew if it was of something else."""
    with _opening:
        found = _held.get(kind)
        if found is None or found[0] != of:
            _held[kind] = found = (of, make())
        made: T = found[1]
        return made


def connection_of(milvus: MilvusSettings) -> MilvusConnection:
    """The connection of this process; it ends with it."""
    where = address(milvus)
    return _once("connection", where, lambda: connect(where))


def _source(milvus: MilvusSettings, identity: str) -> MilvusSource:
    """``CollectionChangedError`` unless this worker sees the collection that the run began with."""
    source = MilvusSource(connection_of(milvus), selection(milvus), milvus.page_bytes)
    if source.found.identity != identity:
        raise CollectionChangedError(
            f"a worker sees another collection {source.found.name!r} than this process (dropped "
            "and created anew meanwhile, or another server); run again"
        )
    return source


@contextmanager
def _at_work() -> Iterator[None]:
    """Around a piece of work: what it needs is not taken from it meanwhile."""
    mark = object()
    with _opening:
        _under_way.append(mark)
    try:
        yield
    finally:
        with _opening:
            _under_way.remove(mark)


def forget() -> None:
    """Let go of what this process holds: another run may come, of other data.

    Nothing where a piece is being worked on: it may be one of another run. Never waits, since Dask
    calls this where a worker also answers its scheduler.
    """
    if not _opening.acquire(blocking=False):
        return
    try:
        if _under_way:
            return
        for _, held in _held.values():
            if isinstance(held, MilvusConnection):
                held.close()
        _held.clear()
    finally:
        _opening.release()


@dataclass(frozen=True, slots=True)
class ReadShard:
    """Rows of a range of keys, read as this process would read them."""

    milvus: MilvusSettings = field(repr=False)
    store: ShardStore
    ranges: tuple[KeyRange, ...] = field(repr=False)
    identity: str

    def __call__(self, number: int) -> None:
        part = self.ranges[number]
        with _at_work():
            source = _once("source", (self.milvus, self.identity), self._opened)
            save_piece(self.store, number, source.part(part.where(source.key), part.partition))

    def _opened(self) -> MilvusSource:
        return _source(self.milvus, self.identity)


def save_search(store: ShardStore, rows: Rows, points: Float32Array, *, server: bool) -> None:
    """What ``SearchShard`` needs of all rows; where it is there already it is the same.

    ``server``: Milvus searches, by the rows as it has them.
    """
    _save_matrix(store, POINTS, points)
    if not server:
        return
    if not np.shares_memory(points, rows.vectors):
        _save_matrix(store, VECTORS, rows.vectors)
    if not store.has(KEYS):
        store.save(KEYS, flat({KEYS: rows.keys}))


def _save_matrix(store: ShardStore, name: str, array: Float32Array) -> None:
    if not store.has_matrix(name):
        store.save_matrix(name, array)


@dataclass(frozen=True, slots=True)
class SearchShard:
    """Neighbours of the rows of a shard, by Milvus or by the index that lies in the store.

    ``threads``: searches under way at once in this process.
    """

    settings: Settings = field(repr=False)
    store: ShardStore
    bounds: tuple[int, ...] = field(repr=False)
    metric: str
    n_neighbors: int
    identity: str
    server: bool
    threads: int

    def __call__(self, number: int) -> None:
        k, metric = self.n_neighbors, self.metric
        with _at_work():
            search, points = _once("search", (self.store, k), self._opened)
            SearchHere(self.store, self.bounds, search, points, metric, k)(number)

    def _opened(self) -> tuple[NeighborSearch, Float32Array]:
        points = self.store.matrix(POINTS)
        neighbors = self.settings.neighbors
        if not self.server:
            held = LocalNeighbors.opened(self.store, points, self.metric, threads=self.threads)
            return held, points
        vectors = self.store.matrix(VECTORS) if self.store.has_matrix(VECTORS) else points
        source = _source(self.settings.milvus, self.identity)
        connection = connection_of(self.settings.milvus)
        asked = search_settings(neighbors.model_copy(update={"concurrency": self.threads}))
        return MilvusNeighbors(connection, source, self._rows(vectors), asked), points

    def _rows(self, vectors: Float32Array) -> Rows:
        keys: Keys = whole(self.store.load(KEYS))[KEYS]
        return Rows(keys, vectors, np.zeros(len(keys), np.int32), ("",))


@dataclass(frozen=True, slots=True)
class WriteShard:
    """Labels of the rows of a part, by the way that the run has chosen.

    Asks before each piece whether it is to go on (``Standing``): the process that gave it out may
    have ended, or lost the lock, without being able to say so.
    """

    settings: Settings = field(repr=False)
    store: ShardStore
    way: WriteWay
    unwritten: tuple[Extra, ...]
    identity: str
    throttle: Throttle

    def __call__(self, number: int) -> None:
        if has_outcome(self.store, number):
            return
        with _writing, _at_work():
            Standing(self.store).check()
            sink = _once("sink", (self.store, self.way.name), self._opened)
            part = load_part(self.store, number)
            outcome = write_shard(part, sink, batch_rows=self._at_once)
            Standing(self.store).check()  # else it would be left where nobody looks any more
            save_outcome(self.store, number, outcome)

    @property
    def _at_once(self) -> int:
        """Few where each call takes long, unless pieces are kept small for readers anyway."""
        slow = self.way.name != "side-collection" and self.throttle.rate == "none"
        return SLOW_ROWS if slow else BATCH_ROWS

    def _opened(self) -> LabelSink:
        source = _source(self.settings.milvus, self.identity)
        labels = label_settings(self.settings, unwritten=self.unwritten)
        connection = connection_of(self.settings.milvus)
        bare = sink_of_way(connection, source.selection, labels, self.way)
        bare = LeasedSink(bare, Standing(self.store))
        name, vector = source.found.name, source.vector.name
        readers = readers_of(connection, name, vector, self.way.target)
        sink = throttled(bare, self.throttle, readers)
        _source(self.settings.milvus, self.identity)  # the sink has looked the name up by itself
        sink.prepare()
        return sink
