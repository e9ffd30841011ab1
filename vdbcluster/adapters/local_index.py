"""The index of the local neighbour search: built, kept, opened, whole in memory or part by part.

In: prepared vectors ``(n, d)`` in memory or in a memory map. Out: ``LocalIndex``, which proposes
rows. Promise: building takes about the memory allowed, whatever the number of rows; the same rows
are proposed however much that is, and by what is opened as by what was kept.

An inverted file over 4-bit product codes ("fast scan"), or over plain vectors of few dimensions.
Where it does not fit it is cut into parts of consecutive rows with the same cells and codes, on
disk: each batch of queries goes through all of them, one in memory at a time, and what they propose
is merged. Every cell is scanned by some query of a batch of thousands anyway, so this reads no more
than lists on disk would, one after the other; and codes are a quarter of what lists that faiss can
map (8-bit scalars) would take, and several times as quick to scan.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import DTypeLike, NDArray
from threadpoolctl import threadpool_limits

from vdbcluster.errors import RefusedError
from vdbcluster.graph.distance import blocks
from vdbcluster.model.arrays import BoolArray, Float32Array, Int64Array
from vdbcluster.model.neighbors import PADDING
from vdbcluster.ports.observer import Observer
from vdbcluster.ports.shards import ShardStore
from vdbcluster.quality.recall import audit_sample

_PER_CELL = 64
_LEAST_TRAINED = 4096
"""Rows that codes are learnt from, where there are so many."""
_CODES_FROM_DIM = 16
"""Below it plain vectors are as quick to scan as codes."""
_PAIRS_FROM_DIM = 128
"""From here on one code stands for two dimensions; below it, for one."""
_COPIES = 3
"""Of a part, at most: as it is built, as bytes, and while these are made."""


@dataclass(frozen=True, slots=True)
class IndexShape:
    """``cells`` of the inverted file; ``parts`` that it is cut into, 1 if it is held in memory."""

    n_rows: int
    dim: int
    cells: int
    parts: int

    @property
    def coded(self) -> bool:
        return self.dim >= _CODES_FROM_DIM

    def part_rows(self) -> Iterator[slice]:
        """Which rows are in which part."""
        step = max(1, ceil(self.n_rows / self.parts))
        for start in range(0, self.n_rows, step):
            yield slice(start, min(start + step, self.n_rows))


def shape_for(n_rows: int, dim: int, memory_bytes: int) -> IndexShape:
    """In memory if it fits there, else in as few parts as do; cells do not depend on memory."""
    whole = IndexShape(n_rows, dim, max(1, round(sqrt(n_rows) / 2)), 1)
    if index_bytes(whole) <= memory_bytes:
        return whole
    parts = ceil(_COPIES * n_rows * _row_bytes(whole) / max(1, memory_bytes))
    return replace(whole, parts=min(n_rows, max(2, parts)))


def index_bytes(shape: IndexShape) -> int:
    """Estimated memory of a whole index and of its training, beside the vectors."""
    training = min(shape.n_rows, shape.cells * (_PER_CELL + 1)) * shape.dim * 4
    return int(shape.n_rows * _row_bytes(shape) + training)


class LocalIndex:
    """Proposes rows; see the module. ``parts``: one that is in memory, or bytes ``(b,)`` each."""

    def __init__(self, shape: IndexShape, parts: list[Any]) -> None:
        self.shape = shape
        self._parts = parts

    def propose(
        self, queries: Float32Array, width: int, cells: int, least: int
    ) -> tuple[Int64Array, BoolArray]:
        """``(m, width) int64`` rows that may be nearest, -1 where there are fewer; and whether.

        Which of the rows at the last value are found is an accident of the order they are scanned
        in, so these are left out, and the rest is the same however the index is cut: ``(m,) bool``.
        Where that would leave fewer than ``least`` nothing is left out, and a wider search is due.
        """
        even = _even(queries)
        if self.shape.parts == 1:
            return _settled(*_searched(self._parts[0], even, width, cells), least)
        values = np.empty((len(even), 0), np.float32)
        rows = np.empty((len(even), 0), np.int64)
        for part in self._parts:
            more, found = _searched(_loaded(part), even, width, cells)
            both = np.concatenate([values, more], axis=1), np.concatenate([rows, found], axis=1)
            order = np.argsort(both[0], axis=1, kind="stable")[:, :width]
            values, rows = (np.take_along_axis(array, order, axis=1) for array in both)
        return _settled(values, rows, least)

    def save(self, store: ShardStore) -> None:
        """All that ``opened`` needs; what is there already is not written again."""
        for number, part in enumerate(self._parts):
            name = _name(self.shape, number)
            if not store.has_matrix(name):
                whole = self.shape.parts == 1
                store.save_matrix(name, faiss.serialize_index(part) if whole else part)


def build(
    vectors: Float32Array,
    shape: IndexShape,
    *,
    seed: int,
    folder: Path | None = None,
    observer: Observer | None = None,
) -> LocalIndex:
    """``folder``: where parts lie, in files that vanish with the process; made where missing.

    Raises ``VdbclusterError`` where parts cannot be written.
    """
    stage = observer.stage("neighbour index", shape.n_rows) if observer else nullcontext(None)
    with stage as progress:
        trained = _trained(vectors, shape, seed, folder)

        def part(rows: slice) -> Any:
            index = faiss.deserialize_index(trained)
            for block in blocks(vectors[rows]):
                these = slice(rows.start + block.start, rows.start + block.stop)
                index.add_with_ids(_even(vectors[these]), np.arange(these.start, these.stop))
                if progress is not None:
                    progress.advance(these.stop - these.start)
            return index

        if shape.parts == 1:
            return LocalIndex(shape, [part(slice(0, shape.n_rows))])
        return LocalIndex(shape, list(_on_disk(shape, part, folder)))


def _on_disk(
    shape: IndexShape, part: Callable[[slice], Any], folder: Path | None
) -> Iterator[NDArray[np.uint8]]:
    """The bytes of all parts, mapped."""
    for rows in shape.part_rows():
        held = np.asarray(faiss.serialize_index(part(rows)))
        yield _filed([held], np.uint8, held.shape, folder)


def _filed(
    arrays: Iterable[NDArray[Any]], kind: DTypeLike, shape: tuple[int, ...], folder: Path | None
) -> NDArray[Any]:
    """The arrays one after the other as one, mapped from a file of ``folder`` without a name, which
    is gone when the process ends, however it does.

    It is written and then mapped: a full disk ends a process that writes to a map.
    """
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix="vdbcluster-", dir=folder) as file:
            for array in arrays:
                file.write(array.data)
            file.flush()
            return np.memmap(file, kind, "r", shape=shape)  # keeps the file alive
    except OSError as error:
        raise RefusedError(
            "the local index does not fit into memory and cannot be put in "
            f"{folder or 'a temporary file'} ({error.strerror}); name another directory with "
            "--runs-dir, or allow more memory"
        ) from error


def opened(shape: IndexShape, store: ShardStore) -> LocalIndex:
    """What ``LocalIndex.save`` kept. Raises ``VdbclusterError`` if it is not there as a whole."""
    held = [store.matrix(_name(shape, number)) for number in range(len(list(shape.part_rows())))]
    return LocalIndex(shape, [_loaded(held[0])] if shape.parts == 1 else held)


def _row_bytes(shape: IndexShape) -> int:
    return 8 + (ceil(_codes(shape.dim) / 2) if shape.coded else 4 * (shape.dim + shape.dim % 2))


def _codes(dim: int) -> int:
    """Of four bits each, a row."""
    even = dim + dim % 2
    return even // 2 if even >= _PAIRS_FROM_DIM else even


def _searched(
    index: Any, queries: Float32Array, width: int, cells: int
) -> tuple[Float32Array, Int64Array]:
    index.nprobe = cells
    values, rows = index.search(queries, width)
    return values, rows


def _settled(values: Float32Array, rows: Int64Array, least: int) -> tuple[Int64Array, BoolArray]:
    below = values < values[:, -1:]
    enough = below.sum(axis=1) >= least
    rows[enough[:, None] & ~below] = PADDING
    return rows, enough


def _trained(
    vectors: Float32Array, shape: IndexShape, seed: int, folder: Path | None
) -> NDArray[np.uint8]:
    """The index without rows, as bytes."""
    index = _untrained(shape, seed)
    which = audit_sample(shape.n_rows, max(_LEAST_TRAINED, _PER_CELL * shape.cells), seed)
    sample = _sampled(vectors, which, shape, folder)
    with threadpool_limits(limits=1):  # many tiny fits: two threads mostly wait
        index.train(sample)
    return np.asarray(faiss.serialize_index(index))


def _sampled(
    vectors: Float32Array, which: Int64Array, shape: IndexShape, folder: Path | None
) -> Float32Array:
    """The rows that an index learns from; in a file where the index is cut into parts."""
    size = len(which), shape.dim + shape.dim % 2
    places = blocks(np.broadcast_to(np.float32(0), size))
    if shape.parts > 1:
        return _filed((_even(vectors[which[at]]) for at in places), np.float32, size, folder)
    sample = np.empty(size, np.float32)
    for at in places:
        sample[at] = _even(vectors[which[at]])
    return sample


def _untrained(shape: IndexShape, seed: int) -> Any:
    dim = shape.dim + shape.dim % 2
    quantizer = faiss.IndexFlatL2(dim)
    if shape.coded:
        index: Any = faiss.IndexIVFPQFastScan(quantizer, dim, shape.cells, _codes(dim), 4)
        index.by_residual = False
        index.pq.cp.niter, index.pq.cp.seed = 8, 1 + seed
        index.pq.cp.max_points_per_centroid = 256
    else:
        index = faiss.IndexIVFFlat(quantizer, dim, shape.cells)
    index.cp.niter, index.cp.seed = 6, 1 + seed
    index.cp.max_points_per_centroid = _PER_CELL
    index.cp.min_points_per_centroid = 1
    return index


def _loaded(data: NDArray[np.uint8]) -> Any:
    """Read where it lies: without a copy of all its bytes beside the index."""
    index = faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(data), data.size))
    index.referenced_objects = [data]  # what need not be copied is used where it is
    return index


def _even(rows: Float32Array) -> Float32Array:
    """The rows with a zero dimension more if d is odd: codes take dimensions in pairs."""
    odd = rows.shape[1] % 2
    return np.ascontiguousarray(np.pad(rows, ((0, 0), (0, odd))) if odd else rows)


def _name(shape: IndexShape, number: int) -> str:
    """Told apart by the number of parts: an earlier run may have had other memory."""
    return f"index-{number:05}-of-{shape.parts:05}"
