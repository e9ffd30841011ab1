"""From a graph in pieces to the hierarchy, each step kept, whoever does it.

In: a store that holds every shard of the graph, ``Workers``. Out: ``Hierarchy``.
Promise: the same as ``hierarchy.build`` makes of the whole graph; no worker holds more than one
shard and O(n) numbers; killed anywhere, it goes on after the last piece that was finished. What
``min_samples`` decides is kept under its own name, and ``min_cluster_size`` decides the last step
alone, so that trying another value of it costs no more than that.

    save_shard(store, number, shard)
    hierarchy_in_shards(store, bounds, params, workers, observer)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vdbcluster.hierarchy.shards import (
    Edges,
    GraphShard,
    Mail,
    hierarchy_of,
    merge,
    outgoing,
    settle,
    shard_forest,
)
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.hierarchy import Hierarchy
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams
from vdbcluster.pipeline.shards import has_shard, load_shard, save_shard
from vdbcluster.ports import Observer
from vdbcluster.ports.shards import ShardStore, Work, Workers
from vdbcluster.ports.work import WorkPlace

Build = Callable[[NeighborGraph, HdbscanParams], Hierarchy]
"""What ``hierarchy.build`` does, whoever does it."""
OLD = 86_400.0
"""Seconds after which pieces of another graph of the same rows are removed."""
MERGED_AT_ONCE = 4
"""Forests that one worker merges: each has up to n - 1 edges."""


def hierarchy_in_shards(
    store: ShardStore,
    bounds: Sequence[int],
    params: HdbscanParams,
    workers: Workers,
    observer: Observer,
) -> Hierarchy:
    """``bounds``: where shards begin, 0 first and n last; ``params.ties`` must be ``together``.

    At least two rows, and ``min_samples`` neighbours of each. Raises ``VdbclusterError`` if the
    store cannot be read or written.
    """
    steps = _Steps(store, tuple(bounds), min(params.min_samples, bounds[-1] - 1))
    shards = range(len(bounds) - 1)
    _do("mail", steps.post, shards, workers, observer)
    _do("core distances", steps.settle, shards, workers, observer)
    steps.gather_core()
    _do("forests", steps.forest, shards, workers, observer)
    for height, width in steps.levels():
        _do("merges", _Merge(steps, height), range(width), workers, observer)
    return hierarchy_of(steps.whole(), steps.core(), params)


@dataclass(frozen=True, slots=True)
class BuildInShards:
    """``hierarchy.build`` of a whole graph, by workers who each see one piece of it.

    ``bounds``: where pieces begin among so many rows; ``stem``: of the name of the work, which ends
    with a digest of the graph, so that pieces of another graph are never taken for those of this.
    """

    place: WorkPlace
    stem: str
    workers: Workers
    bounds: Callable[[int], Sequence[int]]
    observer: Observer

    def __call__(self, graph: NeighborGraph, params: HdbscanParams) -> Hierarchy:
        """Raises what ``hierarchy_in_shards`` raises; what is finished by then stays."""
        bounds = self.bounds(graph.n_rows)
        name = f"{self.stem}-{_digest(graph, bounds)}"
        self.place.clear(self.stem, name, OLD)
        store = self.place.store(name)
        if has_shard(store, 0):
            self.observer.note("clustering goes on after the last piece that was finished")
        for number, (start, end) in enumerate(pairwise(bounds)):
            if not has_shard(store, number):
                rows = GraphShard(start, graph.indices[start:end], graph.distances[start:end])
                save_shard(store, number, rows)
        found = hierarchy_in_shards(store, bounds, params, self.workers, self.observer)
        store.drop()
        return found


def _digest(graph: NeighborGraph, bounds: Sequence[int]) -> str:
    """Of all that the pieces are made from, in 32 hexadecimal digits."""
    digest = blake2b(np.array([*bounds, graph.n_neighbors], np.int64).tobytes(), digest_size=16)
    for start, end in pairwise(bounds):
        for array in (graph.indices, graph.distances):
            digest.update(np.ascontiguousarray(array[start:end]).view(np.uint8).data)
    return digest.hexdigest()


def _do(name: str, work: Work, shards: Sequence[int], workers: Workers, observer: Observer) -> None:
    with observer.stage(name, len(shards), "shards") as progress:
        workers.each(work, shards, progress.advance)


@dataclass(frozen=True, slots=True)
class _Steps:
    """What is done to one shard; each step leaves its result in the store, or finds it there."""

    store: ShardStore
    bounds: tuple[int, ...]
    min_samples: int

    def post(self, number: int) -> None:
        """What the rows of a shard say of others, by the shard of these."""
        name = _mail(number)
        if self.store.has(name):
            return
        shard = load_shard(self.store, number, self.bounds[number])
        arrays: dict[str, NDArray[np.generic]] = {}
        for to, mail in enumerate(outgoing(shard, np.array(self.bounds, np.int64))):
            arrays |= dict(zip(_letter(to), (mail.to, mail.by, mail.distances), strict=True))
        self.store.save(name, arrays)

    def settle(self, number: int) -> None:
        """Core distances of the rows of a shard, and the pairs that it holds."""
        name = self._own("settled", number)
        if self.store.has(name):
            return
        shard = load_shard(self.store, number, self.bounds[number])
        found = settle(shard, list(self._letters(number)), self.min_samples)
        pairs = found.pairs
        ends = {"left": pairs.left, "right": pairs.right, "weights": pairs.weights}
        self.store.save(name, {"core": found.core, **ends})

    def _letters(self, to: int) -> Iterator[Mail]:
        for sender in range(len(self.bounds) - 1):
            names = _letter(to)
            held = self.store.load(_mail(sender), *names)
            yield Mail(*(held[name] for name in names))

    def gather_core(self) -> None:
        """The core distances of all rows in one place."""
        if self.store.has(self._own("core")):
            return
        names = [self._own("settled", number) for number in range(len(self.bounds) - 1)]
        parts = [self.store.load(name, "core")["core"] for name in names]
        self.store.save(self._own("core"), {"core": np.concatenate(parts)})

    def core(self) -> Float32Array:
        return self.store.load(self._own("core"))["core"]

    def forest(self, number: int) -> None:
        """The minimum spanning forest of the pairs of a shard."""
        name = self._own("forest-0", number)
        if self.store.has(name):
            return
        self._keep(name, shard_forest(self._edges(self._own("settled", number)), self.core()))

    def levels(self) -> Iterator[tuple[int, int]]:
        """Of the tree in which forests are merged: height, and how many there are then."""
        height, width = 0, len(self.bounds) - 1
        while width > 1:
            height, width = height + 1, -(-width // MERGED_AT_ONCE)
            yield height, width

    def merge(self, height: int, number: int) -> None:
        name = self._own(f"forest-{height}", number)
        if self.store.has(name):
            return
        below = dict(self.levels()).get(height - 1, len(self.bounds) - 1)
        first = number * MERGED_AT_ONCE
        parts = range(first, min(first + MERGED_AT_ONCE, below))
        below_names = [self._own(f"forest-{height - 1}", part) for part in parts]
        self._keep(name, merge(*map(self._edges, below_names)))

    def whole(self) -> Edges:
        """The minimum spanning forest of all rows."""
        top = max((height for height, _ in self.levels()), default=0)
        return self._edges(self._own(f"forest-{top}", 0))

    def _edges(self, name: str) -> Edges:
        held = self.store.load(name, "left", "right", "weights")
        return Edges(held["left"], held["right"], held["weights"])

    def _keep(self, name: str, edges: Edges) -> None:
        ends = {"left": edges.left, "right": edges.right, "weights": edges.weights}
        self.store.save(name, ends)

    def _own(self, name: str, number: int | None = None) -> str:
        """The name of what this ``min_samples`` decides."""
        piece = "" if number is None else f"-{number:05}"
        return f"{name}-{self.min_samples}{piece}"


@dataclass(frozen=True, slots=True)
class _Merge:
    """One level of the merges, as work on numbers."""

    steps: _Steps
    height: int

    def __call__(self, number: int) -> None:
        self.steps.merge(self.height, number)


def _mail(number: int) -> str:
    return f"mail-{number:05}"


def _letter(to: int) -> tuple[str, str, str]:
    return f"to-{to:05}", f"by-{to:05}", f"distances-{to:05}"
