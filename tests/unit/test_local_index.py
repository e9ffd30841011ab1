"""The local index: kept and opened it answers alike; too large for memory it lies on disk."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data import embeddings
from tests.silent import Listener
from vdbcluster.adapters.local_index import index_bytes, shape_for
from vdbcluster.adapters.local_neighbors import LocalNeighbors
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.errors import RefusedError, VdbclusterError
from vdbcluster.graph.distance import prepare
from vdbcluster.graph.exact import exact_neighbors
from vdbcluster.model.arrays import Float32Array
from vdbcluster.quality.recall import recall

ROOT = Path(__file__).resolve().parents[2]


def some_rows(n: int = 1500, d: int = 24) -> Float32Array:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, d)) + 3 * rng.normal(size=(20, d))[rng.integers(0, 20, n)]
    rows[1::10] = rows[::10]
    return prepare(rows.astype(np.float32), "chord")


def search(rows: Float32Array, **settings: object) -> LocalNeighbors:
    return LocalNeighbors(rows, "chord", exact_rows=0, **settings)  # type: ignore[arg-type]


@given(st.integers(1, 10**9), st.integers(1, 4096), st.integers(1, 1 << 36), st.integers(0, 10**6))
def test_a_shape_fits_or_is_cut(n: int, dim: int, memory: int, more: int) -> None:
    shape = shape_for(n, dim, memory)
    assert shape.cells >= 1
    assert 1 <= shape.parts <= max(1, n)
    assert (shape.parts == 1) == (index_bytes(shape_for(n, dim, 1 << 60)) <= memory or n == 1)
    assert shape_for(n, dim, memory + more).parts <= shape.parts


def test_parts_hold_all_rows() -> None:
    shape = shape_for(1001, 24, 10_000)
    rows = [range(part.start, part.stop) for part in shape.part_rows()]
    assert len(rows) > 2
    assert [row for part in rows for row in part] == list(range(1001))


@pytest.mark.parametrize("d", [8, 51, 130])
@pytest.mark.parametrize("memory", [1 << 30, 30_000], ids=["whole", "parts"])
def test_opened_it_answers_alike(tmp_path: Path, d: int, memory: int) -> None:
    rows = some_rows(d=d)
    kept = search(rows, memory_bytes=memory, seed=7, target_recall=0.9)
    store = ShardFiles(str(tmp_path))
    kept.save(store, 10)
    found = LocalNeighbors.opened(store, rows, "chord")
    assert found.description == kept.description
    assert ("parts on disk" in kept.description) == (memory < 1 << 20)
    for k in (10, 25):  # the second is tuned by each for itself
        for one, other in zip(
            kept.search(np.arange(1500), k), found.search(np.arange(1500), k), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    found.save(ShardFiles(str(tmp_path / "again")), 10)
    again = LocalNeighbors.opened(ShardFiles(str(tmp_path / "again")), rows, "chord")
    np.testing.assert_array_equal(
        again.search(np.arange(50), 10)[0], kept.search(np.arange(50), 10)[0]
    )


def test_an_exact_search_is_kept_as_that(tmp_path: Path) -> None:
    rows, store = some_rows(), ShardFiles(str(tmp_path))
    LocalNeighbors(rows, "chord").save(store, 10)
    assert LocalNeighbors.opened(store, rows, "chord").exact
    assert [place.name for place in tmp_path.iterdir()] == ["index.npz"]
    search(rows, target_recall=1.0).save(store, 10)
    assert LocalNeighbors.opened(store, rows, "chord").exact


OTHER = """
import sys
import numpy as np
from vdbcluster.adapters.local_neighbors import LocalNeighbors
from vdbcluster.adapters.shard_files import ShardFiles
store = ShardFiles(sys.argv[1])
found = LocalNeighbors.opened(store, store.matrix("points"), "chord")
indices, distances = found.search(np.arange(1500), 10)
store.save("found", {"indices": indices, "distances": distances})
"""


@pytest.mark.parametrize("memory", [1 << 30, 30_000], ids=["whole", "parts"])
def test_another_process_answers_alike(tmp_path: Path, memory: int) -> None:
    rows, store = some_rows(), ShardFiles(str(tmp_path))
    kept = search(rows, memory_bytes=memory)
    kept.save(store, 10)
    store.save_matrix("points", rows)
    subprocess.run([sys.executable, "-c", OTHER, str(tmp_path)], cwd=ROOT, check=True, timeout=120)
    found = store.load("found")
    indices, distances = kept.search(np.arange(1500), 10)
    np.testing.assert_array_equal(found["indices"], indices)
    np.testing.assert_array_equal(found["distances"], distances)


def test_what_is_of_other_vectors_or_gone_is_one_line(tmp_path: Path) -> None:
    rows, store = some_rows(), ShardFiles(str(tmp_path))
    with pytest.raises(VdbclusterError, match="piece 'index'"):
        LocalNeighbors.opened(store, rows, "chord")
    search(rows, memory_bytes=30_000).save(store, 10)
    with pytest.raises(VdbclusterError, match="of 1500 x 24 vectors, and these are 1499 x 24"):
        LocalNeighbors.opened(store, rows[1:], "chord")
    next(tmp_path.glob("index-00001-of-*.npy")).unlink()
    with pytest.raises(VdbclusterError, match="index-00001"):
        LocalNeighbors.opened(store, rows, "chord")


def test_what_was_kept_with_other_memory_is_not_mixed_in(tmp_path: Path) -> None:
    rows, store = some_rows(), ShardFiles(str(tmp_path))
    whole = search(rows).search(np.arange(1500), 10)
    for memory in (30_000, 1 << 30, 10_000):  # as by runs that were killed
        search(rows, memory_bytes=memory).save(store, 10)
        found = LocalNeighbors.opened(store, rows, "chord").search(np.arange(1500), 10)
        np.testing.assert_array_equal(found[0], whole[0])


def test_parts_leave_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    found = search(some_rows(), memory_bytes=30_000, folder=folder)
    found.search(np.arange(10), 5)
    assert list(folder.iterdir()) == []  # mapped, while it is used still


class Watching(Listener):
    """Keeps what lies in the folder, by name, each time the index has grown."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.seen: list[list[str]] = []

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str = "rows") -> Iterator[Any]:
        yield self

    def advance(self, rows: int) -> None:
        self.seen.append([place.name for place in self.folder.iterdir()])


