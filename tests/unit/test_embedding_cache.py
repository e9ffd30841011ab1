"""The cache: what is in it costs no call, whatever happened to the process that filled it."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fault_server import DIM, FaultServer, error, not_a_number, vector_of, vectors_of
from tests.unit.filling import filling, killed, said_until
from vdbcluster.adapters.embedding.cache import FILE, KIND, CachedEmbedder, identity
from vdbcluster.adapters.endpoint.store import Store
from vdbcluster.config.ingest import EmbedSettings
from vdbcluster.errors import BackendError, UsageError
from vdbcluster.model.arrays import Float32Array
from vdbcluster.model.records import EmbedUsage
from vdbcluster.ports.embedder import BatchLimits, TextsRefusedError

TEXTS = [f"text {i}" for i in range(40)]
SETTINGS = EmbedSettings(model="m", base_url="http://127.0.0.1:8000/v1")


class Model:
    """An ``Embedder`` that knows what it was asked; texts with ``bad`` in them are refused."""

    description = "a model"
    limits = BatchLimits(16, 10_000)

    def __init__(self, dim: int = DIM) -> None:
        self.asked: list[str] = []
        self.usage = EmbedUsage()
        self.closed = False
        self._dim = dim
        self._lock = threading.Lock()

    def tokens(self, text: str) -> int:
        return len(text)

    def embed(self, texts: Sequence[str]) -> Float32Array:
        with self._lock:
            self.asked += texts
            self.usage = replace(self.usage, texts=self.usage.texts + len(texts))
        bad = {i: "it is bad" for i, text in enumerate(texts) if "bad" in text}
        good = [vector_of(text)[: self._dim] for text in texts if "bad" not in text]
        vectors = np.stack(good) if good else np.empty((0, 0), np.float32)
        if bad:
            raise TextsRefusedError(bad, vectors, len(texts))
        return vectors

    def close(self) -> None:
        self.closed = True


Open = Callable[..., CachedEmbedder]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "cache"


@pytest.fixture
def warnings_told() -> list[str]:
    return []


@pytest.fixture
def cached(folder: Path, warnings_told: list[str]) -> Iterator[Open]:
    made: list[CachedEmbedder] = []

    def around(model: object, settings: EmbedSettings = SETTINGS) -> CachedEmbedder:
        made.append(CachedEmbedder(model, folder, identity(settings), warnings_told.append))
        return made[-1]

    yield around
    for embedder in made:
        embedder.close()


def test_what_was_embedded_once_is_not_asked_again(cached):
    first, second = Model(), Model()
    np.testing.assert_array_equal(cached(first).embed(TEXTS), vectors_of(TEXTS))
    assert first.asked == TEXTS
    again = cached(second)
    np.testing.assert_array_equal(again.embed(TEXTS[::-1]), vectors_of(TEXTS[::-1]))
    assert not second.asked
    assert again.usage == EmbedUsage(cached=40)


def test_only_what_is_missing_is_asked_and_each_text_once(cached):
    model = Model()
    embedder = cached(model)
    embedder.embed(TEXTS[:5])
    texts = ["new", TEXTS[3], "new", "other", TEXTS[0], "new"]
    np.testing.assert_array_equal(embedder.embed(texts), vectors_of(texts))
    assert model.asked == [*TEXTS[:5], "new", "other"]
    assert (embedder.usage.cached, embedder.usage.texts) == (4, 7)


def test_refused_texts_are_told_by_their_place_and_the_others_kept(cached):
    model = Model()
    embedder = cached(model)
    embedder.embed(["known"])
    with pytest.raises(TextsRefusedError, match=r"text 2 of 6 .*it is bad") as told:
        embedder.embed(["a", "bad one", "known", "b", "bad one", "bad two"])
    assert set(told.value.faults) == {1, 4, 5}
    np.testing.assert_array_equal(told.value.vectors, vectors_of(["a", "known", "b"]))
    model.asked.clear()
    embedder.embed(["a", "b"])
    assert not model.asked
    with pytest.raises(TextsRefusedError):
        embedder.embed(["bad one"])
    assert model.asked == ["bad one"]


def test_no_text_is_stored(cached, folder):
    cached(Model()).embed(["a very private text"])
    assert b"private" not in b"".join(path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"base_url": "http://127.0.0.1:8001/v1"},
        {"base_url": "https://127.0.0.1:8000/v2"},
        {"dimensions": 8},
        {"prefix": "passage: "},
        {"long_texts": "split"},
        {"max_text_tokens": 100},
    ],
)
def test_other_settings_are_other_vectors(cached, change):
    cached(Model()).embed(["a"])
    model = Model()
    cached(model, SETTINGS.model_copy(update=change)).embed(["a"])
    assert model.asked == ["a"]


@pytest.mark.parametrize(
    "change",
    [
        {"base_url": "http://127.0.0.1:8000/v1/"},
        {"batch": 7, "concurrency": 2, "timeout": 1.0, "max_attempts": 2},
        {"api_key": "another", "price": 2.0, "max_tokens": 5},
    ],
)
def test_settings_that_do_not_shape_vectors_share_them(cached, change):
    cached(Model()).embed(["a"])
    model = Model()
    cached(model, SETTINGS.model_copy(update=change)).embed(["a"])
    assert not model.asked


def test_what_was_paid_for_is_kept_when_a_later_request_fails(cached):
    with FaultServer() as server:
        server.script = [not_a_number(0), lambda answer: answer, lambda answer: answer, error(401)]
        with pytest.raises(UsageError):
            cached(server.client()).embed(TEXTS)
        server.requests.clear()
        np.testing.assert_array_equal(cached(server.client()).embed(TEXTS), vectors_of(TEXTS))
        assert [t for r in server.requests for t in r["input"]] == TEXTS[8:]


def test_threads_share_a_cache(cached):
    model = Model()
    embedder = cached(model)
    parts = [TEXTS[i % 30 : i % 30 + 10] for i in range(0, 300, 5)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(embedder.embed, parts))
    for part, vectors in zip(parts, made, strict=True):
        np.testing.assert_array_equal(vectors, vectors_of(part))
    assert embedder.usage.cached + embedder.usage.texts == 600


def test_another_model_by_the_same_name_is_noticed(cached):
    cached(Model()).embed(TEXTS)
    with pytest.raises(BackendError, match=r"dimension 4 and of 8.*another model by this name"):
        cached(Model(dim=4)).embed(["new", *TEXTS])
    cached(Model()).embed(["new"])  # nothing wrong was kept


def test_damaged_vectors_are_asked_for_again(cached, folder):
    cached(Model()).embed(TEXTS[:5])
    with closing(sqlite3.connect(folder / FILE)) as file, file:
        keys = [row[0] for row in file.execute("SELECT key FROM vectors ORDER BY rowid")]
        nan = np.full(DIM, np.nan, "<f4").tobytes()
        bad = [b"", b"abc", nan, bytes(DIM * 4), "text"]
        file.executemany("UPDATE vectors SET vector=? WHERE key=?", zip(bad, keys, strict=True))
    model = Model()
    np.testing.assert_array_equal(cached(model).embed(TEXTS[:5]), vectors_of(TEXTS[:5]))
    assert model.asked == TEXTS[:5]
    cached(Model()).embed(TEXTS[:5])


def garbage(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(b"this is no database " * 1000)


def foreign(folder: Path) -> None:
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / FILE)) as file, file:
        file.execute("CREATE TABLE vectors (key, vector)")


def truncated(folder: Path) -> None:
    Store(folder, KIND).close()
    data = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(data[:5000])


def a_file(folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("")


def a_folder(folder: Path) -> None:
    (folder / FILE).mkdir(parents=True)


@pytest.mark.parametrize("make", [garbage, foreign, truncated, a_file, a_folder])
def test_a_file_that_is_no_cache_is_told_at_once_and_left_alone(cached, folder, make):
    make(folder)
    place = folder / FILE if folder.is_dir() else folder
    before = place.read_bytes() if place.is_file() else None
    with pytest.raises(UsageError, match=r"cannot be used \(.+\); move it away") as told:
        cached(Model())
    assert "\n" not in str(told.value)
    assert before is None or place.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_told_at_once(cached, folder):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    with pytest.raises(UsageError, match="cannot be used"):
        cached(Model())


def test_a_cache_that_fails_on_the_way_is_given_up_with_one_warning(cached, folder, warnings_told):
    embedder = cached(Model())
    embedder.embed(TEXTS[:5])
    with closing(sqlite3.connect(folder / FILE)) as file, file:
        file.execute("DROP TABLE vectors")
    for _ in range(3):
        np.testing.assert_array_equal(embedder.embed(TEXTS), vectors_of(TEXTS))
    assert len(warnings_told) == 1
    assert "going on without" in warnings_told[0]


def test_closing_closes_the_model_too_and_warns_nobody(cached, warnings_told):
    model = Model()
    embedder = cached(model)
    embedder.close()
    assert model.closed
    embedder.embed(["a"])
    assert not warnings_told


def test_an_empty_call_asks_nobody(cached):
    model = Model()
    assert len(cached(model).embed([])) == 0
    assert not model.asked


# A process that is killed

FILL = """
import sys
from pathlib import Path
from tests.unit.test_embedding_cache import Model, TEXTS, SETTINGS
from vdbcluster.adapters.embedding.cache import CachedEmbedder, identity

