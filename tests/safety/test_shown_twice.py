"""A server that shows rows twice, as they were and as they are, and mixes up their arrays then.

Milvus 2.3 does; ``vdbcluster/adapters/milvus/writeback/whole.py`` tells how. The fault is that of a
proxy here, which also counts rows twice meanwhile; that the real server has it, and what is read
from it, is told by ``tests/contract/test_whole_rows.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient

from tests import zoo
from tests.backends import Backend
from tests.emulation import RELEASES, Proxy, in_front_of
from tests.safety.test_rollback import Place, World
from tests.snapshot import snapshot
from vdbcluster.adapters.milvus.writeback import whole
from vdbcluster.errors import BackendError

ROWS = 200
ARRAY = 22


@dataclass
class ShownTwice:
    """Begins when whole rows are first asked for; ends after ``times`` such answers.

    One row alone cannot be mixed up, and is asked for to see what a page of rows weighs.
    """

    times: float
    answers: int = 0

    def __call__(self, request: Any, answer: Any) -> None:
        arrays = [column for column in answer.fields_data if column.type == ARRAY]
        many = any(len(column.scalars.array_data.data) > 1 for column in arrays)
        if many and self.answers < self.times:
            self.answers += 1
            for column in arrays:
                _mix(column.scalars.array_data.data)
        elif 0 < self.answers < self.times and "count(*)" in request.output_fields:
            answer.fields_data[0].scalars.long_data.data[0] *= 2


def _mix(cells: Any) -> None:
    mixed = [cells[i // 2] for i in range(len(cells))]
    del cells[:]
    cells.extend(mixed)


@pytest.fixture
def proxy(lite_server: Backend) -> Iterator[Proxy]:
    with in_front_of(lite_server, RELEASES["2.4"]) as found:
        yield found


@pytest.fixture
def world(
    proxy: Proxy,
    lite_server: Backend,
    connect: Callable[[Backend], MilvusClient],
    collection_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    monkeypatch.setattr(whole, "PAUSES", (0.001,) * 7)
    client = connect(lite_server)
    place = Place("2.4", "guarded-upsert", "partitions-int")
    filled = zoo.build(client, collection_name, zoo.by_name(place.specimen), rows=ROWS)
    made = World(place, proxy.backend.uri, client, collection_name, tmp_path, filled)
    made.remember()
    yield made
    assert proxy.errors == []
    made.drop()


@pytest.mark.parametrize("times", [1, 2, pytest.param(6, marks=pytest.mark.slow)])
def test_rows_that_are_shown_twice_for_a_while_keep_their_arrays(
    times: int, world: World, proxy: Proxy
) -> None:
    fault = ShownTwice(times)
    proxy.alter("Query", fault)

    world.run(min_cluster_size=10)

    assert fault.answers == times
    assert len(world.labels()) == ROWS
    assert world.harm() == []


def test_rows_that_are_shown_twice_for_long_are_left_alone(world: World, proxy: Proxy) -> None:
    proxy.alter("Query", ShownTwice(float("inf")))

    with pytest.raises(BackendError, match=r"rows of .* are not read the same twice.* run again"):
        world.run(min_cluster_size=10)

    proxy.mend()
    assert world.harm() == []
    assert world.labels() == {}
    world.run(min_cluster_size=10)
    assert len(world.labels()) == ROWS
    assert world.harm() == []


def test_the_fault_is_one(world: World, proxy: Proxy, connect: Any) -> None:
    """Else the other tests would tell nothing."""
    proxy.alter("Query", ShownTwice(float("inf")))
    assert snapshot(connect(proxy.backend), world.name) != world.foreign
