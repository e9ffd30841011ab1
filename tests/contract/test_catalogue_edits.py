"""Edits of single entries, wherever the catalogue is: seen whole, kept by every replacement."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from tests import backends
from tests.contract.catalogue_worlds import MilvusWorld, World, catalogue_of, shown
from tests.contract.test_catalogue import (  # noqa: F401
    NEARBY,
    everywhere,
    kind,
    nearby,
    world,
)
from vdbcluster.adapters.milvus import catalogue_rows
from vdbcluster.adapters.milvus.catalogue_generations import Generations
from vdbcluster.adapters.milvus.profile import profile
from vdbcluster.errors import UsageError
from vdbcluster.model.catalogue import NAME_BYTES, Catalogue, CatalogueEntry, ClusterState
from vdbcluster.ports.catalogue import Change

LITE = pytest.mark.parametrize("place", [backends.LITE_FILE, backends.LITE_SERVER])
SERVERS = pytest.mark.parametrize(
    "place",
    [
        backends.LITE_FILE,
        backends.LITE_SERVER,
        pytest.param(backends.REAL_SERVER, marks=pytest.mark.server),
    ],
)


def renamed(cluster: int, name: str) -> Change:
    def change(held: Catalogue) -> Iterable[CatalogueEntry]:
        entry = held.get(cluster)
        assert entry is not None
        return [replace(entry, name=name)]

    return change


def merged(part: int, home: int) -> Change:
    def change(held: Catalogue) -> Iterable[CatalogueEntry]:
        one, other = held.get(part), held.get(home)
        assert one is not None
        assert other is not None
        if one.merged_into == home:
            return []
        return [
            replace(one, state=ClusterState.MERGED, merged_into=home),
            replace(other, size=other.size + one.size),
        ]

    return change


@everywhere
def test_an_edit_changes_its_entries_and_no_others(world: World) -> None:  # noqa: F811
    held, stored = world.catalogue(), catalogue_of(world.identity(), range(7))
    held.replace(stored)

    after = held.edit(renamed(4, "Ale"))

    wanted = stored.having([replace(stored.entries[2], name="Ale")])
    assert shown(after) == shown(wanted)
    assert shown(world.catalogue().read()) == shown(wanted)
    held.edit(merged(6, 4))
    read = world.catalogue().read()
    assert read is not None
    one, other = read.get(6), read.get(4)
    assert one is not None
    assert other is not None
    assert (one.state, one.merged_into) == (ClusterState.MERGED, 4)
    assert other.size == stored.entries[2].size + stored.entries[3].size
    assert shown(read.having(wanted.entries)) == shown(wanted)
    assert shown(held.edit(merged(6, 4))) == shown(read)


@nearby
def test_an_edit_that_cannot_be_made_changes_nothing(world: World) -> None:  # noqa: F811
    held = world.catalogue()
    with pytest.raises(UsageError, match="no catalogue of clusters yet"):
        held.edit(renamed(0, "x"))
    stored = catalogue_of(world.identity(), range(3))
    held.replace(stored)

    def refused(_: Catalogue) -> Iterable[CatalogueEntry]:
        raise UsageError("no such cluster")

    with pytest.raises(UsageError, match="no such cluster"):
        held.edit(refused)
    assert shown(held.edit(lambda _: ())) == shown(stored)
    assert shown(held.read()) == shown(stored)


@nearby
def test_a_long_text_is_cut_as_ever(world: World) -> None:  # noqa: F811
    held = world.catalogue()
    held.replace(catalogue_of(world.identity(), range(3)))
    after = held.edit(renamed(0, "é" * NAME_BYTES))
    assert len(after.entries[0].name.encode()) == NAME_BYTES
    assert shown(held.read()) == shown(after)


@nearby
def test_a_replacement_keeps_what_was_edited_since_it_was_made(world: World) -> None:  # noqa: F811
    held, before = world.catalogue(), catalogue_of(world.identity(), range(4))
    held.replace(before)
    made = replace(catalogue_of(world.identity(), range(5), seed=1), run_id="run-2")
    made = made.having([replace(made.entries[0], pinned=False), replace(made.entries[3], name="3")])
    held.edit(renamed(0, "Ale"))
    held.edit(merged(2, 6))

    held.replace(made, since=before)

    read = world.catalogue().read()
    assert read is not None
    wanted = made.having(
        [
            replace(made.entries[0], name="Ale"),
            replace(
                made.entries[1],
                state=ClusterState.MERGED,
                merged_into=6,
                size=before.entries[1].size,
            ),
        ]
    )
    assert shown(read) == shown(wanted)
    held.replace(made)
    assert shown(held.read()) == shown(made)


@pytest.mark.parametrize(
    ("place", "when"),
    [
        *((place, when) for place in NEARBY[1:] for when in ("filled", "switched")),
        pytest.param(backends.REAL_SERVER, "filled", marks=pytest.mark.server),
    ],
)
def test_an_edit_that_meets_a_replacement_is_not_lost(
    world: MilvusWorld,  # noqa: F811
    when: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It comes after the replacement has read what was edited, and before or after the switch."""
    held, before = world.catalogue(), catalogue_of(world.identity(), range(4))
    held.replace(before)
    done: list[str] = []

    def meanwhile(step: Any) -> Any:
        def wrapped(self: Generations, *args: Any, **kwargs: Any) -> Any:
            result = step(self, *args, **kwargs)
            if not done:
                done.append(when)
                world.catalogue().edit(renamed(0, "meanwhile"))
            return result

        return wrapped

    name = {"filled": "fill", "switched": "switch"}[when]
    monkeypatch.setattr(Generations, name, meanwhile(getattr(Generations, name)))
    made = replace(catalogue_of(world.identity(), range(5), seed=1), run_id="run-2")

    held.replace(made, since=before)

    assert done == [when]
    wanted = made.having([replace(made.entries[0], name="meanwhile")])
    assert shown(world.catalogue().read()) == shown(wanted)


