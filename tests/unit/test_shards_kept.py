"""A graph in pieces, kept in a folder: killed anywhere it goes on, and ends as the whole does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from tests.graph_pieces import filled, grouped
from tests.unit.test_shards import same
from vdbcluster.adapters.here import Here
from vdbcluster.adapters.quiet import QuietObserver as Silent
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.errors import VdbclusterError
from vdbcluster.hierarchy import build
from vdbcluster.model.neighbors import NeighborGraph
from vdbcluster.model.params import HdbscanParams
from vdbcluster.pipeline.hierarchy_shards import hierarchy_in_shards
from vdbcluster.ports.shards import Work

PARAMS = HdbscanParams(min_cluster_size=15, min_samples=5)


@pytest.fixture(scope="module")
def graph() -> NeighborGraph:
    return grouped()


@dataclass
class Dying:
    """Workers whose machine goes away before the piece of work number ``at``."""

    at: int
    did: int = field(default=0)

    def each(self, work: Work, shards: Sequence[int], done: Callable[[int], None]) -> None:
        for shard in shards:
            if self.did == self.at:
                raise KeyboardInterrupt
            work(shard)
            self.did += 1
            done(1)


@pytest.mark.parametrize("n_shards", [1, 3, 9])
def test_the_same_as_the_whole(tmp_path: Path, graph: NeighborGraph, n_shards: int) -> None:
    store, bounds = filled(tmp_path / "pieces", graph, n_shards)
    found = hierarchy_in_shards(store, bounds, PARAMS, Here(), Silent())
    same(build(graph, PARAMS), found, PARAMS)


def test_killed_anywhere_it_goes_on(tmp_path: Path, graph: NeighborGraph) -> None:
    store, bounds = filled(tmp_path / "pieces", graph, 5)
    whole = Dying(-1)
    hierarchy_in_shards(ShardFiles(str(tmp_path / "pieces")), bounds, PARAMS, whole, Silent())
    for at in range(whole.did):
        store, bounds = filled(tmp_path / str(at), graph, 5)
        with pytest.raises(KeyboardInterrupt):
            hierarchy_in_shards(store, bounds, PARAMS, Dying(at), Silent())
        before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / str(at)).iterdir()}
        found = hierarchy_in_shards(store, bounds, PARAMS, Here(), Silent())
        same(build(graph, PARAMS), found, PARAMS)
        after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / str(at)).iterdir()}
        assert before.items() <= after.items()  # nothing that was finished was made again


def test_another_min_cluster_size_makes_nothing_anew(tmp_path: Path, graph: NeighborGraph) -> None:
    store, bounds = filled(tmp_path / "pieces", graph, 3)
    hierarchy_in_shards(store, bounds, PARAMS, Here(), Silent())
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "pieces").iterdir()}
    other = replace(PARAMS, min_cluster_size=40)
    same(build(graph, other), hierarchy_in_shards(store, bounds, other, Here(), Silent()), other)
    assert before == {p.name: p.stat().st_mtime_ns for p in (tmp_path / "pieces").iterdir()}
    more = replace(PARAMS, min_samples=9)
    same(build(graph, more), hierarchy_in_shards(store, bounds, more, Here(), Silent()), more)


def test_a_damaged_piece_is_one_line(tmp_path: Path, graph: NeighborGraph) -> None:
    store, bounds = filled(tmp_path / "pieces", graph, 3)
    place = tmp_path / "pieces" / "graph-00001.npz"
    place.write_bytes(place.read_bytes()[:500])
    with pytest.raises(VdbclusterError, match="graph-00001") as caught:
        hierarchy_in_shards(store, bounds, PARAMS, Here(), Silent())
    assert "\n" not in str(caught.value)


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    store = ShardFiles(str(tmp_path / "pieces"))
    with pytest.raises(ValueError, match="Object arrays"):
        store.save("x", {"a": np.array([object()])})
    assert not store.has("x")
    assert list(tmp_path.glob("pieces/*")) == []
