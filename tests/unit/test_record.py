"""What a run records of its plan and its catalogue is all of it, and stands against what is now."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vdbcluster.adapters.memory_runs import MemoryRuns
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.errors import VdbclusterError
from vdbcluster.model.catalogue import Catalogue, CatalogueEntry, ClusterState
from vdbcluster.model.labels import LABEL_FIELDS, LabelBatch, LabelPlan
from vdbcluster.pipeline.plan import compared
from vdbcluster.pipeline.record import (
    catalogue_arrays,
    catalogues,
    plan_arrays,
    planned,
    still,
)

ANY_TIME = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
IDS = st.integers(-1, 3)
FLOATS = st.floats(0, 1, width=32)


@st.composite
def batches(draw: st.DrawFn, keys: np.ndarray, *, run: str = "") -> LabelBatch:
    n = len(keys)

    def texts(values: list[str | None]) -> np.ndarray:
        return np.array(draw(st.lists(st.sampled_from(values), min_size=n, max_size=n)), object)

    def numbers(values: st.SearchStrategy[float], kind: type) -> np.ndarray:
        return np.array(draw(st.lists(values, min_size=n, max_size=n)), kind)

    return LabelBatch(
        keys=keys,
        cluster_id=numbers(IDS, np.int64),
        probability=numbers(FLOATS, np.float32),
        outlier_score=numbers(FLOATS, np.float32),
        run_ids=texts([run] if run else ["r1", "r2", "ö"]),
        assignment=texts(["core", "soft", "noise", "", "odd"]),
        path=texts(["", "0/1", None]) if draw(st.booleans()) else None,
    )


@st.composite
def key_columns(draw: st.DrawFn) -> np.ndarray:
    kind: st.SearchStrategy[int | str] = draw(
        st.sampled_from([st.integers(-(2**63), 2**63 - 1), st.text(max_size=3)])
    )
    values = sorted(draw(st.lists(kind, unique=True, max_size=8)))
    return np.array(values, object if any(isinstance(v, str) for v in values) else np.int64)


@st.composite
def plans(draw: st.DrawFn) -> LabelPlan:
    keys = draw(key_columns())
    n = len(keys)
    new = draw(batches(keys, run="now"))
    stored = draw(batches(keys))
    labelled = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    partitions = np.arange(n, dtype=np.int32) % 2
    return compared(new, partitions, ("_default", "zwölf"), [stored.take(labelled)])


def assert_same(one: LabelBatch, other: LabelBatch) -> None:
    assert one.keys.tolist() == other.keys.tolist()
    assert one.lacking() == other.lacking()
    for (which, ours), (_, theirs) in zip(one.columns(), other.columns(), strict=True):
        assert ours.dtype == theirs.dtype, which
        assert ours.tolist() == theirs.tolist(), which


@given(plans())
@ANY_TIME
def test_a_plan_is_rebuilt_from_its_record(plan: LabelPlan) -> None:
    runs = MemoryRuns()
    runs.save_arrays("x", plan_arrays(plan))
    back = planned(runs.load_arrays("x"))
    assert_same(back.new, plan.new)
    assert_same(back.old, plan.old)
    for name in ("partition_of", "had_label", "changed"):
        assert getattr(back, name).dtype == getattr(plan, name).dtype
        assert getattr(back, name).tolist() == getattr(plan, name).tolist()
    assert back.partitions == plan.partitions


def test_many_paths_and_text_keys_through_a_file(tmp_path) -> None:
    """More texts than a byte can count."""
    n = 300
    keys = np.array([f"k{i:03}" for i in range(n)], object)
    new = LabelBatch.blank(keys).blanked({f for f in LABEL_FIELDS if f.optional})
    assert new.path is not None
    new.path[:] = [f"0/{i}" for i in range(n)]
    plan = compared(new, np.zeros(n, np.int32), ("p",), [])
    runs = RunDirectory(tmp_path)
    runs.save_arrays("x", plan_arrays(plan))
    assert_same(planned(runs.load_arrays("x")).new, plan.new)


def test_the_record_of_an_earlier_version_is_told() -> None:
    with pytest.raises(VdbclusterError, match="earlier version"):
        planned({"keys": np.arange(3), "cluster_id": np.zeros(3, np.int64)})


@given(plans())
@ANY_TIME
def test_nothing_happened_and_everything_was_written(plan: LabelPlan) -> None:
    """Before the plan is written, and after: nobody else was there."""
    before = still(plan, [plan.old.take(plan.had_label)])
    assert (before.meanwhile, before.gone) == (0, 0)
    assert before.plan.changed.tolist() == plan.changed.tolist()
    unwritten = plan.new.take(plan.changed), plan.old.take(~plan.changed)
    after = still(plan, unwritten)
    assert (after.meanwhile, after.gone) == (0, 0)
    assert not after.plan.changed.any()
    assert after.before.had_label.tolist() == plan.had_label.tolist()
    assert after.before.changed.tolist() == plan.changed.tolist()
    for which in LABEL_FIELDS:
        ours, recorded = (getattr(side.old, which.column) for side in (after.before, plan))
        blank = np.full(len(plan.new), None, object)
        pair = (blank if ours is None else ours, blank if recorded is None else recorded)
        assert pair[0].tolist() == pair[1].tolist(), which


def small() -> LabelPlan:
    """Rows 0 to 4: labelled 0 to 3, all of them to move to cluster 9."""
    keys = np.arange(5)
    new, old = LabelBatch.blank(keys), LabelBatch.blank(keys)
    new.cluster_id[:], new.run_ids[:] = 9, "now"
    old.cluster_id[:], old.run_ids[:] = keys, "before"
    return compared(new, np.zeros(5, np.int32), ("p",), [old.take(keys[:4])])


def test_rows_that_others_touched_are_counted() -> None:
    plan = small()
    written, kept = plan.new.take(np.array([0])), plan.old.take(np.array([1]))
    others = plan.old.take(np.array([2, 4]))
    others.cluster_id[:], others.run_ids[:] = 7, "other"

    standing = still(plan, [written, kept, others])

    assert standing.meanwhile == 2
    assert standing.gone == 1
    assert standing.plan.changed.tolist() == [False, True, True, True, True]
    assert standing.plan.old_cluster_id[:3].tolist() == [9, 1, 7]
    assert standing.before.had_label.tolist() == [True, True, True, False, True]
    assert standing.before.old_cluster_id[[0, 1, 2, 4]].tolist() == [0, 1, 7, 7]
    assert standing.before.changed.tolist() == [True] * 5


def test_the_same_label_by_another_run_is_not_ours() -> None:
    plan = small()
    theirs = plan.new.take(np.array([0]))
    theirs.run_ids[:] = "other"
    standing = still(plan, [theirs])
    assert standing.before.old.run_ids[0] == "other"
    assert not standing.before.changed[0]
    assert standing.meanwhile == 0


entries = st.builds(
    CatalogueEntry,
    id=st.integers(0, 0),
    size=st.integers(0, 9),
    medoid_key=st.integers(-(2**63), 2**63 - 1) | st.text(),
    exemplar_keys=st.lists(st.text() | st.integers()).map(tuple),
    centroid=st.none() | st.lists(st.floats(width=32), max_size=3).map(lambda v: np.array(v, "f4")),
    name=st.text(),
    keywords=st.lists(st.text()).map(tuple),
    persistence=st.floats(0, 1),
    stability=st.none() | st.floats(0, 1),
    pinned=st.booleans(),
    hidden=st.booleans(),
)


STATES = [
    {"state": ClusterState.LIVE},
    {"state": ClusterState.RETIRED},
    {"state": ClusterState.MERGED, "merged_into": 7},
]


@st.composite
def some_catalogue(draw: st.DrawFn) -> Catalogue | None:
    if draw(st.booleans()):
        return None
    found = draw(st.lists(entries, max_size=3))
    numbered = [
        replace(entry, id=at, **draw(st.sampled_from(STATES))) for at, entry in enumerate(found)
    ]
    return Catalogue(tuple(numbered), "run", "identity")


def as_plain(catalogue: Catalogue | None) -> object:
    if catalogue is None:
        return None
    rows = [
        {f.name: getattr(entry, f.name) for f in fields(entry)}
        | {"centroid": None if entry.centroid is None else entry.centroid.tobytes()}
        for entry in catalogue.entries
    ]
    return catalogue.run_id, catalogue.identity, rows


@given(some_catalogue(), some_catalogue())
@ANY_TIME
def test_catalogues_are_rebuilt_from_their_record(
    before: Catalogue | None, after: Catalogue | None
) -> None:
    runs = MemoryRuns()
    runs.save_arrays("x", catalogue_arrays(before, after), "catalogue")
    back = catalogues(runs.load_arrays("x", "catalogue"))
    assert as_plain(back[0]) == as_plain(before)
    assert as_plain(back[1]) == as_plain(after)


def test_a_catalogue_of_another_version_is_told() -> None:
    entry = CatalogueEntry(0, 1, "a")
    arrays = catalogue_arrays(None, Catalogue((entry,), "run", "identity"))
    text = arrays["after_entries"][0]
    arrays["after_entries"][0] = text[:-1] + ', "mood": "good"}'
    with pytest.raises(VdbclusterError, match="another version"):
        catalogues(arrays)
