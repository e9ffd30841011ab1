"""A neighbour graph shard by shard is the one that is searched at once, and goes on if killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data import embeddings
from vdbcluster.adapters.here import Here
from vdbcluster.adapters.local_neighbors import LocalNeighbors
from vdbcluster.adapters.memory_neighbors import BruteForceSearch
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.errors import VdbclusterError
from vdbcluster.graph.distance import METRICS, ON_BITS, prepare
from vdbcluster.graph.measure import measure
from vdbcluster.model.arrays import Float32Array, Int32Array, Int64Array
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.pipeline.graph_shards import SearchHere, bounds_for, graph_in_shards
from vdbcluster.pipeline.neighbors import BATCH, neighbor_graph
from vdbcluster.pipeline.room import Room
from vdbcluster.ports import NeighborSearch
from vdbcluster.ports.shards import Work

ROOM = Room(1 << 30)


@dataclass
class Watching(QuietObserver):
    """Remembers what it is told."""

    totals: list[int | None] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str = "rows") -> Iterator[Watching]:
        assert (name, unit) == ("neighbours", "rows")
        self.totals.append(total)
        yield self

    def advance(self, rows: int) -> None:
        self.steps.append(rows)

    def warn(self, text: str) -> None:
        self.warned.append(text)


@dataclass
class Counting:
    """A search that knows for which rows it was asked."""

    inner: NeighborSearch
    asked: list[Int64Array] = field(default_factory=list)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def search(self, which: Int64Array, n_neighbors: int) -> tuple[Int32Array, Float32Array]:
        self.asked.append(which)
        return self.inner.search(which, n_neighbors)


def some_rows(metric: str, n: int = 700, d: int = 12) -> Float32Array:
    """With ties and duplicates."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 2, (n, d)) if metric in ON_BITS else rng.integers(-2, 3, (n, d))
    rows[1::10] = rows[0 : len(rows[1::10]) * 10 : 10]
    if metric not in ON_BITS:
        rows[:, 0] += 7  # nobody is zero
    return prepare(rows.astype(np.float32), metric)


def in_shards(
    folder: Path,
    search: NeighborSearch,
    points: Float32Array,
    metric: str,
    k: int,
    bounds: Sequence[int],
    observer: Watching | None = None,
    room: Room = ROOM,
) -> NeighborGraph:
    store = ShardFiles(str(folder))
    work = SearchHere(store, bounds, search, points, metric, k)
    return graph_in_shards(
        store,
        bounds,
        work,
        Here(),
        metric=metric,
        n_neighbors=k,
        room=room,
        observer=observer or Watching(),
    )


def same(found: NeighborGraph, true: NeighborGraph) -> None:
    np.testing.assert_array_equal(found.indices, true.indices)
    np.testing.assert_array_equal(found.distances, true.distances)
    assert found.metric == true.metric


