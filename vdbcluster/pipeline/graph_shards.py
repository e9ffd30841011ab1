"""The neighbour graph shard by shard, each kept as soon as it is searched, whoever searches.

In: a store, where shards begin, work that leaves the shard of a number in the store. Out: the whole
``NeighborGraph``. Promise: the same as ``neighbors.neighbor_graph`` gives, to the last bit, however
it is cut; killed anywhere, the next run searches what is missing; a piece that is damaged or gone
is told and searched once more. Beside the whole graph, which lies where ``room`` puts it, one shard
is held.

    bounds = bounds_for(len(points), "auto")
    work = SearchHere(store, bounds, search, points, metric, n_neighbors)
    graph = graph_in_shards(store, bounds, work, Here(), metric=metric, n_neighbors=n_neighbors,
                            room=room, observer=observer)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from vdbcluster.config.base import Auto
from vdbcluster.errors import VdbclusterError
from vdbcluster.hierarchy.pieces import GraphShard
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.pipeline.by_share import ByShare
from vdbcluster.pipeline.neighbors import BATCH, search_batch
from vdbcluster.pipeline.room import Room
from vdbcluster.pipeline.shards import graph_piece, has_shard, load_shard, save_shard
from vdbcluster.ports import NeighborSearch, Observer
from vdbcluster.ports.shards import ShardStore, Work, Workers

ROWS_A_SHARD = 50_000
"""At most, about; what a worker holds."""
LEAST_SHARDS = 8
"""Where each has two batches still: a killed run loses no more than one of them."""
Done = Callable[[int], None]
"""Told a number of rows."""


def _untold(_: int) -> None: ...


def bounds_for(n_rows: int, shards: int | Auto) -> list[int]:
    """Where shards begin, 0 first and ``n_rows`` last; as many as asked for, or as rows.

    Between batches of ``BATCH`` rows where a shard is large enough, so that a search is asked for
    the same batches however many shards there are.
    """
    few = min(LEAST_SHARDS, n_rows // (2 * BATCH))
    asked = max(-(-n_rows // ROWS_A_SHARD), few) if shards == "auto" else shards
    count = max(1, min(asked, n_rows))
    step = BATCH if n_rows >= count * BATCH else 1
    return [round(n_rows * i / count / step) * step for i in range(count)] + [n_rows]


def graph_in_shards(
    store: ShardStore,
    bounds: Sequence[int],
    work: Work,
    workers: Workers,
    *,
    metric: str,
    n_neighbors: int,
    room: Room,
    observer: Observer,
) -> NeighborGraph:
    """``work(number)`` leaves a ``GraphShard`` with measured distances; what is there is passed.

    ``n_neighbors``: fewer where there are fewer rows, as ``most_neighbors`` says. Raises
    ``VdbclusterError`` if the store cannot be read or written, and whatever the work raises.
    """
    n_rows, k = bounds[-1], most_neighbors(bounds[-1], n_neighbors)
    numbers = range(len(bounds) - 1)
    with observer.stage("neighbours", n_rows) as progress:
        there = [number for number in numbers if has_shard(store, number)]
        progress.advance(sum(bounds[number + 1] - bounds[number] for number in there))
        missing = [number for number in numbers if number not in set(there)]
        _search(missing, bounds, work, workers, progress.advance)
    indices = room.empty((n_rows, k), np.int32)
    distances = room.empty((n_rows, k), np.float32)
    whole = NeighborGraph(indices, distances, metric)
    damaged = [number for number in numbers if _taken(store, number, bounds, whole)]
    if damaged:
        observer.warn(
            f"{len(damaged)} of {len(numbers)} pieces of the neighbour graph were damaged or gone; "
            "they are searched again"
        )
        for number in damaged:
            store.remove(graph_piece(number))
        with observer.stage("neighbours", _rows(damaged, bounds)) as progress:
            _search(damaged, bounds, work, workers, progress.advance)
        for number in damaged:
            if error := _taken(store, number, bounds, whole):
                raise error
    return whole


def most_neighbors(n_rows: int, n_neighbors: int) -> int:
    """As many as asked for, or as there are other rows; at least one column."""
    return max(1, min(n_neighbors, n_rows - 1))


def search_shard(
    store: ShardStore,
    number: int,
    bounds: Sequence[int],
    search: NeighborSearch,
    points: Float32Array,
    metric: str,
    n_neighbors: int,
    done: Done = _untold,
) -> None:
    """Search the rows of a shard in batches and keep it, unless it is there already.

    ``points (n, d)`` as ``graph.distance.prepare`` made them for ``metric``.
    """
    if has_shard(store, number):
        return
    begin, end = bounds[number], bounds[number + 1]
    k = most_neighbors(len(points), n_neighbors)
    indices = np.full((end - begin, k), PADDING, np.int32)
    distances = np.full((end - begin, k), np.inf, np.float32)
    for start in range(begin, end, BATCH):
        which = np.arange(start, min(start + BATCH, end))
        rows = slice(start - begin, start - begin + len(which))
        if len(points) > 1:
            indices[rows], distances[rows] = search_batch(search, points, which, metric, k)
        done(len(which))
    save_shard(store, number, GraphShard(begin, indices, distances))


@dataclass(frozen=True, slots=True, eq=False)
class SearchHere:
    """``Work`` in this process, on ``points (n, d)`` that are in memory or in a memory map.

    ``done``: told of rows, batch by batch.
    """

    store: ShardStore
    bounds: Sequence[int]
    search: NeighborSearch
    points: Float32Array
    metric: str
    n_neighbors: int
    done: Done = _untold

    def __call__(self, number: int) -> None:
        search_shard(
            self.store,
            number,
            self.bounds,
            self.search,
            self.points,
            self.metric,
            self.n_neighbors,
            self.done,
        )


def _search(
    numbers: Sequence[int], bounds: Sequence[int], work: Work, workers: Workers, advance: Done
) -> None:
    """Progress counts rows: as they are searched here, or by the shard where others search."""
    if not numbers:
        return
    if isinstance(work, SearchHere):
        workers.each(replace(work, done=advance), numbers, _untold)
        return
    workers.each(work, numbers, ByShare(_rows(numbers, bounds), len(numbers), advance))


def _rows(numbers: Sequence[int], bounds: Sequence[int]) -> int:
    return sum(bounds[number + 1] - bounds[number] for number in numbers)


def _taken(
    store: ShardStore, number: int, bounds: Sequence[int], whole: NeighborGraph
) -> VdbclusterError | None:
    """Copy a shard to its place in the ``whole``; why not, if it is damaged or of another shape."""
    begin, end = list(pairwise(bounds))[number]
    try:
        shard = load_shard(store, number, begin)
    except VdbclusterError as error:
        return error
    wanted = (end - begin, whole.n_neighbors)
    if shard.indices.shape != wanted or shard.distances.shape != wanted:
        return VdbclusterError(
            f"the piece {number} of the neighbour graph is {shard.indices.shape}, not {wanted}; "
            "remove the folder of unfinished work and run again"
        )
    whole.indices[begin:end], whole.distances[begin:end] = shard.indices, shard.distances
    return None
