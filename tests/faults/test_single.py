"""One fault at a time, each with the end that is promised for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from pymilvus import DataType

from tests import zoo
from tests.backends import Backend, LiteServer, connected
from tests.emulation import Proxy, in_front_of
from tests.faults.wire import Fault, wire
from tests.faults.world import HNSW, PLAIN, ROWS, World
from tests.snapshot import OURS, diff, snapshot
from vdbcluster.adapters.milvus.client import MilvusAddress, connect
from vdbcluster.adapters.milvus.writeback.capabilities import probe
from vdbcluster.errors import (
    BackendError,
    BackendUnavailableError,
    CollectionChangedError,
    VdbclusterError,
)
from vdbcluster.model.collection import KeyField


@pytest.mark.slow
def test_a_rate_limit_that_ends_is_waited_for(world: Callable[..., World]) -> None:
    there = world()
    methods = ("Query", "Search", "Upsert", "CreateCollection", "DescribeCollection", "Flush")
    for method in methods:
        there.proxy.fail_next(method, 8, "rate limit exceeded[rate=1]", times=3)

    assert there.run()["written"] == ROWS
    assert all(there.proxy.calls[method] > 3 for method in methods)
    assert there.labelled() == ROWS
    assert there.unharmed()


@pytest.mark.slow
def test_a_rate_limit_that_stays_is_one_line(world: Callable[..., World]) -> None:
    there = world()
    there.at_first(
        "Upsert", lambda _: there.proxy.fail_next("Upsert", 8, "rate limit", times=10**6)
    )

    told = there.refused(BackendUnavailableError, timeout=1.0, patience=2.0)
    there.proxy.mend()

    assert "rate limit" in told
    assert there.unharmed()
    assert there.run()["failed"] == 0
    assert there.labelled() == ROWS


@pytest.mark.slow
def test_a_server_that_never_answers_is_given_up(
    world: Callable[..., World], lite_server: Backend
) -> None:
    port = int(lite_server.uri.rpartition(":")[2])
    with wire(port) as mute, in_front_of(Backend("", f"http://127.0.0.1:{mute.port}")) as proxy:
        there = world(HNSW, proxy)
        there.at_first("Search", lambda _: mute.plan(Fault("hole", "up", 0, 10**6)))
        told = there.refused(BackendUnavailableError, timeout=2.0, patience=3.0)
    assert "cannot be reached or is not ready" in told
    assert there.unharmed()
    assert there.labelled() == 0


@pytest.mark.parametrize("method", ["Search", pytest.param("Upsert", marks=pytest.mark.slow)])
def test_a_server_that_is_killed_and_started_again(
    method: str, tmp_path: Path, collection_name: str
) -> None:
    """Lite comes back with its collections released: then the run says so, and is run again."""
    server = LiteServer(tmp_path / "data")
    server.start()

    def again(_: Any) -> None:
        server.kill()
        server.start()

    try:
        with connected(server.backend) as client, in_front_of(server.backend) as proxy:
            there = World(proxy, client, collection_name, tmp_path, HNSW)
            client.flush(collection_name)
            there.at_first(method, again)
            try:
                there.run()
            except BackendError as error:
                assert "the collection is not loaded; load it first" in str(error)  # noqa: PT017
            there.run()
            assert not proxy.errors
            assert there.labelled() == ROWS
            assert there.unharmed()
    finally:
        server.stop()


def test_a_collection_that_is_dropped(world: Callable[..., World]) -> None:
    there = world()
    there.at_first("Search", lambda _: there.client.drop_collection(there.name))

    told = there.refused(CollectionChangedError)

    assert "does not exist or was dropped meanwhile" in told
    assert there.name not in there.client.list_collections()


def test_a_collection_that_is_made_anew(world: Callable[..., World]) -> None:
    """With another key, as a server process of Lite shows no other difference."""
    there = world()

    def anew(_: Any) -> None:
        there.client.drop_collection(there.name)
        zoo.build(there.client, there.name, PLAIN, rows=50)

    there.at_first("Upsert", anew)

    told = there.refused(VdbclusterError)

    assert there.name in told
    assert there.labelled() == 0


def test_an_alias_that_is_moved(world: Callable[..., World]) -> None:
    """The collection that was behind it at first is labelled, and no other."""
    there = world()
    alias, other = f"{there.name}_alias", f"{there.name}_other"
    zoo.build(there.client, other, HNSW, rows=ROWS, seed=1)
    untouched = snapshot(there.client, other, exclude=())
    there.client.create_alias(there.name, alias)
    there.at_first("Search", lambda _: there.client.alter_alias(other, alias))

    assert there.run(alias)["written"] == ROWS

    assert there.labelled() == ROWS
    assert diff(untouched, snapshot(there.client, other, exclude=())) == []


def test_a_field_that_is_added_meanwhile(
    emulate: Callable[[str], Proxy], world: Callable[..., World]
) -> None:
    proxy = emulate("2.6")
    there = world(HNSW, proxy)
    with connected(proxy.backend) as other:

        def add(_: Any) -> None:
            other.add_collection_field(there.name, "added", DataType.INT64, nullable=True)

        there.proxy.when("Search", lambda _: True, add)
        assert there.run()["failed"] == 0
        assert there.labelled() == ROWS
        now = snapshot(there.client, there.name, exclude=(*OURS, "added"))
    assert diff(there.before, now) == []


def test_a_server_that_goes_away_is_not_taken_for_one_that_cannot(
    emulate: Callable[[str], Proxy],
) -> None:
    """Labels would go into a side collection otherwise, though the rows can take them."""
    proxy = emulate("2.6")
    key = KeyField("id", "INT64", auto_id=False)
    address = MilvusAddress(proxy.backend.uri, patience=0.0, timeout=2.0)
    with connect(address) as connection:
        assert probe(connection, key, dynamic=True, whole_rows=False).merges
        proxy.fail_next("Upsert", grpc.StatusCode.UNAVAILABLE, "gone", times=10**6)
        with pytest.raises(BackendUnavailableError):
            probe(connection, key, dynamic=True, whole_rows=False)
