"""Steps that the tests of the Milvus sinks share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymilvus import MilvusClient

from tests import zoo
from tests.contract.sink_worlds import as_dict, batch_of, stored
from vdbcluster.adapters.milvus.client import MilvusConnection
from vdbcluster.adapters.milvus.source import MilvusSource, Selection
from vdbcluster.adapters.milvus.writeback import LabelSettings, choose_sink
from vdbcluster.model.labels import LABEL_FIELDS, LabelField, RowStatus
from vdbcluster.ports import LabelSink

ALLOWED = LabelSettings(allow_full_upsert=True)
PLAIN = zoo.by_name("plain-int")


def select(name: str, **more: Any) -> Selection:
    return Selection(name, zoo.VECTOR, **more)


def label_all(connection: MilvusConnection, name: str, settings: LabelSettings) -> LabelSink:
    """What a run does: read keys by partition, write, finish; every label must come back."""
    sink = choose_sink(connection, select(name), settings)
    sink.prepare()
    sent: dict[Any, Any] = {}
    for page in MilvusSource(connection, select(name)).pages():
        whole, wanted = batch_of(page.keys.tolist(), extras=True), settings.fields.wanted
        batch = whole.without(f for f, _ in whole.columns() if f not in wanted)
        outcome = sink.write(batch, page.partition)
        assert set(outcome.status.tolist()) <= {RowStatus.WRITTEN}, outcome.message
        sent |= as_dict(batch)
    assert stored(sink) == sent
    return sink


def labelled_without(
    connection: MilvusConnection,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    lacking: Callable[[LabelField], bool],
) -> str:
    """Label all as an earlier version did, which did not know some fields; where labels are."""
    earlier = tuple(f for f in LABEL_FIELDS if not lacking(f))
    with monkeypatch.context() as then:
        for module in ("model.labels", "adapters.milvus.writeback.side_schema"):
            then.setattr(f"vdbcluster.{module}.LABEL_FIELDS", earlier)
        return label_all(connection, name, LabelSettings()).way.target


def counted(client: MilvusClient, name: str) -> int:
    found = client.query(name, "", output_fields=["count(*)"], consistency_level="Strong")
    return int(found[0]["count(*)"])
