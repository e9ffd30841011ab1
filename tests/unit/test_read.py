"""Reading: canonical order, duplicates, counts, spilling to a file, unusable vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.silent import SILENT, Listener
from vdbcluster.adapters.memory import MemorySource
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.errors import ReadRefusedError
from vdbcluster.model.collection import CollectionProfile, VectorField
from vdbcluster.model.rows import ReadReport, Rows, VectorPage
from vdbcluster.pipeline.read import first_of_each, positions, read_rows, read_usable, usable
from vdbcluster.pipeline.room import Room

PLENTY = Room(1 << 30)


@dataclass
class Pages:
    """A source of given pages that counts as told."""

    given: list[VectorPage]
    counts: list[int] = field(default_factory=list)
    repeated: int = 0
    hidden: int = 0
    empty: str = ""

    @property
    def vector(self) -> VectorField:
        raise NotImplementedError

    def profile(self) -> CollectionProfile:
        raise NotImplementedError

    def identity(self) -> str:
        raise NotImplementedError

    def count(self) -> int:
        return self.counts.pop(0) if self.counts else sum(len(p.keys) for p in self.given)

    def pages(self) -> Iterator[VectorPage]:
        yield from self.given

    def repeated_rows(self) -> int:
        return self.repeated

    def hidden_rows(self) -> int:
        return self.hidden

    def why_empty(self) -> str:
        return self.empty

    def texts(self, keys: object, name: str) -> list[str | None]:
        raise NotImplementedError


def page(keys: list[object], partition: str = "_default") -> VectorPage:
    dtype = object if isinstance(keys[0], str) else np.int64
    vectors = np.array([[hash(k) % 97, i] for i, k in enumerate(keys)], np.float32)
    return VectorPage(np.array(keys, dtype), vectors, partition)


def test_partitions_come_out_in_one_order_of_keys() -> None:
    first, second = page([1, 5, 9], "a"), page([-3, 7], "b")
    rows, report = read_rows(Pages([first, second]), SILENT, room=PLENTY)
    assert rows.keys.tolist() == [-3, 1, 5, 7, 9]
    assert [rows.partitions[c] for c in rows.partition_of] == ["b", "a", "a", "b", "a"]
    assert np.array_equal(rows.vectors[[1, 2, 4]], first.vectors)
    assert np.array_equal(rows.vectors[[0, 3]], second.vectors)
    assert report.complete


def test_a_key_that_comes_twice_is_kept_once_and_counted() -> None:
    rows, report = read_rows(
        Pages([page(["a", "b"], "p"), page(["b", "c"], "q")]), SILENT, room=PLENTY
    )
    assert rows.keys.tolist() == ["a", "b", "c"]
    assert rows.partitions[rows.partition_of[1]] == "p"
    assert report.duplicates == 1
    assert report.complete


@pytest.mark.parametrize(
    ("before", "after", "complete"),
    [(3, 3, True), (2, 3, True), (5, 3, True), (4, 4, False), (2, 2, False), (9, 4, False)],
)
def test_rows_read_must_lie_between_the_counts(before: int, after: int, complete: bool) -> None:
    _, report = read_rows(Pages([page([1, 2, 3])], [before, after]), SILENT, room=PLENTY)
    assert report.complete is complete


def test_rows_hidden_behind_their_key_explain_a_gap_and_unreadable_ones_do_not() -> None:
    repeated = Pages([page([1, 2, 3])], [5, 5], repeated=2)
    _, report = read_rows(repeated, SILENT, room=PLENTY)
    assert (report.complete, report.duplicates) == (True, 2)
    hidden = Pages([page([1, 2, 3])], [5, 5], repeated=1, hidden=1)
    _, report = read_rows(hidden, SILENT, room=PLENTY)
    assert (report.complete, report.duplicates, report.unreadable) == (False, 1, 1)


def test_more_rows_than_counted_still_fit() -> None:
    many = [page(list(range(i, i + 10))) for i in range(0, 100, 10)]
    rows, _ = read_rows(Pages(many, [3, 100]), SILENT, room=PLENTY)
    assert rows.keys.tolist() == list(range(100))
    assert np.array_equal(rows.vectors, np.concatenate([p.vectors for p in many]))


def test_rows_beyond_the_memory_budget_live_in_a_file() -> None:
    shuffled = [page([3, 1]), page([2, 0])]
    small, _ = read_rows(Pages(shuffled), SILENT, room=PLENTY)
    spilled, _ = read_rows(Pages(shuffled), SILENT, room=Room(8))
    assert isinstance(spilled.vectors, np.memmap)
    assert not isinstance(small.vectors, np.memmap)
    assert np.array_equal(small.vectors, spilled.vectors)


def test_nothing_to_read() -> None:
    rows, report = read_rows(Pages([]), SILENT, room=PLENTY)
    assert len(rows) == 0
    assert report == ReadReport(0, 0, 0, 0, 0)


def test_rows_that_cannot_be_compared_are_left_out() -> None:
    vectors = np.array([[1, 0], [0, 0], [np.nan, 1], [np.inf, 1], [0, 2]], np.float32)
    rows = Rows(np.arange(5), vectors, np.zeros(5, np.int32), ("_default",))
    with_direction, gone = usable(rows, direction=True)
    assert (with_direction.keys.tolist(), gone) == ([0, 4], 3)
    anywhere, gone = usable(rows, direction=False)
    assert (anywhere.keys.tolist(), gone) == ([0, 1, 4], 2)


def test_what_is_left_of_vectors_in_a_file_lies_in_a_file() -> None:
    vectors = np.array([[1, 0], [0, 0], [0, 2]], np.float32)
    given_pages = [VectorPage(np.arange(3), vectors, "_default")]
    found = read_usable(Pages(given_pages), Listener(), room=Room(8), direction=True)
    assert found.rows.keys.tolist() == [0, 2]
    assert isinstance(found.rows.vectors, np.memmap)
    assert found.rows.vectors.tolist() == [[1, 0], [0, 2]]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30))
def test_first_of_each_key(keys: list[int]) -> None:
    array = np.array(keys, np.int64)
    first = first_of_each(array)
    assert array[first].tolist() == sorted(set(keys))
    assert first.tolist() == [keys.index(key) for key in sorted(set(keys))]


@given(st.lists(st.text(max_size=3), max_size=20), st.lists(st.text(max_size=3), max_size=20))
def test_positions_of_keys(among: list[str], wanted: list[str]) -> None:
    unique = sorted(set(among))
    at = positions(np.array(wanted, object), np.array(unique, object))
    assert at.tolist() == [unique.index(key) if key in unique else -1 for key in wanted]


def test_memory_source_reads_the_same() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    source = MemorySource(MemoryCollection(vectors, keys=np.arange(50)[::-1]), page_rows=7)
    rows, report = read_rows(source, SILENT, room=PLENTY)
    assert np.array_equal(rows.vectors, vectors[::-1])
    assert report.complete


def test_what_is_left_out_is_told_and_counted() -> None:
    given = [page([1, 2, 2, 4])]
    given[0].vectors[0] = np.nan
    given[0] = replace(given[0], without_vector=3)
    listener = Listener()
    found = read_usable(Pages(given, [7, 7]), listener, room=PLENTY, direction=False)
    assert found.rows.keys.tolist() == [2, 4]
    assert found.left_out == 1 + 1 + 3
    assert found.facts["unusable"] == 1
    assert len(listener.warnings) == 2


@pytest.mark.parametrize("accept", [False, True])
def test_a_mismatch_is_refused_unless_accepted(accept: bool) -> None:
    source, listener = Pages([page([1, 2, 3])], [5, 5]), Listener()

    def read() -> int:
        found = read_usable(source, listener, room=PLENTY, direction=False, accept_mismatch=accept)
        return len(found.rows)

    if accept:
        assert read() == 3
        assert "3 rows were read, but the server counted 5" in listener.warnings[0]
        return
    with pytest.raises(ReadRefusedError, match="3 rows were read, but the server counted 5") as no:
        read()
    assert (no.value.facts["rows"], no.value.facts["counted_before"]) == (3, 5)
    assert no.value.exit_code == 4


def test_nothing_selected_is_refused_unless_there_is_nothing() -> None:
    rules = {"room": PLENTY, "direction": True, "accept_mismatch": True}
    with pytest.raises(ReadRefusedError, match="no row matches"):
        read_usable(Pages([], empty="no row matches"), SILENT, **rules)
    assert len(read_usable(Pages([]), SILENT, **rules).rows) == 0
