"""Sinks behind a proxy that fails, cuts and lets others in at the worst moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from pymilvus import MilvusClient

from tests import backends, zoo
from tests.backends import Backend
from tests.contract.making import connection_to
from tests.contract.sink_steps import ALLOWED, PLAIN, counted, select
from tests.contract.sink_worlds import as_dict, batch_of, stored
from tests.emulation import Proxy
from vdbcluster.adapters.milvus.client import MilvusAddress, connect
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.errors import BackendUnavailableError, CollectionChangedError
from vdbcluster.model.labels import LabelBatch, RowStatus
from vdbcluster.ports import LabelSink

pytestmark = pytest.mark.usefixtures("probed_once")


@pytest.fixture
def behind(
    proxied: Callable[[Backend], Proxy], lite_server: Backend, collection_name: str
) -> Iterator[tuple[Proxy, MilvusClient, LabelSink, LabelBatch]]:
    """A proxy, a client past it, a sink through it, and labels for the whole collection."""
    proxy = proxied(lite_server)
    address = MilvusAddress(proxy.backend.uri, patience=2.0)
    with backends.connected(lite_server) as client, connect(address) as connection:
        inserted = zoo.build(client, collection_name, PLAIN, rows=300)
        sink = choose_sink(connection, select(collection_name), LabelSettings())
        sink.prepare()
        yield proxy, client, sink, batch_of(inserted.keys)
        client.drop_collection(collection_name)


Behind = tuple[Proxy, MilvusClient, LabelSink, LabelBatch]


def test_a_rate_limit_is_waited_for(behind: Behind) -> None:
    proxy, _, sink, batch = behind
    proxy.fail_next("Upsert", 8, "rate limit exceeded", times=2)

    outcome = sink.write(batch, "_default")

    assert set(outcome.status.tolist()) == {RowStatus.WRITTEN}
    assert stored(sink) == as_dict(batch)


def test_a_batch_that_is_too_large_is_halved(behind: Behind) -> None:
    proxy, _, sink, batch = behind
    proxy.fail_next("Upsert", 65535, "received message larger than max (70000000 vs. 67108864)")
    before = proxy.calls["Upsert"]

    outcome = sink.write(batch, "_default")

    assert set(outcome.status.tolist()) == {RowStatus.WRITTEN}
    assert proxy.calls["Upsert"] - before == 5  # 3 of 100 rows, one again as two halves


def test_a_server_that_goes_away_is_an_error_and_the_rest_can_be_written_later(
    behind: Behind,
) -> None:
    proxy, _, sink, batch = behind
    proxy.cut_after("Upsert", 2)

    with pytest.raises(BackendUnavailableError):
        sink.write(batch, "_default")
    proxy.mend()

    assert 100 <= len(stored(sink)) <= 200
    assert set(sink.write(batch, "_default").status.tolist()) == {RowStatus.WRITTEN}
    assert stored(sink) == as_dict(batch)


def test_rows_deleted_at_the_last_moment_fail_alone(behind: Behind) -> None:
    proxy, client, sink, batch = behind
    gone = batch.keys[[5, 50, 99]].tolist()
    name = sink.way.target
    proxy.before("Upsert", lambda _: client.delete(name, ids=gone))

    outcome = sink.write(batch, "_default")

    vanished = batch.keys[outcome.status == RowStatus.VANISHED].tolist()
    assert sorted(vanished) == sorted(gone)
    assert counted(client, name) == 297


def test_a_collection_dropped_in_mid_write_is_not_created_anew(behind: Behind) -> None:
    proxy, client, sink, batch = behind
    name = sink.way.target
    proxy.before("Upsert", lambda _: client.drop_collection(name), nth=2)

    with pytest.raises(CollectionChangedError):
        sink.write(batch, "_default")

    assert name not in client.list_collections()
    zoo.create(client, name, PLAIN)


def test_an_update_right_after_a_rewrite_is_seen_and_stays(
    emulate: Callable[[str], Proxy], collection_name: str
) -> None:
    """Right after our write it is seen and stays; right before, nobody can tell."""
    proxy = emulate("2.5")
    backend = proxy.backend
    with backends.connected(backend) as client, connection_to(backend) as connection:
        inserted = zoo.build(client, collection_name, PLAIN, rows=40)
        sink = choose_sink(connection, select(collection_name), ALLOWED)
        row = {zoo.KEY: inserted.keys[7], **inserted.rows[7], "title": "late"}

        def update(_: object) -> None:
            client.upsert(collection_name, [row])

        # The first query after the write is that which looks at the rows again.
        proxy.before("Upsert", lambda _: proxy.before("Query", update))
        outcome = sink.write(batch_of(inserted.keys), "_default")

        changed = np.flatnonzero(outcome.status == RowStatus.CHANGED)
        assert changed.tolist() == [7]
        assert "changed by somebody else" in outcome.message
        found = client.query(collection_name, f"pk == {row[zoo.KEY]}", output_fields=["title"])
        assert found[0]["title"] == "late"
        client.drop_collection(collection_name)
