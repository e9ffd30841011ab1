"""Every ``ShardStore``: a folder of this machine, memory, and the S3 protocol."""

from __future__ import annotations

import gc
import math
import os
import pickle
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import fsspec.implementations.memory
import numpy as np
import pytest

from tests.object_store import bucket, seaweed
from vdbcluster.adapters import npy, shard_files
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.adapters.work_folders import WorkFolders
from vdbcluster.errors import UsageError, VdbclusterError
from vdbcluster.ports.shards import ShardStore

STORES = [pytest.param(name, marks=pytest.mark.slow) for name in ("moto", "seaweed")]
KINDS = ["folder", "memory", *STORES]
in_stores = pytest.mark.parametrize("place", STORES, indirect=True)


@pytest.fixture(scope="module", params=KINDS)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where folders may be made."""
    if request.param == "folder":
        yield str(tmp_path_factory.mktemp("place"))
    elif request.param == "memory":
        yield f"memory://{uuid.uuid4().hex}"
    elif request.param == "moto":
        with bucket() as url:
            yield url
    else:
        with seaweed() as found:
            yield found.url


@pytest.fixture
def url(place: str) -> str:
    return f"{place}/{uuid.uuid4().hex}/graph"


@pytest.fixture
def store(url: str) -> ShardStore:
    return ShardFiles(url)


def test_pieces_come_back(store: ShardStore) -> None:
    arrays = {"a": np.arange(5, dtype=np.int32), "b": np.ones((2, 3), np.float32)}
    assert not store.has("x")
    store.save("x", arrays)
    assert store.has("x")
    assert not store.has_matrix("x")
    found = store.load("x")
    assert found.keys() == {"a", "b"}
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
    assert list(store.load("x", "b")) == ["b"]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(4, 3),
        np.asfortranarray(np.arange(12.0).reshape(4, 3)),
        np.arange(20, dtype=np.int64)[::3],
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        np.empty((0, 7), np.float32),
        np.empty((7, 0), np.float32),
        np.array(3.5),
        np.array([True, False]),
        np.array(["ä", "bcd"]),
        np.array([1, 2], ">i4"),
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)
def test_matrices_come_back(store: ShardStore, array: np.ndarray) -> None:
    assert not store.has_matrix("m")
    store.save_matrix("m", array)
    assert store.has_matrix("m")
    assert not store.has("m")
    found = store.matrix("m")
    np.testing.assert_array_equal(found, array, strict=True)
    if array.size:
        assert isinstance(found, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            found[...] = 0


def test_saved_again_it_is_the_new_one(store: ShardStore) -> None:
    for value in (1, 2):
        store.save("x", {"a": np.full(3, value)})
        store.save_matrix("m", np.full(3, value))
        assert store.load("x")["a"][0] == store.matrix("m")[0] == value


def test_large_matrices_are_written_in_blocks(
    store: ShardStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npy, "_BLOCK_BYTES", 1000)
    array = np.random.default_rng(0).normal(size=(999, 7)).astype(np.float32)
    store.save_matrix("m", array)
    np.testing.assert_array_equal(store.matrix("m"), array)
    store.save_matrix("again", store.matrix("m"))
    np.testing.assert_array_equal(store.matrix("again"), array)


@in_stores
def test_a_matrix_of_several_parts_goes_up_and_comes_back(url: str) -> None:
    """s3fs cuts what is larger than 50 MiB."""
    rows = np.random.default_rng(0).random((60_000, 300), np.float32)  # 69 MiB
    store = ShardFiles(url)
    store.save_matrix("m", rows)
    np.testing.assert_array_equal(store.matrix("m"), rows)
    store.drop()
    assert not store.has_matrix("m")


def test_another_process_has_the_same(store: ShardStore) -> None:
    store.save("x", {"a": np.arange(3)})
    other = pickle.loads(pickle.dumps(store))
    assert other.has("x")
    assert not other.has("y")  # and what is looked up before it is there is seen when it is
    store.save("y", {"a": np.arange(3)})
    assert other.has("y")


def test_what_is_absent_or_damaged_is_one_line(store: ShardStore, url: str) -> None:
    store.save("x", {"a": np.arange(1000)})
    store.save_matrix("m", np.arange(1000))
    files, root = fsspec.core.url_to_fs(url)
    for name in ("x.npz", "m.npy"):
        files.pipe(f"{root}/{name}", files.cat(f"{root}/{name}")[:-100])
    for read in (store.load, store.matrix):
        for name in ("x", "m"):
            with pytest.raises(VdbclusterError, match=f"piece '{name}' of the graph") as caught:
                read(name)
            assert "\n" not in str(caught.value)
    with pytest.raises(VdbclusterError):
        store.matrix("nothing")


def test_another_file_is_no_matrix(store: ShardStore, url: str) -> None:
    store.save_matrix("m", np.arange(10))
    files, root = fsspec.core.url_to_fs(url)
    files.pipe(f"{root}/m.npy", b"\x93NUMPY\x02\x00" + b" " * 200)
    with pytest.raises(VdbclusterError, match="version"):
        store.matrix("m")


def test_what_cannot_be_saved_leaves_nothing(store: ShardStore) -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        store.save("x", {"a": np.arange(5), "b": np.array([object()])})
    with pytest.raises(ValueError, match="Object arrays"):
        store.save_matrix("m", np.array([object()]))
    assert not store.has("x")
    assert not store.has_matrix("m")
    store.save("x", {"a": np.arange(5)})
    assert store.load("x")["a"][4] == 4


def test_dropped_it_is_gone_and_what_is_mapped_stays(store: ShardStore, url: str) -> None:
    store.drop()
    store.save("x", {"a": np.arange(3)})
    store.save("y", {"a": np.arange(3)})
    store.save_matrix("m", np.arange(3))
    held = store.matrix("m")
    store.remove("y")
    store.remove("y")
    assert not store.has("y")
    files, root = fsspec.core.url_to_fs(url)
    files.pipe(f"{root}/note.txt", b"not ours")
    store.drop()
    assert not store.has("x")
    assert not store.has_matrix("m")
    np.testing.assert_array_equal(held, np.arange(3))
    assert [Path(name).name for name in files.ls(root, detail=False)] == ["note.txt"]
    store.save("x", {"a": np.arange(4)})  # as if it had never been there
    assert len(store.load("x")["a"]) == 4


def test_folders_of_ours_are_cleared_once_they_are_old(url: str) -> None:
    place, stem = WorkFolders(url), "0123abcd"
    place.clear(stem, "", 0.0)  # nothing is there
    kept, old, other = (f"{of}-{uuid.uuid4().hex}" for of in (stem, stem, "ffff0000"))
    for name in (kept, old, other, f"{stem}-of somebody else"):
        place.store(name).save("x", {"a": np.arange(3)})
    place.clear(stem, kept, 3600.0)
    assert place.store(old).has("x")
    place.clear(stem, kept, -math.inf)
    assert not place.store(old).has("x")
    for name in (kept, other, f"{stem}-of somebody else"):
        assert place.store(name).has("x")


def test_a_place_is_tried_by_a_piece_that_goes_again(url: str) -> None:
    WorkFolders(url).check()
    files, root = fsspec.core.url_to_fs(url)
    assert not any(map(files.isfile, files.find(root)))  # SeaweedFS drops a folder a little later


@in_stores
@pytest.mark.usefixtures("place")
def test_a_bucket_that_is_not_there_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"s3://nowhere/work \(.*--work-dir") as told:
        WorkFolders("s3://nowhere/work").check()
    assert "\n" not in str(told.value)


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="name a folder"):
        WorkFolders(str(tmp_path / "file" / "work")).check()


def test_a_folder_of_ours_goes_whole(tmp_path: Path) -> None:
    store = ShardFiles(str(tmp_path / "graph"))
    store.save("x", {"a": np.arange(3)})
    (tmp_path / "graph" / ".y.npz.123").write_bytes(b"half")  # of a process that was killed
    store.drop()
    assert list(tmp_path.iterdir()) == []


def test_a_matrix_of_an_object_store_is_brought_once() -> None:
    store = ShardFiles(f"memory://{uuid.uuid4().hex}")
    store.save_matrix("m", np.arange(3))
    assert store.matrix("m") is ShardFiles(store.url).matrix("m")
    held = len(npy._brought)
    store.drop()
    gc.collect()
    assert len(npy._brought) == held - 1


@pytest.mark.parametrize("url", ["nowhere://bucket/graph", "s3a+b://x"])
def test_an_unknown_store_is_one_line(url: str) -> None:
    with pytest.raises(UsageError, match=f"kept in {re.escape(url)}"):
        ShardFiles(url).has("x")


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = ShardFiles(str(tmp_path / "file" / "graph"))
    for save in (
        lambda: store.save("x", {"a": np.arange(3)}),
        lambda: store.save_matrix("x", np.arange(3)),
    ):
        with pytest.raises(VdbclusterError, match="cannot be read or written") as caught:
            save()
        assert "\n" not in str(caught.value)


class Unreachable(fsspec.implementations.memory.MemoryFileSystem):
    """A store whose package has errors of its own, as those of S3 have."""

    protocol = "unreachable"

    class Error(Exception):
        """Not an ``OSError``."""

    def info(self, path: str, **kwargs: object) -> dict[str, object]:
        raise self.Error("no\nendpoint")

    def ls(self, path: str, detail: bool = True, **kwargs: object) -> list[str]:
        raise self.Error("no\nendpoint")

    def _open(self, path: str, mode: str = "rb", **kwargs: object) -> object:
        raise self.Error("no\nendpoint")


def test_a_store_that_cannot_be_reached_is_one_line() -> None:
    fsspec.register_implementation("unreachable", Unreachable, clobber=True)
    store = ShardFiles("unreachable://bucket/graph")
    for use in (
        lambda: store.has("x"),
        lambda: store.has_matrix("x"),
        lambda: store.save("x", {"a": np.arange(3)}),
        lambda: store.load("x"),
        lambda: store.save_matrix("x", np.arange(3)),
        lambda: store.matrix("x"),
        store.drop,
        lambda: WorkFolders(store.url).clear("0123abcd", "", 1.0),
        WorkFolders(store.url).check,
    ):
        with pytest.raises(
            VdbclusterError, match=r"unreachable://bucket/graph .*\(no endpoint\)"
        ) as told:
            use()
        assert "damaged" not in str(told.value)
        assert told.value.exit_code == VdbclusterError.exit_code  # it may answer later


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ShardFiles(str(tmp_path))
    # What the store writes beside its place goes to a device that is full.
    (tmp_path / f".x.npy.{os.getpid()}{shard_files._MACHINE}").symlink_to("/dev/full")
    (tmp_path / f".x.npz.{os.getpid()}{shard_files._MACHINE}").symlink_to("/dev/full")
    with pytest.raises(VdbclusterError, match="No space left"):
        store.save_matrix("x", np.zeros((1 << 20,)))
    with pytest.raises(VdbclusterError, match="No space left"):
        store.save("x", {"a": np.zeros((1 << 20,))})
    assert list(tmp_path.iterdir()) == []


def test_another_machine_may_write_the_same_piece_under_the_same_process_number(
    tmp_path: Path,
) -> None:
    theirs = tmp_path / f".x.npz.{os.getpid()}"
    theirs.write_bytes(b"half")
    store = ShardFiles(str(tmp_path))
    store.save("x", {"a": np.arange(3)})
    assert theirs.read_bytes() == b"half"
    (tmp_path / f".y.npz.{os.getpid()}{shard_files._MACHINE}").write_bytes(b"left by a killed one")
    store.drop()
    assert not tmp_path.exists()


SAVING = """
import sys
from tests.own_memory import own_kib
from vdbcluster.adapters.shard_files import ShardFiles
store = ShardFiles(sys.argv[1])
before = own_kib() >> 10
store.save_matrix("copy", store.matrix("m"))
held = store.matrix("copy")
print(float(held[::997].sum()), (own_kib() >> 10) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_a_large_map_is_copied_without_being_in_memory(tmp_path: Path) -> None:
    rows = np.ones((100_000, 300), np.float32)  # 114 MiB
    ShardFiles(str(tmp_path)).save_matrix("m", rows)
    child = [sys.executable, "-c", SAVING, str(tmp_path)]
    ended = subprocess.run(
        child, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=True
    )
    total, grown = ended.stdout.split()
    assert float(total) == rows[::997].sum()
    assert int(grown) < 40