embedder = CachedEmbedder(Model(), Path(sys.argv[1]), identity(SETTINGS), print)
for at in range(int(sys.argv[2]), 100_000, int(sys.argv[3])):
    embedder.embed([f"{at} {i}" for i in range(20)])
    print(at, flush=True)
"""


@pytest.mark.parametrize("lines", [0, 1, 7, 60])
def test_killed_anywhere_the_cache_holds_what_was_said_to_be_done(cached, folder, lines):
    with filling(FILL, folder) as process:
        done = said_until(process, lines) + killed(process)
    model = Model()
    embedder = cached(model)
    for at in done:
        texts = [f"{at} {i}" for i in range(20)]
        np.testing.assert_array_equal(embedder.embed(texts), vectors_of(texts))
    assert not model.asked
    embedder.embed(["something new"])
    with closing(sqlite3.connect(folder / FILE)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = file.execute("SELECT count(*) FROM vectors").fetchone()[0] - 1
    assert kept % 20 in {0, 16}  # calls of twenty are requests of sixteen and four: all or none


def test_two_processes_fill_one_cache(cached, folder):
    with filling(FILL, folder, 0, 2) as even, filling(FILL, folder, 1, 2) as odd:
        done = said_until(even, 30) + said_until(odd, 30)
        done += killed(even) + killed(odd)
    assert {0, 1} <= {at % 2 for at in done}
    model = Model()
    embedder = cached(model)
    for at in done:
        embedder.embed([f"{at} {i}" for i in range(20)])
    assert not model.asked
