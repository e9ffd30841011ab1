"""Other clients delete, update and insert while a run is under way, at the worst moments.

A proxy holds a call of the run, lets another client do its work, and then lets the call go on.
Afterwards the collection must be what the other client left, plus labels.

The moment between the last read and the write is in nobody's hands in a full upsert (before 2.6)
and inside a partial one of 2.6; there the other client strikes just before that read. Where a
partial upsert is merged by Lite or by 3.0, it strikes after.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient

from tests import backends, zoo
from tests.backends import Backend
from tests.emulation import RELEASES, Proxy, in_front_of
from tests.emulation.wire import column, values
from tests.integration import crew_runs
from tests.silent import SILENT
from tests.snapshot import Snapshot, diff, snapshot
from vdbcluster.adapters.runs import RunDirectory
from vdbcluster.config.settings import load_settings
from vdbcluster.errors import RefusedError
from vdbcluster.wiring.main_job import run_job

ROWS = 200
BATCH = 40
SPECIMEN = zoo.by_name("partitions-int")
NEW = 10**9
GUARDED = (("way", "guarded-upsert"), ("allow_full_upsert", True))


@dataclass(frozen=True)
class Place:
    """``strike``: the other client comes before this call, the last that its work must survive."""

    name: str
    strike: str
    write: tuple[tuple[str, Any], ...] = ()
    workers: int = 0


REAL = Place(backends.REAL_SERVER, "Query", GUARDED)
CREWS = [
    pytest.param(Place(backends.LITE_SERVER, "Upsert", workers=2), id="lite-server"),
    pytest.param(replace(REAL, workers=2), id=REAL.name, marks=pytest.mark.server),
]
PLACES = [
    pytest.param(Place(backends.LITE_SERVER, "Upsert"), id="lite-server"),
    pytest.param(Place("emulated-2.4", "Query", GUARDED), id="emulated-2.4"),
    pytest.param(Place("emulated-2.6", "Upsert"), id="emulated-2.6"),
    pytest.param(Place("emulated-3.0", "Upsert"), id="emulated-3.0"),
    pytest.param(Place("emulated-3.0", "merge"), id="emulated-3.0-inside"),
    pytest.param(REAL, id=REAL.name, marks=pytest.mark.server),
]


@dataclass
class World:
    """A collection, the proxy before its server, and another client that writes to it."""

    place: Place
    proxy: Proxy
    other: MilvusClient
    name: str
    inserted: zoo.Inserted
    home: Path
    deleted: set[Any] = field(default_factory=set)
    added: set[Any] = field(default_factory=set)
    left: Snapshot = field(default_factory=dict)
    """All foreign bytes as the other client left them."""

    def run(self) -> dict[str, Any]:
        """A whole run; what it says that it wrote."""
        sections: dict[str, dict[str, Any]] = {
            "milvus": {"uri": self.proxy.backend.uri, "collection": self.name},
            "cluster": {"min_cluster_size": 10},
            "write": {"batch": BATCH, **dict(self.place.write)},
            "run": {"runs_dir": str(self.home / "runs")},
        }
        if self.place.workers:
            return self._run_by_workers(sections)
        told: dict[str, Any] = run_job(load_settings(sections), SILENT).facts["write"]
        return told

    def _run_by_workers(self, sections: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """In a process of its own: Dask leaves sockets to the end."""
        lines = [
            line
            for name, section in sections.items()
            for line in (f"[{name}]", *(f"{key} = {json.dumps(section[key])}" for key in section))
        ]
        (self.home / "vdbcluster.toml").write_text("\n".join(lines))
        crew_runs.run(self.home, "run", "--yes", "--workers", str(self.place.workers))
        runs = RunDirectory(self.home / "runs")
        told: dict[str, Any] = max(runs.every(), key=lambda run: run.run_id).facts["write"]
        return told

    def delete(self, key: Any) -> None:
        self.other.delete(self.name, ids=[key], partition_name=self._partition(key))
        self.deleted.add(key)

    def edit(self, key: Any, title: str) -> None:
        """As an application does, which knows nothing of labels: the whole row but for a change."""
        row = self.inserted.rows[self.inserted.keys.index(key)] | {"title": title, "edited": True}
        self.other.upsert(self.name, [row], partition_name=self._partition(key))

    def add(self, key: Any) -> None:
        row = self.inserted.rows[0] | {zoo.KEY: key}
        self.other.insert(self.name, [row], partition_name="p2")
        self.added.add(key)

    def strike(self, keys: list[Any]) -> None:
        """Delete one of these rows, edit another, add a new one."""
        self.delete(keys[0])
        self.edit(keys[1], "edited meanwhile")
        self.add(NEW)
        self.left = self.rows()

    def rows(self) -> Snapshot:
        return snapshot(self.other, self.name)

    def labelled(self) -> set[Any]:
        found = self.other.query(
            self.name,
            filter="cluster_id >= -1",
            output_fields=[zoo.KEY],
            limit=ROWS * 2,
            consistency_level="Strong",
        )
        return {row[zoo.KEY] for row in found}

    def check(self) -> None:
        """Nothing but labels differs from what the other client left; a new run labels the rest."""
        assert diff(self.left, self.rows()) == []
        self.run()
        assert diff(self.left, self.rows()) == []
        assert self.labelled() == {*self.inserted.keys, *self.added} - self.deleted

    def _partition(self, key: Any) -> str:
        return self.inserted.partition_of[self.inserted.keys.index(key)]


@pytest.fixture
def world(
    request: pytest.FixtureRequest,
    connect: Callable[[Backend], MilvusClient],
    collection_name: str,
    tmp_path: Path,
) -> Iterator[Callable[[Place], World]]:
    made: list[World] = []
    with ExitStack() as stack:

        def make(place: Place) -> World:
            real = place.name == backends.REAL_SERVER
            backend: Backend = request.getfixturevalue("real_server" if real else "lite_server")
            release = RELEASES.get(place.name.removeprefix("emulated-"))
            proxy = stack.enter_context(in_front_of(backend, release))
            other = connect(proxy.backend)
            inserted = zoo.build(other, collection_name, SPECIMEN, rows=ROWS)
            made.append(World(place, proxy, other, collection_name, inserted, tmp_path))
            return made[-1]

        yield make
        for one in made:
            assert one.proxy.errors == []
            one.proxy.mend()
            one.other.drop_collection(one.name)


def _plan_strike(there: World) -> None:
    """On rows of the second batch of labels; before a re-read, on those of the first."""
    upserts = count(1)

    def second(request: Any) -> bool:
        return request.collection_name == there.name and next(upserts) == 2

    def sent(request: Any) -> list[Any]:
        return values(column(request.fields_data, zoo.KEY))

    def whole_rows(request: Any) -> bool:
        return "*" in request.output_fields and " in [" in request.expr

    def at_upsert(request: Any) -> None:
        keys = sent(request)
        if there.place.strike == "merge":
            there.proxy.before("merge", lambda _: there.strike(keys))
        else:
            there.strike(keys)

    def at_query(request: Any) -> None:
        keys = re.findall(r"-?\d+", request.expr.partition("[")[2])
        there.strike([int(key) for key in keys])

    if there.place.strike == "Query":
        mine = there.name
        there.proxy.when("Query", lambda q: q.collection_name == mine and whole_rows(q), at_query)
    else:
        there.proxy.when("Upsert", second, at_upsert)


@pytest.mark.parametrize("place", PLACES)
def test_a_strike_while_labels_are_written_survives(place: Place, world: Any) -> None:
    there: World = world(place)
    _plan_strike(there)

    told = there.run()

    assert len(there.deleted) == len(there.added) == 1, "the other client never struck"
    assert diff(there.left, there.rows()) == []
    assert there.labelled() == set(there.inserted.keys) - there.deleted
    assert (told["vanished"], told["unlabelled"], told["failed"]) == (1, 1, 0)
    there.check()


@pytest.mark.slow
@pytest.mark.parametrize("place", CREWS)
def test_a_strike_while_workers_write_survives(place: Place, world: Any) -> None:
    test_a_strike_while_labels_are_written_survives(place, world)


@pytest.mark.parametrize("place", PLACES[:1])
def test_a_strike_while_vectors_are_read_survives(place: Place, world: Any) -> None:
    """Counts before and after may disagree with what was read: then the run refuses to write."""
    there: World = world(place)
    mine, keys = there.name, there.inserted.keys

    def reads_vectors(request: Any) -> bool:
        return request.collection_name == mine and zoo.VECTOR in request.output_fields

    there.proxy.when("Query", reads_vectors, lambda _: there.strike(keys[50:52]))

    with suppress(RefusedError):
        there.run()

    assert there.deleted, "the other client never struck"
    assert there.labelled() <= {*keys, *there.added} - there.deleted
    there.check()


@pytest.mark.slow
@pytest.mark.parametrize("release", ["3.0"])
def test_a_client_that_never_rests_loses_nothing(release: str, world: Any) -> None:
    """Edits, deletes and inserts all through a run, where the server closes every window."""
    there: World = world(Place(f"emulated-{release}", ""))
    over = threading.Event()
    mirror = World(**{**vars(there), "name": f"{there.name}_mirror"})
    zoo.build(there.other, mirror.name, SPECIMEN, rows=ROWS)

    def restless() -> None:
        for i in count():
            if over.is_set():
                return
            for target in (there, mirror):
                target.edit(there.inserted.keys[i * 7 % 150], f"edit {i}")
                if i % 5 == 0 and i < 200:
                    target.delete(there.inserted.keys[150 + i // 5])
                    target.add(NEW + i)

    client = threading.Thread(target=restless)
    client.start()
    try:
        with suppress(RefusedError):
            there.run()
    finally:
        over.set()
        client.join()

    there.left = mirror.rows()
    there.other.drop_collection(mirror.name)
    assert there.deleted
    there.check()
