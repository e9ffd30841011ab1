"""All events against a constructed truth, through whole runs: what the catalogue and the run say.

Rows lie around the axes of a space, one axis a topic; a split, a merge, a birth and a death are
made by moving rows to another axis, adding and deleting them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.test_identity import Job

EACH, AXES = 60, 10
STAYS, SPLITS, TAKES, JOINS, DIES, GROWS, SHRINKS, NEW, APART = range(9)
START = {STAYS: 60, SPLITS: 120, TAKES: 80, JOINS: 60, DIES: 60, GROWS: 60, SHRINKS: 90}


def around(axis: int, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(100 * axis + seed)
    return (4 * np.eye(AXES)[axis] + rng.normal(0, 0.3, (n, AXES))).astype(np.float32)


class World:
    """A collection whose rows have a topic; ``topic (n,)`` goes with the rows of the collection."""

    def __init__(self, folder: Path) -> None:
        self.topic = np.repeat(list(START), list(START.values()))
        self.job = Job(np.concatenate([around(a, n, 0) for a, n in START.items()]), folder)

    def move(self, of: int, to: int, n: int) -> None:
        """``n`` rows of a topic are updated, and are of another from then on."""
        rows = np.flatnonzero(self.topic == of)[:n]
        self.job.held.vectors[rows] = around(to, n, 1)
        self.topic[rows] = to

    def add(self, axis: int, n: int) -> None:
        first = int(self.job.held.keys.max()) + 1
        self.job.held.insert(np.arange(first, first + n), around(axis, n, 2))
        self.topic = np.append(self.topic, np.full(n, axis))

    def delete(self, axis: int, n: int) -> None:
        rows = np.flatnonzero(self.topic == axis)[:n]
        self.job.held.delete(self.job.held.keys[rows])
        self.topic = np.delete(self.topic, rows)

    def ids(self) -> dict[int, int]:
        """The id of each topic; every row of a topic must have it, and no other row."""
        labels, found = self.job.held.cluster_id, {}
        for axis in np.unique(self.topic).tolist():
            (only,) = np.unique(labels[self.topic == axis]).tolist()
            found[axis] = only
        assert len(set(found.values())) == len(found)
        assert -1 not in found.values()
        return found

    def told(self, cluster: int, run: str) -> list[dict[str, Any]]:
        """What the catalogue tells of a cluster in one run."""
        entry = self.job.read().get(cluster)
        assert entry is not None
        return [event for event in json.loads(entry.lineage) if event["run"] == run]


@pytest.fixture
def world(tmp_path: Path) -> World:
    held = World(tmp_path)
    held.job.run()
    assert held.ids().keys() == START.keys()
    return held


def test_all_at_once(world: World) -> None:
    before = world.ids()
    world.move(SPLITS, APART, 50)
    world.move(JOINS, TAKES, 60)
    world.add(NEW, 40)
    world.add(GROWS, 30)
    world.delete(DIES, 60)
    world.delete(SHRINKS, 30)

    manifest = world.job.run()

    after = world.ids()
    assert {axis: after[axis] for axis in (STAYS, SPLITS, TAKES, GROWS, SHRINKS)} == {
        axis: before[axis] for axis in (STAYS, SPLITS, TAKES, GROWS, SHRINKS)
    }
    apart, new = after[APART], after[NEW]
    assert sorted([apart, new]) == [len(START), len(START) + 1]
    splits, takes, joins = before[SPLITS], before[TAKES], before[JOINS]

    def event(kind: str, i: int, rows: tuple[int, int, int], *parts: Any) -> dict[str, Any]:
        names = ("before", "after", "kept")
        listed = [{"id": j, "rows": n, "share": pytest.approx(share)} for j, n, share in parts]
        return {"kind": kind, "id": i, "parts": listed} | dict(zip(names, rows, strict=True))

    truth = {
        before[STAYS]: [],
        splits: [
            event("shrunk", splits, (120, 70, 70)),
            event(
                "split-into", splits, (120, 70, 70), (splits, 70, 70 / 120), (apart, 50, 50 / 120)
            ),
        ],
        apart: [event("split-from", apart, (0, 50, 0), (splits, 50, 1.0))],
        takes: [
            event("grown", takes, (80, 140, 80)),
            event(
                "merged-from", takes, (80, 140, 80), (takes, 80, 80 / 140), (joins, 60, 60 / 140)
            ),
        ],
        joins: [event("merged-into", joins, (60, 0, 0), (takes, 60, 1.0))],
        before[DIES]: [event("died", before[DIES], (60, 0, 0))],
        new: [event("born", new, (0, 40, 0))],
        before[GROWS]: [event("grown", before[GROWS], (60, 90, 60))],
        before[SHRINKS]: [event("shrunk", before[SHRINKS], (90, 60, 60))],
    }
    for cluster, events in truth.items():
        told = world.told(cluster, "run-2")
        assert [{k: v for k, v in e.items() if k != "run"} for e in told] == events, cluster
    assert manifest.facts["identity"]["events"] == {
        "unchanged": 1,
        "shrunk": 2,
        "split-into": 1,
        "split-from": 1,
        "grown": 2,
        "merged-from": 1,
        "merged-into": 1,
        "died": 1,
        "born": 1,
    }
    assert [e.id for e in world.job.read().live] == sorted(after.values())


def test_what_parts_and_meets_again_over_four_runs_never_has_an_id_twice(world: World) -> None:
    first = world.ids()[SPLITS]
    given = [set(world.ids().values())]
    for number in range(2):
        world.move(SPLITS, APART, 50)
        world.job.run()
        apart = world.ids()[APART]
        assert apart == len(START) + number
        assert apart not in set().union(*given)
        given.append(set(world.ids().values()))
        world.move(APART, SPLITS, 50)
        world.job.run()
        assert world.ids()[SPLITS] == first
        (gone,) = world.told(apart, f"run-{2 * number + 3}")
        assert (gone["kind"], gone["parts"][0]["id"]) == ("merged-into", first)


def test_all_rows_of_a_cluster_replaced_by_new_ones_at_its_place_keep_the_id(world: World) -> None:
    """Not one row is shared: only the centroid tells."""
    before = world.ids()
    world.delete(SPLITS, 120)
    world.add(SPLITS, 100)
    world.job.run()
    assert world.ids() == before
    (event,) = world.told(before[SPLITS], "run-2")
    assert (event["kind"], event["before"], event["after"], event["kept"]) == (
        "shrunk",
        120,
        100,
        0,
    )
