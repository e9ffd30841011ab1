"""kill -9 at many points of an ingest: the next one ends with every row of the source, once."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import backends
from tests.backends import Backend, connected
from tests.emulation import Proxy, in_front_of
from tests.fault_server import DIM, FaultServer, vector_of
from tests.safety.kill_points import Ended, Point, cases, kill_at, run_through, spread

pytestmark = pytest.mark.timeout(900)  # on a busy machine
NAME = "killed_ingest"
ROWS = 400
EMPTY = {57, 201, 399}
"""Numbers of rows without a text, which are put aside."""
COPIES = {100: 99, 301: 5}
"""Numbers of rows that repeat an earlier one, key and all."""

POINTS = {
    backends.LITE_SERVER: spread(4, 0),
    backends.LITE_FILE: spread(0, 3),
    backends.REAL_SERVER: spread(2, 0),
}


def text_of(number: int) -> str:
    return "" if number in EMPTY else f'text {COPIES.get(number, number)}, 日本 "quoted"'


def write_source(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "body", "year"])
        for number in range(1, ROWS + 1):
            same = COPIES.get(number, number)
            writer.writerow([f"k{same}", text_of(number), 1900 + same % 100])


@dataclass
class Desk:
    """Where an ingest is killed: a database, perhaps behind a proxy, and an embedding API."""

    backend: Backend
    proxy: Proxy | None
    api: FaultServer
    home: Path
    usual: Ended | None = None

    def fresh(self, name: str) -> Path:
        """A folder with the source alone; no collection."""
        folder = self.home / name
        folder.mkdir()
        write_source(folder / "rows.csv")
        with ExitStack() as stack:
            client = self._client(stack, folder)
            if client.has_collection(NAME):
                client.drop_collection(NAME)
        return folder

    def command(self, folder: Path) -> list[str]:
        uri = self.proxy.backend.uri if self.proxy else self._uri(folder)
        said = {
            "uri": uri,
            "collection": NAME,
            "text-field": "body",
            "id-field": "key",
            "field": "year",
            "on-error": "quarantine",
            "embed-base-url": self.api.url,
            "embed-model": "m",
            "embed-batch": "16",
            "embed-concurrency": "3",
        }
        options = [f"--{name}={value}" for name, value in said.items()]
        return [sys.executable, "-m", "vdbcluster.cli.main", "ingest", "rows.csv", *options]

    def check(self, folder: Path) -> None:
        """Every good row once, with its own fields and its own vector; every bad one put aside."""
        with ExitStack() as stack:
            client = self._client(stack, folder)
            client.load_collection(NAME)
            rows: list[dict[str, Any]] = client.query(
                NAME,
                'key >= ""',
                output_fields=["*"],
                limit=2 * ROWS,
                consistency_level="Strong",
            )
        wanted = {f"k{n}": n for n in range(1, ROWS + 1) if n not in EMPTY and n not in COPIES}
        assert sorted(row["key"] for row in rows) == sorted(wanted)
        for row in rows:
            number = wanted[row["key"]]
            assert row["body"] == text_of(number)
            assert row["year"] == 1900 + number % 100
            np.testing.assert_allclose(row["vector"], vector_of(row["body"]), atol=1e-6)
        (quarantine,) = folder.glob("vdbcluster-runs/ingest-*/*.quarantine.jsonl")
        told = [json.loads(line) for line in quarantine.read_text().splitlines()]
        assert [fault["row"] for fault in told] == sorted(EMPTY)

    def _client(self, stack: ExitStack, folder: Path) -> Any:
        if self.backend.name == backends.LITE_FILE:
            stack.enter_context(backends.lite_file(folder))
        return stack.enter_context(connected(Backend(self.backend.name, self._uri(folder))))

    def _uri(self, folder: Path) -> str:
        lite = self.backend.name == backends.LITE_FILE
        return str(folder / "lite.db") if lite else self.backend.uri


@pytest.fixture(scope="module")
def desk_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    with ExitStack() as stack:
        api = stack.enter_context(FaultServer(latency=0.02))
        desks: dict[str, Desk] = {}

        def make(name: str) -> Desk:
            home = tmp_path_factory.mktemp("ingest")
            if name == backends.LITE_FILE:
                return Desk(Backend(name, ""), None, api, home)
            real = name == backends.REAL_SERVER
            backend = request.getfixturevalue("real_server" if real else "lite_server")
            return Desk(backend, stack.enter_context(in_front_of(backend, None)), api, home)

        def of(name: str) -> Desk:
            if name not in desks:
                desk = desks[name] = make(name)
                folder = desk.fresh("usual")
                desk.usual = run_through(desk.command(folder), desk.proxy, folder)
                assert desk.usual.code == 0, desk.usual.output
                desk.check(folder)
            return desks[name]

        yield of


@pytest.mark.parametrize(("name", "point"), cases(POINTS))
def test_the_next_ingest_ends_with_every_row_once(name: str, point: Point, desk_of: Any) -> None:
    desk: Desk = desk_of(name)
    folder = desk.fresh(str(point))
    assert desk.usual is not None

    ended = kill_at(desk.command(folder), desk.proxy, folder, point, desk.usual)
    assert ended.killed or ended.code == 0, ended.output
    assert ended.killed or point.by == "time", "the ingest ended before it could be killed"

    again = run_through(desk.command(folder), desk.proxy, folder)
    assert again.code == 0, again.output
    desk.check(folder)


def test_the_vectors_of_this_test_are_told_apart() -> None:
    assert not np.allclose(vector_of(text_of(1)), vector_of(text_of(2)))
    assert vector_of("a").shape == (DIM,)
