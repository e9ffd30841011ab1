"""Rows that workers have read by ranges of keys are those that one process reads, in its order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import MilvusClient

from tests import backends, zoo
from tests.backends import Backend, connected
from vdbcluster.adapters import sharded_source
from vdbcluster.adapters.here import Here
from vdbcluster.adapters.milvus.client import MilvusAddress, MilvusConnection, connect
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.adapters.quiet import QuietObserver
from vdbcluster.adapters.shard_files import ShardFiles
from vdbcluster.adapters.sharded_source import Readers, ShardedSource
from vdbcluster.config.milvus import MilvusSettings
from vdbcluster.errors import CollectionChangedError
from vdbcluster.pipeline.read import read_rows
from vdbcluster.pipeline.room import Room
from vdbcluster.ports.shards import Work
from vdbcluster.wiring.shard_work import ReadShard, forget

ROWS = 150
REAL = [pytest.mark.server, pytest.mark.slow]
SERVERS = (backends.LITE_SERVER, pytest.param(backends.REAL_SERVER, marks=REAL))
NAMES = ("odd-int", "partitions-varchar", "tenants-int", "nullable", "duplicates", "auto-int")
CASES = [
    *((backends.LITE_SERVER, name, piece) for name in NAMES for piece in (7, 60)),
    *(pytest.param(backends.REAL_SERVER, name, 60, marks=REAL) for name in NAMES),
    pytest.param(
        backends.REAL_SERVER, "partitions-varchar", 7, marks=REAL
    ),  # a minute: one is enough
]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Backend:
    found: Backend = request.getfixturevalue(backends.FIXTURES[request.param])
    return found


@pytest.fixture
def connection(server: Backend) -> Iterator[MilvusConnection]:
    with connect(MilvusAddress(server.uri, server.token)) as opened:
        yield opened
    forget()


@dataclass
class Meddling:
    """Workers that do something before the work number ``at``."""

    act: Callable[[], Any]
    at: int
    did: int = field(default=0)

    def each(self, work: Work, shards: Any, done: Callable[[int], None]) -> None:
        for shard in shards:
            if self.did == self.at:
                self.act()
            self.did += 1
            work(shard)
            done(1)


def sharded(
    connection: MilvusConnection, selection: Selection, folder: Path, workers: Any
) -> ShardedSource:
    settings = MilvusSettings(
        uri=connection.address.uri,
        collection=selection.collection,
        filter=selection.where,
        partitions=selection.partitions,
    )
    waves = iter(range(10_000))
    readers = Readers(
        workers,
        lambda: ShardFiles(str(folder / str(next(waves)))),
        lambda store, ranges, identity: ReadShard(settings, store, ranges, identity),
        3,
    )
    return ShardedSource(connection, selection, readers)


def rows_of(source: MilvusSource) -> Any:
    return read_rows(source, QuietObserver(), room=Room(1 << 30))


def same(found: Any, whole: Any) -> None:
    (rows, report), (expected, as_a_whole) = found, whole
    assert report == as_a_whole
    assert report.complete
    assert rows.keys.tolist() == expected.keys.tolist()
    assert rows.vectors.tobytes() == expected.vectors.tobytes()
    places = [rows.partitions[code] for code in rows.partition_of]
    assert places == [expected.partitions[code] for code in expected.partition_of]


@pytest.mark.parametrize(("server", "name", "piece"), CASES, indirect=["server"])
def test_the_same_rows(
    server: Backend,
    name: str,
    piece: int,
    connection: MilvusConnection,
    collection_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    specimen = zoo.by_name(name)
    zoo.skip_unless_supported(specimen, server)
    with connected(server) as client:
        zoo.build(client, collection_name, specimen, ROWS)
    monkeypatch.setattr(sharded_source, "PIECE_ROWS", piece)
    chosen = Selection(collection_name, zoo.VECTOR)
    source = sharded(connection, chosen, tmp_path / "pieces", Here())
    same(rows_of(source), rows_of(MilvusSource(connection, chosen)))
    assert list((tmp_path / "pieces").iterdir()) == []  # taken pieces are gone


@pytest.fixture
def plain(
    server: Backend, collection_name: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[MilvusClient, zoo.Inserted]]:
    monkeypatch.setattr(sharded_source, "PIECE_ROWS", 20)
    with connected(server) as client:
        yield client, zoo.build(client, collection_name, zoo.by_name("partitions-int"), ROWS)


def test_a_filter_and_a_partition(
    plain: Any, connection: MilvusConnection, collection_name: str, tmp_path: Path
) -> None:
    middle = sorted(plain[1].keys)[ROWS // 2]
    every = Selection(collection_name, zoo.VECTOR)
    for chosen in (
        replace(every, where=f"pk > {middle}"),
        replace(every, partitions=("p2",)),
        replace(every, where=f"pk <= {middle}", partitions=("p1", "p3")),
        replace(every, where="pk == 123456789 and pk == 4"),
    ):
        whole = rows_of(MilvusSource(connection, chosen))
        same(rows_of(sharded(connection, chosen, tmp_path / "pieces", Here())), whole)


def test_rows_that_come_and_go(
    plain: Any, connection: MilvusConnection, collection_name: str, tmp_path: Path
) -> None:
    client, inserted = plain
    first, last = min(inserted.keys), max(inserted.keys)
    new = [last - 5, first + 5]
    assert not set(new) & set(inserted.keys)

    def meddle() -> None:
        client.delete(collection_name, filter=f"pk in [{first}, {last}]")
        rows = [dict(inserted.rows[0], pk=key) for key in new]
        client.insert(collection_name, rows, partition_name="p1")

    chosen = Selection(collection_name, zoo.VECTOR)
    source = sharded(connection, chosen, tmp_path, Meddling(meddle, 4))
    rows, _ = rows_of(source)
    found, stayed = rows.keys.tolist(), set(inserted.keys) - {first, last}
    assert len(found) == len(set(found))
    assert stayed <= set(found) <= set(inserted.keys) | set(new)
    assert np.isfinite(rows.vectors).all()


def test_another_collection_of_the_name_is_refused(
    plain: Any, connection: MilvusConnection, collection_name: str, tmp_path: Path
) -> None:
    client, _ = plain

    def anew() -> None:
        client.drop_collection(collection_name)
        zoo.build(client, collection_name, zoo.by_name("declared-int"), ROWS)

    source = sharded(
        connection, Selection(collection_name, zoo.VECTOR), tmp_path, Meddling(anew, 2)
    )
    with pytest.raises(CollectionChangedError, match=re.escape("created anew")):
        rows_of(source)
