"""Work on blocks of rows by several threads, with one result whatever their number.

In: a number of rows, what to do with a block of them. Out: what came of each block, or the sum.
Promise: how rows are cut depends on their number alone, and sums are taken in the order of blocks.
As many threads as OpenMP would use (``OMP_NUM_THREADS``, ``threadpoolctl``), none for one block.

For work that lets go of the interpreter's lock: compiled kernels, BLAS on one thread, sorting.
Numba's own parallel loops compile for longer, and two of them at a time end the process where
neither OpenMP nor TBB is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import faiss
import numpy as np
from numpy.typing import NDArray

from vdbcluster.model.arrays import Float64Array

T = TypeVar("T")
_PARTS, _FEWEST, _MOST = 64, 1024, 16384
"""Blocks, where they hold no fewer rows and no more than this."""


class RowBlocks:
    """``n`` rows in blocks; see ``row_blocks``. ``threads``: how many of them, at most, are worked
    on at a time.
    """

    def __init__(self, n: int, pool: ThreadPoolExecutor | None, threads: int = 1) -> None:
        self.n, self.threads = n, threads
        self._pool = pool
        step = max(_FEWEST, min(_MOST, -(-n // _PARTS)))
        self._parts = [slice(start, min(start + step, n)) for start in range(0, n, step)]

    def of(self, n: int) -> RowBlocks:
        """The same threads for another number of rows."""
        return RowBlocks(n, self._pool, self.threads)

    def each(self, work: Callable[[slice], T]) -> list[T]:
        """What ``work`` gives for each block, in order."""
        if self._pool is None or len(self._parts) < 2:
            return [work(part) for part in self._parts]
        return list(self._pool.map(work, self._parts))

    def summed(self, work: Callable[[slice], NDArray[np.floating]]) -> Float64Array:
        """The sum of what ``work`` gives, arrays of one shape, added up in float64; 0 of no row."""
        total = np.zeros(())
        for found in self.each(work):
            total = total + found
        return total


@contextmanager
def row_blocks(n: int) -> Iterator[RowBlocks]:
    """Blocks of n rows with the threads that work on them, which end with the context."""
    threads = int(faiss.omp_get_max_threads())
    if threads < 2:
        yield RowBlocks(n, None)
        return
    with ThreadPoolExecutor(threads, "rows") as pool:
        yield RowBlocks(n, pool, threads)
