"""One contract for every place of a catalogue: all of it comes back, and only where it belongs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests import backends
from tests.contract.catalogue_worlds import (
    ODD_KEYS,
    KeyKind,
    MemoryWorld,
    MilvusWorld,
    World,
    catalogue_of,
    shown,
)
from tests.contract.making import connection_to
from vdbcluster.errors import CollectionChangedError
from vdbcluster.model.catalogue import (
    DESCRIPTION_BYTES,
    EXEMPLARS_BYTES,
    KEYWORDS_BYTES,
    LINEAGE_BYTES,
    NAME_BYTES,
    Catalogue,
    fitted,
    json_text,
)

MEMORY = "memory"
NEARBY = [MEMORY, backends.LITE_FILE, backends.LITE_SERVER]
everywhere = pytest.mark.parametrize(
    "place", [*NEARBY, pytest.param(backends.REAL_SERVER, marks=pytest.mark.server)]
)
nearby = pytest.mark.parametrize("place", NEARBY)
"""A replacement takes the real server four seconds."""


@pytest.fixture
def kind() -> KeyKind:
    return "INT64"


@pytest.fixture
def world(
    place: str, kind: KeyKind, request: pytest.FixtureRequest, collection_name: str
) -> Iterator[World]:
    if place == MEMORY:
        yield MemoryWorld(kind)
        return
    backend = request.getfixturevalue(backends.FIXTURES[place])
    with backends.connected(backend) as client, connection_to(backend) as connection:
        held = MilvusWorld(kind, client, connection, collection_name)
        yield held
        held.catalogue().remove()
        client.drop_collection(collection_name)


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        *((place, kind) for place in NEARBY for kind in ("INT64", "VARCHAR")),
        pytest.param(backends.REAL_SERVER, "VARCHAR", marks=pytest.mark.server),
    ],
)
def test_a_catalogue_comes_back_and_is_replaced_as_a_whole(world: World) -> None:
    keys, held = ODD_KEYS[world.keys], world.catalogue()
    assert held.read() is None
    first = catalogue_of(world.identity(), keys)

    held.replace(first)

    assert shown(world.catalogue().read()) == shown(first)
    second = catalogue_of(world.identity(), keys[::-1][:7], run='it\'s "run" 2_ü', seed=1)
    world.catalogue().replace(second)
    assert shown(held.read()) == shown(second)


@nearby
def test_a_catalogue_without_clusters_is_one(world: World) -> None:
    held = world.catalogue()
    held.replace(catalogue_of(world.identity(), [1, 2]))

    held.replace(Catalogue((), "run-2", world.identity()))

    assert shown(held.read()) == ([], "run-2", world.identity())


@nearby
@pytest.mark.parametrize("kind", ["VARCHAR"])
def test_texts_are_cut_where_a_database_has_no_room(world: World) -> None:
    events = [{"run": f"run-{i}", "event": "grown", "name": "é" * 50} for i in range(2000)]
    long = catalogue_of(world.identity(), ["k" * 900])
    entry = replace(
        long.entries[0],
        name="aé" * NAME_BYTES,
        description="日本" * DESCRIPTION_BYTES,
        keywords=tuple(f"word {i} " * 10 for i in range(2000)),
        exemplar_keys=tuple('"' * 1000 for _ in range(500)),
        lineage=json_text(events),
    )
    held = world.catalogue()

    held.replace(replace(long, entries=(entry,)))

    read = held.read()
    assert read is not None
    assert shown(read) == shown(replace(long, entries=(fitted(entry),)))
    short = read.entries[0]
    assert entry.name.startswith(short.name)
    assert 0 <= NAME_BYTES - len(short.name.encode()) < 2
    assert 0 <= DESCRIPTION_BYTES - len(short.description.encode()) < 3
    assert short.keywords == entry.keywords[: len(short.keywords)]
    for values, limit in (
        (short.keywords, KEYWORDS_BYTES),
        (short.exemplar_keys, EXEMPLARS_BYTES),
    ):
        assert limit * 0.9 < len(json_text(values).encode()) <= limit
    assert short.lineage.endswith('"run-1999", "event": "grown", "name": "' + "é" * 50 + '"}]')
    assert LINEAGE_BYTES * 0.9 < len(short.lineage.encode()) <= LINEAGE_BYTES


@pytest.mark.slow_on_server
@everywhere
def test_that_of_an_earlier_collection_of_the_name_is_not_taken_for_this_ones(
    world: World, place: str
) -> None:
    if place == backends.LITE_SERVER:
        pytest.skip("a Lite server process gives a collection no identity of its own")
    held, before = world.catalogue(), catalogue_of(world.identity(), [1, 2])
    held.replace(before)

    world.recreate()

    assert world.catalogue().read() is None
    with pytest.raises(CollectionChangedError, match="run again"):
        held.replace(before)
    with pytest.raises(CollectionChangedError, match="run again"):
        world.catalogue().replace(before)
    after = catalogue_of(world.identity(), [3], run="run-2")
    world.catalogue().replace(after)
    assert shown(world.catalogue().read()) == shown(after)


@nearby
def test_what_is_removed_is_gone_and_can_come_back(world: World) -> None:
    held = world.catalogue()
    held.remove()
    held.replace(catalogue_of(world.identity(), [1, 2]))
    held.replace(catalogue_of(world.identity(), [1, 2, 3]))

    held.remove()
    held.remove()

    assert held.read() is None
    again = catalogue_of(world.identity(), [4])
    held.replace(again)
    assert shown(held.read()) == shown(again)


@nearby
def test_entries_of_another_collection_are_refused(world: World) -> None:
    held, fine = world.catalogue(), catalogue_of(world.identity(), [1])
    wide = replace(fine.entries[0], centroid=np.ones(5, np.float32))

    with pytest.raises(ValueError, match="4 values"):
        held.replace(replace(fine, entries=(wide,)))

    assert held.read() is None
