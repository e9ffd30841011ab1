"""What is to be written: all that differs from what is stored, and no path that has gone stale."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdbcluster.adapters.memory import MemorySink, MemorySource
from vdbcluster.adapters.memory_collection import MemoryCollection
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.model.hierarchy import NOISE, Clustering
from vdbcluster.model.labels import LABEL_FIELDS, LabelBatch, WriteReport
from vdbcluster.model.rows import Rows
from vdbcluster.pipeline.plan import plan_labels, same_labels
from vdbcluster.pipeline.record import plan_arrays
from vdbcluster.pipeline.write import write_labels

ROWS = 12
KEYS = np.arange(100, 100 + ROWS)
LABELS = np.array([0, 1, NOISE] * (ROWS // 3))
PATHS = np.array(["0/0", "0/1", ""] * (ROWS // 3), object)
COPIES = np.array(["", "", "100"] * (ROWS // 3), object)


def rows() -> Rows:
    return Rows(KEYS, np.ones((ROWS, 2), np.float32), np.zeros(ROWS, np.int32), ("_default",))


def clustering(paths: np.ndarray | None = None, soft: tuple[int, ...] = ()) -> Clustering:
    given = np.zeros(ROWS, np.bool_)
    given[list(soft)] = True
    half = np.full(ROWS, 0.5)
    empty = np.empty(0, np.int64)
    return Clustering(LABELS, half, half, np.ones(2), (empty, empty), given, paths)


def stored(**changes: object) -> LabelBatch:
    """What the first of these clusterings leaves behind, or something a little else."""
    new = plan_labels(rows(), clustering(), [], "earlier").new
    return replace(new, **changes)  # type: ignore[arg-type]


def test_how_a_row_came_to_its_label_is_written_and_compared() -> None:
    plan = plan_labels(rows(), clustering(soft=(3, 4)), [stored()], "now")

    assert plan.new.assignment.tolist()[:6] == ["core", "core", "noise", "soft", "soft", "noise"]
    assert {type(value) for value in plan.new.assignment} == {str}
    assert np.flatnonzero(plan.changed).tolist() == [3, 4]
    assert plan.new.path is None


def test_rows_that_an_earlier_version_labelled_are_written_once_more() -> None:
    old = stored(assignment=np.full(ROWS, "", object))
    assert plan_labels(rows(), clustering(), [old], "now").changed.all()
    assert not plan_labels(rows(), clustering(), [stored()], "now").changed.any()


def test_paths_are_compared_where_there_are_any() -> None:
    held = stored(path=np.where(np.arange(ROWS) < 6, PATHS, ""))

    plan = plan_labels(rows(), clustering(PATHS), [held], "now")

    assert plan.new.path is not None
    assert plan.new.path.tolist() == PATHS.tolist()
    assert np.flatnonzero(plan.changed).tolist() == [6, 7, 9, 10]


def test_what_was_stored_is_kept_beside_what_is_new() -> None:
    """All of it, in the order of the rows; blank where nothing was."""
    parts = [stored(path=PATHS).take(np.arange(6, 10)), stored().take(np.array([2, 0, 1]))]

    plan = plan_labels(rows(), clustering(), parts, "now")

    had = np.isin(np.arange(ROWS), [0, 1, 2, 6, 7, 8, 9])
    assert plan.had_label.tolist() == had.tolist()
    assert plan.old.keys.tolist() == KEYS.tolist()
    assert plan.old.run_ids.tolist() == ["earlier" if one else "" for one in had]
    assert plan.old_cluster_id[had].tolist() == LABELS[had].tolist()
    assert plan.old.path is not None
    assert plan.old.path.tolist() == [*[None] * 6, *PATHS[6:10], None, None]
    assert plan.changed[~had].all()


@pytest.mark.parametrize("first", [0, 1])
def test_a_path_of_an_earlier_run_is_written_over_with_nothing(first: int) -> None:
    """Whichever batch shows that there are any."""
    parts = [stored().take(np.arange(6)), stored(path=PATHS).take(np.arange(6, ROWS))]

    plan = plan_labels(rows(), clustering(), [parts[first], parts[1 - first]], "now")

    assert plan.new.path is not None
    assert set(plan.new.path) == {""}
    assert np.flatnonzero(plan.changed).tolist() == [6, 7, 9, 10]


def write(held: MemoryCollection, found: Clustering, run_id: str) -> WriteReport:
    sink, source = MemorySink(held), MemorySource(held)
    plan = plan_labels(rows(), found, sink.stored(), run_id)
    return write_labels(plan, sink, source, QuietObserver())


def test_paths_come_go_and_come_to_rest() -> None:
    held = MemoryCollection(np.ones((ROWS, 2)), KEYS)
    counts = [
        write(held, found, str(run)).written
        for run, found in enumerate([clustering(), *[clustering(PATHS)] * 2, *[clustering()] * 2])
    ]
    assert counts == [ROWS, 8, 0, 8, 0]
    assert not held.path.any()
    assert held.assignment.tolist() == ["core", "core", "noise"] * (ROWS // 3)


def test_rows_to_keep_say_so_once_duplicates_are_marked() -> None:
    """A row without the field would be missed by a search for rows to keep."""
    plain, marked = stored(), stored(duplicate_of=COPIES)
    half = replace(marked, duplicate_of=np.where(np.arange(ROWS) < 4, COPIES, None))
    changed = [
        plan_labels(rows(), clustering(), [old], "now", duplicate_of=COPIES).changed
        for old in (plain, marked, half)
    ]
    assert [np.count_nonzero(which) for which in changed] == [ROWS, 0, ROWS - 4]
    blanking = plan_labels(rows(), clustering(), [half], "now")
    assert np.flatnonzero(blanking.changed).tolist() == [2]
    assert blanking.new.duplicate_of is not None
    assert set(blanking.new.duplicate_of) == {""}


@pytest.mark.parametrize("paths", [None, PATHS])
def test_the_record_of_a_run_needs_no_pickle(tmp_path: Path, paths: np.ndarray | None) -> None:
    plan = plan_labels(rows(), clustering(paths, soft=(0,)), [], "now")
    RunDirectory(tmp_path).save_arrays("now", plan_arrays(plan))
    with np.load(tmp_path / "now" / "arrays.npz", allow_pickle=False) as kept:
        assert kept["assignment"].dtype == np.int8
        assert kept["assignment"].tolist()[:3] == [1, 0, 2]
        assert ("path" in kept) == (paths is not None)


COLUMNS = [which.column for which in LABEL_FIELDS if which.column != "run_ids"]


@given(st.sampled_from(COLUMNS), st.integers(0, ROWS - 1), st.booleans())
def test_any_difference_but_the_run_is_told(column: str, row: int, backwards: bool) -> None:
    along = np.arange(1, ROWS + 1, dtype=np.float32)
    one = stored(path=PATHS, duplicate_of=COPIES, map_x=along, map_y=-along)
    changed = getattr(one, column).copy()
    changed[row] = "other" if changed.dtype == object else changed[row] + 1
    other = replace(one, **{column: changed}, run_ids=np.full(ROWS, "another", object))

    same = same_labels(other, one) if backwards else same_labels(one, other)

    assert np.flatnonzero(~same).tolist() == [row]
    assert same_labels(one, one).all()
