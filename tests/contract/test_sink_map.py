"""Places on a map among the labels: written where they are wanted, and never mistaken for ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from tests import backends, zoo
from tests.contract.sink_steps import ALLOWED, label_all, labelled_without, select
from tests.contract.sink_worlds import (
    WITH_MAP,
    MemoryWorld,
    Place,
    World,
    as_dict,
    batch_of,
    opened_world,
    stored,
)
from tests.silent import SILENT
from tests.snapshot import OURS, diff, snapshot
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.errors import RefusedError
from vdbcluster.model.labels import MAP_FIELDS, LabelBatch, LabelFields
from vdbcluster.pipeline.plan import compared
from vdbcluster.pipeline.record import plan_arrays, planned
from vdbcluster.pipeline.rollback import judge, roll_back
from vdbcluster.ports import LabelSink

pytestmark = pytest.mark.usefixtures("probed_once")
Lite = tuple[MilvusClient, MilvusConnection]
PLACES = [
    Place("memory", "memory"),
    Place(backends.LITE_FILE, "lite-merge", "INT64"),
    Place(backends.LITE_FILE, "side-collection", "INT64"),
    Place("2.5", "guarded-upsert", "INT64"),
    Place("2.6", "add-field", "INT64"),
    pytest.param(Place(backends.REAL_SERVER, "guarded-upsert", "INT64"), marks=pytest.mark.server),
    pytest.param(Place(backends.REAL_SERVER, "side-collection", "INT64"), marks=pytest.mark.server),
]
everywhere = pytest.mark.parametrize("place", PLACES, ids=str)
MAP = LabelSettings(WITH_MAP, allow_full_upsert=True)


@pytest.fixture
def world(place: Place, request: pytest.FixtureRequest, collection_name: str) -> Iterator[World]:
    with opened_world(place, request, collection_name) as opened:
        yield opened


def foreign(world: World) -> Any:
    """Everything but labels and places; columns may have come."""
    if isinstance(world, MemoryWorld):
        return world.foreign()
    return snapshot(world.client, world.name, exclude=(*OURS, *MAP_FIELDS))  # type: ignore[attr-defined]


def held(sink: LabelSink) -> dict[Any, tuple[float, float]]:
    return {key: label[-2:] for key, label in stored(sink).items()}


@everywhere
def test_places_come_back_and_a_run_without_a_map_leaves_them(world: World) -> None:
    before, sink = foreign(world), world.sink(WITH_MAP)
    sink.prepare()
    sent = world.write_all(sink, places=True)
    sink.finish()
    assert stored(world.sink(WITH_MAP)) == sent
    assert len(set(held(sink).values())) > 20
    assert (0.0, 0.0) in held(sink).values()

    # As a run does that writes no map: other labels for half the rows, by what it finds stored.
    plain, keys = world.sink(), world.keys_in("p1")
    plain.prepare()
    order = sorted(keys)
    new = batch_of(order, "run-2", seed=5)
    plan = compared(new, np.zeros(len(order), np.int32), ("p1",), list(plain.stored()))
    plain.write(plan.new, "p1")
    plain.finish()

    now = stored(world.sink(WITH_MAP))
    assert {key: label[-2:] for key, label in now.items()} == {
        key: label[-2:] for key, label in sent.items()
    }
    assert [now[key][0] for key in order] == new.cluster_id.tolist()
    assert diff(before, foreign(world)) == []


@everywhere
def test_a_rollback_takes_places_back(world: World) -> None:
    """Rows with another place before get that again, rows without one none at all."""
    keys = sorted(world.keys_in("p1"))
    sink = world.sink(WITH_MAP)
    sink.prepare()
    first = batch_of(keys, "run-1", places=True)
    sink.write(first.take(np.arange(len(keys)) % 2 == 0), "p1")
    sink.finish()
    before = stored(sink)

    new = batch_of(keys, "run-2", seed=1, places=True)
    plan = compared(new, np.zeros(len(keys), np.int32), ("p1",), list(sink.stored()))
    plan = planned(plan_arrays(plan))
    sink.write(plan.new, "p1")
    sink.finish()
    assert held(sink) == {key: label[-2:] for key, label in as_dict(new).items()}

    again = world.sink(WITH_MAP)
    report = roll_back(plan, again, SILENT)
    assert report.clean
    assert (report.restored, report.erased) == (sum(plan.had_label), sum(~plan.had_label))
    assert stored(world.sink(WITH_MAP)) == before


def test_what_is_no_place_is_null(lite: Lite, collection_name: str) -> None:
    """Lite would store NaN in a column, which neither a comparison nor ``is null`` finds then."""
    client, connection = lite
    zoo.build(client, collection_name, zoo.by_name("plain-int"), rows=8)
    label_all(connection, collection_name, MAP)
    sink = choose_sink(connection, select(collection_name), MAP)
    keys = next(batch.keys for batch in sink.stored()).tolist()
    batch = batch_of(keys, "run-2", places=True)
    sink.prepare()
    sink.write(batch, "_default")
    sink.finish()
    rows = client.query(collection_name, "", output_fields=list(MAP_FIELDS), limit=100)
    told = [row.get("map_x") for row in sorted(rows, key=lambda row: keys.index(row[zoo.KEY]))]
    assert [value is None for value in told] == (batch.map_x == 0).tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "values", "told"),
    [
        (DataType.VARCHAR, ["a", "b"], "is of type VARCHAR, not FLOAT or DOUBLE"),
        (DataType.FLOAT, [0.0, -1.0], "already holds map_x = -1.0"),
        (DataType.DOUBLE, [0.0, 2.5], "already holds map_x = 2.5"),
    ],
)
def test_a_field_of_the_users_is_refused_also_beside_labels_of_ours(
    lite: Lite, collection_name: str, kind: DataType, values: list[Any], told: str
) -> None:
    client, connection = lite
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field(zoo.KEY, DataType.INT64, is_primary=True)
    schema.add_field(zoo.VECTOR, DataType.FLOAT_VECTOR, dim=2)
    room = {"max_length": 8} if kind == DataType.VARCHAR else {}
    schema.add_field("map_x", kind, **room)
    index = client.prepare_index_params()
    index.add_index(zoo.VECTOR, index_type="FLAT", metric_type="L2")
    client.create_collection(collection_name, schema=schema, index_params=index)
    rows = [{zoo.KEY: i, zoo.VECTOR: [1.0, i], "map_x": v} for i, v in enumerate(values)]
    client.insert(collection_name, rows)

    # A run that writes no map does not look at it, and leaves it as it is.
    label_all(connection, collection_name, ALLOWED)
    kept = client.query(collection_name, "", output_fields=["map_x"], limit=9)
    assert [row["map_x"] for row in kept] == values

    fresh = replace(MAP, fields=replace(WITH_MAP, unwritten=MAP_FIELDS))
    with pytest.raises(RefusedError, match=rf"{told}.*--label-prefix"):
        list(choose_sink(connection, select(collection_name), fresh).stored())
    if kind == DataType.VARCHAR:
        return
    adopting = choose_sink(connection, select(collection_name), replace(fresh, adopt=True))
    assert [len(batch) for batch in adopting.stored()] == [len(values)]
    other = replace(fresh, fields=LabelFields("topic_", MAP_FIELDS, MAP_FIELDS))
    label_all(connection, collection_name, other)
    kept = client.query(collection_name, "", output_fields=["map_x", "topic_map_x"], limit=9)
    assert [row["map_x"] for row in kept] == values


def test_what_the_sink_has_written_itself_is_not_foreign(lite: Lite, collection_name: str) -> None:
    client, connection = lite
    zoo.build(client, collection_name, zoo.by_name("plain-int"), rows=8)
    label_all(connection, collection_name, ALLOWED)
    fresh = replace(MAP, fields=replace(WITH_MAP, unwritten=MAP_FIELDS))
    sink = choose_sink(connection, select(collection_name), fresh)
    (batch,) = sink.stored()
    sink.prepare()
    sink.write(batch_of(batch.keys.tolist(), "run-2", places=True), "_default")
    sink.finish()
    assert len(held(sink)) == 8
    with pytest.raises(RefusedError, match="already holds map_"):
        list(choose_sink(connection, select(collection_name), fresh).stored())
    assert len(held(choose_sink(connection, select(collection_name), MAP))) == 8


def test_a_side_collection_without_the_columns_serves_runs_that_write_no_map(
    lite: Lite, collection_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, connection = lite
    zoo.build(client, collection_name, zoo.by_name("bare-int"), rows=20)
    side = labelled_without(connection, collection_name, monkeypatch, lambda f: f.bare)
    assert label_all(connection, collection_name, LabelSettings()).way.target == side
    with pytest.raises(RefusedError, match=r"has no field 'map_x'; drop it"):
        choose_sink(connection, select(collection_name), MAP)


def test_two_prefixes_have_two_maps() -> None:
    usual, other = LabelFields(extras=MAP_FIELDS), LabelFields("topic_", MAP_FIELDS)
    assert usual.names[-2:] == ("map_x", "map_y")
    assert other.names[-2:] == ("topic_map_x", "topic_map_y")
    assert not set(LabelFields().every) & set(MAP_FIELDS)
    assert set(MAP_FIELDS) <= set(LabelFields().possible)


def test_places_are_carried_to_a_row_whose_label_changes() -> None:
    """In a side collection whole rows are written: a plan without places holds those of before."""
    old = batch_of([1, 2, 3, 4], places=True)
    new = batch_of([1, 2, 3, 4, 5], "run-2", seed=3)
    plan = compared(new, np.zeros(5, np.int32), ("p",), [old])
    assert plan.new.map_x is not None
    assert plan.new.map_x.tolist() == [*old.map_x.tolist(), 0.0]  # type: ignore[union-attr]
    verdict = judge(plan, plan.new, np.ones(5, np.bool_))
    assert verdict.restore.tolist() == [True] * 4 + [False]
    none = compared(new, np.zeros(5, np.int32), ("p",), [LabelBatch.blank(old.keys)])
    assert none.new.map_x is None