def test_killed_while_it_grows_it_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its files have no name at any time, so that no process has to remove them."""
    watching = Watching(tmp_path)
    found = search(some_rows(), memory_bytes=30_000, folder=tmp_path, observer=watching)
    found.search(np.arange(10), 5)
    assert len(watching.seen) > 2
    assert not any(watching.seen)


def test_a_disk_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    found = search(some_rows(), memory_bytes=30_000, folder=tmp_path / "file")
    with pytest.raises(VdbclusterError, match=r"cannot be put in .*file .File exists") as caught:
        found.search(np.arange(10), 5)
    assert "\n" not in str(caught.value)


def test_a_disk_that_fills_up_is_one_line(tmp_path: Path) -> None:
    """It is written to as a file: a write to a map would end the process."""
    rows = some_rows()

    def full(*_: object) -> np.ndarray:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vdbcluster.adapters.local_index._even", full)
        with pytest.raises(RefusedError, match=r"No space left on device.*--runs-dir") as caught:
            search(rows, memory_bytes=30_000, folder=tmp_path).search(np.arange(10), 5)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("d", [8, 24])
def test_memory_changes_no_neighbour_of_rows_that_repeat(d: int) -> None:
    rows = some_rows(d=d)
    rows[500:800] = rows[500:505].repeat(60, axis=0)
    whole = search(rows).search(np.arange(1500), 10)
    for memory in (40_000, 10_000):
        found = search(rows, memory_bytes=memory).search(np.arange(1500), 10)
        np.testing.assert_array_equal(found[0], whole[0])
        np.testing.assert_array_equal(found[1], whole[1])


@pytest.mark.parametrize(
    "name", ["banking77.minilm-l6-int8.384.f16.npy", "fashion_mnist70k.pca50.f16.npy"]
)
def test_memory_changes_no_neighbour_of_real_vectors(name: str) -> None:
    rows = prepare(embeddings(name)[:8000], "chord")
    whole, parts = search(rows), search(rows, memory_bytes=200_000)
    which = np.arange(0, 8000, 8)
    found, true = parts.search(which, 15), exact_neighbors(rows, which, 15, "chord")
    assert "parts on disk" in parts.description
    np.testing.assert_array_equal(found[0], whole.search(which, 15)[0])
    assert recall(found[0], true[0], found[1], true[1]).recall > 0.93


GROWTH = """
import sys
import numpy as np
from tests.own_memory import growth
from vdbcluster.adapters.local_neighbors import LocalNeighbors

rows = np.load(sys.argv[1], mmap_mode="r")
LocalNeighbors(rows[:2000], "chord", exact_rows=0).search(np.arange(500), 5)
found = []

def search():
    how = {"exact_rows": 0, "memory_bytes": 8 << 20, "target_recall": 0.8}
    found.append(LocalNeighbors(rows, "chord", **how))
    found[0].search(np.arange(500), 5)

print(growth(search), rows.nbytes >> 20, found[0].description)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_vectors_that_do_not_fit_are_touched_in_blocks(tmp_path: Path) -> None:
    """Real vectors, 200,000 of 200 dimensions by random projection: 152 MiB on disk."""
    base = embeddings("glove50_top200k.f16.npy")
    turn = np.random.default_rng(0).normal(size=(50, 200)).astype(np.float32)
    np.save(tmp_path / "rows.npy", prepare(base @ turn, "chord"))
    child = [sys.executable, "-c", GROWTH, str(tmp_path / "rows.npy")]
    ended = subprocess.run(child, cwd=ROOT, capture_output=True, text=True, check=True, timeout=280)
    grown, held, description = ended.stdout.split(maxsplit=2)
    assert int(held) > 150
    assert "parts on disk" in description
    assert int(grown) < 60  # blocks of the exact search and of the index, whatever the rows
