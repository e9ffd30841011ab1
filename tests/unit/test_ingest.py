"""The ingest pipeline against plain fakes: batches, order, repeated keys, interruption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.errors import BackendError, UsageError
from vdbcluster.model.texts import EmbeddedBatch, TextRow
from vdbcluster.pipeline.ingest import ingest


class LengthEmbedder:
    description = "length of the text"

    def __init__(self, batch_size: int, fail_at: int = -1) -> None:
        self.batch_size = batch_size
        self.fail_at = fail_at
        self.batches: list[int] = []

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        if len(self.batches) == self.fail_at:
            raise BackendError("the model is gone")
        self.batches.append(len(texts))
        return np.array([[len(text), 1.0] for text in texts], np.float32)


class DictWriter:
    def __init__(self) -> None:
        self.dims: list[int] = []
        self.rows: dict[str, tuple[TextRow, np.ndarray]] = {}
        self.finished = 0

    def prepare(self, dim: int) -> None:
        self.dims.append(dim)

    def upsert(self, batch: EmbeddedBatch) -> None:
        for row, vector in zip(batch.rows, batch.vectors, strict=True):
            self.rows[row.key] = (row, vector)

    def finish(self) -> int:
        self.finished += 1
        return len(self.rows)


class CountingObserver:
    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None, str]] = []
        self.advanced = 0

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str = "rows") -> Iterator[CountingObserver]:
        self.stages.append((name, total, unit))
        yield self

    def advance(self, rows: int) -> None:
        self.advanced += rows

    def note(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...


def rows_of(keys: Sequence[str]) -> list[TextRow]:
    return [TextRow(key, f"{key} number {i}", {"n": str(i)}) for i, key in enumerate(keys)]


@given(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=40), st.integers(1, 7))
def test_each_key_is_stored_once_as_it_first_came(keys, batch_size):
    rows, embedder, writer, observer = (
        rows_of(keys),
        LengthEmbedder(batch_size),
        DictWriter(),
        CountingObserver(),
    )
    report = ingest(iter(rows), embedder, writer, observer, total=len(rows))

    unique = len(set(keys))
    assert (report.read, report.repeated) == (len(keys), len(keys) - unique)
    assert report.written == report.stored == len(writer.rows) == observer.advanced == unique
    for key, (row, vector) in writer.rows.items():
        assert row is next(r for r in rows if r.key == key)
        assert vector[0] == len(row.text)
    assert sum(embedder.batches) == unique
    assert set(embedder.batches[:-1]) <= {batch_size}
    assert writer.dims == [2] == [report.dim]
    assert observer.stages == [("ingest", len(rows), "texts")]


def test_a_second_run_adds_nothing():
    writer = DictWriter()
    first, second = (
        ingest(rows_of("abcde"), LengthEmbedder(2), writer, CountingObserver()) for _ in range(2)
    )
    assert first == second
    assert len(writer.rows) == 5


def test_after_a_failure_a_second_run_completes_what_is_there():
    writer = DictWriter()
    with pytest.raises(BackendError):
        ingest(rows_of("abcde"), LengthEmbedder(2, fail_at=1), writer, CountingObserver())
    assert set(writer.rows) == {"a", "b"}
    assert ingest(rows_of("abcde"), LengthEmbedder(2), writer, CountingObserver()).stored == 5


def test_no_text_is_an_error_and_makes_no_collection():
    writer = DictWriter()
    with pytest.raises(UsageError, match="no text"):
        ingest([], LengthEmbedder(2), writer, CountingObserver())
    assert writer.dims == []
    assert not writer.finished


def test_the_source_is_read_one_batch_at_a_time():
    taken = 0

    def source() -> Iterator[TextRow]:
        nonlocal taken
        for row in rows_of([str(i) for i in range(100)]):
            taken += 1
            yield row

    class Watcher(LengthEmbedder):
        def embed(self, texts: Sequence[str]) -> np.ndarray:
            assert taken <= sum(self.batches) + self.batch_size
            return super().embed(texts)

    ingest(source(), Watcher(10), DictWriter(), CountingObserver())
    assert taken == 100
