"""Room for a catalogue that is made while neighbours are searched: used, or gone.

By the real server, and by a Lite server that is taken for one: Lite itself has no use for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests import backends
from tests.contract.catalogue_worlds import MemoryWorld, MilvusWorld, catalogue_of, shown
from tests.contract.making import connection_to
from vdbcluster.adapters.milvus.writeback.own import generation_of
from vdbcluster.errors import RefusedError

everywhere = pytest.mark.parametrize(
    "world",
    [backends.LITE_SERVER, pytest.param(backends.REAL_SERVER, marks=pytest.mark.server)],
    indirect=True,
)
nearby = pytest.mark.parametrize("world", [backends.LITE_SERVER], indirect=True)
"""A replacement takes the real server seconds."""


@pytest.fixture
def world(request: pytest.FixtureRequest, collection_name: str) -> Iterator[MilvusWorld]:
    backend = request.getfixturevalue(backends.FIXTURES[request.param])
    with backends.connected(backend) as client, connection_to(backend) as connection:
        connection.server = replace(connection.server, kind="server")
        held = MilvusWorld("INT64", client, connection, collection_name)
        yield held
        held.catalogue().remove()
        client.drop_collection(collection_name)


@everywhere
def test_what_is_prepared_fills_the_room_and_nothing_else_is_made(world: MilvusWorld) -> None:
    first = catalogue_of(world.identity(), range(4))
    world.catalogue().replace(first)
    before = world.behind()

    with world.catalogue().reserved("run-2") as room:
        assert room is not None
        with_room = world.behind()
        assert shown(world.catalogue().read()) == shown(first)
        second = catalogue_of(world.identity(), range(3), run="run-2")
        ready = room.prepare(second, since=first)
        assert sorted(world.behind()) == sorted(with_room)
        assert shown(world.catalogue().read()) == shown(first)
        ready.show()

    assert len(with_room) == len(before) + 1
    found = world.catalogue().read()
    assert found is not None
    assert found.run_id == "run-2"
    assert [entry.id for entry in found.entries] == [entry.id for entry in second.entries]
    assert sorted(world.behind()) == sorted(with_room)


@nearby
def test_a_room_without_use_goes_and_one_that_is_filled_stays(world: MilvusWorld) -> None:
    first = catalogue_of(world.identity(), range(4))
    world.catalogue().replace(first)
    before = world.behind()

    with pytest.raises(RefusedError), world.catalogue().reserved("run-2"):
        raise RefusedError("in the midst of it")
    assert world.behind() == before

    with world.catalogue().reserved("run-3") as room:
        assert room is not None
        room.prepare(catalogue_of(world.identity(), range(3), run="run-3"), since=first)
    assert len(world.behind()) == len(before) + 1  # a writing that went wrong: seen by nobody
    assert shown(world.catalogue().read()) == shown(first)


@everywhere
def test_what_a_killed_run_has_left_goes_and_nothing_that_holds_rows(world: MilvusWorld) -> None:
    held = world.catalogue()
    held.replace(catalogue_of(world.identity(), range(4)))
    held.replace(catalogue_of(world.identity(), range(5), run="run-2"))
    before = world.behind()  # what readers see, and the one before, which some may still read
    left = world.catalogue().reserved("run-3")
    left.__enter__()
    assert len(world.behind()) == len(before) + 1

    with world.catalogue().reserved("run-4"):
        seen = {found.run_id for found in map(generation_of, world.behind()) if found}
        assert "run-4" in seen
        assert "run-3" not in seen

    assert sorted(world.behind()) == sorted(before)
    left.__exit__(None, None, None)


@nearby
def test_a_room_that_somebody_took_away_is_made_again(world: MilvusWorld) -> None:
    with world.catalogue().reserved("run-2") as room:
        assert room is not None
        [name] = world.behind()
        world.client.drop_collection(name)
        second = catalogue_of(world.identity(), range(3), run="run-2")

        room.prepare(second).show()

    assert shown(world.catalogue().read()) == shown(second)


def test_where_there_is_room_at_once_none_is_made(
    lite_server: backends.Backend, collection_name: str
) -> None:
    with MemoryWorld("INT64").catalogue().reserved("run-2") as room:
        assert room is None
    with backends.connected(lite_server) as client, connection_to(lite_server) as connection:
        world = MilvusWorld("INT64", client, connection, collection_name)
        with world.catalogue().reserved("run-2") as room:
            assert (room, world.behind()) == (None, [])
        client.drop_collection(collection_name)
