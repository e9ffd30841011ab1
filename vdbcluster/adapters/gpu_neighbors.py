"""Neighbour search on a GPU: exact, by blocks, with the distances and the answers of the CPU.

In: prepared vectors ``(n, d)`` (see ``graph.distance.prepare``). Out: a ``NeighborSearch``.
Promise: the neighbours and distances of ``graph.exact_neighbors`` to the last bit, since the GPU
only proposes and ``graph.measure`` decides; memory of the GPU is bounded by what is free; where no
GPU can be used, one line says why.

CuPy is an extra, imported when a GPU is looked for. Not yet run on a GPU: the tests let numpy, as
strict as CuPy about what lies on which side, play one, and hold the names against CuPy's own. For
rows so many that every pair takes long there is ``gpu_graph``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from vdbcluster.errors import NotEnoughMemoryError, UsageError
from vdbcluster.graph.blocked import Blocks, multiplies_in_float32
from vdbcluster.graph.distance import METRICS
from vdbcluster.graph.exact import proven_neighbors
from vdbcluster.model.arrays import Float32Array, Float64Array, Int32Array, Int64Array

INSTALL = "pip install 'vdbcluster[gpu]'"
_SHARE_OF_FREE = 0.75
_TRIAL_ROWS, _TRIAL_VALUES = 4000, 1 << 25


@dataclass(frozen=True, slots=True)
class Gpu:
    """``xp``: its array module; ``memory_bytes``: what a search may take of its memory."""

    xp: Any
    name: str
    memory_bytes: int


def find_gpu() -> Gpu:
    """The current CUDA device, tried out. Raises ``UsageError`` that says why there is none."""
    try:
        cupy = import_module("cupy")
    except ImportError as error:
        if error.name == "cupy":
            raise UsageError(f"a GPU is used by cupy, which is not installed: {INSTALL}") from error
        raise UsageError(f"cupy cannot be used: {_first_line(error)}") from error
    not_compiled = cupy.cuda.compiler.CompileException
    try:
        return _tried(cupy)
    except (ImportError, RuntimeError, OSError, MemoryError, not_compiled) as error:
        raise UsageError(f"no GPU can be used: {_first_line(error)}") from error


def why_no_gpu() -> str:
    """The line that ``find_gpu`` would raise; empty if a GPU can be used."""
    try:
        find_gpu()
    except UsageError as error:
        return str(error)
    return ""


class GpuNeighbors:
    """``NeighborSearch`` over prepared vectors in memory or in a memory map.

    ``gpu``: by default the one that ``find_gpu`` finds, whose ``UsageError`` passes through. A
    search raises ``NotEnoughMemoryError`` if others have taken its memory since. ``threads``: of
    the host, which measures; 0 leaves them to the libraries.
    """

    def __init__(
        self, vectors: Float32Array, metric: str, *, gpu: Gpu | None = None, threads: int = 0
    ) -> None:
        if metric not in METRICS:
            raise UsageError(f"metric is {metric!r}; it must be one of {', '.join(METRICS)}")
        self._vectors = vectors
        self._metric = metric
        self._gpu = gpu or find_gpu()
        self._threads = threads or None

    @property
    def name(self) -> str:
        """Of the GPU."""
        return self._gpu.name

    @property
    def description(self) -> str:
        return f"{self.name}, every pair, exact"

    @property
    def metric(self) -> str:
        return self._metric

    @property
    def exact(self) -> bool:
        return True

    @property
    def measured(self) -> bool:
        return True

    def search(self, which: Int64Array, n_neighbors: int) -> tuple[Int32Array, Float32Array]:
        """See ``ports.NeighborSearch``."""
        with threadpool_limits(limits=self._threads):
            return proven_neighbors(self._vectors, which, n_neighbors, self._metric, self.propose)

    def propose(self, which: Int64Array, width: int) -> tuple[Int64Array, Float64Array]:
        """The part of a search that the GPU does; see ``graph.blocked``."""
        try:
            return self._blocks.propose(which, width)
        except MemoryError as error:
            raise NotEnoughMemoryError(
                f"{self._gpu.name} has not enough free memory ({_first_line(error)}); end what "
                "else runs on it, or pass --neighbors local"
            ) from error

    @cached_property
    def _blocks(self) -> Blocks:
        return Blocks(self._gpu.xp, self._vectors, self._metric, self._gpu.memory_bytes)


def expected_seconds(gpu: Gpu, n_rows: int, dim: int, n_neighbors: int) -> float:
    """What a search of all of ``n_rows`` takes, from one batch of random rows that is timed.

    The product grows with the square of the rows, measuring what it proposed with the rows.
    """
    base = max(2, min(n_rows, _TRIAL_VALUES // dim))
    rows = np.random.default_rng(0).standard_normal((base, dim), dtype=np.float32)
    search = GpuNeighbors(rows, "euclidean", gpu=gpu)
    which, k = np.arange(min(base, _TRIAL_ROWS)), min(n_neighbors, base - 1)
    search.search(which, k)  # brings the vectors over and compiles
    start = time.perf_counter()
    search.propose(which, min(base, k + 1))
    proposed = time.perf_counter() - start
    start = time.perf_counter()
    search.search(which, k)
    measured = max(0.0, time.perf_counter() - start - proposed)
    return n_rows / len(which) * (proposed * n_rows / base + measured)


def _tried(cupy: Any) -> Gpu:
    device = cupy.cuda.Device()
    name = cupy.cuda.runtime.getDeviceProperties(device.id)["name"].decode()
    if not multiplies_in_float32(cupy):
        raise UsageError(
            f"{name} multiplies float32 matrices in less than float32; unset CUPY_TF32 and "
            "NVIDIA_TF32_OVERRIDE"
        )
    free, _ = device.mem_info
    return Gpu(cupy, name, int(free * _SHARE_OF_FREE))


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
