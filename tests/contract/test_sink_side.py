"""A side collection's first labels are inserted, and no label is there twice whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from pymilvus import MilvusClient

from tests import backends, zoo
from tests.backends import Backend
from tests.contract.sink_steps import PLAIN, counted, select
from tests.contract.sink_worlds import as_dict, batch_of, stored
from tests.emulation import Proxy
from vdbcluster.adapters.milvus.client import MilvusAddress, MilvusConnection, connect
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.model.labels import LabelBatch, RowStatus
from vdbcluster.ports import LabelSink

pytestmark = pytest.mark.usefixtures("probed_once")

SIDE = LabelSettings(way="side-collection", batch_rows=50)


@dataclass(frozen=True)
class Behind:
    """A proxy, a client past it, a connection through it, and labels for a whole collection."""

    proxy: Proxy
    client: MilvusClient
    connection: MilvusConnection
    collection: str
    batch: LabelBatch

    def sink(self) -> LabelSink:
        return choose_sink(self.connection, select(self.collection), SIDE)

    def calls(self) -> tuple[int, int]:
        """That have inserted, and that have upserted."""
        return self.proxy.calls["Insert"], self.proxy.calls["Upsert"]


@pytest.fixture(params=["lite-server", pytest.param("2.3.5", marks=pytest.mark.server)])
def behind(
    request: pytest.FixtureRequest,
    proxied: Callable[[Backend], Proxy],
    collection_name: str,
) -> Iterator[Behind]:
    name = "lite_server" if request.param == "lite-server" else "real_server"
    backend: Backend = request.getfixturevalue(name)
    proxy = proxied(backend)
    address = MilvusAddress(proxy.backend.uri, patience=10.0)
    with backends.connected(backend) as client, connect(address) as connection:
        inserted = zoo.build(client, collection_name, PLAIN, rows=200)
        yield Behind(proxy, client, connection, collection_name, batch_of(inserted.keys))
        client.drop_collection(collection_name)


def written(sink: LabelSink, batch: LabelBatch) -> None:
    sink.prepare()
    outcome = sink.write(batch, "_default")
    assert set(outcome.status.tolist()) == {RowStatus.WRITTEN}
    assert len(sink.finish()) == 0
    assert stored(sink) == as_dict(batch)


def test_the_first_labels_are_inserted_and_later_ones_upserted(behind: Behind) -> None:
    sink, batch = behind.sink(), behind.batch
    with sink.reserved():
        begun = behind.calls()
        written(sink, batch)
        first = behind.calls()
        written(sink, batch_of(batch.keys.tolist(), "run-1", seed=1))  # once more, by the same sink
        second = behind.calls()
    written(behind.sink(), batch_of(batch.keys.tolist(), "run-2", seed=2))

    assert (first[0] > begun[0], first[1] == begun[1]) == (True, True)
    assert (second[0] == first[0], second[1] > first[1]) == (True, True)
    assert behind.calls()[0] == second[0]
    assert counted(behind.client, sink.way.target) == len(batch)


def test_labels_whose_insertion_was_not_answered_are_there_once(behind: Behind) -> None:
    sink = behind.sink()
    mended = threading.Timer(0.7, behind.proxy.mend)
    with sink.reserved():
        before = behind.calls()
        behind.proxy.before("Insert", lambda _: mended.start(), nth=2)
        behind.proxy.cut_after("Insert", 2)
        written(sink, behind.batch)
    mended.join()

    assert behind.calls()[1] > before[1]
    assert counted(behind.client, sink.way.target) == len(behind.batch)


def test_labels_that_somebody_has_written_meanwhile_are_replaced(behind: Behind) -> None:
    sink = behind.sink()
    with sink.reserved():
        written(behind.sink(), batch_of(behind.batch.keys.tolist(), "run-0", seed=5))
        before = behind.calls()
        written(sink, behind.batch)

    assert behind.calls()[0] == before[0]
    assert counted(behind.client, sink.way.target) == len(behind.batch)
