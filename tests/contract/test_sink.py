"""One contract for every way of writing labels: no row is harmed, no label is lost or invented."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest

from tests import backends
from tests.contract.sink_worlds import (
    WITH_EXTRAS,
    Place,
    World,
    as_dict,
    batch_of,
    opened_world,
    settled,
    stored,
)
from tests.snapshot import diff
from vdbcluster.errors import CollectionChangedError, RefusedError
from vdbcluster.model.labels import RowStatus

MEMORY = [Place("memory", "memory"), Place("memory", "memory", "INT64")]
LITE = [
    Place(backends.LITE_FILE, "lite-merge", "INT64"),
    Place(backends.LITE_FILE, "side-collection", "INT64"),
    Place(backends.LITE_FILE, "lite-merge"),
    Place(backends.LITE_FILE, "side-collection"),
    Place(backends.LITE_SERVER, "lite-merge"),
]
EMULATED = [
    Place("2.4", "side-collection"),
    Place("2.5", "guarded-upsert"),
    Place("2.5", "guarded-upsert", "INT64"),
    Place("2.6", "add-field"),
    Place("2.6", "add-field", "INT64"),
    Place("2.6", "partial-upsert"),
    Place("3.0", "add-field"),
]
REAL = [
    pytest.param(Place(backends.REAL_SERVER, way, keys), marks=pytest.mark.server)
    for way in ("guarded-upsert", "side-collection")
    for keys in ("VARCHAR", "INT64")
]
everywhere = pytest.mark.parametrize("place", [*MEMORY, *LITE, *EMULATED, *REAL], ids=str)
nearby = pytest.mark.parametrize("place", [*MEMORY, *LITE, *EMULATED], ids=str)
"""The real server takes ten seconds for each of these tests: it is given those that tell most."""

pytestmark = pytest.mark.usefixtures("probed_once")


@pytest.fixture
def world(place: Place, request: pytest.FixtureRequest, collection_name: str) -> Iterator[World]:
    with opened_world(place, request, collection_name) as opened:
        yield opened


@everywhere
def test_labels_come_back_and_nothing_else_changes(world: World) -> None:
    before, sink = world.foreign(), world.sink()
    assert stored(sink) == {}
    sink.prepare()
    sink.prepare()

    sent = world.write_all(sink)
    gone = sink.finish()

    assert gone.dtype == batch_of(world.keys).keys.dtype
    assert gone.size == 0
    assert stored(sink) == sent
    assert stored(world.sink()) == sent
    assert diff(before, world.foreign()) == []


@pytest.mark.slow_on_server
@everywhere
def test_paths_come_back_and_are_written_over_with_nothing(world: World) -> None:
    """A later run without paths must not leave those of the earlier one behind."""
    if isinstance(world.keys[0], int):
        pytest.skip("the kind of key makes no difference")
    before, sink = world.foreign(), world.sink(WITH_EXTRAS)
    sink.prepare()
    sent = world.write_all(sink, extras=True)
    assert stored(sink) == sent
    assert diff(before, world.foreign()) == []

    later = world.sink()
    found = list(later.stored())
    assert {key: label for batch in found for key, label in as_dict(batch).items()} == sent
    assert all(batch.path is not None for batch in found)
    later.prepare()
    batch = batch_of(world.keys_in("p1"), "run-2")
    later.write(batch.blanked(f for f in batch.lacking() if not f.bare), "p1")
    later.finish()

    assert stored(later) == sent | as_dict(batch)
    assert diff(before, world.foreign()) == []


@nearby
def test_no_path_is_written_where_there_is_none(world: World) -> None:
    sink = world.sink(WITH_EXTRAS)
    sink.prepare()
    world.write_all(sink)
    sink.finish()
    assert [batch.path for batch in sink.stored()] == [None for _ in sink.stored()]


@nearby
def test_labels_are_replaced_row_by_row(world: World) -> None:
    sink = world.sink()
    sink.prepare()
    first = world.write_all(sink)
    before = world.foreign()
    some = batch_of(world.keys_in("p1")[::2], run="run-2", seed=1)

    sink.write(some, "p1")

    assert stored(sink) == first | as_dict(some)
    assert diff(before, world.foreign()) == []


@everywhere
def test_the_world_moves_on_meanwhile(world: World) -> None:
    """Deleted rows stay deleted, an updated row keeps its update, an added one is left alone."""
    sink = world.sink()
    sink.prepare()
    batch = batch_of(world.keys_in("p1"))
    gone = batch.keys.tolist()[3:9:2]
    world.delete(gone)
    world.update(batch.keys[4])
    world.add(world.new_key, "p1")
    before = world.foreign()

    status = settled(sink, batch, "p1")

    expected = [RowStatus.VANISHED if k in gone else RowStatus.WRITTEN for k in batch.keys]
    assert status == expected
    assert stored(sink) == {k: label for k, label in as_dict(batch).items() if k not in gone}
    assert diff(before, world.foreign()) == []


@nearby
def test_rows_that_are_all_gone_are_no_trouble(world: World) -> None:
    sink = world.sink()
    sink.prepare()
    batch = batch_of(world.keys_in("p2"))
    world.delete(batch.keys.tolist())

    status = settled(sink, batch, "p2")

    assert set(status) == {RowStatus.VANISHED}
    assert stored(sink) == {}


@everywhere
def test_a_row_deleted_after_its_label_was_written_leaves_no_label(world: World) -> None:
    sink = world.sink()
    sink.prepare()
    sent = world.write_all(sink)
    gone = [*world.keys_in("p1")[:2], *world.keys_in("p2")]
    world.delete(gone)

    told = sink.finish()

    assert set(told.tolist()) <= set(gone)
    assert stored(sink) == {key: label for key, label in sent.items() if key not in gone}
    assert sink.finish().size == 0


@nearby
@pytest.mark.parametrize("written", [True, False])
def test_what_was_reserved_goes_unless_it_was_used(world: World, written: bool) -> None:
    names = world.collections()
    sink = world.sink()
    sent = {}

    with suppress(RefusedError), sink.reserved():
        assert stored(sink) == {}
        if written:
            sink.prepare()
            sent = world.write_all(sink)
        raise RefusedError("in the midst of it")

    assert stored(world.sink()) == sent
    if not written:
        assert world.collections() == names


@nearby
def test_only_the_selection_is_told_and_stale_labels_go(world: World) -> None:
    sink = world.sink()
    sink.prepare()
    sent = world.write_all(sink)
    gone = world.keys_in("p1")[:2]
    world.delete(gone)
    stale = {key for key in stored(sink) if key in gone}
    kept = {key: label for key, label in sent.items() if key not in gone}

    removed = sink.remove(batch_of(world.keys_in("p1")))

    assert removed == len(stale)
    assert stored(sink) == kept
    narrow = stored(world.sink(partitions=("p2",)))
    assert narrow == {key: sent[key] for key in world.keys_in("p2")}


@nearby
def test_a_batch_of_nothing(world: World) -> None:
    sink = world.sink()
    sink.prepare()

    outcome = sink.write(batch_of(world.keys).take(np.array([], np.int64)), "p1")

    assert outcome.status.shape == (0,)


@everywhere
def test_a_collection_created_anew_is_not_written(world: World) -> None:
    if _is_lite_server(world):
        pytest.skip("a Lite server process gives a collection no identity of its own")
    sink = world.sink()
    sink.prepare()
    world.recreate()

    with pytest.raises(CollectionChangedError):
        sink.write(batch_of(world.keys_in("p1")), "p1")


def _is_lite_server(world: World) -> bool:
    connection = getattr(world, "connection", None)
    return connection is not None and connection.is_lite and not connection.address.is_file
