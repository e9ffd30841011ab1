"""Neighbours proposed by a graph of cuVS; numpy plays the GPU and a stand-in plays cuVS."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stand_in_cuvs import Cuvs, CuvsError, play
from tests.stand_in_gpu import StandIn
from tests.unit.test_gpu_neighbors import profile
from vdbcluster.adapters import gpu_graph
from vdbcluster.adapters.gpu_graph import GraphNeighbors, build, has_cuvs, takes_long
from vdbcluster.adapters.gpu_neighbors import Gpu, why_no_gpu
from vdbcluster.adapters.local_neighbors import EXACT_ROWS
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.config.settings import NeighborSettings, Settings
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.graph.distance import prepare
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.graph.measure import pair_distances
from vdbcluster.model.collection import VectorField
from vdbcluster.pipeline.room import Room
from vdbcluster.quality.recall import recall
from vdbcluster.wiring.choice import Choice, choose
from vdbcluster.wiring.searching import searching

GPU = Gpu(StandIn(), "stand-in", 8 << 20)
PAIRS = "stand-in, every pair, exact"
ROWS = 500
ALL = np.arange(ROWS)


class Notes(QuietObserver):
    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)


@pytest.fixture(autouse=True)
def every_size_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_graph, "_LONG", 0)


def points(metric: str = "chord") -> NDArray[np.float32]:
    rows = np.random.default_rng(1).normal(size=(ROWS, 12)).astype(np.float32)
    rows[1::10] = rows[::10]
    return prepare(rows, metric)


def search_over(
    rows: NDArray[np.float32],
    metric: str = "chord",
    *,
    notes: Notes | None = None,
    host_bytes: int = 1 << 30,
    target_recall: float = 0.95,
    room: Room | None = None,
) -> GraphNeighbors:
    return GraphNeighbors(
        rows,
        metric,
        empty=np.empty if room is None else room.empty,
        host_bytes=host_bytes,
        target_recall=target_recall,
        observer=notes or Notes(),
        gpu=GPU,
    )


@pytest.mark.parametrize("metric", ["euclidean", "chord", "angular"])
def test_the_graph_proposes_and_the_kernel_measures(
    monkeypatch: pytest.MonkeyPatch, metric: str
) -> None:
    cuvs, notes, rows = play(monkeypatch, Cuvs(spoilt=0.1)), Notes(), points(metric)
    search = search_over(rows, metric, notes=notes, target_recall=0.8)
    indices, distances = search.search(ALL, 15)
    assert cuvs.built == [(ROWS, 32)]
    assert not notes.told
    assert not search.exact
    assert search.description == ("stand-in, cuVS graph by NN-descent, ranked by exact distance")
    np.testing.assert_array_equal(distances, pair_distances(rows, ALL, indices, metric))
    assert not (indices == ALL[:, None]).any()
    assert all(len(set(row)) == 15 for row in indices)
    true = exact_neighbors(rows, ALL, 15, metric)
    assert 0.8 < recall(indices, true[0], distances, true[1]).recall < 1


def test_what_the_graph_lacks_is_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, Cuvs(spoilt=0.8))
    indices, distances = search_over(points(), target_recall=0.1).search(ALL, 30)
    lacking = indices == -1
    assert 0 < lacking.mean() < 1
    np.testing.assert_array_equal(lacking, np.isinf(distances))
    assert (np.diff(lacking.astype(int), axis=1) >= 0).all()  # at the end of a row


def test_one_graph_in_the_room_that_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cuvs, rows = play(monkeypatch, Cuvs()), points()
    given = search_over(rows).search(ALL, 15)
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    search = search_over(mapped, room=Room(0, tmp_path))
    parts = [search.search(ALL[start : start + 100], 15) for start in range(0, ROWS, 100)]
    assert len(cuvs.built) == 2
    assert isinstance(search._graph, np.memmap)
    for one, other in zip(given, map(np.concatenate, zip(*parts, strict=True)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_more_neighbours_than_the_graph_has_are_searched_exactly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuvs, notes, rows = play(monkeypatch, Cuvs()), Notes(), points()
    search = search_over(rows, notes=notes)
    search.search(ALL, 15)
    found, true = search.search(ALL, 40), exact_neighbors(rows, ALL, 40, "chord")
    np.testing.assert_array_equal(found[0], true[0])
    np.testing.assert_array_equal(found[1], true[1])
    assert len(cuvs.built) == 1
    assert not notes.told


@pytest.mark.parametrize(
    ("cuvs", "host_bytes", "told"),
    [
        (None, 1 << 30, "cuVS cannot be imported: "),
        (Cuvs(error=CuvsError("out of memory\nand a trace")), 1 << 30, "graph: out of memory;"),
        (Cuvs(error=RuntimeError("cudaErrorNoDevice")), 1 << 30, "graph: cudaErrorNoDevice;"),
        (Cuvs(error=MemoryError()), 1 << 30, "graph: MemoryError;"),
        (Cuvs(error=TypeError("no dist_comp_dtype")), 1 << 30, "graph: no dist_comp_dtype;"),
        (Cuvs(), 1 << 19, "MiB of memory to build a graph and may take 0 (--memory-limit)"),
        (Cuvs(spoilt=0.7), 1 << 30, "on 256 rows, below 0.95"),
    ],
    ids=["absent", "cuvs", "cuda", "memory", "older", "room", "recall"],
)
def test_where_no_graph_is_to_be_had_every_pair_is_compared(
    monkeypatch: pytest.MonkeyPatch, cuvs: Cuvs | None, host_bytes: int, told: str
) -> None:
    if cuvs is None:
        monkeypatch.setitem(sys.modules, "cuvs", None)  # type: ignore[arg-type]
    else:
        play(monkeypatch, cuvs)
    notes, rows = Notes(), points()
    search = search_over(rows, notes=notes, host_bytes=host_bytes)
    true = exact_neighbors(rows, ALL, 15, "chord")
    for _ in range(2):
        found = search.search(ALL, 15)
        np.testing.assert_array_equal(found[0], true[0])
        np.testing.assert_array_equal(found[1], true[1])
    (line,) = notes.told
    assert told in line
    assert line.endswith("; every pair is compared, which takes longer")
    assert "\n" not in line
    assert (search.exact, search.description) == (True, PAIRS)


def test_a_disk_that_is_full_leaves_every_pair(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cuvs, notes = play(monkeypatch, Cuvs()), Notes()
    (tmp_path / "file").touch()
    search = search_over(points(), notes=notes, room=Room(0, tmp_path / "file"))
    search.search(ALL, 15)
    assert search.exact
    assert not cuvs.built
    assert "cannot be put in a file" in notes.told[0]


@pytest.mark.parametrize("why", ["few", "bits", "certify"])
def test_cuvs_is_left_alone_where_it_is_of_no_use(
    monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    cuvs, notes = play(monkeypatch, Cuvs()), Notes()
    if why == "few":
        monkeypatch.setattr(gpu_graph, "_LONG", 4e15)
    metric = "hamming" if why == "bits" else "euclidean"
    rows = (points("euclidean") > 0).astype(np.float32)
    search = search_over(rows, metric, notes=notes, target_recall=1.0 if why == "certify" else 0.95)
    assert search.exact
    search.search(ALL, 15)
    assert not cuvs.built
    assert not notes.told


def test_cuvs_is_looked_for_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, Cuvs())
    assert has_cuvs()
    monkeypatch.setitem(sys.modules, "cuvs", None)  # type: ignore[arg-type]
    assert not has_cuvs()


def test_metrics_are_refused_as_by_every_search() -> None:
    with pytest.raises(UsageError, match="must be one of"):
        search_over(points(), "cosine")


def test_the_arithmetic_of_time_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert not takes_long(2_000_000, 384)
    assert takes_long(2_500_000, 384)
    assert takes_long(2_500_000, 384) == takes_long(3_000_000, 2)
    assert gpu_graph._row_bytes(96) == 8 * 128 + 2 * 192 + 7 * 128 + 16


FLAT = VectorField("v", "FLOAT_VECTOR", 384, "COSINE", "FLAT")
BITS = replace(FLAT, type="BINARY_VECTOR", metric="HAMMING", index="BIN_FLAT")
LONG = 10_000_000


@pytest.mark.parametrize(
    ("vector", "rows", "installed", "engine", "graph"),
    [
        (FLAT, LONG, True, "auto", True),
        (FLAT, LONG, True, "gpu", True),
        (FLAT, LONG, False, "auto", False),
        (FLAT, EXACT_ROWS + 1, True, "gpu", False),
        (BITS, LONG, True, "gpu", False),
    ],
)
def test_a_graph_is_chosen_where_every_pair_takes_long(
    monkeypatch: pytest.MonkeyPatch,
    vector: VectorField,
    rows: int,
    installed: bool,
    engine: str,
    graph: bool,
) -> None:
    monkeypatch.undo()
    asked = NeighborSettings.model_validate({"engine": engine})
    found = choose(profile(rows), vector, asked, lambda: "", lambda: installed)
    assert (found.engine, found.graph) == ("gpu", graph)
    assert ("cuVS builds a graph" in found.reason) is graph


def test_a_graph_and_every_pair_are_kept_apart() -> None:
    pairs, graph = (
        searching(Choice("chord", "gpu", "", graph=graph), FLAT, Settings())
        for graph in (False, True)
    )
    assert pairs != graph


def test_cuvs_itself_takes_the_call() -> None:
    """Needs cuVS, but no GPU: without one nothing but that is wrong."""
    pytest.importorskip("cuvs.neighbors.nn_descent", exc_type=ImportError)
    graph = np.full((ROWS, 32), ROWS, np.uint32)
    cause: BaseException | None = None
    try:
        build(points(), graph)
    except VdbclusterError as error:
        cause = error.__cause__
    assert not isinstance(cause, (ImportError, TypeError, ValueError)), cause
    assert why_no_gpu() if cause else (graph < ROWS).any()


def test_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Needs a GPU and cuVS."""
    if told := why_no_gpu() or ("" if has_cuvs() else "cuVS is not installed"):
        pytest.skip(told)
    monkeypatch.setattr(gpu_graph, "_LONG", 0)
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(200, 64))[rng.integers(0, 200, 50_000)]).astype(np.float32)
    rows = prepare(rows + rng.normal(size=rows.shape).astype(np.float32), "chord")
    notes = Notes()
    search = GraphNeighbors(
        rows,
        "chord",
        empty=np.empty,
        host_bytes=1 << 32,
        target_recall=0.9,
        observer=notes,
    )
    which = np.arange(0, 50_000, 25)
    indices, distances = search.search(which, 30)
    assert not notes.told
    np.testing.assert_array_equal(distances, pair_distances(rows, which, indices, "chord"))
    true = exact_neighbors(rows, which, 30, "chord")
    assert recall(indices, true[0], distances, true[1]).recall > 0.9
