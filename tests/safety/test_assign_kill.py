"""kill -9 at many points of an assignment: the same command again labels what is left, as it would.

A cluster forms among the new rows, so that the catalogue is written too.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import MilvusClient

from tests import backends, zoo
from tests.backends import Backend
from tests.emulation import Proxy
from tests.safety.kill_points import Point, cases, kill_at, run_through, spread
from tests.safety.worlds import client_of, drop_all, settings_of, worlds
from tests.silent import SILENT
from tests.snapshot import diff, labels, snapshot
from vdbcluster.adapters.milvus.catalogue import catalogue_name
from vdbcluster.config.settings import load_settings
from vdbcluster.wiring.main_job import run_job

pytestmark = pytest.mark.timeout(900)  # on a busy machine
NAME = "assigned"
ROWS = 240
RUN = {"min_cluster_size": 10, "min_samples": 5}
PLACES = {backends.LITE_SERVER: spread(3, 0), backends.LITE_FILE: spread(0, 1)}


class World:
    """Rows with the labels of a run, and rows that came since: a whole blob, and some of others."""

    def __init__(self, backend: Backend, proxy: Proxy | None, home: Path) -> None:
        self.backend, self.proxy, self.home = backend, proxy, home
        (home / "vdbcluster.toml").write_text("[write]\nbatch = 16\n")
        self.begin()
        self.usual = run_through(self.command(), proxy, home)
        assert self.usual.code == 0, self.usual.output
        self.expected = self.labels()
        self.check()
        assert len({cluster for cluster, _ in self.expected.values()}) > len(
            set(self.known.values())
        )

    def client(self) -> AbstractContextManager[MilvusClient]:
        return client_of(self.backend)

    def begin(self) -> None:
        """The collection anew, its first run, the rows that came since."""
        self.drop()
        with self.client() as client:
            inserted = zoo.build(client, NAME, zoo.by_name("plain-int"), rows=ROWS)
            late = (inserted.blob == 1) | (np.arange(len(inserted)) >= ROWS - 20)
            client.delete(NAME, ids=[k for k, new in zip(inserted.keys, late, strict=True) if new])
        uri = self.proxy.backend.uri if self.proxy else self.backend.uri
        run_job(load_settings(settings_of(uri, NAME, self.home, cluster=RUN)), SILENT)
        with self.client() as client:
            client.load_collection(NAME)
            self.known = {key: cluster for key, (cluster, _) in self.labels(client).items()}
            rows = [dict(inserted.rows[i]) for i in np.flatnonzero(late)]
            client.insert(NAME, rows)
            self.foreign = snapshot(client, NAME)
            self.before = labels(client, NAME)

    def command(self) -> list[str]:
        uri = self.proxy.backend.uri if self.proxy else self.backend.uri
        argv = [sys.executable, "-m", "vdbcluster.cli.main", "assign", "--yes", f"--uri={uri}"]
        return [*argv, f"--collection={NAME}", "--runs-dir=runs"]

    def labels(self, client: MilvusClient | None = None) -> dict[Any, tuple[int, str]]:
        """Cluster and kind of the rows that have a label, by key."""
        if client is None:
            with self.client() as client:
                return self.labels(client)
        client.load_collection(NAME)
        found = client.query(
            NAME,
            filter="cluster_id >= -1",
            output_fields=["cluster_id", "cluster_assignment"],
            limit=2 * ROWS,
            consistency_level="Strong",
        )
        return {row[zoo.KEY]: (row["cluster_id"], row["cluster_assignment"]) for row in found}

    def harm(self) -> list[str]:
        """Foreign fields, and the labels that the run had written, are as they were."""
        with self.client() as client:
            client.load_collection(NAME)
            found = labels(client, NAME)
            old = {where: row for where, row in found.items() if where[1] in self.known}
            was = {where: row for where, row in self.before.items() if where[1] in self.known}
            return diff(self.foreign, snapshot(client, NAME)) + diff(was, old)

    def check(self) -> None:
        """All rows have a label, and the catalogue tells of their clusters."""
        found = self.labels()
        assert len(found) == ROWS
        assert found == self.expected
        assert self.harm() == []
        with self.client() as client:
            client.load_collection(catalogue_name(NAME))
            live = client.query(
                catalogue_name(NAME), 'state == "live"', output_fields=["cluster_id", "size"]
            )
        sizes = Counter(cluster for cluster, _ in found.values() if cluster >= 0)
        assert {row["cluster_id"]: row["size"] for row in live} == sizes

    def drop(self) -> None:
        with self.client() as client:
            drop_all(client, NAME, catalogue_name(NAME))


@pytest.fixture(scope="module")
def world_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    with worlds(request, tmp_path_factory, World) as of:
        yield of


@pytest.mark.parametrize(("name", "point"), cases(PLACES))
def test_a_killed_assignment_is_finished_by_the_next(
    name: str, point: Point, world_of: Any
) -> None:
    world: World = world_of(name)
    world.begin()
    ended = kill_at(world.command(), world.proxy, world.home, point, world.usual)
    assert ended.killed or ended.code == 0, ended.output
    assert ended.killed or point.by == "time", "it ended before it could be killed"
    assert world.harm() == []
    again = run_through(world.command(), world.proxy, world.home)
    assert again.code == 0, again.output
    world.check()