@given(st.integers(0, 300_000), st.integers(1, 400) | st.just("auto"))
def test_bounds_cover_all_rows_in_shards_alike(n: int, shards: int | str) -> None:
    bounds = bounds_for(n, shards)  # type: ignore[arg-type]
    sizes = np.diff(bounds)
    assert (bounds[0], bounds[-1]) == (0, n)
    auto = max(1, -(-n // 50_000), min(8, n // 8000))
    wanted = auto if shards == "auto" else max(1, min(int(shards), n))
    assert len(sizes) == wanted
    assert (sizes > 0).all() or n == 0
    if n >= wanted * BATCH:
        assert all(bound % BATCH == 0 for bound in bounds[:-1])
        assert sizes.max() - sizes.min() < 2 * BATCH
    else:
        assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shards", [1, 2, 7, 32])
@pytest.mark.parametrize("exact_rows", [0, 30_000], ids=["approximate", "exact"])
def test_equal_to_the_whole(tmp_path: Path, metric: str, shards: int, exact_rows: int) -> None:
    points = some_rows(metric)
    search = LocalNeighbors(points, metric, exact_rows=exact_rows)
    found = in_shards(tmp_path, search, points, metric, 9, bounds_for(len(points), shards))
    same(found, neighbor_graph(search, points, metric, 9, Watching()))
    same(found, measure(points, found.indices, metric))
    found.validate()


def test_distances_of_others_are_measured(tmp_path: Path) -> None:
    points = some_rows("chord")
    search = BruteForceSearch(points, "chord")
    found = in_shards(tmp_path, search, points, "chord", 9, [0, 100, 101, 500, 700])
    listed, own = search.search(np.arange(700), 9)
    same(found, measure(points, listed, "chord"))
    assert (found.distances != own).any()
    angular = in_shards(tmp_path / "angular", search, points, "angular", 9, [0, 300, 700])
    same(angular, measure(points, listed, "angular"))


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_rows(tmp_path: Path, n: int) -> None:
    points = some_rows("chord", n)
    search = LocalNeighbors(points, "chord")
    found = in_shards(tmp_path, search, points, "chord", 5, bounds_for(n, 2))
    same(found, neighbor_graph(search, points, "chord", 5, Watching()))


def test_positions_that_no_row_has_are_refused(tmp_path: Path) -> None:
    points = some_rows("chord")
    search = BruteForceSearch(np.repeat(points, 2, axis=0), "chord")
    with pytest.raises(ValueError, match=r"-1 \.\. 699"):
        in_shards(tmp_path, search, points, "chord", 5, [0, 700])


def test_servers_are_asked_for_the_same_batches(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(9 * BATCH + 17, 2)).astype(np.float32)
    whole, cut = (Counting(Few(points)) for _ in range(2))
    same(
        in_shards(tmp_path, cut, points, "euclidean", 3, bounds_for(len(points), 4)),
        neighbor_graph(whole, points, "euclidean", 3, Watching()),
    )
    assert [a.tolist() for a in cut.asked] == [a.tolist() for a in whole.asked]


@dataclass
class Few:
    """Finds the next rows, whatever lies where."""

    points: Float32Array
    metric: str = "euclidean"
    exact: bool = False
    measured: bool = False
    description: str = "the next"

    def search(self, which: Int64Array, n_neighbors: int) -> tuple[Int32Array, Float32Array]:
        near = (which[:, None] + 1 + np.arange(n_neighbors)) % len(self.points)
        return near.astype(np.int32), np.zeros(near.shape, np.float32)


def test_arrays_lie_where_the_room_puts_them(tmp_path: Path) -> None:
    points = some_rows("chord")
    room = Room(0, tmp_path / "room")
    search = LocalNeighbors(points, "chord")
    found = in_shards(tmp_path, search, points, "chord", 9, bounds_for(700, 3), room=room)
    assert isinstance(found.indices, np.memmap)
    assert isinstance(found.distances, np.memmap)
    same(found, neighbor_graph(search, points, "chord", 9, Watching()))


def test_what_is_there_is_passed_and_progress_is_of_all_rows(tmp_path: Path) -> None:
    points = some_rows("chord")
    bounds = [0, 100, 300, 700]
    first = Counting(LocalNeighbors(points, "chord"))
    whole = in_shards(tmp_path, first, points, "chord", 9, bounds)
    (tmp_path / "graph-00001.npz").unlink()
    again, told = Counting(LocalNeighbors(points, "chord")), Watching()
    same(in_shards(tmp_path, again, points, "chord", 9, bounds, told), whole)
    assert np.concatenate(again.asked).tolist() == list(range(100, 300))
    assert told.totals == [700]
    assert sum(told.steps) == 700
    assert told.warned == []


def test_progress_of_others_is_of_all_rows(tmp_path: Path) -> None:
    points, bounds, told = some_rows("chord"), [0, 100, 300, 700], Watching()
    store = ShardFiles(str(tmp_path))
    work = SearchHere(store, bounds, LocalNeighbors(points, "chord"), points, "chord", 9)
    graph_in_shards(
        store,
        bounds,
        lambda number: work(number),
        Here(),
        metric="chord",
        n_neighbors=9,
        room=ROOM,
        observer=told,
    )
    assert sum(told.steps) == 700
    assert len(told.steps) == 1 + 3


def cut_off(place: Path) -> None:
    place.write_bytes(place.read_bytes()[:-200])


def one_bit(place: Path) -> None:
    held = bytearray(place.read_bytes())
    held[len(held) // 2] ^= 4
    place.write_bytes(held)


def other_shape(place: Path) -> None:
    np.savez(place, indices=np.zeros((3, 9), np.int32), distances=np.zeros((3, 9), np.float32))


def other_rows(place: Path) -> None:
    with np.load(place) as held:
        moved = dict(held) | {"start": np.array(290)}
    np.savez(place, **moved)


def other_fields(place: Path) -> None:
    np.savez(place, rows=np.zeros(3))


@pytest.mark.parametrize("damage", [cut_off, one_bit, other_shape, other_rows, other_fields])
def test_a_damaged_piece_is_searched_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    points, bounds = some_rows("chord"), [0, 100, 300, 700]
    search = LocalNeighbors(points, "chord")
    whole = in_shards(tmp_path, search, points, "chord", 9, bounds)
    damage(tmp_path / "graph-00002.npz")
    told, again = Watching(), Counting(search)
    same(in_shards(tmp_path, again, points, "chord", 9, bounds, told), whole)
    assert np.concatenate(again.asked).tolist() == list(range(300, 700))
    assert told.warned == [
        "1 of 3 pieces of the neighbour graph were damaged or gone; they are searched again"
    ]
    quiet = Watching()
    in_shards(tmp_path, again, points, "chord", 9, bounds, quiet)
    assert quiet.warned == []


def test_a_piece_that_stays_away_is_one_line(tmp_path: Path) -> None:
    def nothing(number: int) -> None: ...

    work: Work = nothing
    with pytest.raises(VdbclusterError, match="graph-00000") as caught:
        graph_in_shards(
            ShardFiles(str(tmp_path)),
            [0, 5],
            work,
            Here(),
            metric="chord",
            n_neighbors=2,
            room=ROOM,
            observer=Watching(),
        )
    assert "\n" not in str(caught.value)


CHILD = """
import os, signal, sys
from pathlib import Path
from tests.unit.test_graph_shards import Counting, in_shards, some_rows
from vdbcluster.adapters.local_neighbors import LocalNeighbors
from vdbcluster.adapters import replacing, shard_files

at, how = int(sys.argv[2]), sys.argv[3]
points = some_rows("chord")
search = Counting(LocalNeighbors(points, "chord"))

def dying_search(which, k, inner=search.search):
    if how == "searching" and len(search.asked) == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return inner(which, k)

class Dying(type(Path())):
    def replace(self, to):
        if len(search.asked) == at + 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().replace(to)

search.search = dying_search
if how == "saving":
    shard_files.Path = Dying
in_shards(Path(sys.argv[1]), search, points, "chord", 9, [0, 100, 300, 301, 700])
"""


@pytest.mark.parametrize(("at", "how"), [(0, "saving"), (1, "searching"), (3, "saving")])
def test_killed_it_goes_on_after_the_last_finished_shard(tmp_path: Path, at: int, how: str) -> None:
    child = [sys.executable, "-c", CHILD, str(tmp_path), str(at), how]
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run(child, cwd=root, timeout=60, check=False, env=os.environ)
    assert ended.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob("graph-*.npz"))) == at
    points, bounds = some_rows("chord"), [0, 100, 300, 301, 700]
    again = Counting(LocalNeighbors(points, "chord"))
    found = in_shards(tmp_path, again, points, "chord", 9, bounds)
    same(found, neighbor_graph(LocalNeighbors(points, "chord"), points, "chord", 9, Watching()))
    assert [len(which) for which in again.asked] == [b - a for a, b in pairwise(bounds)][at:]
    ShardFiles(str(tmp_path)).drop()
    assert not tmp_path.exists()


def test_equal_on_real_vectors(tmp_path: Path) -> None:
    points = prepare(embeddings("banking77.minilm-l6-int8.384.f16.npy")[:4000], "chord")
    search = LocalNeighbors(points, "chord", exact_rows=0)
    whole = neighbor_graph(search, points, "chord", 15, Watching())
    for shards in (1, 3, 32):
        bounds = bounds_for(len(points), shards)
        same(in_shards(tmp_path / str(shards), search, points, "chord", 15, bounds), whole)
