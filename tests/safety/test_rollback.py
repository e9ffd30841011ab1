"""Whole runs taken back, in every way of writing: each row is labelled as it was, byte for byte.

An independent reader compares what the collection, or the side collection, holds under our names
before a run and after its rollback, and that no foreign byte changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient

from tests import backends, zoo
from tests.backends import Backend, connected
from tests.silent import SILENT
from tests.snapshot import Snapshot, diff, labels, snapshot
from vdbcluster.adapters.milvus.catalogue import catalogue_name
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.errors import RefusedError, UsageError
from vdbcluster.model.manifest import RunManifest
from vdbcluster.wiring.main_job import run_job
from vdbcluster.wiring.rollback import rollback_job

ROWS = 200
NEW = 10**9
FIRST = {"min_cluster_size": 10}
SECOND = {"min_cluster_size": 10, "method": "layers"}


@dataclass(frozen=True)
class Place:
    backend: str
    way: str
    specimen: str

    def __str__(self) -> str:
        return f"{self.backend}-{self.way}-{self.specimen}"


PLACES = [
    Place(backends.LITE_FILE, "lite-merge", "partitions-int"),
    Place(backends.LITE_FILE, "lite-merge", "declared-dynamic"),
    Place(backends.LITE_FILE, "side-collection", "bare-varchar"),
    Place(backends.LITE_SERVER, "lite-merge", "odd-varchar"),
    Place(backends.LITE_SERVER, "side-collection", "partitions-int"),
    Place("2.5", "guarded-upsert", "partitions-varchar"),
    Place("2.6", "add-field", "bare-int"),
    Place("2.6", "partial-upsert", "plain-int"),
]
REAL = [
    pytest.param(Place(backends.REAL_SERVER, way, "partitions-int"), marks=pytest.mark.server)
    for way in ("guarded-upsert", "side-collection")
]
everywhere = pytest.mark.parametrize("place", [*PLACES, *REAL], ids=str)
nearby = pytest.mark.parametrize("place", PLACES[:1], ids=str)


@dataclass
class World:
    """A collection, an independent client, and runs on it."""

    place: Place
    uri: str
    client: MilvusClient
    name: str
    home: Path
    filled: zoo.Inserted
    foreign: Snapshot = field(default_factory=dict)

    def settings(self, **cluster: Any) -> Settings:
        way = {"way": self.place.way, "allow_full_upsert": True}
        return load_settings(
            {
                "milvus": {"uri": self.uri, "collection": self.name},
                "cluster": cluster,
                "write": way,
                "run": {"runs_dir": self.home / "runs"},
            }
        )

    def run(self, **cluster: Any) -> str:
        return run_job(self.settings(**cluster), SILENT, gated=False).run_id

    def back(self, name: str, **how: Any) -> RunManifest:
        return rollback_job(name, self.settings(), SILENT, **how)

    @property
    def target(self) -> str:
        apart = self.place.way == "side-collection"
        return f"{self.name}_cluster_labels" if apart else self.name

    def labels(self) -> Snapshot:
        """By key alone: a side collection has no partitions. Rows without a label are left out."""
        if not self.client.has_collection(self.target):
            return {}
        self.client.load_collection(self.target)
        found = labels(self.client, self.target)
        return {("", key): row for (_, key), row in found.items() if _is_label(row)}

    def blanks(self) -> Snapshot:
        """Our fields of rows that have no label; they are not told where labels live apart."""
        if self.place.way == "side-collection":
            return {}
        return {k: row for k, row in labels(self.client, self.name).items() if not _is_label(row)}

    def live_ids(self) -> set[int]:
        name = catalogue_name(self.name)
        self.client.load_collection(name)
        rows = self.client.query(name, 'state == "live"', output_fields=["cluster_id"], limit=1000)
        return {row["cluster_id"] for row in rows}

    def harm(self) -> list[str]:
        return diff(self.foreign, snapshot(self.client, self.name))

    def edit(self, key: Any, **values: Any) -> None:
        """Another client changes a row, as far as it knows it, and keeps its labels."""
        i = self.filled.keys.index(key)
        place = {"partition_name": self.filled.partition_of[i]}
        held = self.client.query(
            self.name,
            "",
            output_fields=["*"],
            limit=1000,
            partition_names=[self.filled.partition_of[i]],
            consistency_level="Strong",
        )
        row = next(dict(row) for row in held if row[zoo.KEY] == key)
        self.client.upsert(self.name, [row | values], **place)

    def delete(self, key: Any) -> None:
        where = self.filled.partition_of[self.filled.keys.index(key)]
        self.client.delete(self.name, ids=[key], partition_name=where)

    def remember(self) -> None:
        self.foreign = snapshot(self.client, self.name)

    def drop(self) -> None:
        for name in (catalogue_name(self.name),):
            if name in self.client.list_aliases().get("aliases", []):
                self.client.drop_alias(name)
        for name in self.client.list_collections():
            if name.startswith(self.name):
                self.client.drop_collection(name)


def _is_label(row: bytes) -> bool:
    return any(line.startswith(b'"cluster_run_id"\tstr "2') for line in row.split(b"\n"))


@pytest.fixture
def world(
    place: Place, request: pytest.FixtureRequest, collection_name: str, tmp_path: Path
) -> Iterator[World]:
    fixtures = {
        backends.LITE_FILE: "lite_file",
        backends.LITE_SERVER: "lite_server",
        backends.REAL_SERVER: "real_server",
    }
    with ExitStack() as stack:
        if place.backend in fixtures:
            backend: Backend = request.getfixturevalue(fixtures[place.backend])
        else:
            emulate: Callable[[str], Any] = request.getfixturevalue("emulate")
            backend = emulate(place.backend).backend
        client = stack.enter_context(connected(backend))
        filled = zoo.build(client, collection_name, zoo.by_name(place.specimen), rows=ROWS)
        made = World(place, backend.uri, client, collection_name, tmp_path, filled)
        made.remember()
        yield made
        made.drop()


@everywhere
@pytest.mark.timeout(600)  # a server flushes once in ten seconds
def test_two_runs_are_taken_back_one_after_the_other(world: World) -> None:
    """The second one writes paths; rows come, go and change meanwhile, and stay as they are."""
    nothing = world.labels(), world.blanks()
    first = world.run(**FIRST)
    before = world.labels()
    assert len(before) == ROWS
    second = world.run(**SECOND)
    after = world.labels()
    assert sum(after[key] != row for key, row in before.items()) == ROWS  # paths are new to all
    gone, edited = sorted(world.filled.keys, key=str)[40:42]
    world.delete(gone)
    world.edit(edited, title="edited meanwhile")
    world.remember()

    undone = world.back(second)

    assert (undone.state, undone.facts["rollback"]["restored"]) == ("rolled-back", ROWS - 1)
    assert diff({key: row for key, row in before.items() if key[1] != gone}, world.labels()) == []
    assert world.harm() == []
    assert world.back(first).facts["rollback"]["erased"] == ROWS - 1
    assert world.labels() == nothing[0]
    assert diff({k: v for k, v in nothing[1].items() if k[1] != gone}, world.blanks()) == []
    assert world.harm() == []


@nearby
def test_runs_are_taken_back_in_order_and_ids_are_not_given_again(world: World) -> None:
    first = world.run(**FIRST)
    ids = world.live_ids()
    second = world.run(**SECOND)
    written = world.labels()

    with pytest.raises(RefusedError, match=f"run {second} has written labels of the same rows"):
        world.back(first)
    assert world.back(second, dry_run=True).facts["rollback"]["restored"] == ROWS
    assert world.labels() == written
    assert world.back("last").run_id == second
    assert world.live_ids() == ids
    assert world.back(second).state == "rolled-back"  # once is enough
    assert world.back("last").run_id == first
    assert world.live_ids() == set()
    with pytest.raises(UsageError, match="no run here has written"):
        world.back("last")

    world.run(**FIRST)
    assert world.live_ids().isdisjoint(ids)


@nearby
def test_labels_that_were_changed_since_stay(world: World) -> None:
    """By a later run that is let stand, by somebody, and by somebody who took one away."""
    first = world.run(**FIRST)
    second = world.run(**SECOND)
    by_hand, taken, came_back = world.filled.keys[:3]
    world.edit(by_hand, cluster_id=77)
    world.edit(taken, **dict.fromkeys(zoo.LABEL_FIELDS))
    world.delete(came_back)
    i = world.filled.keys.index(came_back)
    world.client.insert(
        world.name, [world.filled.rows[i]], partition_name=world.filled.partition_of[i]
    )
    now = world.labels()

    assert world.back(first, forced=True).facts["rollback"]["changed_since"] == ROWS - 2
    assert world.labels() == now
    told = world.back(second).facts["rollback"]

    assert (told["restored"], told["changed_since"], told["vanished"]) == (ROWS - 3, 1, 2)
    found = world.labels()
    assert found["", by_hand] == now["", by_hand]
    assert set(found) == set(now)
    assert world.harm() == []


@nearby
def test_what_was_not_written_is_not_rolled_back(world: World) -> None:
    planned = run_job(world.settings(**FIRST), SILENT, dry_run=True).run_id
    with pytest.raises(UsageError, match="has written nothing"):
        world.back(planned)
    run = world.run(**FIRST)
    before = world.labels()
    with pytest.raises(RefusedError, match="not confirmed"):
        world.back(run, confirm=lambda _: False)
    assert world.labels() == before


@nearby
def test_a_collection_created_anew_is_refused(world: World) -> None:
    run = world.run(**FIRST)
    world.client.drop_collection(world.name)
    zoo.build(world.client, world.name, zoo.by_name(world.place.specimen), rows=20)

    with pytest.raises(RefusedError, match="created anew"):
        world.back(run)
