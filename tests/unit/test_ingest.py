"""The ingest pipeline against plain fakes: order, copies, bad rows, limits, interruption."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.silent import SILENT
from vdbcluster.adapters.ingest_files import IngestFiles
from vdbcluster.errors import (
    BackendError,
    BudgetError,
    SourceRowError,
    UsageError,
)
from vdbcluster.model.records import (
    EmbedUsage,
    IngestReport,
    Record,
    RecordBatch,
    RecordShape,
    RowFault,
    SourceBatch,
    SourceRow,
)
from vdbcluster.pipeline.ingest import IngestAdapters, IngestRules, ingest
from vdbcluster.ports.embedder import BatchLimits, TextsRefusedError

BAD = "bad"
LONG = "long"
WIDE = "wide"


@dataclass
class ListSource:
    """Texts by number; ``BAD`` ones cannot be read."""

    texts: Sequence[str]
    per_batch: int = 3
    vectors: bool = False
    description = "a list"

    @property
    def total(self) -> int:
        return len(self.texts)

    def fingerprint(self) -> str:
        return str(hash(tuple(self.texts)))

    def batches(self) -> Iterator[SourceBatch]:
        for start in range(0, len(self.texts), self.per_batch):
            part = list(enumerate(self.texts[start : start + self.per_batch], start + 1))
            rows = tuple(SourceRow(n, {"text": t}) for n, t in part if t != BAD)
            faults = tuple(RowFault(n, "cannot be read", t) for n, t in part if t == BAD)
            vectors = np.array([vector_of(r.values["text"]) for r in rows], np.float32)
            yield SourceBatch(rows, vectors.reshape(-1, 2) if self.vectors else None, faults)


def vector_of(text: str) -> list[float]:
    return [float(len(text)), float(sum(text.encode()) + 1)]


def shape(row: SourceRow) -> Record | RowFault:
    text = str(row.values["text"])
    if not text:
        return RowFault(row.number, "the text is empty", text)
    return Record(row.number, text, text, {}, text.encode())


@dataclass
class FirstOfEach:
    seen: set[int | str] = field(default_factory=set)

    def __call__(self, record: Record) -> Record | None:
        if record.key in self.seen:
            return None
        self.seen.add(record.key)
        return record


class FakeEmbedder:
    description = "length and sum"

    def __init__(self, texts: int = 2, fail_at: int = -1, error: Exception | None = None) -> None:
        self.limits = BatchLimits(texts, 100)
        self.calls: list[list[str]] = []
        self.fail_at = fail_at
        self.error = error or BackendError("the model is gone")
        self._lock = threading.Lock()

    @property
    def sent(self) -> list[str]:
        return [text for call in self.calls for text in call]

    @property
    def usage(self) -> EmbedUsage:
        return EmbedUsage(requests=len(self.calls), texts=sum(map(len, self.calls)))

    def tokens(self, text: str) -> int:
        return len(text)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        with self._lock:
            if len(self.calls) == self.fail_at:
                raise self.error
            self.calls.append(list(texts))
        vectors = np.array([vector_of(t) for t in texts if t != LONG], np.float32)
        if LONG in texts:
            faults = {texts.index(LONG): "the text has 9 tokens, the model takes 8"}
            raise TextsRefusedError(faults, vectors, len(texts))
        return vectors

    def close(self) -> None:
        pass


@dataclass
class Shelf:
    """What survives of a collection from run to run."""

    rows: dict[int | str, tuple[str | None, bytes]] = field(default_factory=dict)
    name: str = "shelf"


class ShelfWriter:
    """``RecordWriter`` on a ``Shelf``; fails at the ``fail_at``-th write, half of it done."""

    def __init__(self, shelf: Shelf, fail_at: int = -1) -> None:
        self.shelf = shelf
        self.fail_at = fail_at
        self.writes: list[int] = []
        self.dims: list[int] = []
        self.finished = 0

    def fit(self, shape: RecordShape) -> RecordShape:
        return shape

    def prepare(self, dim: int) -> None:
        self.dims.append(dim)

    @property
    def identity(self) -> str:
        return self.shelf.name

    def count(self) -> int:
        return len(self.shelf.rows)

    def unchanged(self, records: Sequence[Record], vectors: np.ndarray | None = None) -> np.ndarray:
        return np.array([r.key in self.shelf.rows for r in records], np.bool_)

    def misfits(self, records: Sequence[Record]) -> dict[int, str]:
        return {i: "too wide for its column" for i, r in enumerate(records) if r.key == WIDE}

    def write(self, batch: RecordBatch) -> None:
        for i, (record, vector) in enumerate(zip(batch.records, batch.vectors, strict=True)):
            if len(self.writes) == self.fail_at and i >= len(batch.records) // 2:
                raise BackendError("the server is gone")
            self.shelf.rows[record.key] = (record.text, vector.tobytes())
        self.writes.append(len(batch.records))

    def finish(self) -> int:
        self.finished += 1
        return len(self.shelf.rows)


@dataclass
class World:
    """A source, what it is written to, and the files beside it."""

    folder: Path
    texts: Sequence[str]
    shelf: Shelf = field(default_factory=Shelf)
    vectors: bool = False

    def run(
        self,
        embedder: FakeEmbedder | None = None,
        writer: ShelfWriter | None = None,
        **rules: object,
    ) -> IngestReport:
        known = {"settings": "s", "model": "m", "on_error": "quarantine"} | rules
        adapters = IngestAdapters(
            source=ListSource(self.texts, vectors=self.vectors),
            shape=shape,
            sift=FirstOfEach(),
            embedder=None if self.vectors else embedder or FakeEmbedder(),
            writer=writer or ShelfWriter(self.shelf),
            log=self.log,
        )
        return ingest(adapters, IngestRules(**known), SILENT)

    @property
    def log(self) -> IngestFiles:
        return IngestFiles(self.folder, "list.csv")

    def quarantined(self) -> list[str]:
        path = self.log.quarantined
        return path.read_text().splitlines() if path.exists() else []

    def check(self) -> None:
        """Every good row once, with its own vector; every bad one in the quarantine, once."""
        good = {t for t in self.texts if t not in (BAD, LONG, "")}
        wanted = {t: (t, np.array(vector_of(t), np.float32).tobytes()) for t in good}
        assert self.shelf.rows == wanted
        assert len(self.quarantined()) == sum(t in (BAD, "") for t in self.texts)


def world(tmp_path: Path, texts: Sequence[str], **more: bool) -> World:
    return World(tmp_path, texts, **more)


def letters(n: int) -> list[str]:
    return [f"text {i}" for i in range(n)]


def test_rows_are_embedded_in_batches_and_written_in_order(tmp_path):
    w, embedder, writer = world(tmp_path, letters(7)), FakeEmbedder(3), None
    writer = ShelfWriter(w.shelf)
    report = w.run(embedder, writer)
    assert list(w.shelf.rows) == letters(7)
    assert [len(call) for call in embedder.calls] == writer.writes == [3, 3, 1]
    assert (report.read, report.written, report.stored, report.dim) == (7, 7, 7, 2)
    assert writer.dims == [2]
    assert writer.finished == 1


def test_batches_are_bounded_by_tokens(tmp_path):
    embedder = FakeEmbedder(50)
    world(tmp_path, ["a" * 60, "b" * 50, "c" * 40, "d" * 300, "e"]).run(embedder)
    assert [[t[0] for t in call] for call in embedder.calls] == [["a"], ["b", "c"], ["d"], ["e"]]


def test_copies_are_counted_and_bad_rows_put_aside(tmp_path):
    w = world(tmp_path, ["a", BAD, "b", "a", "", "c", "c", BAD])
    report = w.run()
    w.check()
    assert (report.read, report.written, report.duplicates, report.faults) == (8, 3, 2, 3)
    assert '"row": 2' in w.quarantined()[0]
    assert '"row": 5' in w.quarantined()[1]


def test_skip_leaves_no_file(tmp_path):
    w = world(tmp_path, ["a", BAD, "b"])
    assert w.run(on_error="skip").faults == 1
    assert not w.quarantined()


def test_stop_writes_what_came_before_and_goes_on_when_the_row_is_mended(tmp_path):
    w = world(tmp_path, ["a", "b", "c", BAD, "d"])
    with pytest.raises(SourceRowError, match="row 4: cannot be read"):
        w.run(on_error="stop")
    assert list(w.shelf.rows) == ["a", "b", "c"]
    w.texts = ["a", "b", "c", "mended", "d"]
    embedder = FakeEmbedder()
    w.run(embedder, on_error="stop")
    w.check()
    assert embedder.sent == ["mended", "d"]


@pytest.mark.parametrize("on_error", ["stop", "quarantine"])
def test_a_text_that_the_model_refuses_is_a_bad_row(tmp_path, on_error):
    w = world(tmp_path, ["a", "b", LONG, "c", "d"])
    if on_error == "stop":
        with pytest.raises(SourceRowError, match="row 3: the text has 9 tokens"):
            w.run(on_error=on_error)
        assert {"a", "b"} <= set(w.shelf.rows)
        w.texts = ["a", "b", "short", "c", "d"]
        w.run(on_error=on_error)
        assert set(w.shelf.rows) == set(w.texts)
    else:
        report = w.run(on_error=on_error)
        assert (report.written, report.faults) == (4, 1)
        assert set(w.shelf.rows) == {"a", "b", "c", "d"}


@pytest.mark.parametrize("vectors", [False, True])
def test_what_the_collection_cannot_hold_is_a_bad_row_and_not_embedded(tmp_path, vectors):
    w, embedder = world(tmp_path, ["a", WIDE, "c"], vectors=vectors), FakeEmbedder()
    report = w.run(embedder)
    assert (report.written, report.faults) == (2, 1)
    assert "too wide" in w.quarantined()[0]
    assert WIDE not in embedder.sent


def test_the_same_again_costs_nothing(tmp_path):
    w = world(tmp_path, ["a", BAD, "b", "c"])
    w.run()
    embedder, writer = FakeEmbedder(), ShelfWriter(w.shelf)
    report = w.run(embedder, writer)
    assert not embedder.calls
    assert not writer.writes
    assert (report.read, report.skipped, report.stored) == (4, 4, 3)
    w.check()


def test_what_was_lost_meanwhile_is_brought_back(tmp_path):
    w = world(tmp_path, letters(9))
    w.run()
    del w.shelf.rows["text 4"]
    embedder = FakeEmbedder()
    report = w.run(embedder)
    assert embedder.sent == ["text 4"]
    assert (report.written, report.unchanged) == (1, 8)
    w.check()


@pytest.mark.parametrize("change", ["settings", "collection", "source"])
def test_a_checkpoint_of_something_else_is_not_believed(tmp_path, change):
    w = world(tmp_path, letters(4))
    w.run()
    if change == "collection":
        w.shelf = Shelf({f"other {i}": (None, b"") for i in range(9)}, "another")
    if change == "source":
        w.texts = letters(6)
    report = w.run(settings="other" if change == "settings" else "s")
    assert report.skipped == 0
    assert set(w.texts) <= set(w.shelf.rows)


def test_vectors_of_two_models_do_not_mix(tmp_path):
    w = world(tmp_path, letters(4))
    w.run(model="small")
    with pytest.raises(UsageError, match="holds vectors of small"):
        w.run(model="large")
    w.shelf.rows.clear()
    w.run(model="large")
    w.check()


def test_vectors_of_the_source_need_no_model(tmp_path):
    w = world(tmp_path, [*letters(5), BAD, "more"], vectors=True)
    assert w.run().written == 6
    w.check()


def test_an_empty_source_is_refused(tmp_path):
    w = world(tmp_path, [])
    with pytest.raises(UsageError, match="a list has no row"):
        w.run()


def test_a_limit_stops_in_good_order(tmp_path):
    w = world(tmp_path, letters(9))
    with pytest.raises(BudgetError, match="limit"):
        w.run(FakeEmbedder(2, fail_at=2, error=BudgetError("the limit")))
    assert list(w.shelf.rows) == letters(4)
    assert w.log.load().rows == 4
    embedder = FakeEmbedder()
    w.run(embedder)
    assert embedder.sent == letters(9)[4:]
    w.check()


words = st.one_of(st.sampled_from(["a", "bb", BAD, ""]), st.integers(0, 99).map(str))


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(words, min_size=5, max_size=40),
    stops=st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=4),
    workers=st.integers(1, 4),
    often=st.booleans(),
)
def test_stopped_anywhere_it_ends_with_every_row_once(texts, stops, workers, often):
    seconds = -1.0 if often else 60.0
    with TemporaryDirectory() as folder, patch(f"{ingest.__module__}.CHECKPOINT_SECONDS", seconds):
        w = World(Path(folder), texts)
        for in_writer, at in stops:
            embedder = FakeEmbedder(2, -1 if in_writer else at)
            writer = ShelfWriter(w.shelf, at if in_writer else -1)
            try:
                w.run(embedder, writer, concurrency=workers)
            except BackendError:
                continue
        report = w.run(concurrency=workers)
        w.check()
        done = report.written + report.unchanged + report.duplicates + report.faults
        assert report.read == done + report.skipped == len(texts)