@LITE
def test_a_replacement_that_meets_an_edit_has_it_made_again(
    world: MilvusWorld,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The generation that the edit has read is not the one that readers see when it is written."""
    held, before = world.catalogue(), catalogue_of(world.identity(), range(4))
    held.replace(before)
    made = replace(catalogue_of(world.identity(), range(5), seed=1), run_id="run-2")
    put, done = Generations.put, []

    def late(self: Generations, *args: Any) -> None:
        if not done:
            done.append(1)
            world.catalogue().replace(made, since=before)
        put(self, *args)

    monkeypatch.setattr(Generations, "put", late)

    after = held.edit(renamed(0, "late"))

    wanted = made.having([replace(made.entries[0], name="late")])
    assert shown(after) == shown(wanted)
    assert shown(world.catalogue().read()) == shown(wanted)


@SERVERS
def test_readers_find_every_entry_all_the_while(
    world: MilvusWorld,  # noqa: F811
    place: str,
    request: pytest.FixtureRequest,
) -> None:
    """An upsert is a deletion and an insertion on servers, and nobody sees it between the two."""
    backend = request.getfixturevalue(backends.FIXTURES[place])
    held, entries = world.catalogue(), 30
    held.replace(catalogue_of(world.identity(), range(entries)))
    stop, wrong, seen = threading.Event(), [], Counter[str]()

    def read(level: str) -> None:
        with backends.connected(backend) as client:
            while not stop.is_set():
                rows = client.query(
                    held.name, "cluster_id >= 0", limit=100, consistency_level=level
                )
                if len({row["cluster_id"] for row in rows}) != entries:
                    wrong.append(f"{level}: {len(rows)} rows")
                seen[level] += 1

    readers = [threading.Thread(target=read, args=(level,)) for level in ("Bounded", "Strong")]
    for reader in readers:
        reader.start()
    number, deadline = 0, time.monotonic() + 60
    while (number < 8 or min(seen["Bounded"], seen["Strong"]) < 10) and not wrong:
        held.edit(renamed(2 * (number % entries), f"edit {number}"))
        held.edit(merged(2 * (number % 5) + 2, 0))
        number += 1
        assert time.monotonic() < deadline, seen
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []


@SERVERS
def test_a_catalogue_of_an_earlier_version_takes_edits_and_merges(
    world: MilvusWorld,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held, stored = world.catalogue(), catalogue_of(world.identity(), range(4))
    row, scalars = catalogue_rows.Layout.row, dict(catalogue_rows._SCALARS)
    with monkeypatch.context() as earlier:
        scalars.pop("merged_into")
        earlier.setattr(catalogue_rows, "_SCALARS", scalars)
        earlier.setattr(
            catalogue_rows.Layout,
            "row",
            lambda *a: {k: v for k, v in row(*a).items() if k != "merged_into"},
        )
        held.replace(stored)
    assert "merged_into" not in {s.name for s in profile(world.connection, held.name).scalars}
    assert shown(held.read()) == shown(stored)

    held.edit(renamed(0, "Ale"))

    wanted = stored.having([replace(stored.entries[0], name="Ale")])
    assert shown(held.read()) == shown(wanted)
    assert "merged_into" not in {s.name for s in profile(world.connection, held.name).scalars}
    held.edit(merged(6, 4))
    read = world.catalogue().read()
    assert read is not None
    assert [entry.merged_into for entry in read.entries] == [None, None, None, 4]
    assert "merged_into" in {s.name for s in profile(world.connection, held.name).scalars}
    assert read.entries[0].name == "Ale"
    [found] = world.client.query(held.name, "merged_into == 4", output_fields=["state"])
    assert found["state"] == "merged"


@everywhere
def test_what_is_prepared_is_seen_once_it_is_shown_and_keeps_what_was_edited_until_then(
    world: World,  # noqa: F811
) -> None:
    held, first = world.catalogue(), catalogue_of(world.identity(), range(4))
    held.replace(first)
    ready = held.prepare(catalogue_of(world.identity(), range(4), run="run-2"), since=first)
    assert shown(world.catalogue().read()) == shown(first)
    world.catalogue().edit(renamed(2, "by hand"))

    ready.show()

    found = world.catalogue().read()
    assert found is not None
    assert (found.run_id, found.get(2).name) == ("run-2", "by hand")


@pytest.mark.slow_on_server
@everywhere
def test_what_was_replaced_between_preparing_and_showing_keeps_its_edits_too(
    world: World,  # noqa: F811
) -> None:
    held, first = world.catalogue(), catalogue_of(world.identity(), range(4))
    held.replace(first)
    ready = held.prepare(catalogue_of(world.identity(), range(4), run="run-2"), since=first)
    other = world.catalogue()
    other.replace(catalogue_of(world.identity(), range(4), run="run-x"), since=first)
    other.edit(renamed(2, "by hand"))

    ready.show()

    found = world.catalogue().read()
    assert found is not None
    assert (found.run_id, found.get(2).name) == ("run-2", "by hand")
    if isinstance(world, MilvusWorld):
        assert len(world.behind()) <= 2
