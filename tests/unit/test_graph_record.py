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
from vdbcluster.pipeline.graph_record import GRAPH, graph_arrays, keep_graph, recorded_graph


def a_graph(n: int, k: int, seed: int) -> NeighborGraph:
    rng = np.random.default_rng(seed)
    indices = np.array([rng.permutation(np.delete(np.arange(n), i))[:k] for i in range(n)])
    distances = np.sort(rng.random((n, k)).astype(np.float32), axis=1)
    return NeighborGraph(indices.astype(np.int32), distances, "chord")


def test_it_comes_back_as_it_was() -> None:
    runs, graph = MemoryRuns(), a_graph(9, 3, 0)
    runs.save(MANIFEST)
    assert recorded_graph(runs, MANIFEST.run_id) is None
    runs.save_arrays(MANIFEST.run_id, graph_arrays(graph), GRAPH)
    back = recorded_graph(runs, MANIFEST.run_id)
    assert back is not None
    assert back.metric == "chord"
    np.testing.assert_array_equal(back.indices, graph.indices)
    np.testing.assert_array_equal(back.distances, graph.distances)
    whole = graph_arrays(graph)
    for damage in (
        {"metric": np.array(["foo"], object)},
        {"metric": np.empty(0, object)},
        {"indices": graph.indices + np.int32(20)},
        {"distances": np.full_like(graph.distances, np.nan)},
    ):
        runs.save_arrays(MANIFEST.run_id, whole | damage, GRAPH)
        assert recorded_graph(runs, MANIFEST.run_id) is None
    runs.save_arrays(MANIFEST.run_id, {"indices": graph.indices}, GRAPH)
    assert recorded_graph(runs, MANIFEST.run_id) is None


def test_of_one_selection_the_last_is_kept_and_no_other_selection_is_touched() -> None:
    runs, graph = MemoryRuns(), a_graph(4, 2, 0)
    runs.save_arrays("nobody", graph_arrays(graph), GRAPH)
    other = {"filter": "year > 2000"}
    for name, selection in (("a", {}), ("c", other), ("b", {})):
        runs.save(replace(MANIFEST, run_id=name, selection=selection, state="planned"))
        keep_graph(runs, runs.load(name), graph)
    assert sorted(runs.having(GRAPH)) == ["b", "c", "nobody"]


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
