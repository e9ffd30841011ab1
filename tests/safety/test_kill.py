"""kill -9 at many points of a run: no row is harmed, and a second run finishes the job.

Each place is killed at points spread over all its calls and its wall time. Two settings alternate,
so that every run finds labels of the other one, and a killed one leaves a mixture of both.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient

from tests import backends, zoo
from tests.backends import Backend, connected
from tests.emulation import RELEASES, Proxy, in_front_of
from tests.safety.kill_points import Ended, Point, kill_at, marks_of, run_through, spread
from tests.silent import SILENT
from tests.snapshot import Snapshot, diff, snapshot
from vdbcluster.adapters.milvus.catalogue import catalogue_name
from vdbcluster.adapters.milvus.writeback.own import SCRATCH
from vdbcluster.config.settings import load_settings
from vdbcluster.wiring.main_job import run_job

pytestmark = pytest.mark.timeout(900)  # on a busy machine
NAME = "killed"
ROWS = 240
BATCH = 16  # so that there are many calls to be killed at
PARAMETERS = ({"min_cluster_size": 10}, {"min_cluster_size": 10, "min_samples": 2})
FLAGS = {
    "batch": "--write-batch",
    "way": "--write-way",
    "allow_full_upsert": "--allow-full-upsert",
    "rate": "--write-rate",
}
Labels = dict[Any, tuple[int, float, float, str]]


@dataclass(frozen=True)
class Place:
    """Where runs are killed. ``write`` are settings of the section of that name.

    ``fresh``: the collection is made anew before each kill, so that there are no labels yet, nor
    the fields for them.
    """

    name: str
    specimen: str
    points: list[Point]
    write: tuple[tuple[str, Any], ...] = ()
    fresh: bool = False

    def parameters(self) -> list[Any]:
        return [
            pytest.param(
                self,
                point,
                i % 2,
                id=f"{self.name}-{point}",
                marks=marks_of(self.name, i, len(self.points)),
            )
            for i, point in enumerate(self.points)
        ]


PLACES = (
    Place(backends.LITE_SERVER, "partitions-int", spread(4, 3)),
    Place("paced", "partitions-int", spread(2, 1), (("rate", 80),)),
    Place(backends.LITE_FILE, "hnsw-varchar", spread(0, 2)),
    Place("emulated-2.6", "bare-int", spread(3, 0), fresh=True),
    Place(
        backends.REAL_SERVER,
        "partitions-varchar",
        spread(1, 0),  # half a minute each, mostly of waiting
        (("way", "guarded-upsert"), ("allow_full_upsert", True), ("batch", 40)),
    ),
)


class World:
    """A labelled collection, what it must look like after each setting, and how to run on it."""

    def __init__(self, place: Place, backend: Backend, proxy: Proxy | None, home: Path) -> None:
        self.place, self.backend, self.proxy, self.home = place, backend, proxy, home
        self.before: Snapshot = {}
        self.finished = -1
        self.build()
        self.usual: Ended = run_through(self.command(0), proxy, home)
        assert self.usual.code == 0, self.usual.output
        self.expected = [self.labels()]
        self.finish(1)
        self.expected.append(self.labels())
        assert len(self.expected[0]) == len(self.expected[1]) == ROWS
        assert self.expected[0] != self.expected[1]
        if not place.fresh:  # to write labels again takes fewer calls than the first time
            self.usual = run_through(self.command(0), proxy, home)
            self.finish(1)

    def build(self) -> None:
        """The collection without labels; the same content every time."""
        with self.client() as client:
            if client.has_collection(NAME):
                client.drop_collection(NAME)
            zoo.build(client, NAME, zoo.by_name(self.place.specimen), rows=ROWS)
            self.before = snapshot(client, NAME)

    def drop(self) -> None:
        with self.client() as client:
            client.drop_alias(catalogue_name(NAME))
            for name in client.list_collections():
                if name.startswith(f"{catalogue_name(NAME)}_"):
                    client.drop_collection(name)
            for name in self.strangers(client):
                client.drop_collection(name)
            client.drop_collection(NAME)

    def strangers(self, client: MilvusClient) -> list[str]:
        """Collections that a run may have left: one that is killed while it probes leaves one."""
        return [name for name in client.list_collections() if name.startswith(SCRATCH)]

    def client(self) -> Any:
        """A client that is closed, and a Lite file with it, when its context ends."""
        return _opened(self.backend)

    def command(self, which: int) -> list[str]:
        said = [f"--{name.replace('_', '-')}={v}" for name, v in PARAMETERS[which].items()]
        for name, value in self._write().items():
            said.append(FLAGS[name] if value is True else f"{FLAGS[name]}={value}")
        argv = [sys.executable, "-m", "vdbcluster.cli.main", "run", "--yes", *said]
        return [*argv, f"--uri={self._uri()}", f"--collection={NAME}", "--runs-dir=runs"]

    def finish(self, which: int) -> None:
        """The second run, to its end."""
        settings = load_settings(
            {
                "milvus": {"uri": self._uri(), "collection": NAME},
                "cluster": PARAMETERS[which],
                "write": self._write(),
                "run": {"runs_dir": self.home / "runs"},
            }
        )
        run_job(settings, SILENT)
        self.finished = which
        with self.client():
            pass  # on leaving, a Lite file that this process has opened is let go of

    def expect_work_of(self, which: int) -> None:
        """See to it that a run with these settings has labels to write."""
        if self.place.fresh:
            self.build()
        elif self.finished == which:
            self.finish(1 - which)

    def killed_at(self, point: Point, which: int) -> Ended:
        """How it ended. Where a server needs far fewer calls than it usually does (it is asked
        again and again while it is not ready), that becomes what is usual, and it is tried again.
        """
        for _ in range(3):
            self.expect_work_of(which)
            ended = kill_at(self.command(which), self.proxy, self.home, point, self.usual)
            if ended.killed or ended.code or point.by == "time":
                break
            self.usual, self.finished = ended, which
        return ended

    def labels(self) -> Labels:
        fields = [name for name in zoo.LABEL_FIELDS if name != "cluster_run_id"]
        with self.client() as client:
            client.load_collection(NAME)
            rows = client.query(
                NAME,
                filter="cluster_id >= -1",
                output_fields=[zoo.KEY, *fields],
                limit=ROWS * 2,
                consistency_level="Strong",
            )
        return _by_first_row({row[zoo.KEY]: tuple(row[name] for name in fields) for row in rows})

    def harm(self) -> list[str]:
        with self.client() as client:
            client.load_collection(NAME)
            return diff(self.before, snapshot(client, NAME, exclude=(*zoo.LABEL_FIELDS,)))

    def _write(self) -> dict[str, Any]:
        return {"batch": BATCH, **dict(self.place.write)}

    def _uri(self) -> str:
        return self.proxy.backend.uri if self.proxy else self.backend.uri


def _by_first_row(labels: Labels) -> Labels:
    """Clusters numbered by their first row: the two settings take turns, so ids go up and up."""
    number = {-1: -1}
    for key in sorted(labels):
        number.setdefault(labels[key][0], len(number) - 1)
    return {key: (number[cluster], *rest) for key, (cluster, *rest) in labels.items()}


class _opened:  # noqa: N801  a context manager reads like a function
    def __init__(self, backend: Backend) -> None:
        self._backend, self._stack = backend, ExitStack()

    def __enter__(self) -> MilvusClient:
        if self._backend.name == backends.LITE_FILE:
            self._stack.enter_context(backends.lite_file(Path(self._backend.uri).parent))
        return self._stack.enter_context(connected(self._backend))

    def __exit__(self, *error: object) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def world_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    worlds: dict[str, World] = {}
    with ExitStack() as stack:

        def make(place: Place) -> World:
            home = tmp_path_factory.mktemp("killed")
            if place.name == backends.LITE_FILE:
                return World(place, Backend(place.name, str(home / "lite.db")), None, home)
            real = place.name == backends.REAL_SERVER
            backend = request.getfixturevalue("real_server" if real else "lite_server")
            release = RELEASES.get(place.name.removeprefix("emulated-"))
            proxy = stack.enter_context(in_front_of(backend, release))
            return World(place, proxy.backend, proxy, home)

        def of(place: Place) -> World:
            if place.name not in worlds:
                worlds[place.name] = make(place)
                stack.callback(worlds[place.name].drop)
            return worlds[place.name]

        yield of


@pytest.mark.parametrize(
    ("place", "point", "which"), [case for place in PLACES for case in place.parameters()]
)
def test_a_killed_run_harms_no_row_and_a_second_run_finishes(
    place: Place, point: Point, which: int, world_of: Any
) -> None:
    world: World = world_of(place)

    ended = world.killed_at(point, which)

    assert ended.killed or ended.code == 0, ended.output
    assert ended.killed or point.by == "time", "the run ended before it could be killed"
    assert world.harm() == []
    world.finish(which)
    assert world.labels() == world.expected[which]
    assert world.harm() == []
