"""How a GPU is found, chosen and done without; the search itself is in test_blocked."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from tests.stand_in_gpu import FUNCTIONS, METHODS, TYPES, CompileError, FakeCupy, StandIn
from vdbcluster.adapters import gpu_neighbors
from vdbcluster.adapters.gpu_neighbors import (
    INSTALL,
    Gpu,
    GpuNeighbors,
    expected_seconds,
    find_gpu,
    why_no_gpu,
)
from vdbcluster.adapters.local_neighbors import EXACT_ROWS
from vdbcluster.config.settings import NeighborSettings
from vdbcluster.errors import NotEnoughMemoryError, UsageError
from vdbcluster.graph.blocked import Blocks
from vdbcluster.graph.distance import METRICS, prepare
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.model.collection import CollectionProfile, KeyField, ServerInfo, VectorField
from vdbcluster.wiring.choice import choose

GPU = Gpu(StandIn(), "stand-in", 8 << 20)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            RuntimeError("cudaErrorNoDevice: no device"),
            "no GPU can be used: cudaErrorNoDevice: no device",
        ),
        (OSError("libcublas.so.13\nand a trace"), "no GPU can be used: libcublas.so.13"),
        (ImportError("no libcublasLt.so.13"), "no GPU can be used: no libcublasLt.so.13"),
        (CompileError("no headers"), "no GPU can be used: no headers"),
        (MemoryError(), "no GPU can be used: MemoryError"),
    ],
)
def test_a_gpu_that_does_not_work_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy(error))  # type: ignore[arg-type]
    assert why_no_gpu() == told
    with pytest.raises(UsageError, match=told.split(":")[0]):
        GpuNeighbors(np.ones((3, 2), np.float32), "euclidean")


def test_without_cupy_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(gpu_neighbors, "import_module", absent)
    assert why_no_gpu() == f"a GPU is used by cupy, which is not installed: {INSTALL}"

    def broken(name: str) -> ModuleType:
        raise ImportError("libcuda.so.1: cannot open\nlong advice")

    monkeypatch.setattr(gpu_neighbors, "import_module", broken)
    assert why_no_gpu() == "cupy cannot be used: libcuda.so.1: cannot open"


def test_a_gpu_that_works_is_found_with_its_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", FakeCupy(free=8000))  # type: ignore[arg-type]
    assert why_no_gpu() == ""
    found = find_gpu()
    assert (found.name, found.memory_bytes) == ("Card 7", 6000)
    monkeypatch.setattr(gpu_neighbors, "multiplies_in_float32", lambda _: False)
    assert "unset CUPY_TF32" in why_no_gpu()


def test_memory_that_others_took_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError("Out of memory allocating 1,024 bytes")

    search = GpuNeighbors(np.ones((9, 2), np.float32), "euclidean", gpu=GPU)
    monkeypatch.setattr(Blocks, "propose", full)
    with pytest.raises(NotEnoughMemoryError, match=r"stand-in has not.*allocating 1,024.*local"):
        search.search(np.arange(3), 2)


def test_it_refuses_metrics_and_says_what_it_is() -> None:
    with pytest.raises(UsageError, match="must be one of"):
        GpuNeighbors(np.ones((3, 2), np.float32), "cosine", gpu=GPU)
    search = GpuNeighbors(np.ones((3, 2), np.float32), "chord", gpu=GPU)
    assert (search.description, search.exact) == ("stand-in, every pair, exact", True)


def test_the_expected_time_grows_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_neighbors, "_TRIAL_VALUES", 1 << 14)
    few, many = (expected_seconds(GPU, n, 8, 10) for n in (10, 10_000_000))
    assert 0 < few < many


def profile(rows: int) -> CollectionProfile:
    return CollectionProfile(
        server=ServerInfo("server", "2.6", "somewhere"),
        name="docs",
        identity="1",
        rows=rows,
        key=KeyField("id", "INT64", auto_id=False),
        vectors=(),
        scalars=(),
        dynamic=False,
        partitions=(),
        partition_key=None,
        loaded=True,
    )


FLAT = VectorField("v", "FLOAT_VECTOR", 8, "COSINE", "FLAT")
HNSW = VectorField("v", "FLOAT_VECTOR", 8, "COSINE", "HNSW")
MANY = EXACT_ROWS + 1


@pytest.mark.parametrize(
    ("vector", "rows", "told", "engine", "reason"),
    [
        (FLAT, MANY, "", "gpu", "a GPU is here"),
        (FLAT, EXACT_ROWS, "", "local", "quicker here"),
        (FLAT, MANY, "no GPU can be used: off", "local", "; no GPU can be used: off"),
        (FLAT, MANY, f"not installed: {INSTALL}", "local", "quicker here"),
        (HNSW, MANY, "", "milvus", "HNSW"),
    ],
)
def test_auto_takes_a_gpu_where_many_rows_would_be_searched_here(
    vector: VectorField, rows: int, told: str, engine: str, reason: str
) -> None:
    chosen = choose(profile(rows), vector, NeighborSettings(), lambda: told)
    assert chosen.engine == engine
    assert chosen.reason.endswith(reason) or reason in chosen.reason
    assert INSTALL not in chosen.reason
    assert chosen.local is (engine != "milvus")


def test_a_gpu_that_was_asked_for_is_used_or_refused() -> None:
    asked = NeighborSettings(engine="gpu")
    assert choose(profile(3), HNSW, asked, lambda: "").engine == "gpu"
    with pytest.raises(UsageError, match=r"^--neighbors gpu: off; or pass --neighbors local$"):
        choose(profile(3), HNSW, asked, lambda: "off")


def test_cupy_has_what_the_stand_in_offers() -> None:
    """Needs CuPy, but no GPU."""
    cupy = pytest.importorskip("cupy")
    assert not [
        name
        for name in (*FUNCTIONS, *TYPES, "asarray", "asnumpy", "inf")
        if not hasattr(cupy, name)
    ]
    assert not [
        name for name in (*METHODS, "size", "shape", "T") if not hasattr(cupy.ndarray, name)
    ]
    assert issubclass(cupy.cuda.memory.OutOfMemoryError, MemoryError)
    assert issubclass(cupy.cuda.runtime.CUDARuntimeError, RuntimeError)
    assert hasattr(cupy.cuda.Device, "mem_info")
    assert hasattr(cupy.cuda.runtime, "getDeviceProperties")


@pytest.mark.parametrize("metric", METRICS)
def test_on_a_gpu(metric: str) -> None:
    """Needs a GPU: its answers are those of the CPU to the last bit."""
    if told := why_no_gpu():
        pytest.skip(told)
    rng = np.random.default_rng(0)
    rows = (
        rng.integers(0, 2, (20_000, 96))
        if metric in ("hamming", "jaccard")
        else rng.normal(size=(20_000, 96))
    )
    points = prepare(rows.astype(np.float32), metric)
    which = np.arange(0, 20_000, 13)
    found = GpuNeighbors(points, metric).search(which, 30)
    true = exact_neighbors(points, which, 30, metric)
    np.testing.assert_array_equal(found[0], true[0])
    np.testing.assert_array_equal(found[1], true[1])
