"""The graph in the record of a run, and among some of its rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.outcomes import MANIFEST
from vdbcluster.adapters.memory_runs import MemoryRuns
from vdbcluster.graph.among import among
from vdbcluster.model.neighbors import PADDING, NeighborGraph
from vdbcluster.pipeline.graph_record import (
    GRAPH,
    GraphRecord,
    Origin,
    graph_arrays,
    keep_graph,
    read_record,
    recorded_graph,
)


def a_graph(n: int, k: int, seed: int) -> NeighborGraph:
    rng = np.random.default_rng(seed)
    indices = np.array([rng.permutation(np.delete(np.arange(n), i))[:k] for i in range(n)])
    distances = np.sort(rng.random((n, k)).astype(np.float32), axis=1)
    return NeighborGraph(indices.astype(np.int32), distances, "chord")


def a_record(n: int, k: int, seed: int, spare: int = 0) -> GraphRecord:
    whole = a_graph(n, k + spare, seed)
    graph = NeighborGraph(whole.indices[:, :k], whole.distances[:, :k], "chord")
    more = (whole.indices[:, k:], whole.distances[:, k:]) if spare else None
    keys = np.array([f"key {i}" for i in range(n)], object)
    return GraphRecord(graph, Origin(keys, np.arange(n, dtype=np.uint64), np.ones(3), more))


def test_it_comes_back_as_it_was() -> None:
    runs, record = MemoryRuns(), a_record(9, 3, 0, spare=2)
    runs.save(MANIFEST)
    assert recorded_graph(runs, MANIFEST.run_id) is None
    runs.save_arrays(MANIFEST.run_id, graph_arrays(record), GRAPH)
    back = read_record(runs, MANIFEST.run_id)
    assert back is not None
    assert back.graph.metric == "chord"
    np.testing.assert_array_equal(back.graph.indices, record.graph.indices)
    np.testing.assert_array_equal(back.graph.distances, record.graph.distances)
    assert back.origin is not None
    assert record.origin is not None
    for name, array in record.origin.arrays().items():
        np.testing.assert_array_equal(back.origin.arrays()[name], array)
    whole = graph_arrays(record)
    for damage in (
        {"metric": np.array(["foo"], object)},
        {"metric": np.empty(0, object)},
        {"indices": record.graph.indices + np.int32(20)},
        {"distances": np.full_like(record.graph.distances, np.nan)},
        {"keys": np.arange(3)},
        {"spare_distances": np.zeros((9, 2), np.float32)},
    ):
        runs.save_arrays(MANIFEST.run_id, whole | damage, GRAPH)
        assert recorded_graph(runs, MANIFEST.run_id) is None
    runs.save_arrays(MANIFEST.run_id, {"indices": record.graph.indices}, GRAPH)
    assert recorded_graph(runs, MANIFEST.run_id) is None


def test_what_earlier_versions_recorded_is_still_a_graph() -> None:
    runs, graph = MemoryRuns(), a_graph(9, 3, 0)
    metric = np.array(["chord"], object)
    runs.save(MANIFEST)
    old = {"indices": graph.indices, "distances": graph.distances, "metric": metric}
    runs.save_arrays(MANIFEST.run_id, old, GRAPH)
    back = read_record(runs, MANIFEST.run_id)
    assert back is not None
    assert back.origin is None
    np.testing.assert_array_equal(back.graph.indices, graph.indices)


def test_of_one_selection_the_last_is_kept_and_no_other_selection_is_touched() -> None:
    runs, record = MemoryRuns(), a_record(4, 2, 0)
    runs.save_arrays("nobody", graph_arrays(record), GRAPH)
    other = {"filter": "year > 2000"}
    for name, selection in (("a", {}), ("c", other), ("b", {})):
        runs.save(replace(MANIFEST, run_id=name, selection=selection, state="planned"))
        keep_graph(runs, runs.load(name), record)
    assert sorted(runs.having(GRAPH)) == ["b", "c", "nobody"]


def test_a_graph_that_goes_on_to_a_later_run_is_still_that_of_the_first() -> None:
    runs, record = MemoryRuns(), a_record(4, 2, 0)
    for name, key in (("a", "x"), ("b", "x"), ("c", "y")):
        runs.save(replace(MANIFEST, run_id=name, facts={"neighbors": {"key": key}}))
    keep_graph(runs, runs.load("a"), record)
    keep_graph(runs, runs.load("b"), record, "a")
    assert runs.having(GRAPH) == ("b",)
    found = recorded_graph(runs, "a")
    assert found is not None
    np.testing.assert_array_equal(found.indices, record.graph.indices)
    assert recorded_graph(runs, "c") is None
    elsewhere = replace(MANIFEST, run_id="d", selection={"filter": "x > 1"})
    runs.save(elsewhere)
    keep_graph(runs, elsewhere, record, "b")  # of another selection: a copy
    assert sorted(runs.having(GRAPH)) == ["b", "d"]


@given(st.integers(2, 12), st.integers(0, 99), st.data())
def test_among_some_rows_every_pair_of_them_keeps_its_distance(
    n: int, seed: int, data: st.DataObject
) -> None:
    graph = a_graph(n, min(4, n - 1), seed)
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, n - 1)))), np.int64)
    found = among(graph, rows)
    found.validate()
    pairs = {
        (int(i), int(j)): d
        for i, (row, away) in enumerate(zip(graph.indices, graph.distances, strict=True))
        for j, d in zip(row, away, strict=True)
        if i in rows and j in rows
    }
    told = {
        (int(rows[i]), int(rows[j])): d
        for i, (row, away) in enumerate(zip(found.indices, found.distances, strict=True))
        for j, d in zip(row, away, strict=True)
        if j != PADDING
    }
    assert told == pairs
