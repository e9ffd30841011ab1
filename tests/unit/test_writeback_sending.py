"""A batch that fails for the sake of single rows ends with the right mark on every row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymilvus.exceptions import MilvusException

from vdbcluster.adapters.milvus.writeback import duplicates
from vdbcluster.adapters.milvus.writeback.sending import send
from vdbcluster.adapters.milvus.writeback.tally import PATIENCE, Job, Tally
from vdbcluster.errors import BackendUnavailableError
from vdbcluster.model.arrays import Int64Array
from vdbcluster.model.labels import LabelBatch, RowStatus

ROWS = 64


def labels(rows: int) -> LabelBatch:
    zeros = np.zeros(rows, np.float32)
    runs, assignment = np.full(rows, "r", object), np.full(rows, "core", object)
    return LabelBatch(np.arange(rows), np.zeros(rows, np.int64), zeros, zeros, runs, assignment)


class Server:
    """Refuses a batch that holds a row that is gone or bad, or has too many rows."""

    def __init__(self, gone: set[int], bad: set[int], limit: int = ROWS) -> None:
        self.gone, self.bad, self.limit = gone, bad, limit
        self.calls = 0
        self.held: set[int] = set()

    def attempt(self, job: Job, rows: Int64Array) -> Exception | None:
        self.calls += 1
        keys = set(rows.tolist())
        if len(keys) > self.limit:
            return MilvusException(65535, "message larger than max")
        if keys & (self.gone | self.bad):
            return MilvusException(6, "vector field 'vec' missing or None")
        self.held |= keys
        job.tally.mark(rows, RowStatus.WRITTEN)
        return None

    def present(self, job: Job, rows: Int64Array) -> Int64Array:
        return job.keep(rows, set(range(ROWS)) - self.gone, otherwise=RowStatus.VANISHED)


some_rows = st.sets(st.integers(0, ROWS - 1), max_size=12)


@given(some_rows, some_rows, st.sampled_from([1, 5, ROWS]))
def test_every_row_gets_the_mark_it_deserves(gone: set[int], bad: set[int], limit: int) -> None:
    server = Server(gone, bad - gone, limit)
    job = Job(labels(ROWS), "_default", Tally(ROWS))

    send(job, np.arange(ROWS), server.attempt, server.present, "writing")

    outcome = job.tally.outcome()
    for row, status in enumerate(outcome.status.tolist()):
        expected = RowStatus.VANISHED if row in gone else RowStatus.WRITTEN
        assert status == (RowStatus.FAILED if row in bad - gone else expected)
    assert server.held == set(range(ROWS)) - gone - bad
    assert bool(outcome.message) == bool(bad - gone)


def test_rows_that_are_gone_cost_one_more_call() -> None:
    server = Server(gone={3, 40, 41}, bad=set())
    job = Job(labels(ROWS), "_default", Tally(ROWS))

    send(job, np.arange(ROWS), server.attempt, server.present, "writing")

    assert server.calls == 2


def test_a_cause_that_is_not_in_the_rows_is_not_tried_row_by_row() -> None:
    server = Server(gone=set(), bad=set(range(ROWS)))
    job = Job(labels(ROWS), "_default", Tally(ROWS))

    send(job, np.arange(ROWS), server.attempt, server.present, "writing")

    assert set(job.tally.outcome().status.tolist()) == {RowStatus.FAILED}
    assert server.calls < 3 * PATIENCE


def test_a_server_that_stays_away_is_an_error() -> None:
    def away(job: Job, rows: Int64Array) -> Exception:
        return MilvusException(2, "fail connecting to server")

    job = Job(labels(4), "_default", Tally(4))
    with pytest.raises(BackendUnavailableError):
        send(job, np.arange(4), away, lambda _, rows: rows, "writing")


class Counting:
    """Counts rows by key as a server does; ``late``: what an eventual count does not see yet."""

    def __init__(self, rows_of: dict[int, int], late: set[int]) -> None:
        self.rows_of, self.late = rows_of, late

    def count(self, keys: list[int], consistency: str = "Strong") -> int:
        unseen = self.late if consistency == "Eventually" else set()
        return sum(1 if key in unseen else self.rows_of.get(key, 1) for key in keys)


@given(st.dictionaries(st.integers(0, ROWS - 1), st.integers(2, 4), max_size=10), st.booleans())
def test_exactly_the_keys_of_several_rows_are_found(rows_of: dict[int, int], lags: bool) -> None:
    target = Counting(rows_of, late=set(rows_of) if lags else set())

    found = duplicates.duplicated(target, list(range(ROWS)))  # type: ignore[arg-type]

    assert found == rows_of.keys()


@given(st.dictionaries(st.integers(0, ROWS - 1), st.sampled_from([0, 2]), max_size=10))
def test_a_row_that_is_gone_is_never_called_double(rows_of: dict[int, int]) -> None:
    target = Counting(rows_of, late=set())

    found = duplicates.duplicated(target, list(range(ROWS)))  # type: ignore[arg-type]

    assert found <= {key for key, rows in rows_of.items() if rows == 2}
