"""kill -9 at many points of a rollback: the same command again puts back every label.

Two runs have written; the second one's rollback is killed and finished, which restores labels, then
the first one's, which takes them away. ``VDBCLUSTER_TEST_KILL_POINTS`` asks for more points.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient

from tests import backends, zoo
from tests.backends import Backend
from tests.emulation import Proxy
from tests.safety.kill_points import Ended, Point, cases, kill_at, run_through, spread
from tests.safety.worlds import client_of, drop_all, settings_of, worlds
from tests.silent import SILENT
from tests.snapshot import Snapshot, diff, labels, snapshot
from vdbcluster.adapters.milvus.catalogue import catalogue_name
from vdbcluster.config.settings import Settings, load_settings
from vdbcluster.wiring.history import found_run
from vdbcluster.wiring.main_job import run_job
from vdbcluster.wiring.rollback import rollback_job

pytestmark = pytest.mark.timeout(900)  # on a busy machine
NAME = "taken_back"
ROWS = 200
RUNS: tuple[dict[str, Any], ...] = (
    {"min_cluster_size": 10},
    {"min_cluster_size": 10, "method": "layers"},
)
PLACES = {backends.LITE_SERVER: spread(2, 0), backends.LITE_FILE: spread(0, 1)}


class World:
    """A collection with the labels of two runs, and what it held before each of them."""

    def __init__(self, backend: Backend, proxy: Proxy | None, home: Path) -> None:
        self.backend, self.proxy, self.home = backend, proxy, home
        with self.client() as client:
            if client.has_collection(NAME):
                client.drop_collection(NAME)
            zoo.build(client, NAME, zoo.by_name("partitions-int"), rows=ROWS)
            self.foreign = snapshot(client, NAME)
        self.before: list[Snapshot] = []
        self.written: list[str] = []
        self.label()
        self.usual: list[Ended] = []
        for which in (1, 0):
            self.usual.insert(0, run_through(self.command(which), proxy, home))
            assert self.usual[0].code == 0, self.usual[0].output
        self.label()

    def client(self) -> AbstractContextManager[MilvusClient]:
        return client_of(self.backend)

    def label(self) -> None:
        """Both runs, from the collection without labels."""
        self.before.clear()
        self.written.clear()
        for parameters in RUNS:
            self.before.append(self.labels())
            self.written.append(run_job(self._settings(parameters), SILENT, gated=False).run_id)
        with self.client():
            pass  # on leaving, a Lite file that this process has opened is let go of

    def command(self, which: int) -> list[str]:
        argv = [sys.executable, "-m", "vdbcluster.cli.main", "rollback", self.written[which]]
        return [*argv, "--yes", f"--uri={self._uri()}", "--runs-dir=runs"]

    def finish(self, which: int) -> None:
        """The same again, to its end."""
        rollback_job(self.written[which], self._settings({}), SILENT)
        with self.client():
            pass

    def labels(self) -> Snapshot:
        with self.client() as client:
            client.load_collection(NAME)
            return labels(client, NAME)

    def check(self, which: int) -> None:
        """All is as it was before that run, the catalogue too, and the record says so."""
        assert diff(self.before[which], self.labels()) == []
        assert found_run(self.home / "runs", self.written[which]).state == "rolled-back"
        with self.client() as client:
            client.load_collection(NAME)
            assert diff(self.foreign, snapshot(client, NAME)) == []
            client.load_collection(catalogue_name(NAME))
            live = client.query(catalogue_name(NAME), 'state == "live"', output_fields=["run_id"])
        assert {row["run_id"] for row in live} == set(self.written[:which])

    def drop(self) -> None:
        with self.client() as client:
            drop_all(client, NAME, catalogue_name(NAME))

    def _uri(self) -> str:
        return self.proxy.backend.uri if self.proxy else self.backend.uri

    def _settings(self, cluster: dict[str, Any]) -> Settings:
        return load_settings(settings_of(self._uri(), NAME, self.home, cluster=cluster))


@pytest.fixture(scope="module")
def world_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    with worlds(request, tmp_path_factory, World) as of:
        yield of


@pytest.mark.parametrize(("name", "point"), cases(PLACES))
def test_a_killed_rollback_is_finished_by_the_next(name: str, point: Point, world_of: Any) -> None:
    world: World = world_of(name)
    for which in (1, 0):
        command, usual = world.command(which), world.usual[which]
        ended = kill_at(command, world.proxy, world.home, point, usual)
        assert ended.killed or ended.code == 0, ended.output
        assert ended.killed or point.by == "time", "it ended before it could be killed"
        world.finish(which)
        world.check(which)
    world.label()
